"""`onelane plan` as a command: what it takes, what it writes, and one plan from end to end."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

import click
import jsonschema
import msgspec
import orjson
import psutil
import pytest
from click.testing import CliRunner

from consumer.cli import cli
from consumer.cli.plan import duration, rate
from consumer.exits import ExitCode, OnelaneError
from consumer.plan.capacity import best_batch, recommend
from consumer.plan.shape import Plan
from consumer.plan.words import as_json
from tests.support.command import ROOT, onelane
from tests.support.flights import FLIGHTS, flights_beside
from tests.support.topics import wait_until

PIPELINE = FLIGHTS / "pipeline.yaml"
CONTEXT = click.Context(click.Command("plan"))
OPTION = click.Option(["--rate"])


@pytest.mark.parametrize(
    ("text", "expected"), [("20000/s", 20_000), ("90/m", 1.5), ("1.8 / h", 0.0005), (" 86400/d ", 1), (None, None)]
)
def test_rates_are_events_in_a_time(text: str | None, expected: float | None) -> None:
    """A second, a minute, an hour, a day."""
    assert rate(CONTEXT, OPTION, text) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize("text", ["20000", "20000/x", "-1/s", "0/s", "many/s", "1e4/s", "", "1/s/s", "\u0661/s"])
def test_other_rates_are_refused(text: str) -> None:
    """With an example of what is meant."""
    with pytest.raises(click.BadParameter, match="such as 20000/s, got"):
        rate(CONTEXT, OPTION, text)


@pytest.mark.parametrize("text", ["1000000001/s", f"{'9' * 400}/s", "0.01/d"])
def test_rates_that_nobody_has_are_refused(text: str) -> None:
    """Before a minute is spent: what follows from them would fit neither arithmetic nor JSON."""
    with pytest.raises(click.BadParameter, match=r"must be within 1e-06 and 1,000,000,000 events a second"):
        rate(CONTEXT, OPTION, text)


def test_durations_are_those_of_pipeline_files() -> None:
    """With their unit, more than nothing, and a week at most."""
    assert duration(CONTEXT, OPTION, "1.5m") == 90.0
    assert duration(CONTEXT, OPTION, None) is None
    assert duration(CONTEXT, OPTION, "168h") == 7 * 86_400.0
    for text in ("60", "soon", "0s", "169h", f"{'9' * 400}h"):
        with pytest.raises(click.BadParameter):
            duration(CONTEXT, OPTION, text)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "'--rate'"),
        (["--rate", "fast"], "'--rate'"),
        (["--rate", "10/s", "--peak", "9/s"], "--peak: the peak is below --rate"),
        (["--rate", "10/s", "--peak", "9"], "'--peak'"),
        (["--rate", "10/s", "--drain", "1"], "'--drain'"),
        (["--rate", "10/s", "--overhead", "4"], "'--overhead'"),
        (["--rate", "10/s", "--partitions", "0"], "'--partitions'"),
        (["--rate", "10/s", "--partitions", "1000001"], "'--partitions'"),
        (["--rate", "10/s", "--brokers", "10001"], "'--brokers'"),
        (["--rate", "10/s", "--seconds", "nan"], "'--seconds': nan is no number"),
        (["--rate", "10/s", "--html", "-"], "'--html': expected a file's name"),
        (["--rate", "10/s", "--sample", "nowhere.jsonl"], "nowhere.jsonl: can't be read"),
        (["--rate", "10/s", "--sample", "/dev/null"], "--sample /dev/null: there are no events in it"),
        (
            ["--rate", "10/s", "--html", "nowhere/plan.html"],
            "nowhere/plan.html: can't be written: No such file",
        ),
        (
            ["--rate", "10/s", "--json", "nowhere/plan.json"],
            "nowhere/plan.json: can't be written: No such file",
        ),
        (["--rate", "10/s", "--html", str(PIPELINE)], "would be written over"),
        (["--rate", "10/s", "--html", str(PIPELINE.parent / "models/delay.tflite")], "would be written over"),
        (["--rate", "10/s", "--json", "a.json", "--html", "a.json"], "would be written twice"),
    ],
)
def test_wrong_arguments_exit_2_and_are_named(arguments: Sequence[str], words: str) -> None:
    """Before anything is measured; what is no matter of click's is told by an error that has the code."""
    done = CliRunner().invoke(cli, ["plan", str(PIPELINE), *arguments])
    code, told = done.exit_code, done.output
    if isinstance(done.exception, OnelaneError):
        assert done.output == ""
        code, told = done.exception.code, str(done.exception)
    assert code == ExitCode.PIPELINE
    assert words in told


def test_a_wrong_argument_ends_the_process_with_2() -> None:
    """Nothing is on stdout, one line on stderr."""
    done = onelane("plan", PIPELINE, "--rate", "10/s", "--html", "nowhere/plan.html")
    assert (done.returncode, done.stdout) == (ExitCode.PIPELINE, b"")
    assert done.stderr.decode().startswith("onelane: nowhere/plan.html: can't be written: No such file")


def test_a_plan_without_events_for_the_model_exits_5(tmp_path: Path) -> None:
    """A sample of dead letters measures nothing."""
    sample = tmp_path / "events.jsonl"
    sample.write_text('{"distance": "far"}\n' * 3)
    done = onelane("plan", PIPELINE, "--rate", "10/s", "--sample", sample)
    assert (done.returncode, done.stdout) == (ExitCode.REFUSED, b"")
    assert f"of 3 events ({sample}) none reaches the model: 3 would be dead letters" in done.stderr.decode()


