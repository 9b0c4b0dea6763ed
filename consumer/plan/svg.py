"""Bars in SVG, made by hand: a page needs nothing else, and a daemon carries no plotting library."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final, NamedTuple

OURS: Final = "#1b6ca8"
OTHERS: Final = "#c4c9ce"
SECOND: Final = "#8ab6d6"
WARNING: Final = "#c65d3b"
_INK: Final = "#24292f"
_QUIET: Final = "#6a737d"

WIDTH: Final = 720
_GUTTER: Final = 160
_ROOM: Final = 210
_BAR: Final = 18
_STEP: Final = 26
_HEAD: Final = 48
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


class Bar(NamedTuple):
    """One line of a chart.

    Attributes:
        name: at its left.
        parts: lengths, each with its colour, one behind the other.
        words: at its right.
    """

    name: str
    parts: Sequence[tuple[float, str]]
    words: str

    @property
    def length(self) -> float:
        """All parts."""
        return sum(part for part, _ in self.parts)


class Chart(NamedTuple):
    """Bars on one scale.

    Attributes:
        title: what they show.
        under: how to read it.
        bars: from top to bottom.
    """

    title: str
    under: str
    bars: Sequence[Bar]


def drawn(charts: Sequence[Chart], named: str) -> str:
    """Return an SVG element with charts below each other.

    Args:
        charts: at least one, each with a bar at least.
        named: what it shows, for who can't see it.
    """
    parts: list[str] = []
    top = 0
    for chart in charts:
        parts += _chart(chart, top)
        top += _HEAD + _STEP * len(chart.bars) + 18
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {top}" width="{WIDTH}" height="{top}" '
        f'role="img" font-family="{escape(_FONT)}" font-size="13">\n<title>{escape(named)}</title>\n'
        f'<rect width="{WIDTH}" height="{top}" fill="#ffffff"/>\n' + "\n".join(parts) + "\n</svg>"
    )


def _chart(chart: Chart, top: int) -> Iterable[str]:
    yield _text(0, top + 16, chart.title, _INK, "font-weight='600' font-size='14'")
    yield _text(0, top + 34, chart.under, _QUIET, "font-size='12'")
    scale = (WIDTH - _GUTTER - _ROOM) / max(1e-12, *(bar.length for bar in chart.bars))
    for place, bar in enumerate(chart.bars):
        above = top + _HEAD + _STEP * place
        yield _text(_GUTTER - 10, above + 14, bar.name, _INK, "text-anchor='end'")
        at = float(_GUTTER)
        for part, colour in bar.parts:
            length = scale * part
            yield f'<rect x="{at:.1f}" y="{above}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>'
            at += length
        yield _text(at + 8, above + 14, bar.words, _QUIET)


def _text(x: float, y: float, words: str, colour: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" {more}>{escape(words)}</text>'
