"""The flights example on its real model: golden rows, bad events, and all that the load probe says of it."""

import msgspec
import orjson
import pytest

from consumer.deadletter.causes import Code
from consumer.types import DeadLetter, Enriched, Event, PlainEvent, Result
from tests.support.flights import flight_events, flight_values, flights, flights_enricher, golden


def answers(results: list[Result]) -> list[dict[str, object]]:
    """Return the predictions; nothing may have fallen out."""
    return [orjson.loads(result.value)["delay"] for result in results if isinstance(result, Enriched)]


def test_golden_rows_come_out_as_they_did_in_training() -> None:
    """Minutes and late probability within 1e-3 of what the model answered where it was trained."""
    values = [value for value in flight_values() if orjson.loads(value)["id"] in golden()]
    events = [PlainEvent(value, offset=place) for place, value in enumerate(values)]
    found = answers(flights_enricher().enrich(events))
    assert len(found) == len(golden())
    for value, answer in zip(values, found, strict=True):
        expected = golden()[orjson.loads(value)["id"]]
        assert answer["minutes"] == pytest.approx(expected["minutes"], abs=1e-3)
        assert answer["late_probability"] == pytest.approx(expected["late_probability"], abs=1e-3)
        assert answer["late"] == (expected["late_probability"] > 0.5)


def test_the_int8_model_answers_nearly_the_same() -> None:
    """Quantised inputs and outputs are converted: most answers are within a few minutes of the other model's."""
    events: list[Event] = list(flight_events(200))
    full = answers(flights_enricher().enrich(events))
    small = answers(flights_enricher("pipeline-int8.yaml").enrich(events))
    gaps = [abs(float(str(a["minutes"])) - float(str(b["minutes"]))) for a, b in zip(full, small, strict=True)]
    assert sorted(gaps)[len(gaps) // 2] < 3


def test_an_enriched_record_is_the_event_with_its_prediction_and_provenance() -> None:
    """The event's bytes are the record's beginning; model and mapping are named with their hashes."""
    (event,) = flight_events(1)
    (result,) = flights_enricher().enrich([event])
    assert isinstance(result, Enriched)
    assert result.value.startswith((event.value() or b"")[:-1] + b',"delay":{"minutes":')
    provenance = orjson.loads(result.value)["delay"]
    assembly = flights()
    assert provenance["model"] == f"delay@{assembly.model.sha256[:8]}"
    assert provenance["pipeline"] == f"flight-delays@{assembly.file.mapping}"


def flight(delay: str, time: str) -> bytes:
    """Write a flight of which delay and time may be wrong."""
    return (
        '{"distance":1,"sched_dep_time":1,"sched_arr_time":1,"weekend":true,'
        f'"dep_delay":{delay},"time_hour":"{time}"}}'
    ).encode()


def test_invariant_3_on_a_real_model() -> None:
    """Bad events between good ones are exactly the dead letters, and the others are as without them."""
    good = flight_events(7)
    bad = {
        b"{": Code.MALFORMED,
        b'{"carrier":true}': Code.WRONG_TYPE,
        b'{"distance":1}': Code.MISSING,
        flight("1e41", "2013-11-23T10:00:00Z"): Code.OUT_OF_RANGE,
        flight("1e39", "2013-11-23T10:00:00Z"): Code.NOT_FINITE,  # fits a float32, but not what the model makes of it
        flight("1", "now"): Code.BAD_TIME,
        b'{"delay":{},"carrier":"AA"}': Code.FIELD_EXISTS,
    }
    mixed: list[Event] = []
    for event, value in zip(good, bad, strict=True):
        mixed += [event, PlainEvent(value)]
    made = flights_enricher()
    alone, results = made.enrich(good), made.enrich(mixed)
    assert results[::2] == alone
    assert all(isinstance(result, Enriched) for result in alone)
    assert [r.cause.code for r in results[1::2] if isinstance(r, DeadLetter)] == list(bad.values())


def test_the_load_probe_finds_batches_right_for_this_model() -> None:
    """Rows of a batch do not touch each other, so batches of the file's size are used, padded to a few sizes."""
    assembly = flights()
    assert (assembly.verdict.batched, assembly.verdict.why) == (True, "")
    assert assembly.verdict.sizes[0] == 1
    assert assembly.rule.rows == assembly.verdict.rows <= 256
    assert assembly.rule.row_bytes == assembly.plan.row_bytes == 7 * 4 + 3 * 4


@pytest.mark.parametrize(
    ("interpreters", "size", "how"),
    [
        ("auto", 30_000, "per lane"),
        ("auto", 300_000, "shared"),
        ("per_lane", 300_000, "per lane"),
        ("shared", 30_000, "shared"),
    ],
)
def test_each_lane_has_an_interpreter_of_its_own(interpreters: str, size: int, how: str) -> None:
    """Unless the pipeline file says that they are shared, or leaves it open and the model is large."""
    assembly = flights()
    spec = assembly.file.spec
    spec = msgspec.structs.replace(spec, model=msgspec.structs.replace(spec.model, interpreters=interpreters))
    file = msgspec.structs.replace(assembly.file, spec=spec)
    # What follows a flatbuffer is nothing to the engine.
    content = assembly.model.content + bytes(size - len(assembly.model.content))
    model = msgspec.structs.replace(assembly.model, content=content)
    made = msgspec.structs.replace(assembly, file=file, model=model).enrichers()
    assert ("shared" if made() is made() else "per lane") == how
