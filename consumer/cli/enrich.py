"""``onelane enrich``: the same code path, without a group: from a file or a sample of a topic, to a file."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import click

from consumer.assembly import assemble
from consumer.cli.options import load_pipeline, moment, pipeline_argument
from consumer.cli.progress import Progressing, progress
from consumer.cli.streams import compressed, keep_apart, opened, written
from consumer.exits import PipelineError
from consumer.files import FileBroker, Sink
from consumer.operate.figures import Figures
from consumer.operate.logs import set_up_logs
from consumer.pipeline.spec import Pipeline
from consumer.sources import Form, Lines, Sample, Source, newest
from consumer.worker import Worker

_NEVER = float("inf")
_SAMPLE = 1000

_file = click.Path(dir_okay=False, path_type=Path)


@click.command(name="enrich")
@pipeline_argument
@click.option("--input", "source", type=_file, metavar="FILE", help="Events; from stdin by default. May be gzipped.")
@click.option(
    "--output",
    "target",
    type=_file,
    metavar="FILE",
    help="Enriched records; to stdout by default. Gzipped if it ends in .gz; there whole or not at all.",
)
@click.option(
    "--dead-letters",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help="Where dead letters go, as JSON lines; to stderr by default. Written as --output is.",
)
@click.option(
    "--from-topic",
    is_flag=False,
    flag_value="",
    metavar="[TOPIC]",
    help="Events are the newest of a topic, by default the pipeline's input; nothing is committed.",
)
@click.option("--since", callback=moment, metavar="TIME", help="With --from-topic: the first ones since then.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"How many events; all of a file, {_SAMPLE} of a topic by default.",
)
def command(
    pipeline: Path,
    *,
    source: Path | None,
    target: Path | None,
    dead_letters: Path | None,
    from_topic: str | None,
    since: int | None,
    limit: int | None,
) -> None:
    """Enrich events of a file or a topic, into a file.

    Files hold JSON lines: line ends within an event of a topic become spaces. Events and records of other formats are
    base64, one a line. A batch is written when it has all of its rows, or when the input ends; batch.wait is for a
    worker.
    """
    if from_topic is None and since is not None:
        raise PipelineError("--since is for --from-topic")
    if from_topic is not None and source is not None:
        raise PipelineError("events come from --input or from --from-topic, not from both")
    if (source is None and from_topic is None and sys.stdin is None) or (target is None and sys.stdout is None):
        raise PipelineError("stdin and stdout have to be open")
    set_up_logs(logging.WARNING)  # stderr is for dead letters
    file = load_pipeline(pipeline, clients=from_topic is not None)
    keep_apart([pipeline, source, *file.files], [target, dead_letters])
    assembly, spec = assemble(file), file.spec
    figures = Figures(time.monotonic)
    with ExitStack() as stack:
        enter = stack.enter_context
        letters: Sink | None = None if dead_letters is None else enter(written(dead_letters))
        out: Sink = sys.stdout.buffer if target is None else enter(written(target))
        found = enter(_lines(source, spec) if from_topic is None else _sample(spec, from_topic, since, limit))
        events, stderr = enter(progress(found, limit, beside=target is None and sys.stdout.isatty()))
        broker = FileBroker(events, out, stderr if letters is None else letters, Form.of(spec.output_format))
        worker = Worker(
            broker,
            assembly.enrichers(),
            assembly.rule,
            checkpoint=_NEVER,
            drain=_NEVER,
            observer=figures,
            filters=spec.when is not None,
        )
        worker.run(lambda: False)
    if dead_letters is not None or sys.stderr.isatty():
        apart = "".join(f", {count} {what}" for what, count in figures.apart.items())
        click.echo(f"{figures.events} events, {figures.dead.total()} dead letters{apart}", err=True)


@contextmanager
def _lines(path: Path | None, spec: Pipeline) -> Iterator[Progressing]:
    """Open a file of events, or stdin."""
    form = Form.of(spec.input.format)
    if path is None:
        plain = compressed(cast("BinaryIO", sys.stdin.buffer), "stdin")
        yield Progressing(Lines(plain, "stdin", form), None, lambda: 0)
        return
    with opened(path) as (lines, size, at):
        yield Progressing(Lines(lines, str(path), form), size, at)


@contextmanager
def _sample(spec: Pipeline, topic: str, since: int | None, limit: int | None) -> Iterator[Progressing]:
    """Read some records of a topic."""
    from consumer.deadletter.selection import Window  # noqa: PLC0415 - no broker is asked for files
    from consumer.kafka.topics import TopicReader, find_partitions  # noqa: PLC0415

    name = topic or spec.input.topic
    most = limit or _SAMPLE
    with TopicReader(spec, name, find_partitions(spec, name)[name]) as reader:
        bounds = reader.bounds()
        spans = newest(bounds, most, reader.read) if since is None else reader.spans(Window(since=since), bounds)
        starts = {partition: start for partition, (start, _) in spans.items()}
        sample: Source = Sample(reader.read(spans), starts)
        total = min(most, sum(stop - start for start, stop in spans.values()))
        yield Progressing(sample, total, None)
