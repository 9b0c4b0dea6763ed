"""The pipeline file: what is taken, and what is said of what is not."""

from pathlib import Path

import msgspec
import pytest

from consumer.exits import PipelineError
from consumer.pipeline.features import CategoryFeature, NumberFeature
from consumer.pipeline.load import load
from consumer.pipeline.spec import Input, Model, Output, Pipeline
from consumer.pipeline.units import Duration, Size
from tests.support.flights import FLIGHTS
from tests.support.pipelines import GOOD, changed, loaded, refused, write


def number(spec: Pipeline) -> NumberFeature:
    """Return the first column of `x`."""
    columns = spec.model.inputs["x"]
    assert isinstance(columns, list)
    assert isinstance(columns[0], NumberFeature)
    return columns[0]


def category(spec: Pipeline) -> CategoryFeature:
    """Return the second column of `x`."""
    columns = spec.model.inputs["x"]
    assert isinstance(columns, list)
    assert isinstance(columns[1], CategoryFeature)
    return columns[1]


@pytest.mark.parametrize("name", ["pipeline.yaml", "pipeline-int8.yaml"])
def test_the_examples_are_fine(name: str) -> None:
    """They load without a finding, and their paths are relative to the file."""
    file = load(FLIGHTS / name, {})
    assert file.spec.name == "flight-delays"
    assert file.model.exists()
    carrier = file.spec.model.inputs["carrier"]
    assert isinstance(carrier, CategoryFeature)
    assert isinstance(carrier.vocabulary, list)
    assert carrier.vocabulary[:2] == ["9E", "AA"]
    assert file.spec.kafka == {"bootstrap.servers": "localhost:9092"}


def test_defaults_are_those_of_the_schema(tmp_path: Path) -> None:
    """What the file leaves out."""
    spec = loaded(tmp_path).spec
    assert (spec.delivery, spec.checkpoint, spec.input.start) == ("exactly_once", 0.1, "earliest")
    assert (spec.batch.rows, spec.batch.wait, spec.batch.bytes, spec.batch.time) == (256, 0.02, 4 * 1024**2, 1.0)
    assert (spec.output.layout, spec.output.existing) == ("merge", "dead_letter")
    assert spec.operate.shutdown_timeout == 25.0


