"""``onelane dead-letters list``: dead letters counted."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from consumer.cli.dead_letters.options import filter_options, make_filters
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
from consumer.kafka.topics import TopicReader, find_partitions


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
    with TopicReader(spec, topic, find_partitions(spec, topic)[topic]) as reader:
        spans = reader.spans(filters.window, reader.bounds())
        with closing(in_progress(reader.read(spans), spans, topic)) as records:
            for record in records:
                read += 1
                letter = parse(record)
                if letter is None:
                    foreign += 1
                elif filters.selection.takes(letter):
                    histogram.add(letter)
    others = read - foreign - histogram.total
    if as_json:
        click.echo(dumps({"topic": topic, "foreign": foreign, "others": others, **histogram_json(histogram)}))
    else:
        _show(topic, histogram, foreign, others)


def _show(topic: str, histogram: Histogram, foreign: int, others: int) -> None:
    console = make_console()
    of = f" of {histogram.total + others:,}" if others else ""
    console.print(f"[bold]{topic}[/bold]: {counted(histogram.total)}{of}")
    if histogram.total:
        console.print(histogram_table(histogram))
    if histogram.oldest is not None and histogram.newest is not None:
        console.print(f"the first {moment(histogram.oldest)}, the last {moment(histogram.newest)}")
    if foreign:
        console.print(f"left out: {counted(foreign, 'record')} not written by onelane")
