"""`onelane init`: from a model and a sample of events to a pipeline file that lints clean."""

import gzip
import re
import shlex
import shutil
from pathlib import Path

import orjson
import pytest
from ruamel.yaml import YAML

from consumer.authoring.draft import draft
from consumer.authoring.fields import Field, look_at_fields
from consumer.authoring.guess import Guess
from consumer.authoring.propose import Proposal, propose
from consumer.exits import ExitCode
from consumer.model.file import Signature
from consumer.model.tensors import Tensor
from tests.support.command import ROOT, onelane
from tests.support.flights import flight_values

EXAMPLES = ROOT / "examples"
MODELS = ROOT / "tests" / "models"
MODEL = EXAMPLES / "flights" / "models" / "delay.tflite"
# Model, its example, and how many of the events can be enriched as drafted.
DRAFTED = [
    ("flights/models/delay", 5219, 5219),
    ("flights/models/delay_int8", 5219, 5219),
    ("image/models/digits", 542, 537),
    ("payments/models/fraud", 2406, 2402),
    ("text/models/language", 1224, 1221),
]


@pytest.mark.parametrize(("model", "events", "enriched"), DRAFTED)
def test_each_examples_draft_lints_clean_and_enriches_what_can_be(
    model: str, events: int, enriched: int, tmp_path: Path
) -> None:
    """Without a question asked; guesses are marked, and the file tells editors nothing that it has not."""
    sample = EXAMPLES / model.split("/", maxsplit=1)[0] / "events.jsonl.gz"
    target = tmp_path / "pipeline.yaml"
    if model.startswith("text"):
        shutil.copy(EXAMPLES / "text" / "tokenizer.json", tmp_path)
    done = onelane("init", "--model", EXAMPLES / f"{model}.tflite", "--sample", sample, "--output", target)
    assert done.returncode == 0, done.stderr
    assert b"# guess: " in target.read_bytes()
    linted = orjson.loads(onelane("lint", target, "--json", "--sample", sample).stdout)
    assert [one for one in linted["findings"] if one["severity"] == "error"] == []
    assert (linted["sample"]["events"], linted["sample"]["enriched"]) == (events, enriched)


def test_what_a_model_knows_is_found_by_trying(tmp_path: Path) -> None:
    """Tables of 50 merchants and 12 countries, of which the sample has more, one of them a mistake."""
    target = tmp_path / "pipeline.yaml"
    sample = EXAMPLES / "payments" / "events.jsonl.gz"
    onelane("init", "--model", EXAMPLES / "payments/models/fraud.tflite", "--sample", sample, "--output", target)
    text = target.read_text()
    assert "merchant: {field: merchant.id, kind: category, buckets: 50, missing: absent}" in text
    assert text.count("# guess: the model knows 12 entries, of the sample's 14 these are the most frequent") == 1
    assert "{field: pay.amount, kind: number, missing: 0, text: allow}" in text


def test_a_file_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    """Nor one of a vocabulary beside it; --force does."""
    command: list[str | Path] = ["init", "--model", EXAMPLES / "flights/models/delay.tflite", "--sample",
               EXAMPLES / "flights/events.jsonl.gz", "--output", tmp_path / "pipeline.yaml"]  # fmt: skip
    (tmp_path / "carrier.txt").write_text("mine")
    done = onelane(*command)
    assert done.returncode == ExitCode.PIPELINE
    assert done.stderr.decode() == f"onelane: {tmp_path / 'carrier.txt'}: there already; --force writes over it\n"
    assert [path.name for path in tmp_path.iterdir()] == ["carrier.txt"]
    assert onelane(*command, "--force").returncode == 0
    assert (tmp_path / "carrier.txt").read_text() != "mine"


def test_a_draft_is_there_with_all_of_its_files_or_not_at_all(tmp_path: Path) -> None:
    """A vocabulary that can't be written takes the pipeline file along, and what was there stays."""
    (tmp_path / "carrier.txt").mkdir()
    (tmp_path / "pipeline.yaml").write_text("mine")
    model, sample = EXAMPLES / "flights/models/delay.tflite", EXAMPLES / "flights/events.jsonl.gz"
    target = tmp_path / "pipeline.yaml"
    done = onelane("init", "--model", model, "--sample", sample, "--output", target, "--force")
    assert done.returncode == ExitCode.PIPELINE
    assert done.stderr.decode() == f"onelane: Is a directory: {tmp_path / 'carrier.txt'}\n"
    assert target.read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"carrier.txt", "pipeline.yaml"}


