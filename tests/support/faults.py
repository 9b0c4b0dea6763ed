"""The table of faults survived: a line a test of tests/chaos, printed at the end of a run."""

from collections.abc import Sequence
from typing import NamedTuple


class Fault(NamedTuple):
    """What one test did to workers, and what became of the events.

    Attributes:
        what: the fault, in a few words.
        protocol: classic or consumer (KIP-848).
        delivery: exactly_once or at_least_once.
        times: how often it happened.
        events: how many events went in.
        missing: how many did not come out.
        doubled: how many came out more than once, to a read_committed reader.
        note: what else was measured, such as how long a reader waited.
    """

    what: str
    protocol: str
    delivery: str
    times: int
    events: int
    missing: int
    doubled: int
    note: str = ""


def table(faults: Sequence[Fault]) -> list[str]:
    """Return the lines of a table, a column a field."""
    rows = [Fault._fields, *([str(cell) for cell in fault] for fault in sorted(faults))]
    widths = [max(len(row[column]) for row in rows) for column in range(len(Fault._fields))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