# Mistakes: one line each, with file, line, column, field and the nearest name.


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("input: {topic: in}", "inptu: {topic: in}", "2:1: inptu: unknown field; did you mean `input`?"),
        ("topic: in}", "topc: in}", "2:9: input.topc: unknown field; did you mean `topic`?"),
        ("topic: in}", "topic: in, start: first}",
         '2:20: input.start: expected earliest, latest or error, got "first"'),
        ("topic: in}", "topic: in put}", "2:9: input.topic: expected a topic's name, of letters, digits"),
        ("topic: in}", "topic: 5}", "2:9: input.topic: expected a topic's name, of letters, digits"),
        ("topic: in}", "topic: in, format: jso}", '2:20: input.format: no such value: "jso"; did you mean `json`?'),
        ("field: answer", "field: [a]", "3:22: output.field: expected a field's name, without quotes"),
        ("kind: number}\n      -", "kind: nubmer}\n      -",
         '9:20: model.inputs.x[0].kind: no such kind: "nubmer"; did you mean `number`?'),
        ("kind: number}\n      -", "knd: number}\n      -",
         "9:9: model.inputs.x[0]: `kind` is missing; one of number, boolean, category, time"),
        ("field: n, kind", "feild: n, kind", "9:10: model.inputs.x[0].feild: unknown field; did you mean `field`?"),
        ("field: n,", "field: n, std: 0,", "9:20: model.inputs.x[0].std: expected a number above 0, got 0"),
        ("field: n,", "field: n, mean: much,", "9:20: model.inputs.x[0].mean: expected a number, got"),
        ("field: n,", "field: n, range: [1],", "9:20: model.inputs.x[0].range: expected a list of 2, got [1]"),
        ("field: n,", "field: n, range: [2, 1],", "9:20: model.inputs.x[0].range: the lowest is above the highest"),
        ("field: n,", "field: n, range: [.nan, 1],", "9:20: model.inputs.x[0].range: the lowest is above"),
        ("field: n,", "field: n, mean: .nan,", "9:20: model.inputs.x[0].mean: must be a finite number, not nan"),
        ("field: n,", "field: n, missing: .inf,", "9:20: model.inputs.x[0].missing: must be a finite number"),
        ("part: hour", "part: houre", '11:32: model.inputs.x[2].part: no such value: "houre"; did you mean `hour`?'),
        ("part: hour", "part: null", "11:32: model.inputs.x[2].part: expected year, month, day, hour, minute, sec"),
        ("field: n,", "field: n, transform: 7,",
         "9:20: model.inputs.x[0].transform: expected log1p, log or sqrt, got 7"),
        ("part: hour", "part: hour, zone: Mars/Crater",
         "11:44: model.inputs.x[2].zone: no such time zone: 'Mars/Crater'; use an IANA name such as UTC"),
        ("part: hour", "part: hour, zone: ../etc", "11:44: model.inputs.x[2].zone: no such time zone: '../etc'"),
        ("unknown: 0", "unknown: 1", "10:56: model.inputs.x[1].unknown: 1 would be an entry's index; 0 (entries"),
        ("unknown: 0", "missing: z", "10:56: model.inputs.x[1].missing: 'z' is not in the vocabulary"),
        ("[a, b]", "[a, b, a]", "10:36: model.inputs.x[1].vocabulary: entry 3 repeats entry 1: 'a'"),
        ("[a, b]", "[1, 1.0]", "10:36: model.inputs.x[1].vocabulary: entry 2 repeats entry 1: 1.0"),
        ("[a, b]", '["12", "12.0"]', "10:36: model.inputs.x[1].vocabulary: entry 2 repeats entry 1: '12.0'"),
        ("[a, b]", '["12", 12]', "10:36: model.inputs.x[1].vocabulary: entry 2 repeats entry 1: 12"),
        ("[a, b]", "[]", "10:36: model.inputs.x[1].vocabulary: is empty"),
        ("[a, b]", "{a: 1}", "10:36: model.inputs.x[1].vocabulary: expected a text or a list, got {"),
        ("threshold: 0.5", "threshold: .nan", "14:35: model.outputs.late.threshold: must be a finite number"),
        (", threshold: 0.5", "", "14:5: model.outputs.late: `threshold` is missing"),
        ("y: {tensor: y,", "model: {tensor: y,", "13:5: model.outputs.model: this name holds the provenance"),
        ("y: {tensor: y, kind: number}", "y: {tensor: y, kind: number, index: -1}",
         "13:34: model.outputs.y.index: expected a whole number of at least 0, got -1"),
        ("topic: out,", "topic: in,", "3:10: output.topic: the same topic as input.topic; use three topics"),
        ("field: answer", "field: answer, format: avro", (
            "3:1: output.layout: json events can't be part of avro records; "
            "use layout: only, whose records keep key and headers, or format: json"
        )),
        ("topic: dead", "topic: out", "4:16: dead_letters.topic: the same topic as output.topic; use three topics"),
        ("field: answer", "field: event, layout: nest", "3:22: output.field: layout nest puts the event there"),
        ("field: answer", "field: n", "3:22: output.field: a feature reads this field, but an event"),
        ("field: answer", 'field: "a\\"b"', "3:22: output.field: expected a field's name, without quotes"),
        ("kafka:", "batch: {rows: 0}\nkafka:", "15:9: batch.rows: expected a whole number of at least 1, got 0"),
        ("kafka:", "batch: {rows: 70000}\nkafka:", "15:9: batch.rows: expected a whole number of at most 65536"),
        ("kafka:", "batch: {wait: 20}\nkafka:",
         "15:9: batch.wait: expected a number with a unit (us, ms, s, m, h), such as 20ms, got 20"),
        ("kafka:", "batch: {wait: 20 min}\nkafka:", "15:9: batch.wait: expected a number with a unit"),
        ("kafka:", "batch: {bytes: 4mb}\nkafka:", "15:9: batch.bytes: expected a number with a unit (B, KB,"),
        ("kafka:", "batch: {wait: 0ms}\nkafka:", "15:9: batch.wait: must be more than nothing"),
        ("kafka:", "batch: {bytes: 0B}\nkafka:", "15:9: batch.bytes: must be more than nothing"),
        ("kafka:", "checkpoint: 0s\nkafka:", "15:1: checkpoint: must be more than nothing"),
        ("kafka:", "operate: {http: 'a:70000'}\nkafka:", "15:11: operate.http: ports end at 65535: a:70000"),
        ("kafka:", "operate: {http: ':9404'}\nkafka:", "15:11: operate.http: expected host:port, such as"),
        ("kafka:", "delivery: at_most_once\nkafka:",
         '15:1: delivery: no such value: "at_most_once"; did you mean `at_least_once`?'),
        ("kafka:", "batch: [1]\nkafka:", "15:1: batch: expected a mapping, got [1]"),
        ("output: {topic: out, field: answer}", "output:", "3:1: output: expected a mapping, got null"),
        ("vocabulary: [a, b], unknown: 0", "buckets: 99999999",
         "10:36: model.inputs.x[1].buckets: expected a whole number of at most 16777216, got 99999999"),
        ("localhost:9092", "[a, b]", "16:3: kafka.bootstrap.servers: expected true or false or a number or a text"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(tmp_path: Path, old: str, new: str, finding: str) -> None:
    """Line, column and path of the field, what is wrong, and what was probably meant."""
    found = refused(tmp_path, changed(old, new))
    told = [line for line in found if line.startswith(finding)]
    assert len(told) == 1
    # A field that is misspelt is missing too, which is said as well.
    assert all("is missing" in line for line in found if line not in told)


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        ("kind: number}\n      -", "kind: [x]}\n      -",
         '9:20: model.inputs.x[0].kind: no such kind: ["x"]; known:'),
        ("kind: over", "kind: {x: 1}", '14:23: model.outputs.late.kind: no such kind: {"x":1}; known:'),
        ("field: n,", "field: n, range: [.inf, .inf],", "9:20: model.inputs.x[0].range: holds no finite number"),
        ("field: n,", "field: n, clip: [-.inf, -.inf],", "9:20: model.inputs.x[0].clip: holds no finite number"),
        ("kafka:", f"batch: {{rows: {10**23}}}\nkafka:",
         f"15:9: batch.rows: expected a whole number of at most 65536, got {10**23}"),
        ("field: n,", f"field: n, mean: {10**400},", "9:20: model.inputs.x[0].mean: number out of range, got 10000"),
        ("field: n, kind: number", "field: n, kind: number, range: [0, {a: .inf}]",
         '9:34: model.inputs.x[0].range: expected a number, got [0,{"a":Infinity}]'),
        ("field: c,", "field: n,", None),
        ("{field: c, kind: category,", "{field: c, kind: numbers, length: 2}\n      - {field: c, kind: category,",
         "11:10: model.inputs.x[2].field: is read as a single value here, as a list of numbers at model.inputs.x[1]"),
        ("kind: category,", "kind: numbers, length: 2}\n      - {field: c, kind: category, multi_hot: true,",
         "11:10: model.inputs.x[2].field: is read as a list of keys here, as a list of numbers at model.inputs.x[1]"),
        ("[a, b]", '"a\\0b"', "10:36: model.inputs.x[1].vocabulary: "),
        ("topic: in}", 'topic: in, format: avro, schema: "a\\0b"}', "2:34: input.schema: "),
        ("kind: number}\n    late", 'kind: label, labels: "a\\0b"}\n    late', "13:33: model.outputs.y.labels: "),
    ],
)  # fmt: skip
def test_a_value_that_nobody_would_think_of_is_a_finding_too(
    tmp_path: Path, old: str, new: str, finding: str | None
) -> None:
    """With its place, and without a trace."""
    text = changed(old, new)
    if finding is None:  # two kinds that read single values may share a field
        loaded(tmp_path, text)
        return
    assert any(line.startswith(finding) for line in refused(tmp_path, text)), refused(tmp_path, text)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("name: small", 'name: "a\\ud800"', "1:1: name: "),
        ("[a, b]", '["a\\udfff", b]', "10:49: model.inputs.x[1].vocabulary[0]: "),
        ("[a, b]", '"a\\udfff"', "10:36: model.inputs.x[1].vocabulary: "),
        ("    y:", '    "a\\ud800":', "13:5: model.outputs.a\\ud800: "),
        ("small.tflite", '"a\\ud800"', "6:3: model.path: "),
        ("bootstrap.servers:", 'client.id: "a\\ud800"\n  bootstrap.servers:', "16:3: kafka.client.id: "),
        ("kafka:", "when: \"n == '\\ud800'\"\nkafka:", "15:1: when: "),
        ("kafka:", 'tests: [{name: a, event: {n: "\\ud800"}}]\nkafka:', "15:27: tests[0].event.n: "),
        ("small.tflite", "${ODD}", "6:3: model.path: "),
    ],
)
def test_half_a_character_is_a_finding(tmp_path: Path, old: str, new: str, place: str) -> None:
    """Wherever it stands: neither JSON nor a broker takes it."""
    found = refused(tmp_path, changed(old, new), {"ODD": "\udcff"})
    told = f"{place}holds half of a character (a surrogate), which is no text"
    assert told in found, found
    assert "\n".join(found).isascii()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1" * 5000, "4:23: not valid YAML: Exceeds the limit"),
        ("2013-13-45", "4:23: not valid YAML: month must be in"),
    ],
)
def test_a_scalar_that_has_no_value_is_told_with_its_place(tmp_path: Path, value: str, words: str) -> None:
    """As what is no YAML is."""
    (found,) = refused(tmp_path, changed("{topic: dead}", f"{{topic: {value}}}"))
    assert found.startswith(words)


