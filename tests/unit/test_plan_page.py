"""The page of a plan, its plots, and what the terminal shows."""

import io
import re
from xml.etree import ElementTree as ET

import msgspec
import pytest
from rich.console import Console

from consumer.plan.figures import batches, capacity, trap
from consumer.plan.page import page
from consumer.plan.report import show
from consumer.plan.shape import Plan
from consumer.plan.svg import OURS, WARNING, WIDTH, Bar, Chart, drawn
from consumer.plan.words import as_json, bytes_of, rate_of, seconds_of, settings_of, us_of
from tests.support.plans import WANTED, abreast, asked, batch, measured, plan

SVG = "{http://www.w3.org/2000/svg}"
TOGETHER = [
    abreast(1, 1, 800.0, rate=1250.0),
    abreast(1, 2, 900.0, rate=1400.0),
    abreast(2, 1, 810.0, rate=2450.0),
    abreast(2, 2, 1500.0, rate=1300.0),
    abreast(1, 1, 700.0, rows=16, rate=1400.0),
    abreast(2, 1, 710.0, rows=16, rate=2800.0),
]
PLAN = plan(WANTED, measured([batch(1, 800.0), batch(16, 700.0)], TOGETHER))
ODD = msgspec.structs.replace(PLAN, pipeline='a<b>&"c"@1', warnings=["<script>alert(1)</script>"])


def test_a_narrow_terminal_cuts_no_word() -> None:
    """What does not fit goes on in the next line."""
    out = io.StringIO()
    show(PLAN, Console(file=out, width=60))
    assert "\N{HORIZONTAL ELLIPSIS}" not in out.getvalue()
    assert max(map(len, out.getvalue().splitlines())) <= 60


def texts(element: ET.Element) -> str:
    """Return all words of an element."""
    return " ".join(element.itertext())


def test_the_page_is_well_formed_and_needs_nothing_else() -> None:
    """No script, no link, nothing that is fetched; names stay words, whatever is in them."""
    made = page(ODD)
    root = ET.fromstring(made.removeprefix("<!DOCTYPE html>"))  # noqa: S314 - made here
    assert {element.tag.rpartition("}")[2] for element in root.iter()}.isdisjoint({"script", "link", "img", "iframe"})
    assert re.findall(r"https?://[^\"<]*", made) == ["http://www.w3.org/1999/xhtml"] + 4 * [
        "http://www.w3.org/2000/svg"
    ]
    assert 'a<b>&"c"@1' in texts(root)
    assert "<script>alert(1)</script>" in texts(root)


def test_the_page_has_every_figure_of_the_json() -> None:
    """As they are there, to the last digit."""
    root = ET.fromstring(page(PLAN).removeprefix("<!DOCTYPE html>"))  # noqa: S314 - made here
    shown = texts(root)
    figures = re.findall(r"-?\d+(?:\.\d+)?(?:e-?\d+)?", as_json(PLAN))
    assert len(figures) > 80
    assert [figure for figure in figures if figure not in shown] == []


def test_the_page_shows_settings_warnings_and_steps() -> None:
    """Not only in the figures at its end."""
    head = page(PLAN).partition("<h2>All figures</h2>")[0]
    root = ET.fromstring(f"{head}</body></html>".removeprefix("<!DOCTYPE html>"))  # noqa: S314 - made here
    shown = texts(root)
    for what, value, why in settings_of(PLAN):
        assert what in shown
        assert value in shown
        assert why in shown
    for words in [*PLAN.warnings, *(step.effect for step in PLAN.steps)]:
        assert words in shown


def test_the_trap_has_a_bar_for_each_combination() -> None:
    """As long as its rate; onelane's way in its colour, and more threads than cores in that of a warning."""
    root = ET.fromstring(trap(PLAN, 1))  # noqa: S314 - made here
    bars = [bar for bar in root.findall(f"{SVG}rect") if bar.get("height") == "18"]
    lengths = [float(bar.get("width") or 0) for bar in bars]
    assert len(bars) == 2 + 4
    desk, machine = lengths[:2], lengths[2:]
    assert desk[1] / desk[0] == pytest.approx(900 / 800, rel=0.01)
    assert [length / max(machine) for length in machine] == pytest.approx([0.51, 0.571, 1.0, 0.531], abs=0.01)
    assert [bar.get("fill") for bar in bars[2:]].count(OURS) == 1
    assert bars[4].get("fill") == OURS
    assert bars[5].get("fill") == WARNING
    assert "2,450/s" in texts(root)


def test_nothing_is_drawn_beyond_the_edge() -> None:
    """Bars stay within the picture, and leave room for the words at their right."""
    for picture in (trap(PLAN, 1), trap(PLAN, 16), batches(PLAN), capacity(PLAN)):
        for bar in ET.fromstring(picture).findall(f"{SVG}rect")[1:]:  # noqa: S314 - made here
            assert float(bar.get("x") or 0) + float(bar.get("width") or 0) < WIDTH - 150


def test_words_of_a_plot_stay_words() -> None:
    """Whatever is in them."""
    chart = Chart("a<b", "c&d", [Bar("<e>", [(1.0, OURS)], '"f"')])
    assert texts(ET.fromstring(drawn([chart], "g<h"))).split() == ["g<h", "a<b", "c&d", "<e>", '"f"']  # noqa: S314


def test_the_terminal_shows_the_same_settings() -> None:
    """With the trap, what was left out, and the warnings."""
    out = io.StringIO()
    left = [
        "4 x 4 threads: no time was left",
        "8 x 1 threads: no memory for so many",
        "batches of 64: no time was left",
    ]
    left_out = msgspec.structs.replace(PLAN.measured, left_out=left)
    show(msgspec.structs.replace(PLAN, measured=left_out), Console(file=out, width=200))
    shown = out.getvalue()
    for what, value, _ in settings_of(PLAN):
        assert what in shown
        assert value in shown
    assert "not measured: 4 x 4 threads; batches of 64: no time was left (--seconds)\n" in shown
    assert "not measured: 8 x 1 threads: no memory for so many\n" in shown
    assert re.search(r"2 x 1 \*\s+│\s+2,450\s+│\s+1\.96", shown)
    assert [words for words in PLAN.warnings if words not in shown] == []


def test_the_json_reads_back() -> None:
    """By its own shape, of a version."""
    assert msgspec.json.decode(as_json(PLAN), type=Plan) == PLAN
    assert msgspec.json.decode(as_json(PLAN))["version"] == 1


def test_given_partitions_are_said_to_be_given() -> None:
    """And those recommended, why."""
    given = {what: why for what, _, why in settings_of(plan(asked(10.0, partitions=6)))}
    assert given["partitions"] == "as given"
    assert given["replicas"] == "under 1% of their cores at 10/s"
    recommended = {what: why for what, _, why in settings_of(PLAN)}
    assert recommended["partitions"].startswith("twice the replicas at the peak")


def test_figures_are_short() -> None:
    """Three digits, with their unit."""
    assert [seconds_of(seconds) for seconds in (0.0, 6.7e-5, 0.0045, 1.2345)] == ["0 us", "67 us", "4.5 ms", "1.23 s"]
    assert [us_of(cost) for cost in (0.12345, 12.345, 1234.5)] == ["0.123", "12.3", "1,234"]
    assert [rate_of(rate) for rate in (0.5, 9.876, 1234.5)] == ["0.50", "9.88", "1,234"]
    assert bytes_of(3 << 19) == "1.5 MiB"
