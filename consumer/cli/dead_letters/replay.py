"""``onelane dead-letters replay``: events given back, once what was wrong is mended."""

import logging
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import click

from consumer.assembly import assemble
from consumer.cli.dead_letters.options import MOST_REPLAYS, Filters, filter_options, make_filters
from consumer.cli.dead_letters.view import (
    counted,
    dumps,
    histogram_json,
    histogram_table,
    in_progress,
    make_console,
)
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.deadletter.reading import Most, Outcome, Reading
from consumer.deadletter.replay import Fate, Judge, Memory
from consumer.exits import ForcedError
from consumer.kafka.checks import Topics
from consumer.kafka.notes import ReplayNotes
from consumer.kafka.replay import Replay
from consumer.kafka.targets import ENRICHED, PUBLISHED, InputTarget, PipelineTarget, Target
from consumer.kafka.topics import TopicReader, look_at_topics, replay_name
from consumer.operate.logs import client_log, set_up_logs
from consumer.pipeline.load import PipelineFile
from consumer.types import Outcome as Filtering

_ROWS: Final = 1000
# Fates that need not be told where there are none.
_LEFT: Final = (Fate.UNSELECTED, Fate.DONE, Fate.SPENT, Fate.ELSEWHERE, Fate.FOREIGN)


@click.command(name="replay")
@pipeline_argument
@click.option(
    "--to",
    type=click.Choice(["input", "pipeline"]),
    default="input",
    show_default=True,
    help="input: events go into the input topic again, for all that read it. pipeline: events are enriched here, "
    "with the pipeline file as it is now, and written to the output topic.",
)
@filter_options
@click.option(
    "--max-replays",
    type=click.IntRange(min=1),
    default=MOST_REPLAYS,
    show_default=True,
    metavar="N",
    help="Leave those that were replayed so often.",
)
@click.option(
    "--restart",
    is_flag=True,
    help="Forget all that was replayed before, with whatever filters: it may be replayed again.",
)
@click.option("--yes", "--go", "for_real", is_flag=True, help="Do it; without this nothing is written.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(
    pipeline: Path,
    *,
    to: str,
    max_replays: int,
    restart: bool,
    for_real: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - the options of filters
) -> None:
    """Replay dead letters.

    Says what would be done, and does it with --yes.

    No dead letter is replayed twice: which ones were is remembered, whatever filters they were replayed with. A
    replay that was killed goes on where it ended.
    """
    set_up_logs(logging.WARNING)
    client_log().setLevel(logging.CRITICAL)  # what matters comes as an error
    filters = make_filters(given, replays=max_replays)
    file = load_pipeline(pipeline)
    topics = look_at_topics(file.spec)
    target, rows = _target(file, topics, to)
    with TopicReader(
        file.spec, file.spec.dead_letters.topic, topics.partitions[file.spec.dead_letters.topic]
    ) as reader:
        try:
            outcome = _replay(file, reader, target, filters, rows, restart=restart, for_real=for_real)
        except KeyboardInterrupt:
            raise ForcedError("stopped; the same command goes on where this one ended") from None
    if as_json:
        click.echo(dumps(_json(outcome, for_real=for_real)))
    else:
        _show(file, outcome, max_replays, for_real=for_real)


def _target(file: PipelineFile, topics: Topics, to: str) -> tuple[Target, int]:
    """Return where dead letters go to, and how many at once."""
    if to == "input":
        return InputTarget(file.spec, topics), _ROWS
    assembly = assemble(file)
    target = PipelineTarget(file.spec, topics, assembly.provenance, assembly.enrichers()().enrich)
    return target, assembly.rule.rows


