"""Sampling a tenant: what is written, that nothing personal is in it, and that what it proposes plans and runs."""

import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.findings import Findings
from discovery.profile import profile
from discovery.redacting import MOMENT, TOKEN, Redactor, is_personal, texts
from discovery.sampling import Sample, Sampler
from sandbox.server import Sandbox
from sources.servicetitan.catalog import BY_NAME, CATALOG
from sources.servicetitan.client import Client
from sources.servicetitan.registry import load
from store.rate_budget import RateBudget
from store.sqlite_operations import SqliteOperations
from tests.whole import reach

NAMES = ("customers", "customer_contacts", "jobs", "estimates", "technicians", "locations", "appointments", "job_notes")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(seed=9, customers=40, report_interval=0) as made:
        yield made


@pytest.fixture
def sampler(sandbox: Sandbox, tmp_path: Path) -> Iterator[Sampler]:
    budgets = SqliteOperations(tmp_path / "budgets.db", durable=False)
    reached = reach(sandbox)
    client = Client(reached, reached.tenants[0], RateBudget(budgets, "a", sandbox.tenant_id, 1000.0))
    yield Sampler(client, most=25)
    client.close()
    budgets.close()


def test_every_entity_is_sampled_or_says_why_not(sampler: Sampler, sandbox: Sandbox):
    """As many records as were asked for at most, each as the tenant has it; nothing the documents do not say."""
    found = Findings(load())
    for entity in CATALOG:
        sample = sampler.sample(entity)
        assert len(sample.records) <= 25
        assert bool(sample.records) != bool(sample.note)
        assert sample.note == "" or "fail" not in sample.note, sample.note
        found.add(sample)
    assert found.drift == []
    assert len(found.records) > 150
    served = [json.loads(text) for text in sandbox.texts("customers")]
    assert all(record in served for record in found.records["customers"])


def words(text: str) -> list[str]:
    """The words of a text; a moment is one, for its parts, `09T14`, come again in any other."""
    return [text] if MOMENT.fullmatch(text) else TOKEN.findall(text)


def words_of_people(records: list[Any]) -> set[str]:
    """The words in fields that speak of people, but for such as a look-alike may be by chance."""
    return {
        word
        for record in records
        for path, text in texts(record)
        if is_personal(path)
        for word in words(text)
        if len(word) > 4 and any(sign.isalpha() for sign in word)
    }


def test_samples_hold_nothing_personal(sampler: Sampler, tmp_path: Path):
    """No name, phone number, e-mail address or street of the tenant, in whichever file; but moments, ids and states."""
    found = Findings(load())
    for name in NAMES:
        found.add(sampler.sample(BY_NAME[name]))
    assert found.write(tmp_path) == 2 * len(found.records) + 3
    shown = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.json"))
    customers, contacts = found.records["customers"], found.records["customer_contacts"]
    secrets = {record["name"] for record in (*customers, *found.records["technicians"])}
    secrets |= {record["address"]["street"] for record in (*customers, *found.records["locations"])}
    secrets |= {record["value"] for record in contacts}
    assert len(secrets) > 50
    assert not [secret for secret in secrets if secret in shown]
    samples = {name: json.loads((tmp_path / f"samples/{name}.json").read_text())["records"] for name in found.records}
    for name, records in found.records.items():
        kept = {word for record in samples[name] for _, text in texts(record) for word in words(text)}
        documented = {word for one in load()[name] for word in one.enum}
        assert not kept & (words_of_people(records) - documented), name
        for before, after in zip(records, samples[name], strict=True):
            assert before["id"] == after["id"]
            assert before["modifiedOn"] == after["modifiedOn"]
    assert {record["status"] for record in samples["appointments"]} <= {
        "Scheduled", "Dispatched", "Working", "Hold", "Done", "Canceled"
    }  # fmt: skip
    assert {record["type"] for record in samples["customers"]} <= {"Residential", "Commercial"}


SECRETS = (
    "Zebulon", "Ada Quimby-Lovelace", "ada.quimby@example.org", "+1 (555) 867-5309", "12 Threadneedle Lane", "8675309#",
    "1979-03-14", "QUIMBY", "Zoë Ångström", 5558675309, 8675309, 8675309.0, -40255512, 5.558675309e20, 41.256537,
)  # fmt: skip
OF_PEOPLE = (
    "surname", "lastname", "firstname", "dispatcher", "salesRep", "homeowner", "technicians", "streets", "names", "gateCode",
    "phones", "tel", "callerId", "birthDate", "customer_NAME", "fullname", "e-mail",
)  # fmt: skip
harmless = (
    st.none() | st.booleans() | st.integers(-999_999, 999_999) | st.sampled_from(["Open", "2024-01-02T03:04:05Z"])
)


