"""``onelane demo``: the whole way of an event, in a few seconds."""

import secrets
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from consumer.demo.show import Outcome, make_console, progress_bar, show_dead_letters, show_pairs, show_summary
from consumer.demo.stage import (
    ROLES,
    Plan,
    WorkerProcess,
    broken_events,
    example_events,
    example_folder,
    write_pipeline,
)
from consumer.exits import FatalBrokerError
from consumer.kafka.embedded import embedded_broker
from consumer.kafka.traffic import Feeder, Tap, make_topics
from consumer.types import Event

# The backlog: the example's events so many times over. The embedded broker keeps no more.
_ROUNDS: Final = 4
# The live part: so many events, at this rate.
_LIVE: Final = 600
_RATE: Final = 250.0
_PARTITIONS: Final = 6
_PATIENCE: Final = 60.0
# The embedded broker answers a fetch when its time is over, not when something comes.
_EMBEDDED_SETTINGS: Final[dict[str, str | int]] = {"fetch.wait.max.ms": 5}
_SENT: Final = "sent_ns"
_FIELD: Final = "delay"


@click.command(name="demo")
@click.option(
    "--bootstrap-servers",
    metavar="HOST:PORT",
    help="Run it on this broker, exactly once, in topics of its own; by default on an embedded one.",
)
def command(bootstrap_servers: str | None) -> None:
    """Show a real worker enrich real events, with a few broken ones among them."""
    console = make_console()
    with _broker(console, bootstrap_servers) as (bootstrap, plan), tempfile.TemporaryDirectory() as folder:
        _demo(console, bootstrap, plan, Path(folder))


@contextmanager
def _broker(console: Console, given: str | None) -> Iterator[tuple[str, Plan]]:
    if given is None:
        topics = dict(zip(ROLES, ("flights", "flights-enriched", "flights-dead"), strict=True))
        plan = Plan(topics, "at_least_once", _EMBEDDED_SETTINGS)
        with embedded_broker(plan.topics.values()) as bootstrap:
            console.print(
                "[bold]onelane demo[/bold] on an embedded broker (librdkafka's mock cluster), at least once: it "
                "stores no transactional offsets.\nLeft out, since it can't answer: whether the dead-letter topic "
                "takes messages as large as the input's."
            )
            yield bootstrap, plan
        return
    prefix = f"onelane-demo-{secrets.token_hex(3)}"
    topics = {role: f"{prefix}-{role.replace('_', '-')}" for role in ROLES}
    plan = Plan(topics, "exactly_once")
    make_topics(given, plan.topic_settings(), _PARTITIONS)
    console.print(f"[bold]onelane demo[/bold] on {given}, exactly once, in the topics {', '.join(topics.values())}")
    console.print("(they stay, to look at; delete them when you have)")
    yield given, plan


def _demo(console: Console, bootstrap: str, plan: Plan, folder: Path) -> None:
    example = example_folder()
    events = example_events(example)
    wrongs = {value: what for what, value in broken_events(events[0]).items()}
    feeder, tap = Feeder(bootstrap, plan.topics["input"]), Tap(bootstrap, list(plan.topics.values())[1:])
    pipeline = write_pipeline(example, folder, plan)
    backlog = _with_broken(events * _ROUNDS, list(wrongs))
    for value in backlog:
        feeder.send(value, _key(value))
    feeder.flush()
    console.print(
        f"{len(backlog):,} events wait in {plan.topics['input']}: {len(events):,} flights, {_ROUNDS} times over"
    )
    worker = WorkerProcess(pipeline, {"KAFKA_BOOTSTRAP_SERVERS": bootstrap}, folder / "worker.log")
    outcome = Outcome([], [], [], 0.0, 0)
    show = _Show(console, tap, worker, outcome, plan)
    try:
        show.backlog(len(backlog))
        show.live(feeder, events[:_LIVE])
    finally:
        code = worker.stop()
        tap.close()
    if code:
        raise FatalBrokerError(
            f"the worker ended with code {code}: {worker.line('not able to go on').get('error', '')}"
        )
    show_pairs(console, _telling_pairs(events, outcome.enriched), _FIELD)
    show_dead_letters(console, outcome.dead, wrongs)
    show_summary(console, len(backlog) + _LIVE, outcome, worker.line("stopped"))