def _replay(
    file: PipelineFile,
    reader: TopicReader,
    target: Target,
    filters: Filters,
    rows: int,
    *,
    restart: bool,
    for_real: bool,
) -> Outcome:
    spec = file.spec
    notes = ReplayNotes(reader, spec.dead_letters.topic, replay_name(spec))
    replay = Replay(notes, target)
    if for_real:
        replay.open()  # before anything is read: what a killed replay left open is decided then
    bounds = reader.bounds()
    if for_real and restart:
        replay.forget(bounds)
    spans = reader.spans(filters.window, bounds)
    memories = {partition: Memory() for partition in bounds} if restart else notes.read(bounds)
    judge = Judge(spec.name, spec.input.topic, filters.selection)
    most = Most(rows, spec.batch.bytes)

    @contextmanager
    def reading(doing: str) -> Iterator[Reading]:
        with closing(in_progress(reader.read(spans), spans, doing)) as records:
            yield Reading(records, spans, judge, memories, most=most, now=time.time_ns() // 1_000_000)

    if not for_real or isinstance(target, InputTarget):  # before the deed: afterwards, no warning is of use
        with reading("looking") as looked:
            outcome = replay.rehearse(looked)
        _warn(file, outcome)
        if not for_real:
            return outcome
    with reading("replaying") as looked:
        return replay.run(looked, memories, bounds)


def _warn(file: PipelineFile, outcome: Outcome) -> None:
    """Say what is likely in vain."""
    same = outcome.letters.counts["pipeline"][file.label]
    if same and outcome.results[PUBLISHED]:
        click.secho(
            f"{same:,} of them fell out of this very pipeline ({file.label}): without another model, workers would "
            "make dead letters of them again",
            fg="yellow",
            err=True,
        )


def _json(outcome: Outcome, *, for_real: bool) -> dict[str, object]:
    results, dead = outcome.results, _dead_again(outcome)
    return {
        "dry_run": not for_real,
        "replayed": outcome.letters.total,
        "published": results[PUBLISHED],
        "enriched": results[ENRICHED],
        **{str(what): results[what] for what in Filtering if results[what]},
        "dead_again": dead,
        "left": {fate.name.lower(): outcome.fates[fate] for fate in _LEFT},
        "letters": histogram_json(outcome.letters),
    }


def _dead_again(outcome: Outcome) -> dict[str, int]:
    other = {PUBLISHED, ENRICHED, *map(str, Filtering)}
    return {name: count for name, count in sorted(outcome.results.items()) if name not in other}


def _show(file: PipelineFile, outcome: Outcome, max_replays: int, *, for_real: bool) -> None:
    console = make_console()
    topic, letters = file.spec.dead_letters.topic, outcome.letters
    verb = "replayed" if for_real else "would be replayed"
    console.print(f"[bold]{topic}[/bold]: {counted(letters.total)} {verb}")
    if letters.total:
        console.print(histogram_table(letters, console.width))
        console.print(_became(file, outcome, "" if for_real else "would be "))
    left = [_left(fate, outcome.fates[fate], max_replays) for fate in _LEFT if outcome.fates[fate]]
    if left:
        console.print(f"left: {', '.join(left)}")
    if not for_real and letters.total:
        console.print("nothing was written: --yes does it")


def _became(file: PipelineFile, outcome: Outcome, mood: str) -> str:
    """Say where they went."""
    results, dead = outcome.results, _dead_again(outcome)
    if results[PUBLISHED]:
        return f"{mood}put into [bold]{file.spec.input.topic}[/bold]: {results[PUBLISHED]:,}"
    causes = ", ".join(f"{count:,} {name}" for name, count in dead.items())
    again = f"; {mood}dead again: {causes}" if dead else ""
    again += "".join(f"; {mood}{what}: {results[what]:,}" for what in Filtering if results[what])
    return f"{mood}enriched into [bold]{file.spec.output.topic}[/bold]: {results[ENRICHED]:,}{again}"


def _left(fate: Fate, count: int, max_replays: int) -> str:
    more = f" (--max-replays {max_replays})" if fate is Fate.SPENT else ""
    return f"{count:,} {fate}{more}"
