"""A customer's page as a template: what stands there when something is missing, gone or under way. Without a store."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from api.mutation_schemas import MutationPreview
from api.pages.customer import IDENTITY, LOCATION, MOST, Customer
from api.pages.customer_edit import Draft, labels
from api.pages.customer_history import History, Waiting, is_settling
from api.pages.customers import WORDS
from api.pages.look import Look
from api.pages.timeline import Timeline
from outbound.queue import Mutation
from outbound.state import State
from store.keys import Key

NOW = datetime(2026, 5, 1, tzinfo=UTC)
KEY = Key("k", "Ann", "", frozenset({"read"}), 1, None, None, NOW, None, None)
IDENTITY_OF_7 = dict.fromkeys(IDENTITY) | {"st_id": 7, "synced_at": NOW}
CUSTOMER = Customer(IDENTITY_OF_7, None, [], None, [], [], [])


def page(customer: Customer = CUSTOMER, **more: Any) -> str:
    """The page of a customer of whom nothing is known but the key."""
    values = {
        "key": KEY,
        "token": "t",
        "path": "/customers/7",
        "now": NOW,
        "customer": customer,
        "customer_id": 7,
        "waiting": Waiting([], is_moving=False),
        "may_edit": False,
        "timeline": Timeline([], {}, "", 1),
        "history": History([], {}, 1, has_more=False),
    }
    return " ".join(Look().text("customer.html", **(values | WORDS | more)).split())


def test_a_customer_of_whom_nothing_is_known_has_a_page():
    """Each part says that it has nothing."""
    text = page()
    for told in (
        "(no name)",
        "Value and engagement follow with the next run of the models",
        "No phone number and no e-mail address.",
        "No location.",
        "No estimate awaits an answer.",
        "No job, estimate or invoice yet.",
        "does not have this customer yet",
    ):
        assert told in text


def test_a_deleted_customer_is_shown_as_deleted():
    """With where it went, if it was merged."""
    text = page(replace(CUSTOMER, identity=IDENTITY_OF_7 | {"is_deleted": True, "merged_to_id": 8}))
    assert '<span class="chip bad">deleted</span>' in text
    assert "ServiceTitan no longer has this customer" in text
    assert 'merged into <a href="/customers/8">customer 8</a>' in text


def test_a_link_of_a_contact_is_a_number_or_an_address():
    """Whatever stands in it: nothing becomes another kind of link, or HTML."""
    evil = {"type": "Email", "value": '"><script>', "normalized_value": "javascript:alert(1)", "owner_type": "customer"}
    contact = evil | dict.fromkeys(("is_primary", "do_not_text", "memo"), None)
    text = page(replace(CUSTOMER, contacts=[contact]))
    assert 'href="mailto:javascript:alert(1)"' in text
    assert "&#34;&gt;&lt;script&gt;" in text


def test_a_list_that_is_cut_says_so():
    """Who has more locations than a page shows; not who has just as many."""
    place = dict.fromkeys(LOCATION, "x") | {"is_deleted": False}
    assert f"The first {MOST} are shown." in page(replace(CUSTOMER, locations=[place] * (MOST + 1)))
    assert "are shown." not in page(replace(CUSTOMER, locations=[place] * MOST))


@pytest.mark.parametrize(("value", "shown"), [(None, "(empty)"), ("ask at the desk", "ask at the desk")])
def test_a_contact_that_is_no_number_is_no_link(value: str | None, shown: str):
    """It is told as it stands."""
    contact = dict.fromkeys(("is_primary", "do_not_text", "memo")) | {"type": "Phone", "owner_type": "customer"}
    contact |= {"value": value, "normalized_value": value and ""}
    text = page(replace(CUSTOMER, contacts=[contact]))
    assert f"<span>{shown}</span>" in text
    assert "tel:" not in text


def test_a_change_of_a_customer_that_is_gone_is_not_said_to_be_sent():
    """No field is in conflict then, but the change will be."""
    shown = MutationPreview(
        needs_approval=False,
        based_on_payload_hash="v",
        method="PATCH",
        path="customers/7",
        body={},
        live=None,
        changes={},
        conflicts={},
        merged=[],
        warnings=["It is not there (any more)."],
        state="conflict",
    )
    draft = Draft(7, "v", {"name": "Ann"}, {}, {}, "form")
    values = {
        "key": KEY,
        "token": "t",
        "path": "/",
        "now": NOW,
        "draft": draft,
        "shown": shown,
        "rows": [],
        "fields": [],
    }
    values |= {"reason": "", "needs_approval": False, "in_conflict": "", "merged": ""}
    text = Look().text("customers/preview.html", **values)
    assert "waits for a decision" in text
    assert "no approval needed" not in text


def test_fields_are_named_as_the_form_names_them():
    """In what a preview says of them."""
    assert labels(["paymentTermId", "doNotMail"]) == "payment term, do not mail"


def mutation(state: State, **more: Any) -> Mutation:
    """A change in a state."""
    nothing: dict[str, Any] = dict.fromkeys(Mutation.__dataclass_fields__)
    own = {"entity": "customers", "operation": "update", "mutation_id": 3, "state": state, "created_at": NOW}
    return Mutation(**nothing | own | more)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (State.HELD, "awaits approval"),
        (State.CONFLICT, "somebody's decision"),
        (State.COMPLETED, "shows it in a moment"),
    ],
)
def test_a_change_under_way_is_told(state: State, told: str):
    """With its state, and a link to its story; what goes on by itself is asked for again."""
    text = page(waiting=Waiting([mutation(state, initiated_by="Ann")], is_moving=state is not State.CONFLICT))
    assert told in text
    assert 'href="/mutations/3"' in text
    assert ('hx-trigger="every 3s"' in text) is (state is not State.CONFLICT)


def test_a_completed_change_settles_when_the_models_have_run():
    """Until then the page does not show it; after a minute nobody waits for it any more."""
    now = datetime.now(UTC)
    done = mutation(State.COMPLETED, finished_at=now, landed_at=now)
    assert is_settling(done, now - timedelta(seconds=1))
    assert is_settling(replace(done, landed_at=None), now)
    assert not is_settling(done, now + timedelta(seconds=1))
    assert not is_settling(replace(done, finished_at=now - timedelta(minutes=2)), None)
    assert not is_settling(mutation(State.PENDING, finished_at=now), None)