@pytest.mark.parametrize("source", ["model.tflite", "events.jsonl"])
def test_the_model_and_the_sample_are_never_written_over(source: str, tmp_path: Path) -> None:
    """Not even by --force, nor through a link."""
    shutil.copy(EXAMPLES / "flights/models/delay.tflite", tmp_path / "model.tflite")
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(flight_values()[:50]))
    (tmp_path / "link").symlink_to(source)
    before = (tmp_path / source).read_bytes()
    done = onelane("init", "--model", tmp_path / "model.tflite", "--sample", tmp_path / "events.jsonl",
                   "--output", tmp_path / "link", "--force")  # fmt: skip
    assert done.returncode == ExitCode.PIPELINE
    assert done.stderr.decode().startswith(
        f"onelane: {tmp_path / 'link'}: would be written over {tmp_path / source};"
    )
    assert (tmp_path / source).read_bytes() == before


def test_hostile_names_and_entries_stay_what_they_are() -> None:
    """A comment is one line, two fields have two vocabularies, and entries come back as they were."""
    entries = [f"e{number}" for number in range(15)]
    broken = ["a\nb", "c\rd", "\ufeffe", "f\u2028g", "h\x7fi", "${HOME}", "'\"", *entries]
    proposal = Proposal(
        {"x": [Guess({"field": "a.b", "kind": "category", "vocabulary": entries}, "", 1, entries),
               Guess({"field": '["a.b"]', "kind": "category", "vocabulary": entries}, "", 1, entries),
               Guess({"field": "c", "kind": "category", "vocabulary": broken}, "", 1, broken)]},
        {}, ["check\nname: taken"], {'["u\nname: taken"]': "a\nb", '["v\u2028w"]': ""}, {},
    )  # fmt: skip
    text, files = draft(proposal, name="n", topic="t", model="m.tflite", field="p")
    tree = YAML(typ="safe").load(text)
    assert (tree["name"], list(files)) == ("n", ["a-b.txt", "a-b-2.txt"])
    columns = tree["model"]["inputs"]["x"]
    assert [one["vocabulary"] for one in columns[:2]] == ["a-b.txt", "a-b-2.txt"]
    assert [entry.replace("$$", "$") for entry in columns[2]["vocabulary"]] == broken


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b'{"a":', ":1: not JSON: "),
        (b"id,a\n", ":1: not JSON: unexpected character, expected a JSON value at column 1; a sample is JSON lines"),
        (b'{"a":"\xff"}', ":1: not UTF-8"),
        (b"\n\n[1]\nx", ":3: an event is a JSON object, not list"),
        (b"\n\n", ": no events"),
        (gzip.compress(b'{"a":1}\n', mtime=0)[:-4], ": broken gzip: "),
    ],
)
def test_a_sample_that_is_none_is_told_with_file_and_line(lines: bytes, words: str, tmp_path: Path) -> None:
    """And nothing is written."""
    sample = tmp_path / "events.jsonl"
    sample.write_bytes(lines)
    target = tmp_path / "pipeline.yaml"
    model = EXAMPLES / "flights/models/delay.tflite"
    done = onelane("init", "--model", model, "--sample", sample, "--output", target)
    assert done.returncode == ExitCode.PIPELINE
    assert f"onelane: {sample}{words}" in done.stderr.decode()
    assert not target.exists()


def drafted(folder: Path, events: list[dict[str, object]], *options: str) -> str:
    """Draft for the dense model, which takes three numbers; the file's text."""
    sample = folder / "events.jsonl"
    sample.write_bytes(b"\n".join(map(orjson.dumps, events)))
    done = onelane("init", "--model", MODELS / "dense.tflite", "--sample", sample,
                   "--output", folder / "pipeline.yaml", *options)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return (folder / "pipeline.yaml").read_text()