@pytest.mark.parametrize("line", ["name: small\n", "input: {topic: in}\n", "dead_letters: {topic: dead}\n"])
def test_a_missing_field_is_named_at_its_parent(tmp_path: Path, line: str) -> None:
    """It has no place of its own."""
    name = line.split(":", maxsplit=1)[0]
    assert refused(tmp_path, changed(line, "")) == [f"1:1: `{name}` is missing"]


@pytest.mark.parametrize("section", ["inputs", "outputs"])
def test_a_model_has_inputs_and_outputs(tmp_path: Path, section: str) -> None:
    """An empty mapping is a mistake."""
    start = GOOD.index(f"  {section}:")
    end = GOOD.index("  outputs:" if section == "inputs" else "kafka:")
    text = GOOD[:start] + f"  {section}: {{}}\n" + GOOD[end:]
    (found,) = refused(tmp_path, text)
    assert found.endswith(f"model.{section}: is empty")


def test_a_tensor_has_columns(tmp_path: Path) -> None:
    """An empty list is a mistake."""
    start, end = GOOD.index("    x:"), GOOD.index("  outputs:")
    assert refused(tmp_path, GOOD[:start] + "    x: []\n" + GOOD[end:]) == ["8:5: model.inputs.x: has no columns"]


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Not one after the other, a run each."""
    text = changed("topic: in}", "topc: in}", changed("kind: number}\n    late", "kind: nmber}\n    late"))
    text = changed("part: hour", "part: day, std: -1", text)
    found = refused(tmp_path, text)
    assert [line.split(": ")[0:2] for line in found] == [
        ["2:1", "input"],
        ["2:9", "input.topc"],
        ["11:43", "model.inputs.x[2].std"],
        ["13:20", "model.outputs.y.kind"],
    ]


def test_duplicate_keys_are_refused(tmp_path: Path) -> None:
    """With the place of the second."""
    (found,) = refused(tmp_path, GOOD + "name: other\n")
    assert found.startswith("17:1: not valid YAML: found duplicate key")


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    """And says that it is not YAML."""
    (found,) = refused(tmp_path, changed("{topic: in}", "{topic: in"))
    assert found.startswith("3:7: not valid YAML: ")


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "name\n"])
def test_a_file_of_something_else(tmp_path: Path, text: str) -> None:
    """An empty file, a list and a word are no pipeline."""
    (found,) = refused(tmp_path, text)
    assert found.startswith("1:1: expected a mapping, got ")
    assert "None" not in found


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """It is named, with the reason."""
    with pytest.raises(PipelineError, match=r"none\.yaml: can't be read: No such file"):
        load(tmp_path / "none.yaml", {})


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    """The byte is named."""
    path = tmp_path / "pipeline.yaml"
    path.write_bytes(b"name: \xff\n")
    with pytest.raises(PipelineError, match="not UTF-8 at byte 6"):
        load(path, {})


# YAML 1.2, and the environment.


def test_yes_and_no_are_words(tmp_path: Path) -> None:
    """As in YAML 1.2, where only true and false are booleans."""
    assert category(loaded(tmp_path, changed("[a, b]", "[yes, no, on, off]")).spec).vocabulary == [
        "yes",
        "no",
        "on",
        "off",
    ]


def test_leading_zeros_are_decimal(tmp_path: Path) -> None:
    """As in YAML 1.2: 010 is ten."""
    assert number(loaded(tmp_path, changed("field: n,", "field: n, mean: 010,")).spec).mean == 10


def test_dates_are_text(tmp_path: Path) -> None:
    """A vocabulary of days is one of strings."""
    found = category(loaded(tmp_path, changed("[a, b]", "[2013-01-01, b]")).spec).vocabulary
    assert found == ["2013-01-01", "b"]


def test_anchors_and_merge_keys_work(tmp_path: Path) -> None:
    """Findings behind an alias still have a place."""
    text = changed("- {field: n, kind: number}", "- &n {field: n, kind: number}\n      - {<<: *n, std: -1}")
    (found,) = refused(tmp_path, text)
    assert found.startswith("10:18: model.inputs.x[1].std: ")


def test_variables_are_replaced(tmp_path: Path) -> None:
    """By the environment, or by the default where it has none or an empty one."""
    text = changed("localhost:9092", "${SERVERS:-here:1}")
    assert loaded(tmp_path, text).spec.kafka["bootstrap.servers"] == "here:1"
    assert loaded(tmp_path, text, {"SERVERS": ""}).spec.kafka["bootstrap.servers"] == "here:1"
    assert loaded(tmp_path, text, {"SERVERS": "there:2"}).spec.kafka["bootstrap.servers"] == "there:2"
    inside = changed("localhost:9092", "a-${NAME}-${PORT:-1}")
    assert loaded(tmp_path, inside, {"NAME": "b"}).spec.kafka["bootstrap.servers"] == "a-b-1"


def test_a_variable_may_be_empty_by_default(tmp_path: Path) -> None:
    """`${NAME:-}` asks for nothing."""
    assert loaded(tmp_path, changed("localhost:9092", "a${NAME:-}")).spec.kafka["bootstrap.servers"] == "a"


def test_a_number_may_come_from_the_environment(tmp_path: Path) -> None:
    """There it is text."""
    text = changed("kafka:", "batch: {rows: '${ROWS}', wait: '${WAIT}'}\nkafka:")
    spec = loaded(tmp_path, text, {"ROWS": "32", "WAIT": "5ms"}).spec
    assert (spec.batch.rows, spec.batch.wait) == (32, 0.005)


def test_two_dollars_are_one(tmp_path: Path) -> None:
    """So that a password may hold `${`."""
    text = changed("kafka:", "kafka:\n  sasl.password: $${A}$$$1")
    assert loaded(tmp_path, text).spec.kafka["sasl.password"] == "${A}$$1"


def test_an_unset_variable_is_named(tmp_path: Path) -> None:
    """With its place, and how to give a default."""
    assert refused(tmp_path, changed("localhost:9092", "${SERVERS}")) == [
        "16:3: kafka.bootstrap.servers: the environment has no SERVERS; set it, or give a default: ${SERVERS:-…}"
    ]


@pytest.mark.parametrize("text", ["${}", "${A B}", "${A", "${A:+x}"])
def test_what_looks_like_a_variable_is_refused(tmp_path: Path, text: str) -> None:
    """Rather than passed on as it is."""
    (found,) = refused(tmp_path, changed("localhost:9092", f"'{text}'"), {"A": "x"})
    assert found.startswith("16:3: kafka.bootstrap.servers: `${")
    assert "is not a variable" in found


def test_the_environment_cannot_add_structure(tmp_path: Path) -> None:
    """Its values are text, whatever YAML, quotes or variables they hold."""
    evil = 'x"}\nname: evil\n- {a: b} ${HOME} $$ #'
    file = loaded(tmp_path, changed("localhost:9092", "${SERVERS}"), {"SERVERS": evil})
    assert (file.spec.name, file.spec.kafka) == ("small", {"bootstrap.servers": evil})


# Vocabularies.


def with_vocabulary(folder: Path, content: bytes) -> str:
    """Write a vocabulary file and return a pipeline that names it."""
    (folder / "words.txt").write_bytes(content)
    return changed("[a, b]", "words.txt")


def test_a_vocabulary_file_has_one_entry_a_line(tmp_path: Path) -> None:
    """With any line end, none at the end of the file, and a byte-order mark or not; white space is kept."""
    for content in (b"a\nb c\n", b"a\r\nb c", b"\xef\xbb\xbfa\nb c"):
        assert category(loaded(tmp_path, with_vocabulary(tmp_path, content)).spec).vocabulary == ["a", "b c"]


def test_only_line_ends_end_an_entry(tmp_path: Path) -> None:
    """What else Python takes for one would move all indices after it."""
    odd = "a\x0bb\n\x1cc\n\u2028d\x85\ne\n"
    spec = loaded(tmp_path, with_vocabulary(tmp_path, odd.encode())).spec
    assert category(spec).vocabulary == ["a\x0bb", "\x1cc", "\u2028d\x85", "e"]


def test_a_vocabulary_file_that_cannot_be_read(tmp_path: Path) -> None:
    """One finding, with the file's path; the same for one that is not UTF-8."""
    (found,) = refused(tmp_path, changed("[a, b]", "words.txt"))
    assert found.startswith(f"10:36: model.inputs.x[1].vocabulary: {tmp_path}/words.txt can't be read: ")
    (found,) = refused(tmp_path, with_vocabulary(tmp_path, b"\xff\n"))
    assert "can't be read" in found


