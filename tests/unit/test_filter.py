"""Events that are not for the model: kept from it, in their place, whatever else is wrong with them."""

from pathlib import Path

import orjson
import pytest

from consumer.assembly import assemble
from consumer.pipeline.load import load
from consumer.types import DeadLetter, Enriched, Filtered, PlainEvent, Result, outcome
from tests.support.command import onelane
from tests.support.flights import flight_values, flights_beside
from tests.support.pipelines import GOOD, loaded, refused

FAR = "when: distance > 1000\n"


def enriched(path: Path, values: list[bytes]) -> list[Result]:
    """Send values through a pipeline, as one batch."""
    events = [PlainEvent(value, offset=place) for place, value in enumerate(values)]
    return assemble(load(path, {})).enrichers()().enrich(events)


def test_what_is_for_the_model_is_enriched_as_without_a_filter(tmp_path: Path) -> None:
    """The others stand between, as they came; all in order."""
    values = flight_values()[:60]
    results = enriched(flights_beside(tmp_path, FAR), values)
    assert [result.event.offset() for result in results] == list(range(60))
    for value, result in zip(values, results, strict=True):
        far = orjson.loads(value)["distance"] > 1000
        assert type(result) is (Enriched if far else Filtered)
    kept = [value for value in values if orjson.loads(value)["distance"] > 1000]
    alone = [result for result in enriched(flights_beside(tmp_path, FAR), kept) if isinstance(result, Enriched)]
    assert [result.value for result in results if isinstance(result, Enriched)] == [one.value for one in alone]
    assert 0 < len(kept) < 60


def test_an_event_that_is_not_for_the_model_need_not_fit_it(tmp_path: Path) -> None:
    """It is looked at before anything else; what can't be read or answered is a dead letter all the same."""
    values = [b'{"distance":1,"weekend":"no"}', b'{"distance":2000,"weekend":"no"}', b"{", b"", b'{"distance":"far"}']
    results = enriched(flights_beside(tmp_path, FAR), values)
    assert isinstance(results[0], Filtered)
    assert [r.cause.code if isinstance(r, DeadLetter) else None for r in results[1:]] == [
        "WrongType", "Malformed", "NoValue", "FilterFailed",
    ]  # fmt: skip
    failed = results[4]
    assert isinstance(failed, DeadLetter)
    assert failed.cause.stage == "filter"
    assert "'>' not supported" in failed.cause.message


@pytest.mark.parametrize(("otherwise", "expected"), [("pass", "passed"), ("drop", "dropped")])
def test_the_others_pass_or_are_dropped(otherwise: str, expected: str, tmp_path: Path) -> None:
    """As the file says."""
    (result,) = enriched(flights_beside(tmp_path, f"{FAR}otherwise: {otherwise}\n"), [b'{"distance": 1}'])
    assert isinstance(result, Filtered)
    assert outcome(result) == expected


def test_parts_of_the_record_can_be_asked_for(tmp_path: Path) -> None:
    """A key as text, a timestamp in milliseconds, a header by its name; a key that is no text is a dead letter.

    An event that can't be read gives its parts to no other.
    """
    path = flights_beside(tmp_path, "when: \"@key == 'k' and @timestamp >= 5 and @headers['from'] == 'x'\"\n")
    enrich = assemble(load(path, {})).enrichers()().enrich
    headers = [("from", b"x")]
    events = [
        PlainEvent(b"{", key=b"other"),
        PlainEvent(b"{}", key=b"k", timestamp=(1, 5), headers=headers),
        PlainEvent(b"{}", key=b"other", timestamp=(1, 5), headers=headers),
        PlainEvent(b"{}", key=b"k", timestamp=(1, 5)),
        PlainEvent(b"{}", key=b"\xff", timestamp=(1, 5), headers=headers),
    ]
    codes = [r.cause.code if isinstance(r, DeadLetter) else type(r).__name__ for r in enrich(events)]
    assert codes == ["Malformed", "Missing", "Filtered", "Filtered", "NotUtf8"]


def test_enrich_passes_and_drops_too(tmp_path: Path) -> None:
    """Without a broker: what passes is written as it came."""
    values = flight_values()[:40]
    far = sum(orjson.loads(value)["distance"] > 1000 for value in values)
    for otherwise, count in (("pass", 40), ("drop", far)):
        path = flights_beside(tmp_path, f"{FAR}otherwise: {otherwise}\n")
        done = onelane("enrich", path, stdin=b"\n".join(values))
        lines = done.stdout.splitlines()
        assert (done.returncode, len(lines)) == (0, count)
        assert sum(b'"delay":' in line for line in lines) == far
    assert set(values).isdisjoint(lines)


def test_cases_may_expect_it(tmp_path: Path) -> None:
    """And are told what became of an event instead."""
    cases = [
        ("near", "{distance: 1}", "expect_filtered: passed"),
        ("wrong", "{distance: 1}", "expect_filtered: dropped"),
        ("predicted", "{distance: 1}", "expect: {late: true}"),
        ("model", "{distance: 2000}", "expect_filtered: passed"),
    ]
    tests = "".join(f"  - name: {name}\n    event: {event}\n    {rest}\n" for name, event, rest in cases)
    done = onelane("test", flights_beside(tmp_path, f"{FAR}tests:\n{tests}"))
    lines = [line.strip() for line in done.stdout.decode().splitlines() if line.startswith("  ")]
    assert lines == [
        "expected that it is dropped, but the event is passed",
        "expected predictions, but the event is passed",
        lines[2],
    ]
    assert lines[2].startswith("expected that it is passed, got a dead letter: Missing")


def test_the_filter_is_part_of_the_pipelines_hash(tmp_path: Path) -> None:
    """It decides what records say; a file without one has the hash that it always had."""
    plain, filtered = loaded(tmp_path).label, loaded(tmp_path, GOOD + FAR).label
    dropping = loaded(tmp_path, GOOD + FAR + "otherwise: drop\n").label
    assert len({plain, filtered, dropping}) == 3


@pytest.mark.parametrize(
    ("more", "finding"),
    [
        ("when: distance >\n", "17:1: when: at character 11: can't be read here: invalid syntax"),
        ("when: lowr(a) == 'x'\n", "17:1: when: at character 1: no such function: lowr; did you mean `lower`?"),
        ("when: 1 < 2\n", "17:1: when: reads no field: it says the same of every event"),
        ("otherwise: drop\n", "17:1: otherwise: there is no `when`; say which events are for the model"),
        ("otherwise: skip\nwhen: a > 1\n", '17:1: otherwise: expected pass or drop, got "skip"'),
    ],
)
def test_what_can_not_be_meant_is_told_with_its_place(more: str, finding: str, tmp_path: Path) -> None:
    """In the file and in the expression."""
    assert refused(tmp_path, GOOD + more) == [finding]


def test_events_do_not_pass_among_records_of_another_kind(tmp_path: Path) -> None:
    """Readers of the output topic could not take them."""
    other = GOOD.replace("output: {topic: out,", "output: {topic: out, layout: only, format: json_schema,")
    other += "registry: {url: http://localhost:1}\n"
    assert refused(tmp_path, other + FAR)[0] == (
        "18:1: when: json events can't pass among json_schema records; say `otherwise: drop`"
    )
    assert loaded(tmp_path, other + FAR + "otherwise: drop\n").spec.when is not None
