"""kind: time. RFC 3339 times (https://www.rfc-editor.org/rfc/rfc3339), read in a zone."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np

from consumer.deadletter.causes import Code
from consumer.features.column import REMEMBERED, Floats, Scale, cause, fill_missing
from consumer.pipeline.features import TimeFeature
from consumer.types import Cause

# Streams repeat their times (hours, or many events in one second): a look-up is ten times faster than the calendar.
_MOST: Final = 4096

_LEAP: Final = re.compile(r"(.{17})60(.*)")
_DAY: Final = 86_400.0
_SAMPLES_FROM: Final = datetime.fromisoformat("2024-01-01T00:00:00+00:00").timestamp()


class TimeColumn:
    """A part of a time, then scaled."""

    accepts: Any = str | None
    width = 1

    def __init__(self, feature: TimeFeature) -> None:
        self.field = feature.field
        self._missing = feature.missing
        self._scale = Scale(feature.mean, feature.std)
        self._part = _Parts(feature.part, ZoneInfo(feature.zone)).__getitem__

    def numbers(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        """Return the scaled column of parts."""
        try:
            column = np.fromiter(map(self._part, values), np.float64, len(values))
        except (msgspec.ValidationError, OverflowError):
            column = self._each(values, bad)
        fill_missing(column, self._missing, self.field, bad)
        return self._scale(column)

    def samples(self, count: int, random: np.random.Generator) -> list[Any]:
        """Return times of two years."""
        seconds = _SAMPLES_FROM + random.uniform(0, 2 * 365 * _DAY, count)
        return [datetime.fromtimestamp(second, ZoneInfo("UTC")).isoformat() for second in seconds.tolist()]

    def _each(self, values: Sequence[Any], bad: dict[int, Cause]) -> Floats:
        column = np.zeros(len(values))
        for row, text in enumerate(values):
            try:
                column[row] = self._part(text)
            except msgspec.ValidationError:
                bad.setdefault(row, cause(Code.BAD_TIME, f"not an RFC 3339 time: {text!r}", self.field))
            except OverflowError:  # year 1 or 9999, moved over the edge by its offset
                bad.setdefault(row, cause(Code.BAD_TIME, f"outside the calendar: {text!r}", self.field))
        return column


class _Parts(dict[str | None, float]):
    """The part of each time met lately, by the text of the time."""

    def __init__(self, part: str, zone: tzinfo) -> None:
        super().__init__()
        self._wanted = part
        self._zone = zone

    def __missing__(self, text: str | None) -> float:
        found = float("nan") if text is None else _part(_moment(text, self._zone), self._wanted, self._zone)
        if text is not None and len(text) > REMEMBERED:
            return found
        if len(self) >= _MOST:
            self.clear()
        self[text] = found
        return found


def _moment(text: str, zone: tzinfo) -> datetime:
    """Return a time; a leap second as the second before it, since no calendar here has a 60th.

    Raises:
        msgspec.ValidationError: it is none, or a 60th second where none can be: they are put in at the ends of months
            of UTC alone.
        OverflowError: it is outside the calendar.
    """
    try:
        return msgspec.convert(text, datetime)
    except msgspec.ValidationError:
        leap = _LEAP.fullmatch(text)
        if leap is None:
            raise
        moment = msgspec.convert(f"{leap[1]}59{leap[2]}", datetime)
        known = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment
        after = known.astimezone(UTC) + timedelta(seconds=1)
        if (after.day, after.hour, after.minute) != (1, 0, 0):
            raise
        return moment


def _part(moment: datetime, part: str, zone: tzinfo) -> float:
    local = moment.replace(tzinfo=zone) if moment.tzinfo is None else moment.astimezone(zone)
    if part == "weekday":
        return float(local.weekday())
    if part == "yearday":
        return float(local.timetuple().tm_yday)
    return float(getattr(local, part))
