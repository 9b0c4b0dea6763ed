"""The load probe's verdict on models that are odd in the ways of public ones."""

import re
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import pytest

from consumer.exits import RefusedError
from consumer.model.engines import Engine
from consumer.model.file import open_interpreter, read_signature, refuse_state
from tests.engine.conftest import Opened


@pytest.mark.parametrize(
    "name", ["dense", "fixed", "several_outputs", "int8", "uint8", "no_signature", "bad_divisor"]
)
def test_batches_are_used_where_they_are_right(engine: Engine, name: str) -> None:
    """Also where the file's shape is for one row only, as long as batches give what rows give."""
    assert Opened(name, engine).verdict().batched


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("folds", r"a batch of 16 gives output `y` the shape \[1, 64\]"),
        ("reshape_error", "the engine refuses a batch of 16"),
        ("row_mix", "output `y` of a batch is not that of its rows"),
    ],
)
def test_models_whose_batches_are_wrong_go_row_by_row_and_say_why(engine: Engine, name: str, why: str) -> None:
    """Rows folded into one output, shapes fixed inside, rows that depend on each other: each is found out."""
    opened = Opened(name, engine)
    verdict = opened.verdict()
    assert not verdict.batched
    assert verdict.sizes == (1,)
    assert re.search(why, verdict.why)


@pytest.mark.parametrize("name", ["folds", "reshape_error", "row_mix"])
def test_row_by_row_gives_what_each_row_gives_alone(engine: Engine, name: str) -> None:
    """A runner of size one takes any number of rows and runs each by itself."""
    opened = Opened(name, engine)
    rows = opened.rows(9)
    answer, alone = opened.runner(*opened.verdict().sizes).run(rows), opened.one_by_one(rows)
    for output in alone:
        np.testing.assert_array_equal(answer[output], alone[output])


@pytest.mark.parametrize(
    ("name", "words"), [("custom_op", "unresolved custom op: Betainc"), ("bad_row", "out of bounds")]
)
def test_a_model_that_the_engine_can_not_run_is_refused_with_both_named(
    engine: Engine, name: str, words: str
) -> None:
    """The refusal says which engine, which model, and what the engine says."""
    opened = Opened(name, engine)
    wild = {tensor: array * 1000 for tensor, array in opened.rows(2).items()}
    opened.rows = lambda count, seed=0: wild  # type: ignore[method-assign]  # noqa: ARG005
    with pytest.raises(RefusedError) as caught:
        opened.verdict()
    assert opened.model.label in str(caught.value)
    assert f"{engine.name} {engine.version}" in str(caught.value)
    assert words in str(caught.value)


def test_a_model_with_several_signatures_is_refused_by_name(engine: Engine) -> None:
    """One signature is supported; both names are told."""
    with pytest.raises(RefusedError, match=r"several signatures \(one, other\)"):
        Opened("several_signatures", engine)


def test_a_model_that_keeps_state_is_refused_by_name(engine: Engine) -> None:
    """Padding, rebalances and replays would corrupt what it keeps."""
    opened = Opened("stateful", engine)
    with pytest.raises(RefusedError, match=r"stateful@\w+ keeps state between calls \(.*READ_VARIABLE.*\)"):
        refuse_state(open_interpreter(engine, opened.model), opened.model)
    dense = Opened("dense", engine)
    refuse_state(open_interpreter(engine, dense.model), dense.model)


class Slow:
    """An interpreter whose invoke takes a while, whatever the number of rows, per row."""

    def __init__(self, inner: Any, seconds: float) -> None:  # noqa: ANN401
        self._inner = inner
        self._seconds = seconds
        self.rows = 1

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._inner, name)

    def resize_tensor_input(self, index: int, shape: tuple[int, ...]) -> None:
        """Note how many rows there are."""
        self.rows = shape[0]
        self._inner.resize_tensor_input(index, shape)

    def invoke(self) -> None:
        """Take time for each row."""
        time.sleep(self._seconds * self.rows)
        self._inner.invoke()


def slow(engine: Engine, seconds: float) -> Engine:
    """Return an engine that takes so many seconds a row."""
    return msgspec.structs.replace(engine, interpreter=lambda content: Slow(engine.interpreter(content), seconds))


