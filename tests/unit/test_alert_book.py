"""How what a rule finds becomes alerts and messages, step by step, without a clock or a database."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec
import pytest

from aggregator.alerts import rules
from aggregator.alerts.book import CALM_MS, GATHER_MS, JOIN_MS, Alert, Book
from aggregator.alerts.counted import weekday_hours
from aggregator.alerts.messages import document, payload
from aggregator.alerts.places import Found, Membership, Place, Verdict, fits, holds_node
from aggregator.alerts.rules import Rule, RuleBody, Scope

T0 = 1_800_000_000_000
SECOND = 1000


def rule(hold: int = 0, **more: object) -> Rule:
    return Rule(id="r1", name="Boxes", condition=rules.Offline(), hold_seconds=hold, **more)  # type: ignore[arg-type]


def found(*names: str, since: int = 0) -> Verdict:
    verdict = Verdict()
    verdict.found = {Place(name): Found(f"{name} is offline", since) for name in names}
    return verdict


def unknown(*names: str) -> Verdict:
    verdict = Verdict()
    verdict.unknown = {Place(name) for name in names}
    return verdict


def told(book: Book, verdict: Verdict, at: int) -> list[str]:
    return [telling.what for telling in book.step(verdict, at)]


def test_a_finding_is_told_once_and_its_end_once() -> None:
    """It opens after the gathering time, says nothing while it lasts, and closes when it has been clear."""
    book = Book(rule(), [])
    assert told(book, found("a"), T0) == []
    assert told(book, found("a"), T0 + GATHER_MS) == ["opened"]
    for minute in range(1, 60):
        assert told(book, found("a"), T0 + minute * 60 * SECOND) == []
    assert told(book, found(), T0 + 3600 * SECOND) == ["closed"]


def cramped(grade: int) -> Verdict:
    verdict = Verdict()
    verdict.found = {Place(): Found(f"room, degree {grade}", grade=grade)}
    return verdict


@pytest.mark.parametrize("state", ["open", "acknowledged", "snoozed"])
def test_what_gets_worse_is_told_at_once_and_once(state: str) -> None:
    """From low to full is a second message, whoever has taken the alert on; there and back again is none."""
    book = Book(rule(), [])
    book.step(cramped(0), T0)
    assert told(book, cramped(0), T0 + GATHER_MS) == ["opened"]
    (alert,) = book.alerts.values()
    alert.state = state  # type: ignore[assignment]
    alert.snoozed_until = T0 + 3600 * SECOND
    (worse,) = book.step(cramped(1), T0 + GATHER_MS + SECOND)
    assert (worse.what, worse.number) == ("worse", 2)
    assert payload(worse, T0)["type"] == "alert.worse"
    assert payload(worse, T0)["data"]["title"] == "Worse: Boxes: room, degree 1"
    for turn in range(20):
        assert told(book, cramped(turn % 2), T0 + GATHER_MS + (2 + turn) * SECOND) == []
    book.step(found(), T0 + 600 * SECOND)
    book.step(found(), T0 + 600 * SECOND + CALM_MS)
    assert alert.state == "closed"


def test_what_is_full_from_the_start_is_one_message() -> None:
    """While it is gathered nobody was told a lower degree, so nothing is worse than that."""
    book = Book(rule(), [])
    book.step(cramped(0), T0)
    assert told(book, cramped(1), T0 + SECOND) == []
    assert told(book, cramped(1), T0 + GATHER_MS) == ["opened"]
    assert told(book, cramped(1), T0 + 2 * GATHER_MS) == []


def test_a_condition_has_to_hold_before_it_is_an_alert() -> None:
    """What is over within the hold-off is never told, and a box's own time of going counts."""
    book = Book(rule(hold=60), [])
    assert told(book, found("a"), T0) == []
    assert told(book, found("a"), T0 + 59 * SECOND) == []
    assert told(book, found(), T0 + 60 * SECOND) == []
    assert book.alerts == {}
    book = Book(rule(hold=60), [])
    book.step(found("b", since=T0 - 60 * SECOND), T0)
    assert told(book, found("b", since=T0 - 60 * SECOND), T0 + GATHER_MS) == ["opened"]


def test_a_thousand_boxes_that_go_within_a_minute_are_one_message() -> None:
    """Those whose hold-off is not over are told with the first that matured; their end is one message too."""
    book = Book(rule(hold=120), [])
    said = []
    gone: list[str] = []
    for second in range(0, 200, 2):
        gone = [f"node-{n:04}" for n in range(min(1000, second * 20))]
        said += [
            (telling.what, len(telling.alert.parts))
            for telling in book.step(found(*gone), T0 + second * SECOND)
        ]
    assert said == [("opened", 1000)]
    said = []
    for second in range(200, 400, 2):
        gone = gone[20:]
        said += book.step(found(*gone), T0 + second * SECOND)
    assert [(one.what, len(one.alert.parts)) for one in said] == [("closed", 1000)]