def test_times_are_taken_for_such_where_features_read_them(tmp_path: Path) -> None:
    """By the same function: others would be dead letters, and so are left out, with a word."""
    texts = ["2026-01-31T08:{:02}:00Z", "2026-01-31 08:{:02}:00", "2026-01-31T08:{:02}", "2026-01-{}", "{}/01/2026"]
    events = [{f"t{place}": text.format(row) for place, text in enumerate(texts)} for row in range(10, 31)]
    text = drafted(tmp_path, [{"a": row, **event} for row, event in enumerate(events)])
    assert re.findall(r"field: (\w+), kind: time", text) == ["t0", "t1"]
    assert "  # not read, since they are times, but not RFC 3339 (2026-01-31T08:00:00Z): t2, t3, t4\n" in text
    sample = orjson.loads(onelane("lint", tmp_path / "pipeline.yaml", "--json", "--sample", tmp_path / "events.jsonl")
                          .stdout)["sample"]  # fmt: skip
    assert (sample["events"], sample["enriched"]) == (21, 21)


def test_what_is_absent_now_and_then_has_something_that_stands_in(tmp_path: Path) -> None:
    """Else most of the sample would be dead letters; a list of numbers has nothing, and is left out."""
    there: list[dict[str, object]] = [
        {"at": f"2026-01-31T08:00:{row:02}Z", "tag": "ab"[row % 3 > 0], "vector": [1.0, row]} for row in range(20)
    ]
    events = [*there, *[dict[str, object].fromkeys(one) for one in there]]
    text = drafted(tmp_path, events)
    assert "kind: time, part: hour, zone: UTC, missing: 0}" in text
    assert "vocabulary: [a, b], one_hot: true, missing: b}" in text
    assert "always numbers of one length: vector\n" in text
    sample = orjson.loads(onelane("lint", tmp_path / "pipeline.yaml", "--json", "--sample", tmp_path / "events.jsonl")
                          .stdout)["sample"]  # fmt: skip
    assert (sample["events"], sample["enriched"]) == (40, 40)


def test_what_is_left_out_is_said_with_the_reason(tmp_path: Path) -> None:
    """Constants, identifiers, what is hardly there."""
    events: list[dict[str, object]]
    events = [{"id": row, "a": row / 3, "b": row / 2, "c": row / 7, "d": row / 5, "same": "x", "none": None,
               "note": "a long story of an event, number " + str(row), "of": [{}],
               "": 1, "mixed": row if row % 2 else "x"} for row in range(40)]  # fmt: skip
    events[3]["rare"] = 1
    text = drafted(tmp_path, events)
    reasons = dict(re.findall(r"^  # not read, since (.+): (.+)$", text, re.MULTILINE))
    assert reasons == {
        "they tell events apart": "id",
        "the model's inputs have no room for them": "d",
        "they are always the same": "same",
        "they are null in all events": "none",
        "their texts are long": "note",
        "they are objects, or lists that are not always numbers of one length": "of",
        "their values are of several types": "mixed",
        "hardly any event has them": "rare",
    }


def test_numbers_that_are_written_as_texts_are_numbers(tmp_path: Path) -> None:
    """As in what was a table of text; what no number begins like, such as 007, is a name."""
    events: list[dict[str, object]]
    events = [{"a": f"{row / 2:.2f}", "b": str(row), "c": row if row % 2 else str(row), "zip": f"0{row % 9}"}
              for row in range(40)]  # fmt: skip
    text = drafted(tmp_path, events)
    assert re.findall(r"field: (\w+), kind: number, text: allow", text) == ["a", "b", "c"]
    assert "mean 9.75, std 5.772 in the sample" in text
    assert "no room for them: zip\n" in text


def test_what_is_always_the_same_fills_a_tensor_that_wants_more(tmp_path: Path) -> None:
    """A sample of an hour has less to say than the training had."""
    events: list[dict[str, object]] = [{"a": row, "same": 7, "one": True, "name": "x"} for row in range(40)]
    text = drafted(tmp_path, events)
    assert re.findall(r"field: (\w+), kind: ", text) == ["a", "same", "one"]
    assert "{field: same, kind: number}   # guess: always the same in the sample; mean 7.0" in text


