"""Figures and plots of docs/scaling.md: `python -m bench.scaling` measures, `--draw` makes them of what was measured.

Each is a plan as `onelane plan --json` writes it, in docs/scaling/.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from consumer.plan.figures import batches, trap
from consumer.plan.shape import Plan
from consumer.plan.words import rate_of, seconds_of, settings_of, us_of

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "scaling.md"
FOLDER: Final = ROOT / "docs" / "scaling"
FLIGHTS: Final = "examples/flights"
# Cores that others may keep busy.
QUIET: Final = 0.1
PLANS: Final[Mapping[str, list[str]]] = {
    "attention": ["bench/pipelines/attention.yaml", "--rate", "2000/s", "--peak", "8000/s"],
    "mixed": ["bench/pipelines/mixed.yaml", "--rate", "20000/s", "--peak", "60000/s"],
    "mixed_int8": ["bench/pipelines/mixed_int8.yaml", "--rate", "20000/s", "--peak", "60000/s"],
    "flights": [
        *(f"{FLIGHTS}/pipeline.yaml", "--sample", f"{FLIGHTS}/events.jsonl.gz"),
        *("--rate", "20000/s", "--peak", "60000/s"),
    ],
}


def main() -> None:
    """Measure, unless told not to, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", action="store_true", help="measure nothing")
    parser.add_argument("--plans", nargs="+", choices=PLANS, default=list(PLANS))
    parser.add_argument("--seconds", default="60")
    parser.add_argument("--tries", type=int, default=3, help="for a machine on which little else is done")
    arguments = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    if not arguments.draw:
        for name in arguments.plans:
            quietest(name, arguments.seconds, arguments.tries)
    plans = measured()
    for name, picture in drawn(plans).items():
        (FOLDER / name).write_text(picture, encoding="utf-8")
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), plans), encoding="utf-8")


def quietest(name: str, seconds: str, tries: int) -> None:
    """Measure until others left the machine alone, and keep the plan of the quietest minute."""
    path = FOLDER / f"{name}.json"
    best: Plan | None = None
    for _ in range(tries):
        options = [*PLANS[name], "--seconds", seconds, "--json", "-"]
        done = subprocess.run(
            [sys.executable, "-m", "consumer", "plan", *options], check=True, cwd=ROOT, stdout=subprocess.PIPE
        )
        plan = msgspec.json.decode(done.stdout, type=Plan)
        print(f"{name}: others kept {plan.measured.machine.busy} cores busy", flush=True)
        if best is None or plan.measured.machine.busy < best.measured.machine.busy:
            best = plan
            path.write_bytes(done.stdout)
        if best.measured.machine.busy < QUIET:
            return


def measured() -> dict[str, Plan]:
    """Return what was measured last."""
    return {name: msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=Plan) for name in PLANS}


def drawn(plans: Mapping[str, Plan]) -> dict[str, str]:
    """Return the plots by the names of their files."""
    return {
        "attention.svg": trap(plans["attention"], 1),
        "mixed.svg": trap(plans["mixed"], 1),
        "batches.svg": batches(plans["attention"]),
    }


def filled(page: str, plans: Mapping[str, Plan]) -> str:
    """Return the page with each mark, such as ``<!-- trap attention -->``, followed by its table."""
    for name, plan in plans.items():
        for what, table in (("trap", _trap), ("batches", _batches), ("settings", _settings)):
            mark = f"<!-- {what} {name} -->\n"
            text = mark + "\n".join(table(plan)) + "\n"
            page = re.sub(re.escape(mark) + r"(?:\|[^\n]*\n)*", partial(_put, text), page)
    sentences = {
        "machine": _machine(plans),
        "told attention": _told(plans["attention"]),
        "told mixed": _cached(plans["mixed"], plans["mixed_int8"]),
    }
    for mark, sentence in sentences.items():
        page = re.sub(rf"<!-- {mark} -->\n[^\n]*\n", partial(_put, f"<!-- {mark} -->\n{sentence}\n"), page)
    return page


def _machine(plans: Mapping[str, Plan]) -> str:
    machine = plans["attention"].measured.machine
    busy = ", ".join(f"{plan.measured.machine.busy:g}" for plan in plans.values())
    return (
        f"Measured on {machine.cores} cores of {machine.processor}, {machine.engine}, Python {machine.python}, where "
        f"other work kept {busy} cores busy meanwhile."
    )


def _told(plan: Plan) -> str:
    """Say in words what greedy replicas do to each other."""
    cores = plan.measured.machine.cores
    found = {(one.replicas, one.threads): one for one in plan.measured.abreast if one.rows == 1}
    ours, greedy, desk = found[cores, 1], found[2 * cores, 2 * cores], found[1, 1]
    return (
        f"{cores} replicas of one thread carry {ours.rate / desk.rate:.2f} times what one does. {greedy.replicas} of "
        f"{greedy.threads} threads carry {greedy.rate / ours.rate:.0%} of what those {cores} do, a row costs "
        f"{greedy.cpu_us / ours.cpu_us:.1f} times the processor time, and one in a hundred takes "
        f"{greedy.p99_seconds / ours.p99_seconds:.0f} times as long."
    )


def _cached(large: Plan, small: Plan) -> str:
    """Say in words when a second thread is worth it."""
    told = []
    for plan in (large, small):
        found = {(one.replicas, one.threads): one for one in plan.measured.abreast if one.rows == 1}
        told.append(f"{rate_of(found[1, 1].rate)}/s with one thread and {rate_of(found[1, 2].rate)}/s with two")
    best = max(one.rate for one in large.measured.batches)
    return (
        f"Alone, one row at a time, it does {told[0]}; its int8 form, of 0.6 MB, {told[1]}. In batches, one thread "
        f"does {rate_of(best)}/s, with decoding and encoding."
    )


def _put(text: str, _: re.Match[str]) -> str:
    return text


def _trap(plan: Plan) -> Iterator[str]:
    yield "| batch | replicas x threads | machine, rows/s | a batch, median | 99 % | processor, us a row |"
    yield "|---|---|---|---|---|---|"
    for one in plan.measured.abreast:
        combination = f"{one.replicas} x {one.threads}"
        ours = (one.replicas, one.threads) == (plan.measured.machine.cores, 1)
        times = f"{seconds_of(one.median_seconds)} | {seconds_of(one.p99_seconds)}"
        shown = f"**{combination}**" if ours else combination
        yield f"| {one.rows} | {shown} | {rate_of(one.rate)} | {times} | {us_of(one.cpu_us)} |"


def _batches(plan: Plan) -> Iterator[str]:
    yield "| rows a batch | model, us an event | codec, us an event | a batch, median |"
    yield "|---|---|---|---|"
    for one in plan.measured.batches:
        costs = f"{us_of(one.model_us)} | {us_of(one.codec_us)}"
        yield f"| {one.rows} | {costs} | {seconds_of(one.median_seconds)} |"


def _settings(plan: Plan) -> Iterator[str]:
    yield "| what | value | why |"
    yield "|---|---|---|"
    for row in settings_of(plan):
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    main()
