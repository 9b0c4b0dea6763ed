"""`onelane lint`: everything at once, a sample of events, and JSON for programs."""

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest
from ruamel.yaml import YAML

from consumer.exits import ExitCode
from consumer.records.schemas import Schema
from consumer.shape import impossible, strangers
from tests.support.command import ROOT, onelane
from tests.support.flights import FLIGHTS, flight_values, flights_beside
from tests.support.pipelines import changed, loaded

PIPELINES = sorted(path for path in (ROOT / "examples").rglob("*.yaml") if ".case." not in path.name)
SCHEMA = ROOT / "schemas" / "pipeline.schema.json"


def linted(path: Path, *options: str | Path) -> dict[str, Any]:
    """Lint for programs; the exit code under `code`."""
    done = onelane("lint", path, "--json", *options)
    told: dict[str, Any] = orjson.loads(done.stdout)
    return told | {"code": done.returncode}


def edited(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the flights pipeline with changes."""
    path = flights_beside(folder)
    text = path.read_text()
    for old, new in changes:
        text = changed(old, new, text)
    path.write_text(text)
    return path


def test_what_is_wrong_in_file_settings_and_model_comes_at_once(tmp_path: Path) -> None:
    """Each with its place, the nearest right name, and the code of the worst."""
    path = edited(
        tmp_path,
        ("{topic: flights-dead}", "{topic: flights-dead, stopafter: {}}"),
        ("      - {field: weekend, kind: boolean}\n", ""),
        ("tensor: late", "tensor: lat"),
        ("kafka:\n", "kafka:\n  linger.ms: soon\n  lingr.ms: 5\n"),
        (str(FLIGHTS / "carriers.txt"), "nowhere.txt"),
        ("format: json,", "format: avro, schema: none.avsc,"),
        ("checkpoint: 100ms", "checkpoint: 100h"),
    )
    found = linted(path)
    assert found["code"] == ExitCode.PIPELINE
    told = {one["field"]: (one["message"], one["hint"]) for one in found["findings"]}
    assert told["dead_letters.stopafter"] == ("unknown field", "did you mean `stop_after`?")
    assert told["kafka.linger.ms"][0] == 'Invalid value for configuration property "queue.buffering.max.ms"'
    assert told["kafka.lingr.ms"][1] == "did you mean `linger.ms`?"
    assert told["model.inputs.carrier.vocabulary"][0].endswith("nowhere.txt can't be read: No such file or directory")
    assert told["input.schema"][0].endswith("none.avsc can't be read: No such file or directory")
    assert told["checkpoint"][0] == "is more than 60 seconds, the most that makes sense here"
    assert told["model.inputs.features"][0].startswith("6 columns for the model's input `features`")
    assert told["model.outputs.late.tensor"] == ("the model has no output `lat`", "did you mean `late`?")
    for one in found["findings"]:
        assert one["path"] == str(path)
        assert one["severity"] == "error"
    places = [(one["line"], one["column"]) for one in found["findings"]]
    assert places == sorted(places)
    assert all(line > 1 for line, _ in places)


@pytest.mark.parametrize(
    ("settings", "findings"),
    [
        ({"linger.ms": "soon"},
         [("kafka.linger.ms", 'Invalid value for configuration property "queue.buffering.max.ms"')]),
        ({"fetch.min.bytes": 0, "compression.codec": "zip"},
         [("kafka.fetch.min.bytes",
           'Configuration property "fetch.min.bytes" value is outside allowed range 1..100000000'),
          ("kafka.compression.codec", 'Invalid value "zip" for configuration property "compression.codec"')]),
        ({"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN"},
         [("kafka.security.protocol", "sasl.username and sasl.password must be set")]),
        ({"fetch.max.bytes": 10},
         [("kafka.fetch.max.bytes", "`fetch.max.bytes` must be >= `message.max.bytes`")]),
        ({"statistics.interval.ms": 1000}, []),
    ],
)  # fmt: skip
def test_values_that_librdkafka_refuses_have_their_lines(
    settings: dict[str, object], findings: Sequence[tuple[str, str]], tmp_path: Path
) -> None:
    """With its own words; no broker is asked."""
    path = flights_beside(tmp_path)
    yaml = YAML(typ="rt", pure=True)
    tree = yaml.load(path.read_text())
    tree["kafka"].update(settings)
    with path.open("w") as file:
        yaml.dump(tree, file)
    found = linted(path)
    assert [(one["field"], one["message"]) for one in found["findings"]] == list(findings)
    assert found["code"] == (ExitCode.PIPELINE if findings else ExitCode.DONE)
    lines = path.read_text().splitlines()
    for one in found["findings"]:
        assert lines[one["line"] - 1].strip().startswith(one["field"].removeprefix("kafka."))


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        (b"name: [\n", (2, 1), "not valid YAML: "),
        (b"\xff", (1, 1), "not UTF-8 at byte 0"),
        (None, (1, 1), "can't be read: No such file or directory"),
    ],
)
def test_a_file_that_is_none_is_a_finding_for_programs(
    content: bytes | None, place: tuple[int, int], words: str, tmp_path: Path
) -> None:
    """JSON in any case, and code 2."""
    path = tmp_path / "pipeline.yaml"
    if content is not None:
        path.write_bytes(content)
    found = linted(path)
    (one,) = found["findings"]
    assert (found["code"], one["path"], (one["line"], one["column"])) == (ExitCode.PIPELINE, str(path), place)
    assert one["message"].startswith(words)


@pytest.mark.parametrize("command", [["run"], ["enrich", "--from-topic"]])
def test_values_that_librdkafka_refuses_end_a_start_at_once(command: list[str], tmp_path: Path) -> None:
    """With the same finding, rather than with a broker that does not answer."""
    path = edited(tmp_path, ("kafka:\n", "kafka:\n  linger.ms: soon\n"))
    done = onelane(command[0], path, *command[1:], timeout=20)
    assert done.returncode == ExitCode.PIPELINE
    assert b"kafka.linger.ms: Invalid value" in done.stdout + done.stderr


def test_a_model_that_can_not_be_opened_is_a_finding_too(tmp_path: Path) -> None:
    """At its path, beside what else is wrong."""
    path = edited(tmp_path, (str(FLIGHTS / "models/delay.tflite"), "none.tflite"), ("layout: merge", "layout: marge"))
    told = {one["field"]: one["message"] for one in linted(path)["findings"]}
    assert told["output.layout"] == 'no such value: "marge"'
    assert told["model.path"].endswith("none.tflite can't be read: No such file or directory")


def test_a_variable_without_a_value_is_one_finding(tmp_path: Path) -> None:
    """What is wrong with the nothing in its place would be a second, and false."""
    path = edited(
        tmp_path,
        ("name: flight-delays", "name: ${NOT_SET}"),
        ("topic: flights,", "topic: '${NOT_SET}',"),
        ("rows: 256", "rows: '${NOT_SET}'"),
        ("layout: merge", "layout: '${NOT_SET}'"),
        ("tensor: late", "tensor: '${NOT_SET}'"),
        ("${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}", "${NOT_SET}"),
    )
    found = linted(path)
    assert found["code"] == ExitCode.PIPELINE
    assert {one["message"] for one in found["findings"]} == {"the environment has no NOT_SET"}
    assert len(found["findings"]) == 6


def test_a_registry_that_is_away_is_waited_for_with_a_word(tmp_path: Path) -> None:
    """On stderr, before the wait is over."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # and nobody listens there, once it is closed
    path = edited(tmp_path, ("format: json,", f"format: avro, schema: {FLIGHTS / 'flights.avsc'},"))
    path.write_text(path.read_text() + f"registry: {{url: 'http://127.0.0.1:{port}'}}\n")
    command = [sys.executable, "-m", "consumer", "lint", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stderr is not None
        told = orjson.loads(process.stderr.readline())
        process.terminate()
    assert (told["event"], told["seconds"]) == ("the registry is waited for", 30)


SAMPLE = [
    *flight_values()[:40],
    b"{",
    b'{"distance":"far"}',
    b'{"distance":"near"}',
    *[value.replace(b'"carrier":"', b'"carrier":"X') for value in flight_values()[40:44]],
]


def test_a_sample_tells_what_would_become_of_events(tmp_path: Path) -> None:
    """Dead letters by cause with the first of each, fields with what they hold, and what is worth a look."""
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(SAMPLE))
    path = edited(tmp_path)
    found = linted(path, "--sample", events)
    assert (found["code"], found["model"]["label"]) == (ExitCode.DONE, "delay@525033bf")
    sample = found["sample"]
    assert (sample["events"], sample["enriched"]) == (47, 44)
    dead = [(one["cause"], one["field"], one["count"], one["first"]) for one in sample["dead_letters"]]
    assert dead == [("WrongType", "distance", 2, 42), ("Malformed", None, 1, 41)]
    fields = {one["field"]: one for one in sample["fields"]}
    assert fields["weekend"]["distinct"] == 2 or fields["weekend"]["distinct"] == 1
    assert 0 < fields["distance"]["lowest"] < fields["distance"]["highest"] < 6000
    warnings = [one["message"] for one in found["findings"] if one["severity"] == "warning"]
    assert any(words.startswith("9.09% of `carrier` are not in the vocabulary: 'X") for words in warnings), warnings
    lines = path.read_text().splitlines()
    for one in found["findings"]:
        assert "carrier" not in one["message"] or "carrier" in lines[one["line"] - 1]


def test_a_sample_for_people_and_a_strict_one(tmp_path: Path) -> None:
    """The same in lines; a dead letter ends a strict one with 5."""
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(SAMPLE))
    path = edited(tmp_path)
    done = onelane("lint", path, "--sample", events)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == ExitCode.DONE
    assert f"sample    {events}: 47 events, 44 enriched, 3 dead letters" in lines
    assert any(
        line.startswith("dead      2 WrongType of field distance (decode), first event 42: ") for line in lines
    )
    assert any(line.startswith("field     distance: ") and line.endswith("missing never") for line in lines)
    strict = onelane("lint", path, "--sample", events, "--strict")
    assert strict.returncode == ExitCode.REFUSED
    assert strict.stderr.decode().endswith("warnings, 3 dead letters\n")
    assert onelane("lint", path, "--sample", events, "--limit", "5", "--strict").stdout.count(b"dead      ") == 0


