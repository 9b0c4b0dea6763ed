"""Options that say which dead letters are meant, shared by the three commands."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click
import msgspec

from consumer.cli.options import moment
from consumer.deadletter.causes import Code
from consumer.deadletter.selection import Selection, Window, parse_offsets
from consumer.exits import PipelineError
from consumer.types import Stage

# How often an event is replayed unless somebody wants it otherwise.
MOST_REPLAYS: Final = 3

Function = TypeVar("Function", bound=Callable[..., Any])


class Filters(msgspec.Struct, frozen=True):
    """Which dead letters are meant."""

    selection: Selection
    window: Window


def filter_options(function: Function) -> Function:
    """Add the options; the function gets what ``make_filters`` takes."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def make_filters(given: dict[str, Any], *, replays: int | None = None) -> Filters:
    """Make filters of the options' values."""
    first, last = given["offsets"]
    if given["since"] is not None and given["until"] is not None and given["since"] >= given["until"]:
        raise PipelineError("--since is not before --until: no dead letter can be between them")
    return Filters(
        Selection(
            causes=frozenset(map(str, given["causes"])),
            stages=frozenset(map(str, given["stages"])),
            models=frozenset(given["models"]),
            replays=replays,
        ),
        Window(
            partitions=frozenset(given["partitions"]),
            since=given["since"],
            until=given["until"],
            first=first,
            last=last,
        ),
    )


def _offsets(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int | None, int | None]:
    try:
        return (None, None) if text is None else parse_offsets(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


_OPTIONS = (
    click.option(
        "--cause",
        "causes",
        multiple=True,
        metavar="CAUSE",
        type=click.Choice([str(code) for code in Code]),
        help="Of this cause, such as OutOfRange; may be given more than once, as all but times and offsets.",
    ),
    click.option(
        "--stage",
        "stages",
        multiple=True,
        metavar="STAGE",
        type=click.Choice([str(stage) for stage in Stage]),
        help=f"Fell out there: {', '.join(Stage)}.",
    ),
    click.option(
        "--model",
        "models",
        multiple=True,
        metavar="NAME[@HASH]",
        help="Of this model; without its hash, of all of that name.",
    ),
    click.option(
        "--since",
        callback=moment,
        metavar="TIME",
        help="Dead since then: a time (UTC where no zone is given), or how long ago: 90s, 20m, 2h, 7d.",
    ),
    click.option("--until", callback=moment, metavar="TIME", help="Dead before then."),
    click.option(
        "--partition",
        "partitions",
        multiple=True,
        type=click.IntRange(min=0),
        metavar="N",
        help="In this partition of the dead-letter topic.",
    ),
    click.option(
        "--offsets",
        callback=_offsets,
        metavar="FROM..TO",
        help="At these offsets of the dead-letter topic, both meant with; either may be left out.",
    ),
)
