"""How often one address may try keys, in this process: the right one is known, and others are not worth many requests."""

from api.gate import MINUTE, Window
from api.problems import TooManyError

MOST = 10  # wrong keys a minute
MOST_KEPT = 10_000  # addresses


class Attempts:
    """Wrong keys by the address that sent them."""

    def __init__(self) -> None:
        """None yet."""
        self.windows: dict[str, Window] = {}

    def demand(self, address: str, moment: float) -> None:
        """Raise TooManyError, before a key is looked at, for an address that sent too many wrong ones."""
        window = self.windows.get(address)
        if window and window.load(MINUTE, moment) + 1 > MOST:
            wait = max(1, window.wait(MINUTE, moment, MOST))
            raise TooManyError(
                f"{MOST} wrong keys came from your address within a minute. Wait {wait} s, then try again.",
                headers={"Retry-After": str(wait)},
            )

    def note(self, address: str, moment: float) -> None:
        """Count a key before it is looked at, so that many at once are not let in together."""
        if address not in self.windows and len(self.windows) >= MOST_KEPT:
            self.windows.clear()
        window = self.windows.setdefault(address, Window())
        window.load(MINUTE, moment)
        window.now += 1

    def take_back(self, address: str) -> None:
        """It was a right one, which does not count."""
        if (window := self.windows.get(address)) and window.now:
            window.now -= 1