def test_a_field_that_no_event_has_comes_with_the_nearest_that_they_have(tmp_path: Path) -> None:
    """Of features, of the filter and of what is kept; cases and objects around it are seen through."""
    path = edited(
        tmp_path,
        ("{field: dep_delay, kind: number, missing: 0,", "{field: Dep_Delay, kind: number, missing: 0,"),
        ("{field: weekend, kind: boolean}", "{field: weekend, kind: boolean, missing: false}"),
        ("field: carrier,", "field: airline,"),
        ("layout: merge, field: delay", "layout: only, field: delay, keep: [idd]"),
    )
    path.write_text(path.read_text() + "when: distanc == null or 'x' in tag\n")
    flights = [{**orjson.loads(value), "of": {"airline": "AA"}, "tag": None} for value in flight_values()[:30]]
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(orjson.dumps({**one, "weekend": None}) for one in flights))
    told = {one["field"]: (one["message"], one["hint"]) for one in linted(path, "--sample", events)["findings"]}
    assert told["model.inputs.features[0]"] == ("no event has a field `Dep_Delay`: 0.0 stands in",
                                               "did you mean `dep_delay`?")  # fmt: skip
    assert told["model.inputs.carrier"][1] == "did you mean `of.airline`?"
    assert told["output.keep[0]"] == ("no event has a field `idd`", "did you mean `id`?")
    assert told["when"] == ("`tag` is null in all events", "")
    assert (
        told["model.inputs.features[4]"][0] == "`weekend` is absent or null in 100.00% of the events: false stands in"
    )
    lines = onelane("lint", path, "--sample", events).stdout.decode().splitlines()
    assert lines[0] == f"{path}: fine, {len(told) + 1} warnings"
    assert any(
        line.endswith(":1: warning: when: no event has a field `distanc`; did you mean `distance`?") for line in lines
    )