def test_large_numbers_have_their_deviation_and_are_no_columns_where_they_tell_events_apart() -> None:
    """A float of 64 bits does not tell such integers apart, one of 32 still less."""
    events = [{"at": 1_700_000_000 + row, "a": 2**60 + row, "b": 2**60 * (row % 2)} for row in range(40)]
    found = {field.path: field for field in look_at_fields(map(orjson.dumps, events), "events", 100).fields}
    assert found["at"].std == pytest.approx(11.54, abs=0.01)
    assert [path for path, field in found.items() if field.is_identifier] == ["a"]


@pytest.mark.parametrize("values", [(1e300, 5.0), (0.0, 1e200), (1e308, -1e308)])
def test_the_largest_numbers_there_are_break_no_draft(values: tuple[float, float], tmp_path: Path) -> None:
    """Their squares are no numbers, whichever of them comes first; no deviation is told."""
    events: list[dict[str, object]] = [{"a": values[row % 2], "b": row / 40, "c": row / 80} for row in range(40)]
    found, *_ = look_at_fields(map(orjson.dumps, events), "events", 100).fields
    assert found.std == 0.0
    assert "{field: a, kind: number}" in drafted(tmp_path, events)


@pytest.mark.parametrize("value", [1.5, None, {"x": 1}])
def test_the_field_of_predictions_is_one_that_no_event_has(value: object, tmp_path: Path) -> None:
    """An event that has it already would be a dead letter, were it one in a hundred, and null there."""
    events: list[dict[str, object]] = [{"a": row, "b": row / 2, "c": -row} for row in range(100)]
    events[77]["prediction"] = value
    assert "field: prediction_}" in drafted(tmp_path, events)


def test_lines_that_are_no_events_are_counted_and_left_out(tmp_path: Path) -> None:
    """Names with spaces in them can be pasted into a shell."""
    sample, target = tmp_path / "my events.jsonl", tmp_path / "my pipeline.yaml"
    lines = [orjson.dumps({"a": row, "b": row / 2, "c": -row}) for row in range(20)]
    sample.write_bytes(b"\n".join([*lines[:5], b"{", b"[1]", *lines[5:]]))
    done = onelane("init", "--model", MODELS / "dense.tflite", "--sample", sample, "--output", target)
    assert done.returncode == 0, done.stderr
    first, *_, last = done.stdout.decode().splitlines()
    assert first.startswith(f"2 lines are no event and left out, the first {sample}:6: not JSON: ")
    assert last.split("#")[0].strip() == f"onelane run '{target}'"
    for command in re.findall("^  onelane (lint|test|enrich) (.+)$", done.stdout.decode(), re.MULTILINE):
        words = shlex.split(command[1].replace("enriched.jsonl", f"'{tmp_path / 'enriched.jsonl'}'"), comments=True)
        assert onelane(command[0], *words).returncode == 0


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("custom_op", "can't run it: Encountered unresolved custom op: Betainc."),
        ("flex_op", "can't run it: Select TensorFlow op(s), included in the given model"),
        ("rnn", "it keeps state between calls, or rolls dice"),
        ("scalar", "output `all` of one row has the shape []"),
        ("wide_dynamic", "convert the model with as many values in `x` (float32[?, ?]) as it takes"),
    ],
)
def test_a_model_that_can_not_run_ends_with_5(model: str, words: str, tmp_path: Path) -> None:
    """Rather than with a list of what to do next."""
    sample = tmp_path / "events.jsonl"
    sample.write_bytes(b"".join(orjson.dumps({"a": n, "b": n / 2, "c": -n, "d": n % 5}) + b"\n" for n in range(30)))
    done = onelane("init", "--model", MODELS / f"{model}.tflite", "--sample", sample,
                   "--output", tmp_path / "pipeline.yaml")  # fmt: skip
    assert done.returncode == ExitCode.REFUSED
    assert words in done.stderr.decode()
    assert b"next:" not in done.stdout


def test_what_is_still_open_ends_with_5_and_says_what_to_do(tmp_path: Path) -> None:
    """The tokenizer of a model is in no sample."""
    command: list[str | Path] = ["init", "--model", EXAMPLES / "text/models/language.tflite", "--sample",
               EXAMPLES / "text/events.jsonl.gz", "--output", tmp_path / "pipeline.yaml"]  # fmt: skip
    done = onelane(*command)
    assert done.returncode == ExitCode.REFUSED
    assert b"put the model's tokenizer.json beside this file, for `input_ids`" in done.stderr
    assert b": model.inputs.input_ids.tokenizer: " in done.stderr


