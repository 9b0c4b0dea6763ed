"""``onelane dead-letters show``: one dead letter with all that it holds."""

import re
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Final

import click

from consumer.cli.dead_letters.options import Filters, filter_options, make_filters
from consumer.cli.dead_letters.view import dumps, letter_json, letter_table, make_console, value_text
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.deadletter.letter import Letter, parse
from consumer.deadletter.selection import Selection, Window
from consumer.exits import PipelineError, RefusedError
from consumer.formats import event_teller
from consumer.kafka.registry import SchemaRegistry
from consumer.kafka.topics import TopicReader, find_partitions
from consumer.pipeline.load import PipelineFile
from consumer.pipeline.spec import Pipeline
from consumer.records.envelope import FaultError
from consumer.types import NotYetError

# Seconds that a registry is given to say what a schema is; bytes can be looked at without it.
_PATIENCE: Final = 5.0


def _place(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d{1,10}):(\d{1,19})", text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no PARTITION:OFFSET of the dead-letter topic, such as 2:1048")
    return int(match[1]), int(match[2])


@click.command(name="show")
@pipeline_argument
@click.argument("place", required=False, callback=_place, metavar="[PARTITION:OFFSET]")
@filter_options
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--raw", is_flag=True, help="The value's bytes alone.")
def command(
    pipeline: Path,
    place: tuple[int, int] | None,
    *,
    as_json: bool,
    raw: bool,
    **given: Any,  # noqa: ANN401 - the options of filters
) -> None:
    """Show one dead letter.

    The one at PARTITION:OFFSET of the dead-letter topic, or the first that is meant.
    """
    filters = make_filters(given)
    if as_json and raw:
        raise click.UsageError("either --json or --raw, not both")
    if place is not None:
        if filters != Filters(Selection(), Window()):
            raise click.UsageError("either a place or filters, not both")
        filters = Filters(Selection(), Window(partitions=frozenset([place[0]]), first=place[1], last=place[1]))
    file = load_pipeline(pipeline)
    letter = _find(file.spec, filters, place)
    value = letter.record.value()
    if raw:
        sys.stdout.buffer.write(value or b"")
        return
    told = _told(file, value) if value else None
    if as_json:
        click.echo(dumps(letter_json(letter, told)))
    else:
        console = make_console()
        console.print(letter_table(letter))
        console.print()
        # A long line is the terminal's to fold: what is copied from it stays one line.
        console.print(value_text(value if told is None else told), markup=False, soft_wrap=True)


def _told(file: PipelineFile, value: bytes) -> bytes | None:
    """Return what a value of a format with schemas says, as JSON; None where it is shown as it is."""
    try:
        with ExitStack() as stack:
            registry = None
            if file.spec.registry:
                registry = stack.enter_context(closing(SchemaRegistry(file.spec.registry, _PATIENCE)))
            tell = event_teller(file, registry)
            return None if tell is None else tell(value)
    except (FaultError, NotYetError, RefusedError) as error:
        click.secho(f"its bytes are shown: {error}", fg="yellow", err=True)
        return None


def _find(spec: Pipeline, filters: Filters, place: tuple[int, int] | None) -> Letter:
    topic = spec.dead_letters.topic
    with TopicReader(spec, topic, find_partitions(spec, topic)[topic]) as reader:
        for record in reader.read(reader.spans(filters.window, reader.bounds())):
            letter = parse(record)
            if letter is None and place is not None:
                raise PipelineError(f"{topic} {place[0]}:{place[1]} was not written by onelane")
            if letter is not None and filters.selection.takes(letter):
                return letter
    where = f" at {place[0]}:{place[1]}" if place is not None else " that is meant"
    raise PipelineError(f"{topic}: no dead letter{where}")
