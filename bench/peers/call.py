"""How the scripts of all peers are called."""

import argparse
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

AT_LEAST_ONCE: Final = "at_least_once"
EXACTLY_ONCE: Final = "exactly_once"
# As the pipelines of onelane have it, where a peer's documentation leaves it open.
CHECKPOINT: Final = 0.1

_JOBS: Final = ("small", "mixed", "mixed_int8", "attention")
_REFUSED: Final = 2


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a script is asked to do.

    Attributes:
        bootstrap: the broker's address.
        source: the topic of the events.
        target: the topic of the enriched records.
        group: the consumer group.
        job: one of bench.peers.job.JOBS.
        exactly_once: whether results and offsets are to be one transaction.
        folder: for what a framework keeps on disk.
        batched: for peers that do it one event at a time otherwise.
    """

    bootstrap: str
    source: str
    target: str
    group: str
    job: str
    exactly_once: bool
    folder: Path
    batched: bool


def read_call(about: str | None, *, no_exactly_once: str = "", two_ways: bool = False) -> Call:
    """Read the command line; exits with 2 where it asks for what the peer lacks.

    Args:
        about: the script's docstring.
        no_exactly_once: why the peer has none, if so.
        two_ways: whether there is a --batched.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bootstrap", required=True, help="HOST:PORT")
    parser.add_argument("--input", required=True, help="topic")
    parser.add_argument("--output", required=True, help="topic")
    parser.add_argument("--group", required=True)
    parser.add_argument("--job", required=True, choices=_JOBS)
    parser.add_argument("--delivery", default=AT_LEAST_ONCE, choices=(AT_LEAST_ONCE, EXACTLY_ONCE))
    parser.add_argument("--folder", type=Path, help="for state")
    if two_ways:
        parser.add_argument("--batched", action="store_true")
    given = parser.parse_args()
    exactly_once = given.delivery == EXACTLY_ONCE
    if exactly_once and no_exactly_once:
        print(f"no exactly_once: {no_exactly_once}", file=sys.stderr)
        raise SystemExit(_REFUSED)
    return Call(
        bootstrap=given.bootstrap,
        source=given.input,
        target=given.output,
        group=given.group,
        job=given.job,
        exactly_once=exactly_once,
        folder=given.folder or Path(tempfile.mkdtemp(prefix=f"{given.group}-")),
        batched=two_ways and given.batched,
    )


def say_ready() -> None:
    """Tell the caller that consuming begins."""
    print("ready", flush=True)
