"""`onelane init`: from a model and a sample of events to a pipeline file that lints clean."""

import gzip
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
        {}, ["check\nname: taken"], ['["u\nname: taken"]', '["v\u2028w"]'], {},
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
        (b'{"a":1}\n{"a":', ":2: not JSON: "),
        (b'{"a":1}\n\n[1]\n', ":3: an event is a JSON object, not list"),
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
    return look_at_fields((orjson.dumps(event) for event in EVENTS), "events", 1000)


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
    assert b"has several signatures (one, other): say which" in refused.stderr
    assert onelane(*command, "--signature", "other").returncode == 0
    assert "  signature: other\n" in target.read_text()
