"""The one seam: events in, a result for each out, in order (invariant 3)."""

from collections.abc import Mapping, Sequence

import numpy as np
import orjson
import pytest

from consumer.deadletter.causes import Code
from consumer.enrich import Enricher
from consumer.features.kinds import make_column
from consumer.features.matrix import Matrix
from consumer.features.plan import ColumnPlan
from consumer.model.tensors import Array, Tensor
from consumer.pipeline.features import NumberFeature
from consumer.records.answers import NumberColumn
from consumer.records.json_reader import JsonReader
from consumer.records.layouts import make_layout
from consumer.records.predictions import Predictions
from consumer.records.writer import JsonWriter
from consumer.types import DeadLetter, Enriched, Event, PlainEvent, Result, Stage

POISON = 666.0
NO_NUMBER = 13.0


class FakeInterpreter:
    """Doubles what comes in; fails on POISON, answers NaN to NO_NUMBER, and must be rebuilt after a failure."""

    def __init__(self, *, fails_once: bool = False) -> None:
        self.batches: list[int] = []
        self.rebuilds = 0
        self._broken = False
        self._fails_once = fails_once

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a batch."""
        assert not self._broken, "an interpreter that failed was used again"
        rows = inputs["x"]
        self.batches.append(len(rows))
        if self._fails_once or (rows == POISON).any():
            self._fails_once, self._broken = False, True
            raise RuntimeError(f"node 7\n  failed to invoke a batch of {len(rows)}")
        return {"y": np.where(rows == NO_NUMBER, np.nan, rows * 2).astype(np.float32)}

    def rebuild(self) -> None:
        """Start anew."""
        self.rebuilds += 1
        self._broken = False


def enricher(interpreter: FakeInterpreter, layout: str = "merge") -> Enricher:
    """Make an enricher of one number, `x`."""
    plan = ColumnPlan(
        [Matrix(Tensor("x", 0, (-1, 1), "float32"), [make_column(NumberFeature(field="x", range=(0, 1000)))])]
    )
    return Enricher(
        JsonReader(plan.fields, "p" if layout == "merge" else None),
        plan,
        interpreter,
        JsonWriter(
            Predictions({"y": NumberColumn("y", 0)}, {"model": "m"}),
            make_layout("merge" if layout == "merge" else "nest", "p", "dead_letter"),
        ),
    )


def some(values: Sequence[bytes | None]) -> list[Event]:
    """Make events of the given values."""
    return [PlainEvent(value, offset=place) for place, value in enumerate(values)]


# Everything that an event can fall out for, with its stage and cause.
BAD: Mapping[str, tuple[bytes | None, Stage, Code]] = {
    "tombstone": (None, Stage.DECODE, Code.NO_VALUE),
    "empty": (b"", Stage.DECODE, Code.NO_VALUE),
    "malformed": (b'{"x":', Stage.DECODE, Code.MALFORMED),
    "not utf-8": (b'{"x":1,"y":"\xff"}', Stage.DECODE, Code.NOT_UTF8),
    "too deep": (b'{"x":1,"y":' + b"[" * 300 + b"]" * 300 + b"}", Stage.DECODE, Code.TOO_DEEP),
    "wrong type": (b'{"x":"1"}', Stage.DECODE, Code.WRONG_TYPE),
    "field exists": (b'{"x":1,"p":1}', Stage.DECODE, Code.FIELD_EXISTS),
    "missing": (b'{"y":1}', Stage.FEATURES, Code.MISSING),
    "out of range": (b'{"x":1001}', Stage.FEATURES, Code.OUT_OF_RANGE),
    "invoke fails": (b'{"x":666}', Stage.INVOKE, Code.INVOKE_FAILED),
    "no number": (b'{"x":13}', Stage.OUTPUTS, Code.NOT_FINITE),
}


def check(values: Sequence[bytes | None], results: Sequence[Result], bad: Mapping[int, str]) -> None:
    """Hold results to invariant 3: in order, the bad ones dead letters with their cause, the others right."""
    assert [result.event.offset() for result in results] == list(range(len(values)))
    for place, (value, result) in enumerate(zip(values, results, strict=True)):
        if place in bad:
            _, stage, code = BAD[bad[place]]
            assert isinstance(result, DeadLetter)
            assert (result.cause.stage, result.cause.code) == (stage, code)
            assert result.event.value() == value
        else:
            assert isinstance(result, Enriched)
            assert value is not None
            doubled = orjson.loads(value)["x"] * 2
            assert result.value == value[:-1] + b',"p":{"y":%.1f,"model":"m"}}' % doubled


def test_a_good_batch_is_one_run() -> None:
    """Each event is enriched, and the model is asked once."""
    interpreter = FakeInterpreter()
    values: list[bytes | None] = [b'{"x":%d}' % number for number in range(1, 6)]
    check(values, enricher(interpreter).enrich(some(values)), {})
    assert (interpreter.batches, interpreter.rebuilds) == ([5], 0)


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("places", [{0}, {3}, {7}, {0, 1, 5}, set(range(8))])
def test_invariant_3_a_bad_row_harms_no_neighbour(kind: str, places: set[int]) -> None:
    """K bad events of any kind, anywhere, are exactly k dead letters, and all others are right, in order."""
    values = [BAD[kind][0] if place in places else b'{"x":%d}' % place for place in range(8)]
    check(values, enricher(FakeInterpreter()).enrich(some(values)), dict.fromkeys(places, kind))


def test_invariant_3_with_all_kinds_at_once() -> None:
    """Each falls out at its own stage, between good events."""
    values: list[bytes | None] = []
    for bad, _, _ in BAD.values():
        values += [bad, b'{"x":%d}' % len(values)]
    check(values, enricher(FakeInterpreter()).enrich(some(values)), {2 * n: kind for n, kind in enumerate(BAD)})


def test_an_empty_batch_is_nothing() -> None:
    """No events, no results, and the model is not asked."""
    interpreter = FakeInterpreter()
    assert enricher(interpreter).enrich([]) == []
    assert interpreter.batches == []


@pytest.mark.parametrize("kind", ["malformed", "missing"])
def test_the_model_is_not_asked_about_nothing(kind: str) -> None:
    """Where all events fall out before the model, it is not run."""
    interpreter = FakeInterpreter()
    values = [BAD[kind][0]] * 3
    check(values, enricher(interpreter).enrich(some(values)), dict.fromkeys(range(3), kind))
    assert interpreter.batches == []


def test_a_failure_that_does_not_repeat_costs_no_event() -> None:
    """The batch is halved and goes well, and there is no dead letter."""
    interpreter = FakeInterpreter(fails_once=True)
    values: list[bytes | None] = [b'{"x":1}', b'{"x":2}', b'{"x":3}']
    check(values, enricher(interpreter).enrich(some(values)), {})
    assert (interpreter.batches, interpreter.rebuilds) == ([3, 1, 2], 1)


def test_the_engines_words_are_one_line_of_bounded_length() -> None:
    """They are the cause's message, white space folded."""
    (result,) = enricher(FakeInterpreter()).enrich(some([b'{"x":666}']))
    assert isinstance(result, DeadLetter)
    assert result.cause.message == "the model failed on this event alone: node 7 failed to invoke a batch of 1"


def test_a_bug_of_ours_is_no_dead_letter() -> None:
    """Errors that rows are not to blame for pass through and end the process."""

    class Buggy(FakeInterpreter):
        def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
            raise KeyError(min(inputs))

    with pytest.raises(KeyError):
        enricher(Buggy()).enrich(some([b'{"x":1}']))
