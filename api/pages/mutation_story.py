"""A mutation as a story: what happened to it, step by step, and what it waits for. Pure: it says what the store holds."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from api.mutation_schemas import MutationDetail, MutationStep
from outbound.state import (
    CANCELLED,
    COMPLETED,
    CONFLICT,
    FAILED,
    HELD,
    PENDING,
    PROCESSING,
    UNKNOWN,
    State,
)

WORDS = {
    "queued": ("Queued", ""),
    "approve": ("Approved", "good"),
    "reject": ("Rejected", "bad"),
    "cancel": ("Cancelled", ""),
    "retry": ("To be tried again", ""),
    "claim": ("Taken up", ""),
    "take over": ("Taken over", "warn"),
    "send": ("Sent to ServiceTitan", ""),
    "look later": ("To be looked at again", "warn"),
    "later": ("Put off", "warn"),
    "done": ("Completed", "good"),
    "refused": ("Failed", "bad"),
    "changed there": ("In conflict", "bad"),
    "in doubt": ("Unknown", "bad"),
    "resolve done": ("Resolved: it was done", "good"),
    "resolve not_done": ("Resolved: it was not done", ""),
    "resolve mine": ("Resolved: mine goes over theirs", ""),
    "resolve theirs": ("Resolved: theirs stays", ""),
}
"""By the word of a step how it is told, and its colour."""

ENDS = frozenset({"later", "done", "refused", "changed there", "in doubt"})
"""Steps by which a runner says what an attempt came to."""

TAKEN = frozenset({"claim", "take over"})
OF_RUNNERS = ENDS | TAKEN | {"send", "look later"}

TONES = {HELD: "warn", PENDING: "", PROCESSING: "info", COMPLETED: "good", FAILED: "bad", CONFLICT: "bad"}
TONES |= {UNKNOWN: "bad", CANCELLED: ""}

WAITS = {
    HELD: "Waits for approval by somebody who did not initiate it.",
    PROCESSING: "A runner works on it.",
    FAILED: "Nothing more happens by itself: it can be tried again or cancelled.",
    CONFLICT: "Waits for somebody who says whose values are right.",
    UNKNOWN: "Waits for somebody who looks into ServiceTitan and says whether it was done.",
}


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the story. Without `at` it is what comes next."""

    title: str
    tone: str = ""
    at: datetime | None = None
    by: str = ""
    is_person: bool = True  # that did it
    said: str = ""
    passed: timedelta | None = None  # since the event before
    until: datetime | None = None  # what comes next: not before
    is_answer: bool = False  # ServiceTitan's last answer belongs here
    is_read_back: bool = False  # the record was read back


def story(shown: MutationDetail, *, is_landing: bool) -> list[Event]:
    """All that happened, and what comes next. `is_landing` is whether the copy still lacks the outcome."""
    last_end = max((index for index, step in enumerate(shown.history) if step.did in ENDS), default=-1)
    events = [event(shown, index, is_last_end=index == last_end) for index in range(len(shown.history))]
    if shown.landed_at:
        behind = sum(step.at <= shown.landed_at for step in shown.history)
        events.insert(behind, landed(shown, behind))
    following = next_of(shown, is_landing=is_landing)
    return [*events, following] if following else events


def event(shown: MutationDetail, index: int, *, is_last_end: bool) -> Event:
    """A step of the history."""
    step = shown.history[index]
    title, tone = WORDS.get(step.did, (step.did, ""))
    if step.did == "queued" and shown.reverts:
        title = f"Queued, to revert mutation {shown.reverts}"
    if step.did == "claim" and (number := sum(each.did == "claim" for each in shown.history[: index + 1])) > 1:
        title = f"{title}, attempt {number}"
    return Event(
        title,
        tone,
        step.at,
        step.by if step.did in TAKEN or step.did not in OF_RUNNERS else "",
        step.did not in OF_RUNNERS,
        step.said,
        step.at - shown.history[index - 1].at if index else None,
        is_answer=is_last_end and shown.answer_status is not None,
        is_read_back=is_last_end and shown.after is not None,
    )


def landed(shown: MutationDetail, behind: int) -> Event:
    """The outcome came into the copy."""
    at = shown.landed_at
    passed = at - shown.history[behind - 1].at if at and behind else None
    said = "The copy holds the record as it was read back." if shown.after else ""
    return Event("In the copy", "good", at, said=said, passed=passed)


def next_of(shown: MutationDetail, *, is_landing: bool) -> Event | None:
    """What it waits for."""
    if shown.state is PENDING:
        return Event("Waits for its turn", until=shown.run_at)
    if said := WAITS.get(shown.state):
        return Event(said.rstrip("."))
    return Event("The copy does not hold the outcome yet") if is_landing else None


def tone(state: State) -> str:
    """A state's colour."""
    return TONES[state]


def notice(shown: MutationDetail, number: str) -> str:
    """What a person just did, by the step's place in the history; empty where there is no such step."""
    if not (number.isascii() and number.isdigit() and len(number) < 6 and int(number) < len(shown.history)):  # noqa: PLR2004  digits
        return ""
    step = shown.history[int(number)]
    return told(step, shown)


def told(step: MutationStep, shown: MutationDetail) -> str:
    """A step in a sentence."""
    title, _ = WORDS.get(step.did, (step.did, ""))
    if step.did == "queued" and shown.reverts:
        title = f"Queued: it gives the record the values back that mutation {shown.reverts} changed"
    return f"{title}, by {step.by}."
