"""`onelane explain`: the way of one event, by the code that a worker runs."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.support.command import ROOT, onelane
from tests.support.flights import FLIGHTS, flight_values, flights_beside
from tests.support.formats import schema_of, written
from tests.support.pipelines import changed

FLIGHT = flight_values()[0]


def explained(pipeline: Path, value: bytes, *options: str) -> dict[str, Any]:
    """Explain an event for programs."""
    done = onelane("explain", pipeline, "--json", *options, stdin=value)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = orjson.loads(done.stdout)
    return told


@pytest.mark.parametrize("name", ["flights/pipeline", "flights/pipeline-int8", "payments/pipeline", "text/pipeline"])
def test_the_result_is_what_enrich_writes(name: str, tmp_path: Path) -> None:
    """And the model's stored answers are what it is made of."""
    pipeline = ROOT / "examples" / f"{name}.yaml"
    sample = pipeline.parent / "events.jsonl.gz"
    event = onelane("enrich", pipeline, "--input", sample, "--limit", "1", "--output", tmp_path / "out")
    assert event.returncode == 0
    first = (tmp_path / "out").read_text()
    with gzip.open(sample) as lines:
        line = next(lines)
    told = explained(pipeline, line)
    assert (told["became"], told["value"]) == ("enriched", orjson.loads(first))
    assert (
        onelane("explain", pipeline, stdin=line).stdout.decode().splitlines()[-1] == f"enriched     {first.strip()}"
    )
    assert all(one["stop"] > one["start"] for one in told["inputs"])


def test_each_feature_has_its_place_and_quantised_values_both_forms() -> None:
    """Columns side by side, what they read, what is stored, and what that stands for."""
    told = explained(FLIGHTS / "pipeline-int8.yaml", FLIGHT)
    features = [one for one in told["inputs"] if one["tensor"] == "features"]
    assert [(one["start"], one["stop"]) for one in features] == [(place, place + 1) for place in range(7)]
    delay = features[0]
    assert (delay["kind"], delay["fields"], delay["values"]) == ("number", ["dep_delay"], [4.0])
    assert delay["numbers"] == pytest.approx([(4.0 - 13.6) / 41.9], abs=0.05)
    assert isinstance(delay["stored"][0], int)
    minutes = next(one for one in told["outputs"] if one["tensor"] == "minutes")
    assert minutes["numbers"] == pytest.approx([told["value"]["delay"]["minutes"]])


@pytest.mark.parametrize(
    ("value", "cause", "inputs", "outputs"),
    [
        (b"{", "Malformed", 0, 0),
        (b'{"distance":"far"}', "WrongType", 0, 0),
        (b'{"distance":5}', "Missing", 10, 0),
    ],
)
def test_a_dead_letter_shows_how_far_it_came(value: bytes, cause: str, inputs: int, outputs: int) -> None:
    """And why no further."""
    told = explained(FLIGHTS / "pipeline.yaml", value)
    assert (told["became"], told["cause"]["code"]) == ("dead letter", cause)
    assert (len(told["inputs"]), len(told["outputs"])) == (inputs, outputs)


def test_an_event_that_is_not_for_the_model_and_parts_of_the_record(tmp_path: Path) -> None:
    """Key, headers and timestamp may be given."""
    pipeline = flights_beside(tmp_path, "when: \"@key == 'k' and @headers.h == 'v' and @timestamp == 5\"\n")
    options = ["--key", "k", "--header", "h=v", "--timestamp", "5"]
    assert explained(pipeline, FLIGHT)["became"] == "passed"
    assert explained(pipeline, FLIGHT, *options)["became"] == "enriched"
    wrong = onelane("explain", pipeline, "--header", "h", stdin=FLIGHT)
    assert (wrong.returncode, wrong.stderr) == (2, b"onelane: --header h: expected NAME=VALUE\n")


def test_for_people_in_lines() -> None:
    """One a step."""
    lines = onelane("explain", FLIGHTS / "pipeline.yaml", stdin=FLIGHT).stdout.decode().splitlines()
    assert lines[1] == "input        features[1]      number    distance = 529.0 -> -0.701493"
    assert lines[-1].startswith('enriched     {"id":76424,')
    dead = onelane("explain", FLIGHTS / "pipeline.yaml", stdin=b'{"distance":"far"}').stdout.decode()
    assert dead.startswith("dead letter  WrongType of field distance, at stage decode: ")


def test_of_several_events_it_asks_for_one() -> None:
    """Rather than to take them for one that is broken; one may be written over many lines, after a mark."""
    several = onelane("explain", FLIGHTS / "pipeline.yaml", stdin=b"\n".join(flight_values()[:3]))
    assert (several.returncode, several.stdout) == (2, b"")
    assert b"stdin: several events, a line each: give one of them" in several.stderr
    pretty = b"\xef\xbb\xbf" + orjson.dumps(orjson.loads(FLIGHT), option=orjson.OPT_INDENT_2)
    assert explained(FLIGHTS / "pipeline.yaml", pretty)["became"] == "enriched"


@pytest.mark.parametrize("name", ["avro", "protobuf"])
def test_predictions_of_other_formats_can_be_read(name: str, tmp_path: Path) -> None:
    """Beside the record, which is base64."""
    pipeline = flights_beside(tmp_path)
    given = f"format: {name}, schema: {FLIGHTS / ('flights.avsc' if name == 'avro' else 'flights.proto')},"
    pipeline.write_text(changed("format: json,", given, pipeline.read_text()))
    value = base64.b64encode(written(name, orjson.loads(FLIGHT), schema_of(name)))
    told = explained(pipeline, value)
    assert told["predictions"]["minutes"] == pytest.approx(0.4446967)
    assert told["predictions"]["late"] is False
    assert base64.b64decode(told["value"]).startswith(base64.b64decode(value))
    *_, predictions, _ = onelane("explain", pipeline, stdin=value).stdout.decode().splitlines()
    assert predictions.startswith('predictions  {"minutes":0.4446967')


def test_a_raw_event_is_base64() -> None:
    """As for `onelane enrich`."""
    pipeline = ROOT / "examples" / "image" / "pipeline-raw.yaml"
    picture = (ROOT / "examples" / "image" / "images.bin.gz").read_bytes()
    told = explained(pipeline, base64.b64encode(bytes(64)))
    assert told["became"] == "enriched"
    assert told["inputs"][0]["fields"] == ["@value"]
    wrong = onelane("explain", pipeline, stdin=picture)
    assert wrong.stderr.startswith(b"onelane: stdin: not base64")


@pytest.mark.parametrize("number", [10**30, 10**400])
def test_integers_of_any_size_keep_their_digits(number: int) -> None:
    """In what was read and in the record, for people and for programs."""
    event = orjson.loads(FLIGHT) | {"carrier": 0, "id": 1}
    value = json.dumps(event, separators=(",", ":")).replace('"carrier":0', f'"carrier":{number}').encode()
    done = onelane("explain", FLIGHTS / "pipeline.yaml", "--json", stdin=value)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [one["values"] for one in told["inputs"] if one["tensor"] == "carrier"] == [[number]]
    assert told["value"]["carrier"] == number
    shown = onelane("explain", FLIGHTS / "pipeline.yaml", stdin=value).stdout.decode()
    assert f"carrier = {str(number)[:31]}" in shown
    assert f'"carrier":{number},' in shown