def beneath(value: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A value, in objects and arrays or not."""
    return st.recursive(
        value,
        lambda part: (
            st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(["kind", "data", "id"]), part, max_size=3)
        ),
        max_leaves=6,
    )


def as_found(secret: Any) -> str:
    """A secret as it would be found again, whatever stands around it."""
    return json.dumps(secret, ensure_ascii=False).strip('"-')


@given(
    of_people=st.dictionaries(st.sampled_from(OF_PEOPLE), beneath(st.sampled_from(SECRETS)), max_size=4),
    elsewhere=st.dictionaries(
        st.sampled_from(["state", "extra", "amounts", "x", "code7"]),
        beneath(harmless | st.sampled_from([one for one in SECRETS if one not in {"1979-03-14", 41.256537}])),
        max_size=4,
    ),
    keys=st.lists(st.sampled_from([one for one in SECRETS if isinstance(one, str)]), max_size=2),
    times=st.integers(1, 40),
)
def test_nothing_personal_survives(of_people, elsewhere, keys, times):
    """Wherever it stands: in fields whose names speak of people however often, as a field's name, or once anywhere else."""
    record = {**of_people, "map": dict.fromkeys(keys, 1)}
    people = {"name": [one for one in SECRETS if isinstance(one, str)]}
    redactor = Redactor({"state": ("Open",), "map": ()}, salt=b"salt")
    records = [record] * times + [elsewhere, people]
    redactor.look(records)
    shown = json.dumps([redactor.redacted(one) for one in records], ensure_ascii=False)
    assert [secret for secret in SECRETS if as_found(secret) in shown] == []


@pytest.mark.parametrize("path", OF_PEOPLE)
def test_a_name_that_repeats_is_no_list_of_values(path: str):
    """Where the field speaks of people: joined and plural words, and keys that are none."""
    record = {path: "Quimby", "in": {path: [{"kind": "Quimby"}]}, "of": {path: 8675309}}
    redactor = Redactor()
    redactor.look([record] * 50)
    assert not {"Quimby", "8675309"} & {*TOKEN.findall(json.dumps(redactor.redacted(record)))}


def test_what_is_harmless_stays():
    """Words that documents list, words and moments that come again and again, keys, short numbers, plain names of fields."""
    record = {
        "state": "Held",
        "kind": "Big",
        "at": "2024-01-02",
        "customerId": 900000001,
        "count": 12,
        "share": 0.5,
        "x1": True,
    }
    redactor = Redactor({"state": ("Held",), "customerId": ()})
    redactor.look([record] * 3 + [{"kind": "Small"}])
    assert redactor.redacted(record) == record
    assert redactor.redacted({"kind": "Small"}) != {"kind": "Small"}
    assert redactor.redacted({"otherId": 900000001})["otherId"] != 900000001


def test_what_differs_is_told_without_personal_values(tmp_path: Path):
    """A new value and a field's name that are no word of a list get look-alikes, in the diffs too."""
    records = [{"id": 1, "reviewStatus": "Ada Quimby", "ada@example.org": "x", "loyaltyCode": "x"}]
    found = Findings(load())
    found.add(Sample(BY_NAME["estimates"], [msgspec.Raw(msgspec.json.encode(one)) for one in records]))
    found.write(tmp_path)
    shown = "".join(path.read_text(encoding="utf-8") for path in tmp_path.rglob("*.*") if path.is_file())
    told = [*found.told(), json.dumps(found.summary()), shown]
    assert not [text for text in told if "Quimby" in text or "ada@" in text]
    assert "loyaltyCode" in shown
    assert {one.detail for one in found.drift} >= {"Ada Quimby"}  # which is what would be taken over


@given(text=st.text())
def test_a_look_alike_has_the_form_and_none_of_the_letters(text: str):
    """Each letter is another one, each digit another one; equal texts stay equal."""
    redactor = Redactor(salt=b"salt")
    masked = redactor.masked(text)
    assert masked == redactor.masked(text)
    if text.isascii():
        for before, after in zip(text, masked, strict=True):
            for kind in (string.digits, string.ascii_lowercase, string.ascii_uppercase):
                assert (before in kind) == (after in kind)
            assert (before == after) == (before not in string.ascii_letters + string.digits)


def test_an_analysis_counts():
    """Types, what is missing or null, formats, lists of values and examples."""
    records = [{"a": 1, "s": "Open", "at": "2024-01-02T03:04:05Z", "in": {"x": None}, "l": [{"y": 2.5}]}] * 9
    records.append({"a": "two", "s": "Done", "l": []})
    found = {path: one.report(10) for path, one in profile(records).items()}
    assert found["a"]["types"] == {"integer": 9, "string": 1}
    assert found["s"]["values"] == ["Done", "Open"]
    assert (found["at"]["format"], found["at"]["missing_share"]) == ("date-time", 0.1)
    assert found["in.x"]["null_share"] == 1
    assert found["l[].y"]["examples"] == [2.5]
