"""Ports for services that tests start."""

import os
import socket
from itertools import cycle

EACH = 400  # ports of each worker: tests run beside each other, and none may take another's
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
FIRST = 21_000 + EACH * (WORKER % 25)  # all of them below those that the system gives to clients
PORTS = cycle(range(FIRST, FIRST + EACH))


def free_port() -> int:
    """A port that nobody listens on, and another one each time."""
    for port in (next(PORTS) for _ in range(EACH)):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError(f"Something listens on each of {FIRST} to {FIRST + EACH - 1}.")