@pytest.mark.parametrize(("content", "words"), [(b"", "is empty"), (b"a\n\nb\n\n", "entry 4 repeats entry 2: ''")])
def test_a_vocabulary_file_of_nothing(tmp_path: Path, content: bytes, words: str) -> None:
    """An empty file is a mistake, and an empty line is an entry like any other."""
    (found,) = refused(tmp_path, with_vocabulary(tmp_path, content))
    assert found == f"10:36: model.inputs.x[1].vocabulary: {words}"


@pytest.mark.parametrize(
    ("vocabulary", "missing", "fine"),
    [("[1000.0]", "1000", True), ("[1000.0]", "'1000.0'", False), ("['007']", "7", False), ("['12']", "12.0", True)],
)
def test_missing_is_found_as_an_events_value_is(
    tmp_path: Path,
    vocabulary: str,
    missing: str,
    fine: bool,  # noqa: FBT001
) -> None:
    """By the same rule of one key however it is written; what would not be found is refused at start."""
    text = changed("[a, b], unknown: 0", f"{vocabulary}, missing: {missing}")
    if fine:
        assert category(loaded(tmp_path, text).spec).missing is not None
    else:
        assert "is not in the vocabulary" in refused(tmp_path, text)[0]


# The fingerprint.


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kafka:", "batch: {rows: 1, wait: 1s}\nkafka:"),
        ("kafka:", "delivery: at_least_once\ncheckpoint: 1s\nkafka:"),
        ("localhost:9092", "elsewhere:1"),
        ("name: small", "name: other"),
        ("topic: out", "topic: out2"),
        ("path: small.tflite", "path: other.tflite"),
        ("path: small.tflite", "path: small.tflite\n  interpreters: shared"),
        ("{field: n, kind: number}", "{kind: number, mean: 0.0, field: n}"),
    ],
)
def test_the_fingerprint_stays(tmp_path: Path, old: str, new: str) -> None:
    """Through all that does not decide what a record says: where it runs, how fast, and how the file is written."""
    assert loaded(tmp_path, changed(old, new)).mapping == loaded(tmp_path).mapping


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("field: n,", "field: m,"),
        ("{field: n, kind: number}", "{field: n, kind: number, mean: 1}"),
        ("[a, b]", "[b, a]"),
        ("unknown: 0", "unknown: 2"),
        ("part: hour", "part: hour, zone: Europe/Zurich"),
        ("threshold: 0.5", "threshold: 0.6"),
        ("kind: number}\n    late", "kind: number, index: 0}\n    late"),
        ("field: answer", "field: answers"),
        ("field: answer", "field: answer, layout: nest"),
        ("field: answer", "field: answer, existing: replace"),
    ],
)
def test_the_fingerprint_changes(tmp_path: Path, old: str, new: str) -> None:
    """With all that does."""
    assert loaded(tmp_path, changed(old, new)).mapping != loaded(tmp_path).mapping


