"""Python hooks: whole columns in, whole arrays out; what they raise falls on the rows that it is about."""

import functools
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from consumer.assembly import assemble
from consumer.exits import ExitCode, RefusedError
from consumer.features.hook import HookBlock
from consumer.hooks import BadRows
from consumer.model.tensors import Array, Tensor
from consumer.pipeline.features import PythonFeature
from consumer.pipeline.load import load
from consumer.pipeline.outputs import PythonOutput
from consumer.records.hook_answers import HookColumn
from consumer.records.reader import Bad
from consumer.testing import call, enrich
from consumer.types import Cause
from tests.support.command import ROOT, onelane
from tests.support.flights import flights_beside
from tests.support.pipelines import GOOD, refused

FLOATS = Tensor("x", 0, (-1, 2), "float32")
Columns = Mapping[str, Sequence[Any]]


def built(
    function: Callable[[Columns], Any],
    values: list[Any],
    tensor: Tensor = FLOATS,
    bad: dict[int, Cause] | None = None,
) -> tuple[Array, dict[int, Cause]]:
    """Run a hook over one column; the tensor and the causes."""
    feature = PythonFeature(fields=["a"], function="f.py:f")
    found = dict(bad or {})
    return HookBlock(feature, tensor, function).build({"a": values}, len(values), found)[tensor.name], found


def doubled(columns: Columns) -> Any:  # noqa: ANN401
    """Two columns of numbers; fails on a text, and says of negative ones that they are of no use."""
    negative = {row: f"{value} is negative" for row, value in enumerate(columns["a"]) if value < 0}
    if negative:
        raise BadRows(negative)
    return np.array([[value, 2 * value] for value in columns["a"]], dtype="float64")


def test_a_batch_costs_one_call_and_gives_the_tensors_type() -> None:
    """Of the whole column."""
    calls: list[int] = []

    def counted(columns: Columns) -> Any:  # noqa: ANN401
        calls.append(len(columns["a"]))
        return doubled(columns)

    array, bad = built(counted, [1, 2, 3])
    assert (array.tolist(), array.dtype.name) == ([[1, 2], [2, 4], [3, 6]], "float32")
    assert (bad, calls) == ({}, [3])


def test_rows_of_no_use_and_rows_that_fail_harm_no_neighbour() -> None:
    """Each with its cause: what the hook says, or error, file and line."""
    array, bad = built(doubled, [1, -2, 3, "four", 5, -6, None])
    assert array[[0, 2, 4]].tolist() == [[1, 2], [3, 6], [5, 10]]
    assert {row: (why.code, why.stage, why.field) for row, why in bad.items()} == {
        1: ("HookRefused", "features", "x"),
        3: ("HookFailed", "features", "x"),
        5: ("HookRefused", "features", "x"),
        6: ("HookFailed", "features", "x"),
    }
    assert bad[1].message == "-2 is negative"
    assert bad[3].message.startswith(
        "TypeError: '<' not supported between instances of 'str' and 'int' (test_hooks.py:"
    )


def test_rows_of_no_use_cost_one_more_call_however_many_they_are() -> None:
    """A batch is not halved for what the hook itself says."""
    calls: list[int] = []

    def counted(columns: Columns) -> Any:  # noqa: ANN401
        calls.append(len(columns["a"]))
        return doubled(columns)

    _, bad = built(counted, [-1, 2, -3, 4, -5, 6, -7, 8])
    assert (sorted(bad), calls) == ([0, 2, 4, 6], [8, 4])


def test_a_row_that_has_a_cause_already_is_not_shown_to_the_hook() -> None:
    """Its value may be anything."""
    cause = Cause("features", "Missing", "before")  # type: ignore[arg-type]
    array, bad = built(doubled, [1, "no", 3], bad={1: cause})
    assert (array.tolist(), bad) == ([[1, 2], [0, 0], [3, 6]], {1: cause})