EVENTS = [
    {"id": 7 * row, "uuid": f"u-{row}", "at": "2026-01-01T10:00:00Z", "n": row / 2, "ok": row % 2 == 0, "same": 1,
     "tag": "abc"[row % 3], "user": {"age": row, "a.b": row}, "items": [{"price": row}], "vector": [1.0, 2.0],
     "sometimes": row if row % 4 else None}
    for row in range(40)
]  # fmt: skip


def fields() -> list[Field]:
    """Look at the events above."""
    return look_at_fields((orjson.dumps(event) for event in EVENTS), "events", 1000).fields


def test_fields_are_told_apart() -> None:
    """By path; identifiers, times, categories, constants and lists are known as such."""
    found = {field.path: field for field in fields()}
    assert list(found) == [
        "id", "uuid", "at", "n", "ok", "same", "tag", "user.age", 'user["a.b"]', "items[0].price", "vector",
        "sometimes",
    ]  # fmt: skip
    assert [path for path, field in found.items() if field.is_identifier] == ["id", "uuid"]
    assert [path for path, field in found.items() if field.is_time] == ["at"]
    assert [path for path, field in found.items() if field.is_category] == ["tag"]
    assert [path for path, field in found.items() if field.is_constant] == ["at", "same"]
    assert (found["vector"].lengths, found["sometimes"].missing) == ({2: 40}, 0.25)
    assert (found["n"].mean, found["n"].lowest, found["n"].highest) == (9.75, 0, 19.5)


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (8, ["n", "ok", "user.age", 'user["a.b"]', "items[0].price", "vector", "sometimes"]),
        (9, ["n", "ok", "user.age", 'user["a.b"]', "items[0].price", "vector", "sometimes", "tag"]),
        (11, ["n", "ok", "user.age", 'user["a.b"]', "items[0].price", "vector", "sometimes", "tag"]),
    ],
)
def test_columns_fill_a_tensor_where_they_can(width: int, expected: list[str]) -> None:
    """Numbers, then categories as indices or one-hot, whatever gives the tensor's width."""
    proposal = propose(Signature({"x": Tensor("x", 0, (-1, width), "float32")}, {}), fields(), {})
    made = proposal.inputs["x"]
    assert isinstance(made, list)
    assert sum(guess.width for guess in made) == width
    assert [guess.spec["field"] for guess in made] == expected
    assert proposal.open == []


def test_an_index_is_no_number_that_the_model_does_not_know() -> None:
    """A negative or broken one would be answered as another row, or end the model; there is none rather than that."""
    events = [{"broken": row / 2, "low": row - 20, "high": row, "few": row % 5} for row in range(40)]
    found = look_at_fields(map(orjson.dumps, events), "events", 100).fields
    signature = Signature({"index": Tensor("index", 0, (-1, 1), "int32")}, {})
    (made,) = propose(signature, found, {"index": 7}).inputs.values()
    assert isinstance(made, Guess)
    assert made.spec == {"field": "few", "kind": "number", "range": [0, 6]}
    proposal = propose(signature, [field for field in found if field.path != "few"], {"index": 7})
    (made,) = proposal.inputs.values()
    assert isinstance(made, Guess)
    assert made.spec["field"] == "[FILL_IN]"
    assert proposal.open == ["say which field goes into `index` (int32[?, 1]): none of the sample suits it"]


def test_what_a_person_has_to_fill_in_ends_with_5(tmp_path: Path) -> None:
    """It would lint clean, and make dead letters of all events."""
    (tmp_path / "events.jsonl").write_bytes(b"".join(orjson.dumps({"x": f"{n} " * 40}) + b"\n" for n in range(9)))
    done = onelane("init", "--model", MODELS / "nan.tflite", "--sample", tmp_path / "events.jsonl",
                   "--output", tmp_path / "pipeline.yaml")  # fmt: skip
    assert done.returncode == ExitCode.REFUSED
    assert b"it is not fine yet:\n" in done.stderr
    assert b": model.inputs.x.field: " in done.stderr
    assert b"\n  say which field goes into `x`" in done.stderr


