"""The plan as one page that needs nothing else: no scripts, no fonts, no pictures from elsewhere."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from consumer.plan.figures import LEGEND, batches, capacity, trap
from consumer.plan.shape import Plan
from consumer.plan.words import as_json, bytes_of, left_out_of, seconds_of, settings_of, title_of

_STYLE: Final = """
body { font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; color: #24292f;
  max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.15rem; margin-top: 2.2rem; }
.quiet { color: #6a737d; } .warning { border-left: 4px solid #c65d3b; padding-left: .8rem; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
th, td { padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #e4e7ea; vertical-align: top; }
td.value { font-weight: 600; white-space: nowrap; } td.quiet { overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; margin-top: 1rem; }
pre { font-size: .8rem; overflow-x: auto; background: #f6f8fa; padding: .8rem; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .35em 0 1em; }
"""
_TRAP: Final = (
    "More interpreter threads may make one inference faster, alone on a desk. Replicas that share a machine "
    "take them from each other. These are processes that run the model at the same time, pinned by nothing."
)


def page(plan: Plan) -> str:
    """Return the page, as HTML that is XML too."""
    title = f"Plan for {plan.pipeline}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{escape(_measured(plan))}</p>',
        f"<p>{escape(title_of(plan))}</p>",
        "<h2>What to deploy</h2>",
        _table(("what", "value", "why"), settings_of(plan)),
        capacity(plan),
        *_list("Warnings", [f'<p class="warning">{escape(words)}</p>' for words in plan.warnings]),
        "<h2>The thread trap</h2>",
        f"<p>{_TRAP}</p>",
        *(trap(plan, rows) for rows in sorted({one.rows for one in plan.measured.abreast})),
        "<h2>Batches</h2>",
        f"<p>{_legend()}</p>",
        batches(plan),
        *_list(
            "What to try next",
            [f"<p><b>{escape(step.what)}</b> ({step.basis})<br/>{escape(step.effect)}</p>" for step in plan.steps],
        ),
        *_list("Not measured", [f"<p>{escape(words)}</p>" for words in left_out_of(plan)]),
        "<h2>All figures</h2>",
        f"<details><summary>As --json gives them</summary>\n<pre>{escape(as_json(plan))}</pre></details>",
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en" xmlns="http://www.w3.org/1999/xhtml">\n<head>\n<meta charset="utf-8"/>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _measured(plan: Plan) -> str:
    measured = plan.measured
    machine, events = measured.machine, measured.events
    return (
        f"Model {plan.model}, {machine.engine}, Python {machine.python}, onelane {plan.onelane}; "
        f"{machine.cores} cores of {machine.processor}, of which others kept {machine.busy:g} busy. "
        f"{events.count} events ({events.source}) of {events.bytes:.0f} bytes. "
        f"Loaded in {seconds_of(measured.load_seconds)}; one more interpreter takes "
        f"{seconds_of(measured.interpreter_seconds)} and {bytes_of(measured.memory.interpreter)}. "
        f"Measured for {measured.seconds:.0f} s."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = "\n".join(
        f'<tr><td>{escape(name)}</td><td class="value">{escape(value)}</td><td class="quiet">{escape(why)}</td></tr>'
        for name, value, why in rows
    )
    return f"<table>\n<tr>{cells}</tr>\n{lines}\n</table>"


def _list(title: str, items: Sequence[str]) -> list[str]:
    return [f"<h2>{escape(title)}</h2>", *items] if items else []


def _legend() -> str:
    return "".join(f'<span class="key" style="background: {colour}"></span>{escape(name)}' for colour, name in LEGEND)
