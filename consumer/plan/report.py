"""The plan on a terminal."""

from collections.abc import Iterator, Sequence
from typing import Literal

from rich.console import Console
from rich.table import Table

from consumer.plan.measured import Abreast
from consumer.plan.shape import Plan
from consumer.plan.words import bytes_of, left_out_of, rate_of, seconds_of, settings_of, title_of, us_of


def show(plan: Plan, console: Console) -> None:
    """Print tables: what was measured, the trap, and what to deploy."""
    measured = plan.measured
    machine = measured.machine
    console.print(
        f"[bold]{plan.pipeline}[/], model {plan.model}, {machine.engine}, {machine.cores} x {machine.processor}"
    )
    console.print(
        f"loaded in {seconds_of(measured.load_seconds)}; one more interpreter takes "
        f"{seconds_of(measured.interpreter_seconds)} and {bytes_of(measured.memory.interpreter)}; measured for "
        f"{measured.seconds:.0f} s with {measured.events.count} events ({measured.events.source})\n"
    )
    console.print(_batches(plan))
    for rows in sorted({one.rows for one in measured.abreast}):
        console.print(_abreast([one for one in measured.abreast if one.rows == rows], machine.cores, rows))
    console.print(_settings(plan))
    for words in left_out_of(plan):
        console.print(f"[dim]not measured: {words}[/]", highlight=False)
    for words in plan.warnings:
        console.print(f"[yellow]warning:[/] {words}", highlight=False)
    for step in plan.steps:
        console.print(f"[green]next:[/] {step.what} ({step.basis}): {step.effect}", highlight=False)


def _batches(plan: Plan) -> Table:
    rows = (
        (
            f"{one.rows}{' *' if one.rows == plan.recommended.rows else ''}",
            us_of(one.model_us),
            us_of(one.codec_us),
            rate_of(one.rate),
            seconds_of(one.median_seconds),
            seconds_of(one.p99_seconds),
        )
        for one in plan.measured.batches
    )
    head = ("rows a batch", "model, us an event", "codec, us an event", "events/s", "a batch, median", "99 %")
    return _table("Batches: one process, one thread, without Kafka (* recommended)", head, rows)


def _abreast(found: Sequence[Abreast], cores: int, rows: int) -> Table:
    best = max(one.rate for one in found)
    alone = next((one.rate for one in found if one.replicas == 1 and one.threads == 1), best)
    lines = (
        (
            f"{one.replicas} x {one.threads}{' *' if one.replicas == cores and one.threads == 1 else ''}",
            rate_of(one.rate),
            f"{one.rate / alone:.2f}",
            seconds_of(one.median_seconds),
            seconds_of(one.p99_seconds),
            us_of(one.cpu_us),
        )
        for one in found
    )
    head = ("replicas x threads", "machine, rows/s", "by 1 x 1", "a batch, median", "99 %", "processor, us a row")
    what = "one row at a time" if rows == 1 else f"batches of {rows}"
    return _table(f"The thread trap: the model alone, {what}, {cores} cores (* onelane's way)", head, lines)


def _settings(plan: Plan) -> Table:
    return _table(title_of(plan), ("what", "value", "why"), settings_of(plan))


def _table(title: str, head: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", show_edge=False, pad_edge=False)
    for place, name in enumerate(head):
        # On a narrow terminal, what does not fit goes on below: a name that is cut says nothing.
        side: Literal["left", "right"] = "left" if place == 0 or len(head) == 3 else "right"  # noqa: PLR2004 - prose
        table.add_column(name, justify=side, overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
