"""``onelane run``: the daemon."""

import platform
import secrets
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import structlog

from consumer import __version__
from consumer.assembly import Assembly, assemble
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.cli.serving import serve
from consumer.cli.workers import how_many, supervise
from consumer.exits import ExitCode, OnelaneError, StoppedError, listed
from consumer.kafka.connect import Connection, connect
from consumer.kafka.registry import RegisteringRegistry, SchemaRegistry
from consumer.lane import OPEN_BYTES
from consumer.observer import Observers
from consumer.operate.figures import Figures
from consumer.operate.front import Front
from consumer.operate.logs import set_up_logs
from consumer.operate.memory import budget, limit
from consumer.operate.pulse import Doing, Pulse, WatchedInterpreter
from consumer.operate.watchdog import Watchdog
from consumer.supervise.tie import end_with, heart
from consumer.worker import Worker

_log = structlog.get_logger()

# Of the shutdown time-out, what open batches may take; the rest is for the last checkpoint and the group.
_DRAIN = 0.5


class _Ties(NamedTuple):
    """Descriptors that a supervisor gave a worker of its own; None of each where there is none."""

    listener: int | None
    heart: int | None

    def beat(self, pulse: Pulse) -> Callable[[], None]:
        """Return what tells the supervisor, if there is one, that this process lives."""
        if self.heart is None:
            return lambda: None
        return heart(self.heart, lambda: pulse.doing[0] is Doing.STARTING)


@click.command(name="run", epilog=listed())
@pipeline_argument
@click.option(
    "--instance",
    envvar="ONELANE_INSTANCE",
    metavar="NAME",
    help="Tells workers of one group apart; a worker that comes back under its name takes over at once. "
    "Random by default. [env: ONELANE_INSTANCE]",
)
@click.option(
    "--release", is_flag=True, help="Let partitions go on that were held for too many dead letters; each once."
)
@click.option(
    "--workers",
    callback=how_many,
    metavar="N|auto",
    help="Run so many workers, each a process of its own, and start those again that end; auto is one for each core "
    "that the container's quota or the process's affinity allows.",
)
@click.option("--supervisor", type=int, hidden=True, help="Process id of the supervisor that started this worker.")
@click.option("--listener", type=int, hidden=True, help="Descriptor of the socket to answer probes on.")
@click.option("--heart", "beats", type=int, hidden=True, help="Descriptor of the pipe to give signs of life to.")
def command(
    pipeline: Path,
    instance: str | None,
    *,
    release: bool,
    workers: int | None,
    supervisor: int | None,
    listener: int | None,
    beats: int | None,
) -> None:
    """Enrich a topic until a signal says stop."""
    if supervisor is not None:
        end_with(supervisor)
    set_up_logs()
    name = instance or secrets.token_hex(4)
    try:
        if workers is None:
            code = _run(pipeline, name, release=release, ties=_Ties(listener, beats))
        else:
            code = supervise(pipeline, workers, name, release=release)
    except StoppedError as stopped:
        _log.info("stopped", why=str(stopped))
        code = stopped.code
    except OnelaneError as error:
        _log.error("not able to go on", error=str(error), code=int(error.code))
        code = error.code
    except Exception:  # noqa: BLE001 - told with its trace, as a line of the log
        _log.exception("a bug of onelane")
        code = ExitCode.BUG
    sys.exit(code)


def _run(path: Path, instance: str, *, release: bool, ties: _Ties) -> ExitCode:
    file = load_pipeline(path, clients=True)
    timeout = file.spec.operate.shutdown_timeout
    pulse = Pulse(file.spec.operate.stuck_after)
    watchdog = Watchdog(timeout, pulse, beat=ties.beat(pulse))
    watchdog.start()
    front = Front(file.spec.name, pulse, watchdog.stopping)
    serve(file, front.pages, ties.listener)  # before the model is opened, so that a slow start shows
    assembly = assemble(file, RegisteringRegistry if file.spec.output.register else SchemaRegistry)
    front.meters.describe(_what_runs(assembly))
    connection = connect(file.spec, instance, assembly.provenance, pulse, watchdog.stopping)
    _log.info("started", **_start_line(assembly, connection, instance))
    figures = Figures(time.monotonic)
    worker = Worker(
        connection.broker,
        assembly.enrichers(lambda runner: WatchedInterpreter(runner, pulse, front.meters.invoked)),
        assembly.rule,
        checkpoint=file.spec.checkpoint,
        drain=_DRAIN * timeout,
        observer=Observers(figures, front.watcher, front.meters),
        filters=file.spec.when is not None,
        holds=assembly.hold_rule(release=release),
        sleep=pulse.sleep,
    )
    try:
        worker.run(watchdog.stopping)
    except Exception as error:
        # Here and not when the interpreter is taken down, where the watchdog could not end a call that hangs.
        watchdog.ending(error.code if isinstance(error, OnelaneError) else ExitCode.BUG)
        with suppress(Exception):
            connection.broker.abandon()
        raise
    _log.info("stopped", **figures.summary())
    return ExitCode.DONE


def _what_runs(assembly: Assembly) -> dict[str, str]:
    """Return what the metrics tell of it."""
    spec = assembly.file.spec
    return {
        "version": __version__,
        "model": assembly.model.label,
        "mapping": assembly.file.mapping,
        "engine": f"{assembly.engine.name} {assembly.engine.version}",
        "protocol": str(spec.kafka.get("group.protocol", "classic")),
        "delivery": spec.delivery,
    }


def _start_line(assembly: Assembly, connection: Connection, instance: str) -> dict[str, object]:
    """Say everything that matters, once."""
    spec, verdict = assembly.file.spec, assembly.verdict
    topics = (spec.input.topic, spec.output.topic, spec.dead_letters.topic)
    return {
        "onelane": __version__,
        "python": platform.python_version(),
        **connection.versions,
        "engine": f"{assembly.engine.name} {assembly.engine.version}",
        "model": assembly.model.label,
        "pipeline": assembly.file.label,
        "instance": instance,
        "invoke": "in batches" if verdict.batched else f"row by row: {verdict.why}",
        "row_microseconds": round(1e6 * verdict.row_seconds, 3),
        "at_once": verdict.at_once,
        "interpreters": "shared" if assembly.shared else "per lane",
        "batch": {"rows": verdict.rows, "bytes": int(spec.batch.bytes), "wait_seconds": float(spec.batch.wait)},
        "formats": f"{spec.input.format} -> {spec.output_format}",
        "topics": {topic: connection.topics.partitions[topic] for topic in topics},
        "protocol": spec.kafka.get("group.protocol", "classic"),
        "delivery": spec.delivery,
        "checkpoint_seconds": float(spec.checkpoint),
        "memory_budget_bytes": _budget(assembly, connection),
    }


def _budget(assembly: Assembly, connection: Connection) -> dict[str, int]:
    """Say how much memory this may take, with all partitions of the input and whatever the backlog."""
    spec = assembly.file.spec
    lanes = 1 if assembly.shared else connection.topics.partitions[spec.input.topic]
    made = budget(connection.buffers, OPEN_BYTES, spec.batch.bytes, lanes, assembly.interpreter_bytes())
    if (most := limit()) is not None and most < made.total:
        _log.warning(
            "the container's memory limit is below what this may come to take: raise it, or lower "
            "queued.max.messages.kbytes, queue.buffering.max.kbytes or batch.bytes",
            limit=most,
            budget=made.total,
        )
    return {"total": made.total, **msgspec.structs.asdict(made)}
