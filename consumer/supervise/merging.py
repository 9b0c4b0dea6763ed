"""Several workers' metrics as one page, each series with the number of its worker: pure.

Prometheus' text format wants all lines of a metric together, so the pages can't simply follow each other:
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from collections.abc import Iterable

from consumer.operate.metrics import WORKER


def merged(pages: Iterable[tuple[str, str]]) -> str:
    """Put pages together.

    Args:
        pages: the value of the label ``worker``, empty for a page whose series stay as they are; and the text, as
            prometheus_client writes it: each metric's HELP before all else of it.

    Returns:
        The text. Metrics are in the order in which they first come, series in that of the pages.
    """
    heads: dict[str, list[str]] = {}
    series: dict[str, list[str]] = {}
    for worker, text in pages:
        name, first = "", False
        for line in text.splitlines():
            if line.startswith("# HELP "):
                name = line.split(" ", 3)[2]
                first = name not in heads
                heads.setdefault(name, [])
                series.setdefault(name, [])
            if not line.startswith("#"):
                series[name].append(labelled(line, worker) if worker else line)
            elif first:
                heads[name].append(line)
    return "".join(f"{line}\n" for name, head in heads.items() for line in (*head, *series[name]))


def labelled(line: str, worker: str) -> str:
    """Return a series' line with the label ``worker`` before its others; names have neither spaces nor braces."""
    name, space, value = line.partition(" ")
    bare, brace, _ = name.partition("{")
    if not brace:
        return f'{name}{{{WORKER.name}="{worker}"}}{space}{value}'
    return f'{bare}{{{WORKER.name}="{worker}",{line[len(bare) + 1 :]}'