Edit = tuple[str, str]

_TYPED: list[Edit] = [
    ("topic: in}", "topic: in, format: protobuf, schema: a.schema}"),
    ("topic: out,", "topic: out, format: json, layout: only,"),
]
# Field of the pipeline file -> what is changed in the small one before, and what of the field then.
DECIDE: dict[str, tuple[list[Edit], Edit]] = {
    "input.format": (_TYPED, ("format: protobuf", "format: avro")),
    "input.schema": (_TYPED, ("a.schema", "b.schema")),
    "input.message": (_TYPED, ("a.schema", "a.schema, message: A")),
    "output.format": (_TYPED, ("format: json", "format: protobuf")),
    "output.layout": ([], ("topic: out,", "topic: out, layout: nest,")),
    "output.field": ([], ("field: answer", "field: answers")),
    "output.existing": ([], ("topic: out,", "topic: out, existing: replace,")),
    "output.keep": (_TYPED, ("layout: only,", "layout: only, keep: [n],")),
    "output.number": ([], ("topic: out,", "topic: out, number: 7,")),
    "model.signature": ([], ("path: small.tflite", "path: small.tflite\n  signature: other")),
    "model.inputs": ([], ("part: hour", "part: day")),
    "model.outputs": ([], ("threshold: 0.5", "threshold: 0.6")),
    "when": ([], ("kafka:", "when: n > 1\nkafka:")),
    "otherwise": ([("kafka:", "when: n > 1\nkafka:")], ("kafka:", "otherwise: drop\nkafka:")),
}
DECIDE_NOT: dict[str, Edit] = {
    "name": ("name: small", "name: other"),
    "input.topic": ("topic: in", "topic: in2"),
    "input.start": ("topic: in", "topic: in, start: latest"),
    "output.topic": ("topic: out", "topic: out2"),
    "output.register": ("topic: out", "topic: out, register: false"),
    "dead_letters": ("topic: dead", "topic: dead2"),
    "model.path": ("small.tflite", "other.tflite"),
    "model.engine": ("small.tflite", "small.tflite\n  engine: litert"),
    "model.interpreters": ("small.tflite", "small.tflite\n  interpreters: shared"),
    "batch": ("kafka:", "batch: {rows: 1}\nkafka:"),
    "delivery": ("kafka:", "delivery: at_least_once\nkafka:"),
    "checkpoint": ("kafka:", "checkpoint: 1s\nkafka:"),
    "kafka": ("localhost:9092", "elsewhere:1"),
    "registry": ("kafka:", "registry: {url: 'http://localhost:8081'}\nkafka:"),
    "operate": ("kafka:", "operate: {stuck_after: 90s}\nkafka:"),
    "tests": ("kafka:", "tests: [{name: one, event: {n: 1}, expect: {y: 1}}]\nkafka:"),
}