def test_a_crowd_that_grows_without_a_hold_off_is_waited_for() -> None:
    """While more are found each few seconds nothing is told; then once, with all, within a minute."""
    book = Book(rule(), [])
    said = []
    for second in range(0, 60, 2):
        names = [f"n{n}" for n in range(min(40, second + 1))]
        said += book.step(found(*names), T0 + second * SECOND)
    assert [(one.what, len(one.alert.parts)) for one in said] == [("opened", 40)]
    book = Book(rule(), [])
    for second in range(0, 60, 2):
        assert told(book, found(*(f"n{n}" for n in range(second + 1))), T0 + second * SECOND) == []
    assert told(book, found(*(f"n{n}" for n in range(61))), T0 + 60 * SECOND) == ["opened"]


def test_late_comers_are_one_more_message() -> None:
    """What is found within minutes joins the alert, and is told together when they are over."""
    book = Book(rule(), [])
    book.step(found("a"), T0)
    assert told(book, found("a"), T0 + GATHER_MS) == ["opened"]
    names = ["a"]
    for second in range(20, 290, 10):
        names.append(f"n{second}")
        assert told(book, found(*names), T0 + second * SECOND) == []
    assert told(book, found(*names), T0 + JOIN_MS) == ["more"]
    assert told(book, found(*names), T0 + JOIN_MS + SECOND) == []
    book.step(found(*names, "late"), T0 + JOIN_MS + 2 * SECOND)
    assert len(book.alerts) == 2


def test_what_flickers_is_told_once() -> None:
    """A place that is clear for a moment and then not does not begin anew."""
    book = Book(rule(hold=0), [])
    book.rule.hold_seconds = 30
    book.step(found("a", since=T0 - 60_000), T0)
    said = []
    for second in range(2, 1200, 2):
        names = ["a"] if second % 20 < 10 else []
        said += told(book, found(*names, since=T0 - 60_000), T0 + second * SECOND)
    assert said == ["opened"]


def test_a_box_that_fails_again_later_is_a_new_alert() -> None:
    """Though another box keeps the first alert from ending, and somebody has taken that on."""
    book = Book(rule(), [])
    book.step(found("a", "dead"), T0)
    book.step(found("a", "dead"), T0 + GATHER_MS)
    next(iter(book.alerts.values())).state = "acknowledged"
    book.step(found("dead"), T0 + 60 * SECOND)
    assert told(book, found("a", "dead"), T0 + 3600 * SECOND) == []
    assert told(book, found("a", "dead"), T0 + 3600 * SECOND + GATHER_MS) == ["opened"]


def test_what_is_not_known_neither_begins_nor_ends_an_alert() -> None:
    """A box of which nothing can be said keeps its alert; when the centre is deaf all stay as they are."""
    book = Book(rule(), [])
    book.step(found("a"), T0)
    assert told(book, found("a"), T0 + GATHER_MS) == ["opened"]
    assert told(book, unknown("a"), T0 + CALM_MS * 3) == []
    deaf = Verdict()
    deaf.blind = True
    assert told(book, deaf, T0 + CALM_MS * 6) == []
    assert told(book, found(), T0 + CALM_MS * 9) == ["closed"]


def test_a_restart_tells_nothing_twice_and_loses_nothing() -> None:
    """A book that is read back goes on: told stays told, and what was not yet told is."""
    book = Book(rule(), [])
    book.step(found("a"), T0)
    kept = [msgspec.convert(msgspec.to_builtins(alert), Alert) for alert in book.alerts.values()]
    book = Book(rule(), kept)
    (telling,) = book.step(found("a"), T0 + GATHER_MS)
    assert telling.what == "opened"
    first = document(telling, "hook", T0)
    twice = Book(rule(), [msgspec.convert(msgspec.to_builtins(kept[0]), Alert)])
    twice.alerts[kept[0].id].messages = 0
    twice.alerts[kept[0].id].told = 0
    (again,) = twice.step(found("a"), T0 + GATHER_MS + 500)
    assert document(again, "hook", T0)["id"] == first["id"]  # it was killed before the alert was saved
    book = Book(rule(), [msgspec.convert(msgspec.to_builtins(a), Alert) for a in book.alerts.values()])
    assert told(book, found("a"), T0 + 3 * GATHER_MS) == []