@pytest.mark.parametrize(
    ("dtype", "scale", "values", "stored", "odd"),
    [
        ("float32", 0.0, [1.5, np.nan, 1e300], [1.5, 0, 0], [1, 2]),
        ("int32", 0.0, [1.0, 1.5, 3e9], [1, 0, 0], [1, 2]),
        ("uint8", 0.0, [1, -1, 256], [1, 0, 0], [1, 2]),
        ("int64", 0.0, [-(2.0**63), 2.0**63, 2.0**62], [-(2**63), 0, 2**62], [1]),
        ("int8", 0.5, [1.0, np.inf, 2.0], [2, 0, 4], [1]),
        ("bool", 0.0, [1, 0, 2], [True, False, True], []),
    ],
)
def test_what_does_not_go_into_the_tensor_is_a_dead_letter(
    dtype: str, scale: float, values: list[float], stored: list[float], odd: list[int]
) -> None:
    """Never a wrapped or saturated number that looks like one."""
    tensor = Tensor("x", 0, (-1, 1), dtype, scale, 0)
    array, bad = built(lambda columns: np.array(columns["a"]), values, tensor)
    good = [row for row in range(3) if row not in odd]
    assert array[good].ravel().tolist() == [stored[row] for row in good]
    assert (array.dtype, sorted(bad)) == (np.dtype(dtype), odd)
    assert {why.code for why in bad.values()} <= {"OutOfRange"}


def test_a_highest_number_that_is_no_float_is_compared_exactly() -> None:
    """2**31 as a float32 is not less than the int32 beside it, but no int32 either."""
    tensor = Tensor("x", 0, (-1, 1), "int32")
    array, bad = built(lambda columns: np.array(columns["a"], dtype="float32"), [2.0**31, 2.0**30], tensor)
    assert (array[1].tolist(), list(bad)) == ([2**30], [0])


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (np.zeros((2, 3)), "the hook returned an array of [2, 3] for [1, 2]"),
        (np.array([["a", "b"]]), "the hook returned an array of type <U1, which is none of numbers"),
        (None, "the hook returned an array of [] for [1, 2]"),
    ],
)
def test_an_array_that_is_none_is_told_with_what_is_wanted(made: Any, words: str) -> None:  # noqa: ANN401
    """A hook that is wrong for all rows makes dead letters of all, which the guard is for."""
    _, bad = built(lambda _: made, [1])
    assert bad[0].message.startswith(words)


def test_a_failure_is_told_with_the_line_of_the_hook_not_of_what_it_calls() -> None:
    """The last line of the hook's own file, however it is called; none where it has returned already."""

    def broken(columns: Columns) -> Any:  # noqa: ANN401
        return np.reshape(np.array(columns["a"]), (7, 7))

    class Maker:
        def __call__(self, columns: Columns) -> Any:  # noqa: ANN401
            return broken(columns)

    line = broken.__code__.co_firstlineno + 1
    for hook in (broken, functools.partial(broken), Maker()):
        _, bad = built(hook, [1])
        told = f"ValueError: cannot reshape array of size 1 into shape (7,7) (test_hooks.py:{line})"
        assert bad[0].message == told
    _, bad = built(lambda _: [[1, 2], [3]], [1, 2])
    assert bad[0].message.startswith("the hook returned what is no array: setting an array element with a sequence.")


