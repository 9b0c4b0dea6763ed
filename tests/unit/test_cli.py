"""The command line in processes of its own: what it prints, and its exit codes."""

import gzip
import signal
import socket
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest

from consumer import __version__
from consumer.exits import MEANINGS, ExitCode, FatalBrokerError, OnelaneError, PipelineError, RefusedError
from consumer.pipeline.schema import schema
from tests.support.command import ROOT, onelane
from tests.support.flights import FLIGHTS, flight_values, flights_beside
from tests.support.formats import schema_of, written
from tests.support.pipelines import GOOD, changed, write

PIPELINE = FLIGHTS / "pipeline.yaml"


def variant(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the flights pipeline with changes; its other files are where they were."""
    text = PIPELINE.read_text()
    for old, new in [("models/delay.tflite", str(FLIGHTS / "models" / "delay.tflite")), *changes]:
        text = changed(old, new, text)
    for name in ("carriers.txt", "origins.txt", "destinations.txt"):
        text = text.replace(name, str(FLIGHTS / name))
    return write(folder, text)


def test_help_lists_the_commands() -> None:
    """Each with a line of what it does."""
    done = onelane("--help")
    assert done.returncode == 0
    for words in (b"run", b"enrich", b"lint", b"schema", b"Enrich events of a file or a topic, into a file."):
        assert words in done.stdout


def test_the_version_is_told() -> None:
    """The same as the package's."""
    assert onelane("--version").stdout.decode().strip() == f"onelane, version {__version__}"


@pytest.mark.parametrize("arguments", [["nonsense"], ["lint"], ["lint", "--nonsense", "x"], ["run", "a", "b"]])
def test_wrong_arguments_exit_2(arguments: Sequence[str]) -> None:
    """Nothing is done, and stderr says what is wrong."""
    done = onelane(*arguments)
    assert (done.returncode, done.stdout) == (ExitCode.PIPELINE, b"")
    assert b"Error" in done.stderr


@pytest.mark.parametrize("command", ["lint", "enrich"])
def test_a_missing_file_exits_2(command: str, tmp_path: Path) -> None:
    """In one line that names it."""
    done = onelane(command, tmp_path / "none.yaml")
    assert done.returncode == ExitCode.PIPELINE
    assert done.stderr.decode() == f"onelane: {tmp_path}/none.yaml: can't be read: No such file or directory\n"


def test_run_logs_its_end_with_the_code(tmp_path: Path) -> None:
    """As a daemon does: one JSON line, no traceback."""
    done = onelane("run", tmp_path / "none.yaml")
    assert done.returncode == ExitCode.PIPELINE
    (line,) = [orjson.loads(text) for text in done.stderr.splitlines()]
    assert (line["level"], line["code"]) == ("error", 2)
    assert "none.yaml: can't be read" in line["error"]


def test_an_address_that_is_taken_exits_2(tmp_path: Path) -> None:
    """Before the model is opened and a broker is asked; the message names file, line, field and reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        path = write(tmp_path, f"{GOOD}operate: {{http: '{address}'}}\n")
        done = onelane("run", path)
    assert done.returncode == ExitCode.PIPELINE
    (line,) = [orjson.loads(text) for text in done.stderr.splitlines()]
    assert line["error"] == f"{path}:17:11: operate.http: {address} can't be served: Address already in use"


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    """And exits 2."""
    path = write(tmp_path, changed("{topic: in}", "{topic: in"))
    done = onelane("lint", path)
    assert done.returncode == ExitCode.PIPELINE
    assert done.stderr.decode().startswith(f"onelane: {path}:3:7: not valid YAML: ")


def test_all_findings_are_told_kafka_settings_too(tmp_path: Path) -> None:
    """One a line, each with its place; the model's too, which is not there."""
    done = onelane("lint", write(tmp_path, GOOD + "  acks: 0\n  lingr.ms: 1\n"))
    assert done.returncode == ExitCode.PIPELINE
    model, *lines = done.stderr.decode().splitlines()
    assert ":6:3: model.path: " in model
    assert ":17:3: kafka.acks: the worker owns this setting" in lines[0]
    assert ":18:3: kafka.lingr.ms: " in lines[1]
    assert lines[1].endswith("did you mean `linger.ms`?")


def test_a_model_that_does_not_fit_exits_5(tmp_path: Path) -> None:
    """With the place in the pipeline file, and both sides."""
    path = variant(tmp_path, ("      - {field: weekend, kind: boolean}\n", ""))
    done = onelane("lint", path)
    assert done.returncode == ExitCode.REFUSED
    assert done.stderr.decode() == (
        f"onelane: {path}:9:5: model.inputs.features: 6 columns for the model's input `features` (float32[?, 7]), "
        "7 wide; one entry a column, in order\n"
    )


@pytest.mark.parametrize(
    ("content", "words", "code"),
    [(None, "can't be read: No such file", ExitCode.PIPELINE), (b"GIF89a..", "is no TensorFlow", ExitCode.REFUSED)],
)
def test_a_model_that_cannot_be_opened_is_named(
    tmp_path: Path, content: bytes | None, words: str, code: ExitCode
) -> None:
    """A missing file is the pipeline file's mistake, as with any file it names; one of something else is refused."""
    if content is not None:
        (tmp_path / "small.tflite").write_bytes(content)
    path = write(tmp_path, GOOD)
    done = onelane("lint", path)
    assert done.returncode == code
    assert f"onelane: {path}:6:3: model.path: model {tmp_path}/small.tflite {words}" in done.stderr.decode()
    done = onelane("run", path)
    assert done.returncode == code
    assert f"model {tmp_path}/small.tflite {words}" in done.stdout.decode() + done.stderr.decode()


def test_a_damaged_model_exits_5(tmp_path: Path) -> None:
    """With the engine named, not with a traceback."""
    content = (FLIGHTS / "models" / "delay.tflite").read_bytes()
    (tmp_path / "small.tflite").write_bytes(content[:8] + bytes(len(content) - 8))
    done = onelane("lint", write(tmp_path, GOOD))
    assert done.returncode == ExitCode.REFUSED
    assert b"model.path: model small@" in done.stderr
    assert b"litert" in done.stderr


def test_a_fatal_broker_error_exits_4() -> None:
    """With one line in the log."""
    script = (
        "import sys, consumer.cli.run as run\n"
        "from consumer.exits import FatalBrokerError\n"
        "def connect(*_): raise FatalBrokerError('no broker')\n"
        "run.connect = connect\n"
        "from consumer.cli import main\n"
        f"sys.argv = ['onelane', 'run', {str(PIPELINE)!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60, cwd=ROOT)
    lines = [orjson.loads(line) for line in done.stderr.splitlines() if line.startswith(b"{")]
    assert (done.returncode, lines[-1]["error"], lines[-1]["code"]) == (ExitCode.BROKER, "no broker", 4)


def test_each_error_has_its_code_and_each_code_a_meaning() -> None:
    """As the docs have them."""
    assert [error("x").code for error in (PipelineError, RefusedError, FatalBrokerError, OnelaneError)] == [
        2,
        5,
        4,
        5,
    ]
    assert MEANINGS.keys() == set(ExitCode)


def test_lint_says_what_it_found() -> None:
    """Model, engine, batches and topics."""
    done = onelane("lint", PIPELINE)
    assert (done.returncode, done.stderr.count(b"Traceback")) == (ExitCode.DONE, 0)
    lines = done.stdout.decode().splitlines()
    assert lines[0] == f"{PIPELINE}: fine"
    assert lines[1].startswith("model     delay@")
    assert lines[1].endswith(", in batches")
    assert lines[2].startswith("batch     up to 256 rows (rows), ")
    assert lines[3] == "formats   json -> json"
    assert lines[4] == "topics    flights -> flights-enriched, dead letters to flights-dead"


def test_schema_is_the_committed_file() -> None:
    """Byte for byte."""
    done = onelane("schema")
    assert orjson.loads(done.stdout) == schema()
    assert done.stdout == (ROOT / "schemas" / "pipeline.schema.json").read_bytes()


MIXED = b"\n".join([flight_values()[0], b"{", b"", flight_values()[1], b'{"distance":"far"}', b""])


def test_enrich_writes_records_to_stdout_and_dead_letters_to_a_file(tmp_path: Path) -> None:
    """In order, with a count at the end, since stderr is free for it."""
    dead = tmp_path / "dead.jsonl"
    done = onelane("enrich", PIPELINE, "--dead-letters", dead, stdin=MIXED)
    assert done.returncode == ExitCode.DONE
    records = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert [record["id"] for record in records] == [orjson.loads(value)["id"] for value in flight_values()[:2]]
    assert all(set(record["delay"]) == {"minutes", "late", "model", "pipeline"} for record in records)
    letters = [orjson.loads(line) for line in dead.read_bytes().splitlines()]
    assert [(letter["line"], letter["cause"]) for letter in letters] == [(2, "Malformed"), (5, "WrongType")]
    assert (letters[0]["text"], letters[1]["event"]) == ("{", {"distance": "far"})
    assert "4 events, 2 dead letters" in done.stderr.decode().splitlines()  # the engine may write there too


def test_enrich_takes_and_gives_binary_events_as_base64() -> None:
    """The bytes are those that a topic would have."""
    schema = schema_of("avro")
    events = [written("avro", orjson.loads(value), schema) for value in flight_values()[:3]]
    lines = b"\n".join(map(b64encode, events))
    pipeline = PIPELINE.with_name("pipeline-avro.yaml")
    done = onelane("enrich", pipeline, stdin=lines)
    assert (done.returncode, len(done.stdout.splitlines())) == (ExitCode.DONE, 3)
    for event, line in zip(events, done.stdout.splitlines(), strict=True):
        assert b64decode(line).startswith(event)
    done = onelane("enrich", pipeline, stdin=lines + b"\n{}\n")
    assert done.returncode == ExitCode.PIPELINE
    assert b"stdin:4: not base64" in done.stderr


def test_enrich_writes_dead_letters_to_stderr_by_default() -> None:
    """So that stdout is enriched records and nothing else."""
    done = onelane("enrich", PIPELINE, stdin=MIXED)
    assert (done.returncode, len(done.stdout.splitlines())) == (ExitCode.DONE, 2)
    letters = [line for line in done.stderr.splitlines() if line.startswith(b'{"line"')]
    assert [orjson.loads(line)["line"] for line in letters] == [2, 5]


def test_enrich_of_nothing_is_nothing() -> None:
    """An empty input is no mistake."""
    done = onelane("enrich", PIPELINE)
    assert (done.returncode, done.stdout) == (ExitCode.DONE, b"")


@pytest.mark.parametrize("options", [("--dead-letters", "/nowhere/dead.jsonl"), ("--dead-letters", "/dev/full")])
def test_a_file_that_can_not_be_written_is_told_in_one_line(options: tuple[str, str]) -> None:
    """With code 2 and no trace."""
    done = onelane("enrich", PIPELINE, *options, stdin=MIXED)
    assert done.returncode == ExitCode.PIPELINE
    (line,) = [text for text in done.stderr.decode().splitlines() if text]
    assert line.startswith("onelane: ")
    assert "No s" in line  # such file, or space


FILE_COMMANDS: list[list[str]] = [
    ["enrich", str(PIPELINE)],
    ["explain", str(PIPELINE)],
    ["lint", str(PIPELINE), "--sample", "/dev/stdin"],
    ["test", str(PIPELINE), "--record", "{}/x.case.yaml", "--sample", "/dev/stdin"],
    ["init", "--model", str(FLIGHTS / "models" / "delay.tflite"), "--sample", "/dev/stdin", "--output", "{}/x.yaml"],
]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_nothing_half_written(number: signal.Signals, tmp_path: Path) -> None:
    """A time-out, a service manager, a terminal that is closed: as Ctrl-C, with the code that shells know it by."""
    command = [sys.executable, "-m", "consumer", "enrich", str(PIPELINE), "--output", str(tmp_path / "out.gz")]
    command += ["--dead-letters", str(tmp_path / "dead")]
    pipe = subprocess.PIPE
    before = signal.signal(number, signal.SIG_DFL)  # under nohup it is ignored, and a process inherits that
    try:
        process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe)
    finally:
        signal.signal(number, before)
    with process:
        assert process.stdin is not None
        process.stdin.write(b"\n" * 200_000)  # more than a pipe holds: it reads, and waits for an event
        process.stdin.flush()
        assert len(list(tmp_path.glob(".*.part"))) == 2
        process.send_signal(number)
        _, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (128 + number, b"")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", FILE_COMMANDS, ids=lambda arguments: arguments[0])
def test_ctrl_c_ends_with_130_and_no_word(arguments: list[str], tmp_path: Path) -> None:
    """As shells and supervisors expect it; nothing half done is left."""
    command = [sys.executable, "-m", "consumer", *(word.format(tmp_path) for word in arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as process:
        assert process.stdin is not None
        process.stdin.write(b"\n" * 200_000)  # more than a pipe holds: it reads, and waits for an event
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    assert b"Traceback" not in error
    assert b"Aborted" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("packed", [False, True])
def test_a_reader_that_goes_away_ends_with_141_and_no_word(packed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """As of any program in a pipe; what is written beside is not there, since it is not whole."""
    events = tmp_path / "events"
    events.write_bytes(b"\n".join(flight_values()) if not packed else gzip.compress(b"\n".join(flight_values())))
    command = [sys.executable, "-m", "consumer", "enrich", str(PIPELINE), "--input", str(events)]
    command += ["--dead-letters", str(tmp_path / "dead")]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(1) == b"{"
        process.stdout.close()
        error = process.stderr.read()
        assert (process.wait(30), error) == (128 + signal.SIGPIPE, b"")
    assert [path.name for path in tmp_path.iterdir()] == ["events"]


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["lint", "wide.yaml"], "wide.yaml"),
        (["test", "pipeline.yaml"], "pipeline.case.yaml"),
        (["lint", "pipeline.yaml", "--sample", "wide.jsonl"], "wide.jsonl"),
        (["lint", "pipeline.yaml", "--sample", "big-end.jsonl"], "big-end.jsonl"),
        (["enrich", "pipeline.yaml", "--input", "wide.jsonl"], "wide.jsonl"),
        (["enrich", "pipeline.yaml", "--input", "wide.gz"], "wide.gz"),
        (["enrich", "pipeline.yaml"], "stdin"),
        (["explain", "pipeline.yaml"], "stdin"),
        (["init", "--model", str(FLIGHTS / "models/delay.tflite"), "--sample", "wide.jsonl"], "wide.jsonl"),
        (["lint", "labelled.yaml"], "wide.txt can't be read"),
    ],
)
def test_a_file_of_utf_16_is_told_in_one_line(arguments: list[str], file: str, tmp_path: Path) -> None:
    """Editors and shells of Windows write it; each of its lines would be another riddle."""
    values = b"\n".join(flight_values()[:3]).decode()
    text = flights_beside(tmp_path).read_text()
    (tmp_path / "labelled.yaml").write_text(changed(str(FLIGHTS / "carriers.txt"), "wide.txt", text))
    contents = {"wide.yaml": text, "pipeline.case.yaml": "cases: []", "wide.jsonl": values, "wide.txt": "UA\nAA\n"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(f"\ufeff{content}".encode("utf-16-le"))
    (tmp_path / "big-end.jsonl").write_bytes(f"\ufeff{values}".encode("utf-16-be"))
    (tmp_path / "wide.gz").write_bytes(gzip.compress((tmp_path / "wide.jsonl").read_bytes()))
    named = [str(tmp_path / one) if (tmp_path / one).is_file() else one for one in arguments]
    done = onelane(*named, stdin=(tmp_path / "wide.jsonl").read_bytes())
    told = done.stderr.decode().replace(f"{tmp_path}/", "")
    assert (done.returncode, told.count("\n")) == (ExitCode.PIPELINE, 1)
    assert told.endswith(f"{file}: not UTF-8: it begins with a UTF-16 byte-order mark; save it as UTF-8\n")
