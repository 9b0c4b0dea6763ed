"""Writes the tables of docs/performance.md and its plots from docs/performance.json: `python -m bench.page`."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

import orjson

from bench.compare import RESULTS
from bench.environments import environment
from bench.peers.check import ROOT

PAGE: Final = ROOT / "docs" / "performance.md"


def main() -> None:
    """Write page and plots."""
    results = orjson.loads(RESULTS.read_bytes())
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")
    plots = ROOT / "bench" / "plots.py"
    subprocess.run([environment("plots"), plots, RESULTS, RESULTS.with_suffix("")], check=True)


def filled(page: str, results: Mapping[str, Any]) -> str:
    """Return the page with each ``<!-- table JOB -->`` followed by that job's table."""
    for job in dict.fromkeys(one["job"] for one in results["taken"]):
        mark = f"<!-- table {job} -->\n"
        table = "\n".join(_table([one for one in results["taken"] if one["job"] == job]))
        page = re.sub(re.escape(mark) + r"(?:\|[^\n]*\n)*", partial(_put, f"{mark}{table}\n"), page)
    machine = results["machine"]
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    where = f"{machine['processor']}, {machine['cores']} cores, Python {machine['python']}, {packages}"
    told = f"<!-- machine -->\nMeasured on {machine['date']}: {where}.\n"
    return re.sub(r"<!-- machine -->\n[^\n]*\n", partial(_put, told), page)


def _put(text: str, _: re.Match[str]) -> str:
    return text


def _table(taken: list[dict[str, Any]]) -> Iterator[str]:
    ours = min(one["cpu_us"] for one in taken if one["way"].startswith("onelane"))
    yield "| way | CPU us an event | by onelane's | events/s | memory, MB | first record, s | lost | doubled |"
    yield "|---|---|---|---|---|---|---|---|"
    for one in sorted(taken, key=lambda row: row["cpu_us"]):
        cells = (
            one["way"],
            f"{one['cpu_us']:.1f}",
            f"{one['cpu_us'] / ours:.1f}",
            f"{one['rate']:,.0f}",
            f"{one['rss_mb']:.0f}",
            f"{one['first']:.1f}",
            one["missing"],
            one["doubled"],
        )
        yield f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    main()