def test_a_person_may_take_on_snooze_and_close_an_alert() -> None:
    """Taken on: no more. Snoozed: a reminder at its end. Closed by hand: quiet until it is clear."""
    book = Book(rule(), [])
    book.step(found("a"), T0)
    book.step(found("a"), T0 + GATHER_MS)
    (alert,) = book.alerts.values()
    alert.state = "snoozed"
    alert.snoozed_until = T0 + 600 * SECOND
    assert told(book, found("a"), T0 + 599 * SECOND) == []
    assert told(book, found("a"), T0 + 600 * SECOND) == ["reminder"]
    alert.state = "acknowledged"
    assert told(book, found("a", "b"), T0 + 700 * SECOND) == []
    assert len(book.alerts) == 2  # whoever comes later is nobody's yet
    alert.state = "closed"
    alert.quiet = True
    assert told(book, found("a"), T0 + 900 * SECOND) == []
    assert sum(not part.until for one in book.alerts.values() for part in one.parts if part.node == "a") == 1
    book.step(found(), T0 + 1000 * SECOND)
    for one in list(book.alerts.values()):
        book.saved(one)
    book.step(found("a"), T0 + 2000 * SECOND)
    assert told(book, found("a"), T0 + 2000 * SECOND + GATHER_MS) == ["opened"]


def test_a_rule_that_is_gone_closes_its_alerts_quietly() -> None:
    """Nothing is told of a rule that was deleted; the history says why it ended."""
    book = Book(rule(), [])
    book.step(found("a"), T0)
    book.end("the rule was deleted", T0 + SECOND)
    (alert,) = book.alerts.values()
    assert (alert.state, alert.why) == ("closed", "the rule was deleted")


def test_a_message_says_what_and_where() -> None:
    """One place by its own words, many by their number; as JSON at most a hundred, and how many there are."""
    book = Book(rule(), [])
    names = [f"node-{n:04}" for n in range(250)]
    book.step(found(*names), T0)
    (telling,) = book.step(found(*names), T0 + GATHER_MS)
    data = payload(telling, T0)["data"]
    assert data["title"] == "Boxes: 250 places"
    assert (data["count"], data["standing"], len(data["places"])) == (250, 250, 100)
    assert data["text"].splitlines()[-1] == "and 230 more"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b'{"name":"x","condition":{"kind":"count"}}', "say `over` or `under`"),
        (b'{"name":"x","condition":{"kind":"nonsense"}}', "nonsense"),
        (b'{"name":"x","condition":{"kind":"heat","degree":3}}', "degree"),
        (b'{"name":"a\\nb","condition":{"kind":"heat"}}', "name"),
        (b'{"name":"x","condition":{"kind":"heat"},"scope":{"node":[]}}', "node"),
    ],
)
def test_a_rule_with_a_mistake_is_refused_with_its_place(text: bytes, why: str) -> None:
    """Unknown keys, kinds and line breaks are refused, with the path."""
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(text, type=RuleBody)
    assert why in str(caught.value)


def test_a_scope_includes_what_it_names() -> None:
    """Lists are joined by and, their entries by or; an empty one includes all; a star is any letters."""
    member = Membership("north", ("gates", "lorries"), ("indoor",))
    assert holds_node(Scope(), "gate-01", member)
    assert holds_node(Scope(nodes=["gate-*"], groups=["gates"]), "gate-01", member)
    assert not holds_node(Scope(nodes=["gate-*"], groups=["doors"]), "gate-01", member)
    assert not holds_node(Scope(sites=["south"]), "gate-01", member)
    assert not holds_node(Scope(labels=["indoor"]), "gate-01", Membership())


@pytest.mark.parametrize(
    ("pattern", "name", "does"),
    [
        ("gate", "gate", True), ("gate", "Gate", False), ("*", "", True), ("a*a", "a", False),
        ("a*a", "aa", True), ("*b*", "abc", True), ("a*b*c", "acb", False), ("a.c", "abc", False),
        ("*" * 32 + "b", "a" * 48, False),
    ],
)  # fmt: skip
def test_a_pattern_is_matched_in_one_pass(pattern: str, name: str, does: bool) -> None:
    """Only `*` means more than itself, and no pattern takes long."""
    assert fits(pattern, name) is does


def test_the_same_hour_of_the_weeks_before_is_the_clocks_over_daylight_saving() -> None:
    """Auckland set its clock forward on 27 September 2026: 08:00 there is another hour of UTC before that."""
    zone = ZoneInfo("Pacific/Auckland")
    monday = datetime(2026, 9, 28, 9, 5, tzinfo=zone)
    spans = weekday_hours(int(monday.timestamp() * 1000), 2, zone)
    starts = [datetime.fromtimestamp(start / 1000, zone) for start, _ in spans]
    assert [f"{start:%a %d %H:%M}" for start in starts] == ["Mon 28 08:00", "Mon 21 08:00", "Mon 14 08:00"]
    assert spans[0][0] - spans[1][0] == (7 * 24 - 1) * 3_600_000
    assert all(end - start == 3_600_000 for start, end in spans)