class _Show:
    """Reads what the worker writes, and shows how far it is."""

    def __init__(self, console: Console, tap: Tap, worker: WorkerProcess, outcome: Outcome, plan: Plan) -> None:
        self._console = console
        self._tap = tap
        self._worker = worker
        self._outcome = outcome
        self._dead = plan.topics["dead_letters"]

    def backlog(self, count: int) -> None:
        """Wait until the backlog is through, and take its time."""
        with progress_bar(self._console) as bar:
            task = bar.add_task("through the backlog", total=count)
            deadline = time.monotonic() + _PATIENCE
            while not self._done():
                self._read(0.05, deadline)
            first, before = time.monotonic(), self._done()
            while self._done() < count:
                self._read(0.05, deadline)
                bar.update(task, completed=self._done())
        self._outcome.backlog_seconds = time.monotonic() - first
        self._outcome.backlog_events = count - before
        self._console.print(f"the backlog is through in {self._outcome.backlog_seconds:.2f} s")

    def live(self, feeder: Feeder, events: Sequence[bytes]) -> None:
        """Send events at a steady rate and take the time of each."""
        target = self._done() + len(events)
        with progress_bar(self._console) as bar:
            task = bar.add_task(f"live, {_RATE:.0f} events/s", total=len(events))
            start = time.monotonic()
            deadline = start + _PATIENCE
            for number, value in enumerate(events):
                while (wait := start + number / _RATE - time.monotonic()) > 0:
                    self._read(wait, deadline)
                feeder.send(value, _key(value), [(_SENT, str(time.monotonic_ns()).encode())])
                bar.update(task, completed=len(self._outcome.latencies))
            feeder.flush()
            while self._done() < target:
                self._read(0.05, deadline)
            bar.update(task, completed=len(events))
        self._console.print(f"{len(events):,} more events live, {_RATE:.0f} a second")

    def _done(self) -> int:
        return len(self._outcome.enriched) + len(self._outcome.dead)

    def _read(self, seconds: float, deadline: float) -> None:
        for record in self._tap.read(seconds):
            (self._outcome.dead if record.topic() == self._dead else self._outcome.enriched).append(record)
            for name, value in record.headers() or ():
                if name == _SENT and value is not None:
                    self._outcome.latencies.append((time.monotonic_ns() - int(value)) / 1e9)
        self._worker.check()
        if time.monotonic() > deadline:
            raise FatalBrokerError(f"the records did not come within {_PATIENCE:.0f} s")


def _with_broken(events: Sequence[bytes], broken: Sequence[bytes]) -> list[bytes]:
    """Put broken events among the others, evenly."""
    step = len(events) // (len(broken) + 1)
    mixed = list(events)
    for number, value in enumerate(broken, 1):
        mixed.insert(number * step, value)
    return mixed


def _key(value: bytes) -> bytes:
    """Take the carrier for a key without decoding: broken events have one too."""
    _, found, rest = value.partition(b'"carrier":"')
    return rest[:2] if found else b"?"


def _telling_pairs(events: Sequence[bytes], enriched: Sequence[Event]) -> list[tuple[bytes, bytes]]:
    """Return three events with their enriched records: one in time, one late, one without a departure."""
    found: dict[bytes, tuple[bytes, bytes]] = {}
    after = {value.partition(b',"delay":')[0]: value for record in enriched if (value := record.value())}
    for event in events:
        value = after[event[:-1]]
        kind = b"null" if b'"dep_delay":null' in event else value.partition(b'"late":')[2][:4]
        found.setdefault(kind, (event, value))
    return list(found.values())[:3]
