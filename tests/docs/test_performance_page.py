"""docs/performance.md: its tables are those of the last run, and each of its plots is there."""

import re

import orjson

from bench.compare import RESULTS
from bench.page import PAGE, filled


def test_tables_are_those_of_the_results() -> None:
    """`make bench` writes both; nobody edits a figure by hand."""
    page = PAGE.read_text(encoding="utf-8")
    results = orjson.loads(RESULTS.read_bytes())
    assert filled(page, results) == page
    altered = orjson.loads(RESULTS.read_bytes())
    altered["taken"][0]["cpu_us"] += 1
    assert filled(page, altered) != page


def test_each_job_has_its_table_and_plot() -> None:
    """And no way lost an event, or wrote a wrong one."""
    page = PAGE.read_text(encoding="utf-8")
    taken = orjson.loads(RESULTS.read_bytes())["taken"]
    for job in {one["job"] for one in taken}:
        assert f"<!-- table {job} -->\n| way |" in page
    plots = re.findall(r"!\[\]\(([^)]+)\)", page)
    assert plots
    assert all((PAGE.parent / plot).stat().st_size > 0 for plot in plots)
    assert [one for one in taken if one["wrong"] or (one["missing"] and one["way"].startswith("onelane"))] == []
