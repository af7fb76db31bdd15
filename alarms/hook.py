"""Where notices go: a webhook, as plain JSON or in Slack's form."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from alarms.notice import Notice
from store.settings import ALARM_FORM, ALARM_WEBHOOK, Places, one_of, web_address

FORMS: dict[str, Callable[[Notice], dict[str, Any]]] = {"json": Notice.as_json, "slack": Notice.as_slack}
TIMEOUT = 10.0
ERROR = 400

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook, whose address is a secret: it never stands in a message."""

    address: str
    form: str

    def tell(self, notice: Notice) -> bool:
        """Send a notice; whether it was taken."""
        try:
            answer = httpx.post(self.address, json=FORMS[self.form](notice), timeout=TIMEOUT)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.warning("the alarm webhook does not answer: %s", type(error).__name__)
            return False
        if answer.status_code >= ERROR:
            log.warning("the alarm webhook answered %s", answer.status_code)
        return answer.status_code < ERROR


def hook(places: Places | None = None) -> Hook | None:
    """The webhook of the settings, if there is one. Raises SettingsError."""
    places = places or Places()
    address = places.text(ALARM_WEBHOOK)
    form = one_of(ALARM_FORM, places.text(ALARM_FORM).lower(), tuple(FORMS))
    return Hook(web_address(ALARM_WEBHOOK, address), form) if address else None