@pytest.mark.parametrize(("seconds", "rows"), [(0.05, 1), (0.02, 2), (0.002, 20)])
def test_rows_are_capped_by_the_time_that_a_batch_may_take(engine: Engine, seconds: float, rows: int) -> None:
    """A batch of the most rows allowed stays within batch.time; a model slower than that runs one row a batch."""
    verdict = Opened("dense", slow(engine, seconds)).verdict(rows=64, seconds=0.045)
    assert verdict.batched
    assert rows / 2 <= verdict.rows <= rows * 1.2
    assert verdict.row_seconds >= seconds


def test_the_probe_of_a_slow_model_is_short(engine: Engine) -> None:
    """It never tries a batch that could take longer than allowed: a few batches' time and a few single rows."""
    runs: list[int] = []

    class Counting(Slow):
        def invoke(self) -> None:
            runs.append(self.rows)
            super().invoke()

    counting = msgspec.structs.replace(
        engine, interpreter=lambda content: Counting(engine.interpreter(content), 0.01)
    )
    Opened("dense", counting).verdict(rows=256, seconds=0.1)
    assert max(runs) <= 10
    assert sum(runs) <= 60


def test_signatures_are_read_with_shapes_types_and_scales(engine: Engine) -> None:
    """Names come from the signature, -1 marks what varies, and quantised tensors bring scale and zero point."""
    outputs = Opened("several_outputs", engine).signature.outputs
    assert {name: (tensor.shape, tensor.width) for name, tensor in outputs.items()} == {
        "total": ((-1,), 1),
        "first": ((-1, 1), 1),
        "each": ((-1, 3), 3),
    }
    quantised = Opened("int8", engine).signature.inputs["x"]
    assert (quantised.dtype, quantised.shape) == ("int8", (-1, 3))
    assert quantised.scale > 0
    assert list(Opened("no_signature", engine).signature.inputs) == ["measurements"]


def test_every_kind_of_output_shape_keeps_its_rows(engine: Engine) -> None:
    """Outputs of shape (rows,), (rows, 1) and (rows, 3) come back with as many rows as went in."""
    opened = Opened("several_outputs", engine)
    answer = opened.runner(1, 8).run(opened.rows(5))
    shapes: Mapping[str, tuple[int, ...]] = {name: array.shape for name, array in answer.items()}
    assert shapes == {"total": (5,), "first": (5, 1), "each": (5, 3)}


def test_reading_a_signature_does_not_need_a_model_that_can_be_allocated(engine: Engine) -> None:
    """Some models can't be allocated at their default shape; their signature is read all the same."""
    opened = Opened("custom_op", engine)
    assert read_signature(open_interpreter(engine, opened.model), opened.model).inputs["x"].width == 3


class PerChannel:
    """An interpreter that says of its inputs that each of their channels has a scale: no converter makes such."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401
        self._inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._inner, name)

    def get_input_details(self) -> list[dict[str, Any]]:
        """Return what the engine says, with two scales."""
        scales = {"scales": np.array([0.5, 0.25]), "zero_points": np.array([0, 0]), "quantized_dimension": 1}
        return [one | {"quantization_parameters": scales} for one in self._inner.get_input_details()]


def test_a_tensor_quantised_per_channel_is_refused_by_name(engine: Engine) -> None:
    """There is no one scale to fill it by, and the first would do harm in silence."""
    odd = msgspec.structs.replace(engine, interpreter=lambda content: PerChannel(engine.interpreter(content)))
    with pytest.raises(RefusedError, match=r"model no_signature@\w+: tensor `.+` is quantised per channel"):
        Opened("no_signature", odd)


class OneOff:
    """An interpreter whose integer answers are one too high in batches."""

    def __init__(self, inner: Any) -> None:  # noqa: ANN401
        self._inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._inner, name)

    def get_tensor(self, index: int) -> Any:  # noqa: ANN401
        """Return the answer, not quite."""
        answer = self._inner.get_tensor(index)
        return answer + np.array(len(answer) > 1, answer.dtype)


@pytest.mark.parametrize(("name", "batched"), [("bad_divisor", False), ("int8", True)])
def test_one_off_is_rounding_where_a_tensor_is_quantised_and_wrong_elsewhere(
    engine: Engine, name: str, *, batched: bool
) -> None:
    """An integer may be a label, and the label beside it is another one."""
    odd = msgspec.structs.replace(engine, interpreter=lambda content: OneOff(engine.interpreter(content)))
    assert Opened(name, odd).verdict().batched == batched