def test_a_filter_that_no_event_passes_is_worth_a_word(tmp_path: Path) -> None:
    """Nothing else would tell."""
    path = edited(tmp_path)
    path.write_text(path.read_text() + "when: distance > 100000\n")
    events = tmp_path / "events.jsonl"
    events.write_bytes(b"\n".join(SAMPLE[:10]))
    (one,) = linted(path, "--sample", events)["findings"]
    assert (one["field"], one["severity"], one["message"]) == ("when", "warning", "no event is for the model")


@pytest.mark.parametrize(
    ("content", "words", "code"),
    [
        (b"", "events.jsonl: no events", ExitCode.PIPELINE),
        (b"\n\n", "events.jsonl: no events", ExitCode.PIPELINE),
        (b"id,distance\n1,2\n", "all 2 events of the sample would be dead letters", ExitCode.REFUSED),
    ],
)
def test_a_sample_that_says_nothing_is_a_finding(content: bytes, words: str, code: ExitCode, tmp_path: Path) -> None:
    """Neither an empty one nor one of which nothing is left passes for a check."""
    path = edited(tmp_path)
    events = tmp_path / "events.jsonl"
    events.write_bytes(content)
    found = linted(path, "--sample", events)
    assert found["code"] == code
    assert [one["message"].endswith(words) for one in found["findings"]] == [True]
    done = onelane("lint", path, "--sample", events)
    assert (done.returncode, words in done.stderr.decode()) == (code, True)