def test_a_second_text_that_is_not_there_is_left_to_a_person() -> None:
    """A model that compares two texts, and events with one."""
    found = look_at_fields([orjson.dumps({"body": f"{row} " * 20}) for row in range(40)], "events", 100).fields
    inputs = {name: Tensor(name, place, (-1, 64), "int32") for place, name in enumerate(("left_ids", "right_ids"))}
    proposal = propose(Signature(inputs, {}), found, {})
    fields = [made.spec["field"] for made in proposal.inputs.values() if isinstance(made, Guess)]
    assert sorted(fields) == ["[FILL_IN]", "body"]


def test_a_tensor_that_can_not_be_filled_is_left_to_a_person() -> None:
    """With what is missing."""
    proposal = propose(Signature({"x": Tensor("x", 0, (-1, 99), "float32")}, {}), fields(), {})
    (words,) = proposal.open
    assert words.startswith("`x` (float32[?, 99]) takes 99 values, and the sample gave ")


def test_names_are_matched_and_outputs_follow_their_width() -> None:
    """A tensor that is called like a field takes it; provenance keeps its names."""
    signature = Signature(
        {"age": Tensor("age", 0, (-1, 1), "float32"), "tags": Tensor("tags", 1, (-1, 1), "int32")},
        {"model": Tensor("model", 2, (-1, 1), "float32"), "logits": Tensor("logits", 3, (-1, 5), "float32")},
    )
    proposal = propose(signature, fields(), {"tags": 4})
    made = {name: guess.spec["field"] for name, guess in proposal.inputs.items() if not isinstance(guess, list)}
    assert made == {"age": "user.age", "tags": "tag"}
    assert {name: guess.spec["kind"] for name, guess in proposal.outputs.items()} == {
        "model_value": "number", "logits_best": "top",
    }  # fmt: skip


def test_one_of_several_signatures_is_drafted_for(tmp_path: Path) -> None:
    """The one that is named; without a name, the names are told."""
    sample, target = tmp_path / "events.jsonl", tmp_path / "pipeline.yaml"
    sample.write_bytes(b"".join(orjson.dumps({"a": n, "b": n / 2, "c": -n}) + b"\n" for n in range(30)))
    command: list[str | Path] = ["init", "--model", ROOT / "tests" / "models" / "several_signatures.tflite",
                                 "--sample", sample, "--output", target]  # fmt: skip
    refused = onelane(*command)
    assert refused.returncode == ExitCode.REFUSED
    assert b"has several signatures: say which, --signature one or other" in refused.stderr
    unknown = onelane(*command, "--signature", "othe")
    assert (unknown.returncode, b"no signature othe; it has one, other" in unknown.stderr) == (ExitCode.REFUSED, True)
    assert onelane(*command, "--signature", "other").returncode == 0
    assert "  signature: other\n" in target.read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--topic", "a b/c"], '--topic: expected a topic\'s name, of letters, digits, dots, _ and -, got "a b/c"'),
        (["--topic", ".."], '--topic: expected a topic\'s name, of letters, digits, dots, _ and -, got ".."'),
        (["--topic", "t" * 245], "--topic: `tttttttttttttttttttt…-enriched` would be of 254 characters, and topics"),
        (["--topic", "t" * 230], "--topic: expected a name of letters, digits, dots, _ and -"),
        (["--topic", "t" * 230, "--name", "short"], ""),
        (["--name", "späte Flüge"], '--name: expected a name of letters, digits, dots, _ and -, got "späte Flüge"'),
    ],
)
def test_a_name_that_no_file_may_have_is_refused_before_there_is_one(
    options: list[str], words: str, tmp_path: Path
) -> None:
    """With the option that said it."""
    (tmp_path / "events.jsonl").write_bytes(b"\n".join(flight_values()[:100]))
    sample, target = tmp_path / "events.jsonl", tmp_path / "pipeline.yaml"
    done = onelane("init", "--model", MODEL, "--sample", sample, "--output", target, *options)
    if not words:
        assert (done.returncode, target.exists()) == (0, True)
        return
    assert (done.returncode, target.exists()) == (ExitCode.PIPELINE, False)
    assert done.stderr.decode().startswith(f"onelane: {words}")