def test_each_field_of_the_file_is_known_to_decide_what_records_say_or_not_to() -> None:
    """A new one has to be put into one of the tables above, and into the fingerprint or not."""
    sections: dict[str, type[msgspec.Struct]] = {"input.": Input, "output.": Output, "model.": Model, "": Pipeline}
    fields = {
        f"{prefix}{field.name}" for prefix, section in sections.items() for field in msgspec.structs.fields(section)
    }
    assert DECIDE.keys() | DECIDE_NOT.keys() == fields - {"input", "output", "model"}
    assert not DECIDE.keys() & DECIDE_NOT.keys()


@pytest.mark.parametrize("field", [*DECIDE, *DECIDE_NOT])
def test_the_fingerprint_changes_with_what_decides_and_with_nothing_else(tmp_path: Path, field: str) -> None:
    """Field by field; what a file says counts, not its name."""
    for name in "ab":
        (tmp_path / f"{name}.schema").write_text(f"schema {name}")
    before, edit = DECIDE.get(field) or ([], DECIDE_NOT[field])
    text = GOOD
    for old, new in before:
        text = changed(old, new, text)
    mapping = loaded(tmp_path, text).mapping
    assert (loaded(tmp_path, changed(*edit, text)).mapping != mapping) is (field in DECIDE)