@pytest.mark.parametrize("schema", ["flights.avsc", "flights.proto"])
def test_fields_are_held_to_a_schema_file(schema: str, tmp_path: Path) -> None:
    """One that it lacks can be in no event; the filter's too."""
    name = {"flights.avsc": "avro", "flights.proto": "protobuf"}[schema]
    path = edited(
        tmp_path,
        ("format: json,", f"format: {name}, schema: {FLIGHTS / schema},"),
        ("field: origin,", "field: orgin,"),
    )
    path.write_text(path.read_text() + "when: dest.code == 'JFK' or distance > 5\notherwise: drop\n")
    found = linted(path)
    assert found["code"] == ExitCode.REFUSED
    told = {one["field"]: (one["message"], one["hint"]) for one in found["findings"]}
    assert told["model.inputs.origin"] == ("the schema of events has no field `orgin`", "did you mean `origin`?")
    assert told["when"][0] == "the schema of events has no field `dest.code`"
    assert len(told) == 2
    (path.parent / "pipeline.case.yaml").write_text("cases: [{name: a, base64: AA==, expect: {}}]")
    places = "".join(
        f"{path}:{one['line']}:{one['column']}: {one['field']}: {one['message']}; {one['hint']}".removesuffix("; ")
        + "\n"
        for one in found["findings"]
    )
    for command in ("run", "enrich", "test", "explain"):
        done = onelane(command, path)
        assert (done.returncode, done.stdout) == (ExitCode.REFUSED, b"")
        logged = command == "run"
        said = orjson.loads(done.stderr.splitlines()[-1])["error"] + "\n" if logged else done.stderr.decode()
        assert said.removeprefix("onelane: ") == places


