"""``onelane dead-letters list``: dead letters counted."""

import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.text import Text

from consumer.cli.dead_letters.options import MOST_REPLAYS, filter_options, make_filters
from consumer.cli.dead_letters.view import (
    counted,
    dumps,
    histogram_json,
    histogram_table,
    in_progress,
    make_console,
    moment,
)
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.deadletter.letter import parse
from consumer.deadletter.listing import Histogram
from consumer.deadletter.replay import Fate, Judge, Memory
from consumer.deadletter.selection import Span
from consumer.exits import OnelaneError
from consumer.kafka.notes import ReplayNotes
from consumer.kafka.topics import TopicReader, find_partitions, replay_name
from consumer.pipeline.spec import Pipeline


@click.command(name="list")
@pipeline_argument
@filter_options
@click.option("--json", "as_json", is_flag=True, help="For programs: all of the counts.")
def command(pipeline: Path, *, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - the options of filters
    """Count dead letters.

    By stage, cause, field, model, pipeline, partition and age.
    """
    filters = make_filters(given)
    spec = load_pipeline(pipeline).spec
    topic = spec.dead_letters.topic
    histogram = Histogram(time.time_ns() // 1_000_000)
    read = foreign = 0
    fates = Counter[Fate]()
    judge = Judge(spec.name, spec.input.topic, msgspec.structs.replace(filters.selection, replays=MOST_REPLAYS))
    with TopicReader(spec, topic, find_partitions(spec, topic)[topic]) as reader:
        bounds = reader.bounds()
        spans = reader.spans(filters.window, bounds)
        memories, unknown = _replayed(spec, reader, bounds)
        with closing(in_progress(reader.read(spans), spans, topic)) as records:
            for record in records:
                read += 1
                letter = parse(record)
                if letter is None:
                    foreign += 1
                elif filters.selection.takes(letter):
                    histogram.add(letter)
                    fates[judge.judge(record, memories[record.partition()])[0]] += 1
    others = read - foreign - histogram.total
    if as_json:
        replay = None if unknown else {fate.name.lower(): count for fate, count in fates.items()}
        told = {"topic": topic, "foreign": foreign, "others": others, "replay": replay}
        click.echo(dumps({**told, **histogram_json(histogram)}))
    else:
        console = make_console()
        _show(console, topic, histogram, foreign, others)
        if histogram.total:
            console.print(Text(unknown or f"for `replay`: {_fates(fates)}"))


def _replayed(spec: Pipeline, reader: TopicReader, bounds: Mapping[int, Span]) -> tuple[dict[int, Memory], str]:
    """Return what was replayed, and why that can't be told, if it can't: counting goes on without."""
    try:
        return ReplayNotes(reader, spec.dead_letters.topic, replay_name(spec)).glance(bounds), ""
    except OnelaneError as error:
        return {partition: Memory() for partition in bounds}, str(error)


def _fates(fates: Counter[Fate]) -> str:
    """Say what a replay would do with them, without options."""
    more = {Fate.SPENT: f" (--max-replays {MOST_REPLAYS})"}
    return ", ".join(f"{fates[fate]:,} {fate}{more.get(fate, '')}" for fate in Fate if fates[fate])


def _show(console: Console, topic: str, histogram: Histogram, foreign: int, others: int) -> None:
    of = f" of {histogram.total + others:,}" if others else ""
    console.print(f"[bold]{topic}[/bold]: {counted(histogram.total)}{of}")
    if histogram.total:
        console.print(histogram_table(histogram, console.width))
    if histogram.oldest is not None and histogram.newest is not None:
        console.print(f"the first {moment(histogram.oldest)}, the last {moment(histogram.newest)}")
    if foreign:
        console.print(f"left out: {counted(foreign, 'record')} not written by onelane")