def test_the_fingerprint_knows_what_a_vocabulary_file_says(tmp_path: Path) -> None:
    """Its content counts, not its name."""
    text = with_vocabulary(tmp_path, b"a\nb\n")
    assert loaded(tmp_path, text).mapping == loaded(tmp_path).mapping
    (tmp_path / "words.txt").write_bytes(b"b\na\n")
    assert loaded(tmp_path, text).mapping != loaded(tmp_path).mapping


def test_all_files_that_a_pipeline_is_made_from_are_known(tmp_path: Path) -> None:
    """Commands write nothing over them: vocabularies, tokenizers, labels, schemas and functions too."""
    text = load(FLIGHTS.parent / "text" / "pipeline.yaml", {})
    assert {file.name for file in text.files} == {"language.tflite", "tokenizer.json", "labels.txt"}
    flights = load(FLIGHTS / "pipeline.yaml", {})
    assert {file.name for file in flights.files} >= {"delay.tflite", "carriers.txt", "destinations.txt"}
    (tmp_path / "events.avsc").write_text("{}")
    (tmp_path / "hooks.py").write_text("def made(outputs): ...\n")
    avro = changed("{topic: in}", "{topic: in, format: avro, schema: events.avsc}")
    hooked = changed(
        "outputs:\n",
        "outputs:\n    told: {kind: python, tensors: [y], type: text, function: 'hooks.py:made'}\n",
        avro,
    )
    named = loaded(tmp_path, hooked).files
    assert {"events.avsc", "hooks.py"} <= {file.name for file in named}