def test_what_only_a_registry_knows_may_change(tmp_path: Path) -> None:
    """But as which schema Avro events are read is settled where a file says it."""
    spec = loaded(tmp_path).spec
    cases = [("avro", "a.avsc", "", 3), ("avro", "a.avsc", "u", 3), ("avro", None, "u", 0)]
    cases += [("protobuf", "a.proto", "", 3), ("protobuf", "a.proto", "u", 0)]
    for name, file, url, count in cases:
        given = msgspec.structs.replace(spec.input, format=name, schema=file)
        made = msgspec.structs.replace(spec, input=given, registry={"url": url} if url else {})
        schema = Schema(name.upper(), AVRO if name == "avro" else PROTO)
        assert len(impossible(made, schema)) == count, (name, file, url)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (("format: json,", "format: avro, schema: pipeline.yaml,"), "input.schema", "the schema of flights won't do"),
        (
            ("{field: origin, kind: category, vocabulary: {}, unknown: 0}",
             "{fields: [origin], kind: python, function: 'hook.py:make'}"),
            "model.inputs.origin.function",
            "the mapping refuses the values that its own features make up: ValueError: no (hook.py:2)",
        ),
        (("models/delay.tflite", "stateful"), "model.path", "keeps state between calls"),
    ],
)  # fmt: skip
def test_what_only_a_start_finds_has_its_place_too(
    change: tuple[str, str], field: str, words: str, tmp_path: Path
) -> None:
    """For programs as for people."""
    (tmp_path / "hook.py").write_text("def make(columns):\n    raise ValueError('no')\n")
    old, new = (part.replace("{}", str(FLIGHTS / "origins.txt")) for part in change)
    if new == "stateful":
        old, new = str(FLIGHTS / old), str(ROOT / "tests" / "models" / "stateful.tflite")
    path = edited(tmp_path, (old, new))
    found = linted(path)
    (told,) = [one for one in found["findings"] if one["field"] == field]
    assert words in told["message"]
    assert (found["code"], told["path"]) == (ExitCode.REFUSED, str(path))
    assert (told["line"], told["column"]) > (1, 1)
    assert f"{path}:{told['line']}:{told['column']}: {field}: " in onelane("lint", path).stderr.decode()
    assert f"{path}:{told['line']}:{told['column']}: {field}: " in onelane("enrich", path).stderr.decode()


AVRO = """{"type": "record", "name": "Order", "fields": [
  {"name": "user", "type": ["null", {"type": "record", "name": "User", "fields": [
     {"name": "country", "type": "string"}, {"name": "friend", "type": ["null", "User"]}]}]},
  {"name": "items", "type": {"type": "array", "items": {"type": "record", "name": "Item", "fields": [
     {"name": "price", "type": "double"}, {"name": "tags", "type": {"type": "array", "items": "string"}}]}}},
  {"name": "more", "type": {"type": "map", "values": "long"}}]}"""
PROTO = """syntax = "proto3"; import "google/protobuf/timestamp.proto";
message Order { message User { string country = 1; User friend = 2; }
  message Item { double price = 1; repeated string tags = 2; }
  User user = 1; repeated Item items = 2; map<string, int64> more = 3; google.protobuf.Timestamp at = 4; }"""
JSON = """{"properties": {"user": {"properties": {"country": {}, "friend": {"$ref": "#/properties/user"}}},
  "items": {"items": {"properties": {"price": {}, "tags": {"items": {"type": "string"}}}}},
  "more": {"type": "object"}, "either": {"anyOf": [{}]}}}"""