class Made(NamedTuple):
    """What a plan wrote: tables, a page, and what is in its JSON."""

    shown: str
    page: str
    plan: Plan


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A plan of a small model in little time, with another one beside it: measured once."""
    folder = tmp_path_factory.mktemp("plan")
    page, told = folder / "plan.html", folder / "plan.json"
    asked = ("--rate", "20000/s", "--peak", "60000/s", "--sample", FLIGHTS / "events.jsonl.gz", "--seconds", "4")
    written = ("--compare", FLIGHTS / "pipeline-int8.yaml", "--json", told, "--html", page)
    done = onelane("plan", PIPELINE, *asked, *written, timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    return Made(done.stdout.decode(), page.read_text(), msgspec.json.decode(told.read_bytes(), type=Plan))


def test_a_plan_from_end_to_end(made: Made) -> None:
    """Tables, JSON and a page, which agree with each other and with themselves."""
    shown, page, plan = made
    measured, advised = plan.measured, plan.recommended
    assert [one.rows for one in measured.batches] == [1 << power for power in range(10)]
    for one in measured.batches:
        assert one.model_us > 0
        assert one.codec_us > 0
        assert one.rate > 0
        assert 0 < one.median_seconds <= one.p99_seconds
    assert {(1, 1), (measured.machine.cores, 1)} <= {(one.replicas, one.threads) for one in measured.abreast}
    for abreast in measured.abreast:
        assert abreast.rate > 0
        assert abreast.cpu_us > 0
        assert abreast.runs >= abreast.replicas
    assert (measured.events.source, measured.batched) == (str(FLIGHTS / "events.jsonl.gz"), True)
    assert measured.memory.process > 0
    assert measured.load_seconds > measured.interpreter_seconds > 0
    assert measured.memory.ahead > measured.events.bytes
    assert advised == recommend(plan.wanted, measured, plan.limits)
    assert advised.memory_request < advised.memory_limit
    assert advised.rows == best_batch(measured.batches, plan.limits.time, plan.wanted.kafka_us).rows
    assert advised.replicas_at_peak * advised.replica_carries >= 60_000
    assert "The thread trap" in shown
    assert f"{advised.lag_threshold:,}" in shown
    root = ET.fromstring(page.removeprefix("<!DOCTYPE html>"))  # noqa: S314 - made here
    assert f"{advised.lag_threshold:,}" in " ".join(root.itertext())


def test_a_plan_fits_the_schema_that_programs_read_it_by(made: Made) -> None:
    """schemas/plan.schema.json, to the last field."""
    schema = orjson.loads((ROOT / "schemas" / "plan.schema.json").read_bytes())
    jsonschema.validate(orjson.loads(as_json(made.plan)), schema)


def test_json_on_stdout_is_all_that_is_there(tmp_path: Path) -> None:
    """For programs; with what was asked for in it, and an overhead of one's own."""
    path = flights_beside(tmp_path, "when: distance > 100000\n")
    arguments = ("--rate", "60/m", "--drain", "2m", "--partitions", "12", "--overhead", "9us", "--seconds", "1")
    done = onelane("plan", path, *arguments, "--json", "-", timeout=120)
    assert (done.returncode, done.stderr) == (0, b"")
    wanted = msgspec.json.decode(done.stdout, type=Plan).wanted
    assert (wanted.rate, wanted.peak, wanted.drain, wanted.partitions) == (1.0, 1.0, 120.0, 12)
    assert wanted.kafka_us == pytest.approx(9.0)


def test_another_pipeline_is_compared(made: Made) -> None:
    """With the same events; its best batch is told, and what it would give."""
    plan = made.plan
    (other,) = plan.measured.compared
    assert (other.pipeline, other.model[:11]) == (str(FLIGHTS / "pipeline-int8.yaml"), "delay_int8@")
    assert other.batch.model_us > 0
    assert [step.basis for step in plan.steps if "pipeline-int8.yaml instead" in step.what] == ["measured"]


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_a_plan_that_is_broken_off_leaves_no_process_behind(by: signal.Signals) -> None:
    """Replicas are ended by their handles, or end when nobody is there any more to ask them."""
    command = [sys.executable, "-m", "consumer", "plan", str(PIPELINE), "--rate", "10/s", "--seconds", "3"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        plan = psutil.Process(process.pid)
        wait_until(lambda: len(plan.children()) > 1, 60, "replicas to be started")
        children = plan.children()
        process.send_signal(by)
        process.wait(30)
        wait_until(lambda: not any(child.is_running() for child in children), 30, "replicas to be gone")
    assert process.returncode == (130 if by is signal.SIGINT else -signal.SIGTERM)


def test_a_slow_model_is_run_a_few_times() -> None:
    """What it waits for counts, though the processor sees nothing of it; what there is no time for is named."""
    command = [sys.executable, "-m", "tests.support.slow_model", "plan", str(PIPELINE), "--rate", "5/s"]
    done = subprocess.run(
        [*command, "--seconds", "1", "--json", "-"],
        cwd=ROOT,
        env={**os.environ, "SLOW_MODEL_SECONDS": "0.1"},
        capture_output=True,
        timeout=120,
        check=True,
    )
    plan = msgspec.json.decode(done.stdout, type=Plan)
    measured = plan.measured
    assert measured.batches[0].rows == 1
    assert measured.batches[0].model_us >= 100_000
    assert sum(one.rows * one.runs for one in measured.batches) < 100
    assert any("batches of" in words for words in measured.left_out)
    assert measured.abreast
    assert plan.recommended.replica.rate <= 1e6 / 100_000 * plan.recommended.rows
    assert plan.recommended.replicas_at_peak * plan.recommended.replica_carries >= 5