# Units.


@pytest.mark.parametrize(
    ("text", "seconds"), [("20ms", 0.02), ("1.5s", 1.5), ("1 m", 60), ("2h", 7200), ("100us", 1e-4), (" 1s ", 1)]
)
def test_durations(text: str, seconds: float) -> None:
    """A number with a unit."""
    assert Duration.parse(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "size"), [("4MiB", 4 * 1024**2), ("512KB", 512_000), ("1.5KiB", 1536), ("7B", 7), ("1GB", 10**9)]
)
def test_sizes(text: str, size: int) -> None:
    """Powers of 1000 and of 1024."""
    assert Size.parse(text) == size


@pytest.mark.parametrize("text", ["", "20", "ms", "-1s", "1e3s", "1S", "1,5s", "1s2ms", 1, None, True])
def test_what_is_no_duration(text: object) -> None:
    """Without a unit, or with a wrong one, nothing is guessed."""
    with pytest.raises(ValueError, match="expected a number with a unit"):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["20ms", "100us", "1.5s", "90s"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    """In ms or s."""
    assert Duration.parse(str(Duration.parse(text))) == pytest.approx(Duration.parse(text))


@pytest.mark.parametrize("text", ["4MiB", "1000B", "3KiB", "0B"])
def test_a_size_is_written_as_it_is_read(text: str) -> None:
    """In MiB or B."""
    assert Size.parse(str(Size.parse(text))) == Size.parse(text)


def test_write_is_what_load_reads(tmp_path: Path) -> None:
    """A path in the file is relative to the file."""
    assert load(write(tmp_path, GOOD), {}).model == tmp_path / "small.tflite"