@pytest.mark.parametrize(("kind", "text"), [("AVRO", AVRO), ("PROTOBUF", PROTO), ("JSON", JSON)])
def test_a_schema_is_followed_into_what_it_holds(kind: str, text: str, tmp_path: Path) -> None:
    """Records, lists, unions and what holds itself; what may be anything is taken for granted."""
    there = ["user.country", "user.friend.friend.country", "items[3].price", "items[0].tags[1]", "more.x"]
    lacking = ["usr", "user.contry", "items[0].cost"]
    entries = "".join(f"      - {{field: '{field}', kind: number}}\n" for field in (*there, *lacking))
    spec = loaded(tmp_path, changed("      - {field: n, kind: number}\n", entries)).spec
    spec = msgspec.structs.replace(spec, input=msgspec.structs.replace(spec.input, format=kind.lower()))
    found = {one.path[-1]: (one.message, one.hint) for one in strangers(spec, Schema(kind, text))}
    assert [found[len(there) + place][0].split("`")[1] for place in range(3)] == lacking
    assert found[5][1] == "did you mean `user`?"
    assert found[6][1] == "did you mean `user.country`?"
    assert found[7][1].startswith("there are `items[0].price`, `items[0].tags`")
    assert set(found) - {5, 6, 7} == {8, 9}  # `c` and `t` of the stand-in


def test_integers_of_any_size_are_looked_at_too(tmp_path: Path) -> None:
    """Those that no float can hold have no place among lowest and highest, nor all of their digits in a warning."""
    path = edited(tmp_path)
    events = tmp_path / "events.jsonl"
    flights = [orjson.loads(value) for value in flight_values()[:4]]
    numbers = (5, 10**30, 10**400, -(10**400))
    changes = [{**one, "dest": number} for one, number in zip(flights, numbers, strict=True)]
    events.write_text("\n".join(map(json.dumps, changes)))
    found = linted(path, "--sample", events)
    (seen,) = [one for one in found["sample"]["fields"] if one["field"] == "dest"]
    assert (found["code"], seen["distinct"], seen["lowest"], seen["highest"]) == (ExitCode.DONE, 4, 5, 1e30)
    (words,) = [one["message"] for one in found["findings"] if one["field"] == "model.inputs.dest"]
    assert words.startswith("100.00% of `dest` are not in the vocabulary: ")
    assert len(words) < 250


def test_odd_numbers_are_worth_a_word(tmp_path: Path) -> None:
    """A constant, a scale that is far off, a clip that cuts, an end of a quantised type."""
    path = edited(
        tmp_path,
        (str(FLIGHTS / "models/delay.tflite"), str(FLIGHTS / "models/delay_int8.tflite")),
        ("{field: distance, kind: number, mean: 1046, std: 737}",
         "{field: distance, kind: number, mean: 9000000, std: 737, clip: [0, 200]}"),
    )  # fmt: skip
    events = tmp_path / "events.jsonl"
    flight = orjson.loads(flight_values()[0])
    events.write_bytes(b"\n".join(orjson.dumps(flight | {"distance": 100 + 10 * row}) for row in range(30)))
    warnings = [one["message"] for one in linted(path, "--sample", events)["findings"]]
    assert "63.33% of `distance` are outside `clip`" in warnings
    assert "`distance` is 245 on average, far from the 9e+06 that it is scaled by" in warnings
    assert any(words.endswith("the model learns nothing from it") for words in warnings)
    assert any("lie at the ends of what `features` (int8[?, 7]) can hold" in words for words in warnings)


def test_editors_have_a_schema_that_takes_every_example_and_refuses_what_lint_does(tmp_path: Path) -> None:
    """By a validator of YAML that nobody here wrote."""
    wrong = edited(tmp_path, ("layout: merge", "layout: marge"))
    command = [sys.executable, "-m", "check_jsonschema", "--schemafile", str(SCHEMA)]
    fine = subprocess.run([*command, *map(str, PIPELINES)], capture_output=True, text=True, check=False, timeout=60)
    assert len(PIPELINES) >= 5
    assert fine.returncode == 0, fine.stdout
    refused = subprocess.run([*command, str(wrong)], capture_output=True, text=True, check=False, timeout=60)
    assert refused.returncode == 1
    assert "'marge' is not one of ['merge', 'nest', 'only']" in refused.stdout