def test_a_hook_neither_ends_the_process_nor_writes_among_records(capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints is for people, and sys.exit is a failure as any."""

    def leaves(columns: Columns) -> Any:  # noqa: ANN401
        print("looking at", columns["a"])  # noqa: T201
        sys.exit(3)

    _, bad = built(leaves, [1])
    assert bad[0].message.startswith("SystemExit: 3 (test_hooks.py:")
    said = capsys.readouterr()
    assert (said.out, "looking at [1]" in said.err) == ("", True)


def test_a_hook_that_blames_rows_that_are_not_there_is_not_asked_for_ever() -> None:
    """It fails on all of them."""

    def blames(_: Columns) -> Any:  # noqa: ANN401
        raise BadRows({99: "not mine"})

    _, bad = built(blames, [1, 2])
    assert [(why.code, why.message) for _, why in sorted(bad.items())] == [("HookRefused", "not mine")] * 2


def test_places_that_are_none_are_the_hooks_mistake() -> None:
    """It falls on its rows, not on the worker."""

    def blames(_: Columns) -> Any:  # noqa: ANN401
        raise BadRows({"first": "no"})  # type: ignore[dict-item]

    _, bad = built(blames, [1, 2])
    assert [why.code for _, why in sorted(bad.items())] == ["HookFailed"] * 2


def test_columns_for_rows_are_refused() -> None:
    """An answer the wrong way round has as many values, and would give each event some of its neighbours'."""

    def transposed(columns: Columns) -> Any:  # noqa: ANN401
        return np.array([columns["a"], [2 * value for value in columns["a"]]], dtype="float64")

    _, bad = built(transposed, [1])
    assert bad[0].message == "the hook returned an array of [2, 1] for [1, 2]"


@pytest.mark.parametrize(
    ("kind", "values", "pieces", "codes"),
    [
        ("number", [1, 2.5], [b"1", b"2.5"], {}),
        ("number", ["x", 2.5], [None, b"2.5"], {0: "HookFailed"}),
        ("integer", [1, 2.5], [b"1", None], {1: "HookFailed"}),
        ("integer", [True, 2], [None, b"2"], {0: "HookFailed"}),
        ("boolean", [True, 1], [b"true", None], {1: "HookFailed"}),
        ("text", ["é", None], ['"é"'.encode(), None], {1: "HookFailed"}),
        ("any", [{"a": [1, None]}, [np.float32(2.5)]], [b'{"a":[1,null]}', b"[2.5]"], {}),
        ("any", [{"a": float("nan")}, [float("inf")]], [None, None], {0: "HookFailed", 1: "HookFailed"}),
        ("any", [object(), 1], [None, b"1"], {0: "HookFailed"}),
    ],
)
def test_an_output_hook_writes_json_of_its_type(
    kind: Literal["number", "integer", "text", "boolean", "any"],
    values: list[Any],
    pieces: list[bytes | None],
    codes: dict[int, str],
) -> None:
    """What is of another type, or no JSON, is a dead letter alone."""
    output = PythonOutput(tensors=["y"], function="f.py:f", type=kind)
    column = HookColumn("told", output, lambda outputs: [values[int(row)] for row in outputs["y"][:, 0]])
    bad: Bad = {}
    found = column.take({"y": np.arange(len(values)).reshape(-1, 1)}, bad).tolist()
    assert [None if row in bad else piece for row, piece in enumerate(found)] == pieces
    assert {row: why.code for row, why in bad.items()} == codes


def hooked(folder: Path, hook: str, line: str = 'function: "hook.py:make"') -> Path:
    """Write the flights pipeline with a hook for its input of carriers."""
    (folder / "hook.py").write_text(hook)
    path = flights_beside(folder)
    lines = [
        f"    carrier: {{kind: python, fields: [carrier], types: {{carrier: text}}, {line}}}"
        if text.startswith("    carrier:") else text
        for text in path.read_text().splitlines()
    ]  # fmt: skip
    path.write_text("\n".join(lines) + "\n")
    return path


LENGTHS = "def make(columns):\n    return [[len(text)] for text in columns['carrier']]\n"


def test_the_source_is_part_of_the_pipelines_hash(tmp_path: Path) -> None:
    """Records say which version of a hook made them."""
    first = load(hooked(tmp_path, LENGTHS), {}).label
    assert load(hooked(tmp_path, LENGTHS), {}).label == first
    assert load(hooked(tmp_path, LENGTHS.replace("len", "ord")), {}).label != first


@pytest.mark.parametrize(
    ("hook", "line", "words"),
    [
        ("def other(): ...", 'function: "hook.py:make"', "hook.py has no function make"),
        ("make = 1", 'function: "hook.py:make"', "hook.py has no function make"),
        ("import nothing_like_it", 'function: "hook.py:make"',
         "hook.py can't be imported: ModuleNotFoundError: No module named 'nothing_like_it' (line 1)"),
        ("x = 1\ndef make(:", 'function: "hook.py:make"',
         "hook.py can't be imported: SyntaxError: invalid syntax (line 2)\n"),
        ("", "function: make", "write it as features.py:make or package.module:make"),
        ("", 'function: "there.py:make"', "there.py can't be read: No such file or directory"),
        ("", 'function: "no.such.module:make"', "no module no.such.module"),
        ("", 'function: "sys:exit"', "sys is a part of Python itself, and has no source to tell its version by"),
        ("", 'function: "os:getcwd"', "os is a part of Python itself, and has no source to tell its version by"),
        ("import sys\nsys.exit(0)", 'function: "hook.py:make"', "hook.py can't be imported: SystemExit: 0 (line 2)"),
        ("import re\nre.compile('(')", 'function: "hook.py:make"',
         ": missing ), unterminated subpattern at position 0 (line 2)"),
    ],
)  # fmt: skip
def test_a_hook_that_can_not_be_had_is_a_finding(hook: str, line: str, words: str, tmp_path: Path) -> None:
    """With its place in the pipeline file."""
    path = hooked(tmp_path, hook, line)
    done = onelane("lint", path)
    assert done.returncode in (2, 5)
    assert words in done.stderr.decode()
    assert "model.inputs.carrier.function: " in done.stderr.decode()


@pytest.mark.parametrize(
    ("source", "function", "words"),
    [
        ("1 / 0", "burst.inner:make", "burst.inner can't be imported: ZeroDivisionError: division by zero"),
        ("raise SystemExit(0)", "burst.inner:make", "burst.inner can't be imported: SystemExit: 0"),
        ("print()\n1 / 0", "burst:make", "burst can't be imported: ZeroDivisionError: division by zero (line 2)"),
    ],
)
def test_a_package_that_fails_when_it_is_imported_is_a_finding(
    source: str, function: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a trace nor an end without a word."""
    (tmp_path / "burst").mkdir()
    (tmp_path / "burst" / "__init__.py").write_text(source)
    (tmp_path / "burst" / "inner.py").write_text(LENGTHS)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    path = hooked(tmp_path, "", f'function: "{function}"')
    done = onelane("lint", path)
    assert done.returncode in (ExitCode.PIPELINE, ExitCode.REFUSED)
    told = f"onelane: {path}:17:72: model.inputs.carrier.function: {words}\n"
    assert (done.stdout, done.stderr.decode().strip()) == (b"", told.strip())


@pytest.mark.parametrize(
    ("feature", "finding"),
    [
        ("x: [{kind: python, fields: [n], function: 'f:g'}]", "fills a whole tensor: it can't stand in a list"),
        ("x: {kind: python, fields: [], function: 'math:sqrt'}", "is empty"),
        ("x: {kind: python, fields: [n], types: {m: text}, function: 'math:sqrt'}", "is none of `fields`"),
        ("x: {kind: python, fields: ['n[']  , function: 'math:sqrt'}", "no path from '[' on"),
    ],
)
def test_what_can_not_be_meant_is_told(feature: str, finding: str, tmp_path: Path) -> None:
    """Before anything is imported."""
    inputs = GOOD[GOOD.index("    x:\n") : GOOD.index("  outputs:")]
    found = refused(tmp_path, GOOD.replace(inputs, f"    {feature}\n"))
    assert any(finding in line for line in found), found


def test_an_avro_record_needs_to_know_the_type_of_a_hooks_values(tmp_path: Path) -> None:
    """Its schema says it."""
    output = "    told: {kind: python, tensors: [y], function: 'math:sqrt'}\n"
    text = GOOD.replace("  outputs:\n", "  outputs:\n" + output).replace(
        "topic: out,", "topic: out, format: avro, layout: only,"
    )
    assert any("avro records need a `type`" in line for line in refused(tmp_path, text))


def test_a_module_that_is_installed_can_be_a_hook(tmp_path: Path) -> None:
    """Here, one of the standard library that happens to take a mapping."""
    path = hooked(tmp_path, "", "function: 'statistics:mean'")
    assert load(path, {}).hooks["statistics:mean"].file is None


def test_a_pipeline_with_a_hook_enriches_and_counts_its_dead_letters(tmp_path: Path) -> None:
    """By the same code as any."""
    path = hooked(tmp_path, LENGTHS)
    flight = {
        "dep_delay": 4.0, "distance": 529.0, "sched_dep_time": 500, "sched_arr_time": 651, "weekend": True,
        "time_hour": "2013-11-23T10:00:00Z", "carrier": "UA", "origin": "EWR", "dest": "CLT",
    }  # fmt: skip
    good, wrong, absent = enrich(path, [flight, flight | {"carrier": 7}, flight | {"carrier": None}])
    assert good.predictions is not None
    assert wrong.cause is not None
    assert absent.cause is not None
    assert (wrong.cause.code, absent.cause.code) == ("WrongType", "HookFailed")


def test_a_hook_can_be_called_alone() -> None:
    """As a worker calls it."""
    made = call(doubled, [{"a": 1}, {"a": -1}, {"a": "x"}])
    assert made.made[0].tolist() == [1, 2]
    assert list(made.bad) == [1, 2]
    shorter = call(lambda _: [[1]], [{"a": 1}, {"a": 2}])
    assert shorter.made == {0: [1], 1: [1]}, "each alone, as a worker would have it"
    none = call(lambda columns: [*columns["a"], 0], [{"a": 1}, {"a": 2}])
    assert none.bad == dict.fromkeys((0, 1), "the hook returned 2 items for 1 rows")


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ("return {}", "the samples of a hook for carrier: KeyError: 'carrier'"),
        ("return {'carrier': ['AA']}", "the samples of a hook for carrier: 1 values, where 2 are wanted"),
        ("1 / 0", "the samples of a hook for carrier: ZeroDivisionError: division by zero (hook.py:6)"),
        ("raise SystemExit(0)", "the samples of a hook for carrier: SystemExit: 0 (hook.py:6)"),
    ],
)
def test_samples_that_are_none_are_told(samples: str, words: str, tmp_path: Path) -> None:
    """Without a trace."""
    path = hooked(tmp_path, f"{LENGTHS}\n\ndef make_samples(count):\n    {samples}\n")
    done = onelane("lint", path)
    told = f"onelane: {path}:17:72: model.inputs.carrier.function: {words}\n"
    assert (done.returncode, done.stderr.decode()) == (ExitCode.REFUSED, told)


SIDEWAYS = "def make(columns):\n    return [[len(text) for text in columns['carrier']]]\n"
FIRST = "def make(columns):\n    return [[len(columns['carrier'][0])]]\n"
TOO_MANY = "fails: ValueError: too many values to unpack (expected 1) (hook.py:2)"
NO_SCALAR = "fails: ValueError: can only convert an array of size 1 to a Python scalar (hook.py:6)"
ALONE = "where each of 2 rows alone goes well"
ONE_BY_ONE = "def make(columns):\n    (text,) = columns['carrier']\n    return [[len(text)]]\n"


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        (SIDEWAYS, "the hook hook.py:make returned an array of [1, 2] for [2, 1]; one item a row, rows first"),
        (FIRST, "the hook hook.py:make returned an array of [1, 1] for [2, 1]; one item a row, rows first"),
        (ONE_BY_ONE, f"the hook hook.py:make {TOO_MANY}, {ALONE}; one item a row, rows first"),
    ],
)  # fmt: skip
def test_a_hook_that_does_not_count_rows_is_refused_at_the_start(hook: str, words: str, tmp_path: Path) -> None:
    """Halved down to single rows it would pass, at the cost of a call a row."""
    path = hooked(tmp_path, hook)
    told = f"{path}:17:72: model.inputs.carrier.function: {words}"
    done = onelane("lint", path)
    assert (done.returncode, done.stderr.decode()) == (ExitCode.REFUSED, f"onelane: {told}\n")
    with pytest.raises(RefusedError) as caught:
        assemble(load(path, {}))
    assert str(caught.value) == told


def block(function: Callable[[Columns], Any], tensor: Tensor = FLOATS) -> HookBlock:
    """A hook for a tensor, that reads one column."""
    return HookBlock(PythonFeature(fields=["a"], types={"a": "number"}, function="f.py:f"), tensor, function)


def test_no_size_of_the_tensor_hides_columns_for_rows() -> None:
    """Two rows of two columns are as many either way round: other numbers of rows are tried."""

    def sideways(columns: Columns) -> Any:  # noqa: ANN401
        return np.array([columns["a"], columns["a"]])

    assert block(sideways).misfit() == "returned an array of [2, 3] for [3, 2]"
    cube = Tensor("x", 0, (-1, 2, 3), "float32")
    assert block(lambda columns: np.zeros((2, 3, len(columns["a"]))), cube).misfit() == (
        "returned an array of [2, 3, 4] for [4, 2, 3]"
    )
    flat = block(lambda columns: np.zeros(2 * len(columns["a"])))
    assert flat.misfit() == "returned an array of [6] for [3, 2]"


def test_rows_that_a_hook_refuses_hide_nothing() -> None:
    """Others fill their places: without the one refused there are as many rows as columns."""

    def sideways(columns: Columns) -> Any:  # noqa: ANN401
        seen.append(len(columns["a"]))
        if len(seen) == 1:
            raise BadRows({0: "not this one"})
        return np.array([columns["a"], columns["a"]])

    seen: list[int] = []
    told = block(sideways).misfit()
    assert (seen, told) == ([3, 2, 3], "returned an array of [2, 3] for [3, 2], where each of 3 rows alone goes well")


def test_a_hook_that_takes_none_of_the_rows_made_up_is_not_refused_for_its_shape() -> None:
    """Whether they are of use is looked at elsewhere."""

    def refuses(_: Columns) -> Any:  # noqa: ANN401
        raise ValueError

    assert block(refuses).misfit() == ""
    assert block(doubled).misfit() == ""


ANSWER = "    told: {kind: python, tensors: [minutes], function: 'hook.py:told', type: any}\n"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("outputs['minutes'].T.tolist()", "returned 1 values for 2 rows; one value a row"),
        ("[float(outputs['minutes'][0, 0])]", "returned 1 values for 2 rows; one value a row"),
        ("[outputs['minutes'].item()]", f"{NO_SCALAR}, {ALONE}; one value a row"),
    ],
)  # fmt: skip
def test_an_output_hook_that_does_not_count_rows_is_refused_at_the_start(
    answer: str, words: str, tmp_path: Path
) -> None:
    """As one of an input is."""
    path = hooked(tmp_path, f"{LENGTHS}\n\ndef told(outputs):\n    return {answer}\n")
    path.write_text(path.read_text().replace("  outputs:\n", f"  outputs:\n{ANSWER}"))
    done = onelane("lint", path)
    place = f"{path}:21:46: model.outputs.told.function"
    told = f"onelane: {place}: the hook hook.py:told {words}\n"
    assert (done.returncode, done.stderr.decode()) == (ExitCode.REFUSED, told)


def test_a_hook_that_takes_nothing_that_is_made_up_is_told_how_to_be_tried(tmp_path: Path) -> None:
    """Its author is not to look for it in the docs."""
    path = hooked(tmp_path, "def make(columns):\n    raise KeyError('x')\n")
    with pytest.raises(RefusedError, match=r"KeyError: 'x' \(hook.py:2\).*_samples behind it makes values"):
        assemble(load(path, os.environ))
