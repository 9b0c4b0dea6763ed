"""docs/scaling.md: its figures are those of the plans beside it, and what it says of the command is so."""

import re
import shlex

import click
import msgspec
import pytest

from bench.scaling import FOLDER, PAGE, PLANS, drawn, filled, measured
from consumer.cli.plan import command
from consumer.plan.capacity import recommend
from tests.support.command import ROOT

TEXT = PAGE.read_text(encoding="utf-8")


def test_tables_are_those_of_the_plans() -> None:
    """`python -m bench.scaling` writes both; nobody edits a figure by hand."""
    plans = measured()
    assert filled(TEXT, plans) == TEXT
    first = plans["attention"].measured.batches[0]
    altered = msgspec.structs.replace(first, model_us=first.model_us + 100)
    found = msgspec.structs.replace(plans["attention"].measured, batches=[altered])
    plans["attention"] = msgspec.structs.replace(plans["attention"], measured=found)
    assert filled(TEXT, plans) != TEXT


def test_plots_are_those_of_the_plans() -> None:
    """Each that the page shows is drawn from what was measured."""
    pictures = drawn(measured())
    shown = re.findall(r"!\[\]\(scaling/([^)]+)\)", TEXT)
    assert sorted(shown) == sorted(pictures)
    for name, picture in pictures.items():
        assert (FOLDER / name).read_text(encoding="utf-8") == picture


@pytest.mark.parametrize("name", PLANS)
def test_recommendations_are_what_the_formulae_give_today(name: str) -> None:
    """A formula that changes makes the page stale: `python -m bench.scaling` renews it."""
    plan = measured()[name]
    assert recommend(plan.wanted, plan.measured, plan.limits) == plan.recommended


def test_each_table_is_there() -> None:
    """A mark without a table would show nothing."""
    marks = re.findall(r"<!-- (?:trap|batches|settings) \w+ -->\n(.)", TEXT)
    assert marks == 4 * ["|"]


def test_the_trap_is_what_the_page_says() -> None:
    """One thread each and a replica a core carry most; twice as many greedy ones carry less, and take longer."""
    cores = measured()["attention"].measured.machine.cores
    found = {(one.replicas, one.threads): one for one in measured()["attention"].measured.abreast if one.rows == 1}
    ours, greedy = found[cores, 1], found[2 * cores, 2 * cores]
    assert ours.rate > greedy.rate
    assert ours.p99_seconds < greedy.p99_seconds


def test_commands_and_options_are_there() -> None:
    """Those of the first example, and each option in the text."""
    (line,) = re.findall(r"^\$ onelane plan (.+)$", TEXT, re.MULTILINE)
    assert command.make_context("plan", shlex.split(line)).params["ordinary"] == 20_000
    known = {name for option in command.params for name in option.opts if isinstance(option, click.Option)}
    assert set(re.findall(r"`(?:plan )?(--[a-z]+)", TEXT)) - {"--draw"} <= known


def test_links_lead_somewhere() -> None:
    """Within the project."""
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert "://" in target or (ROOT / "docs" / target).exists(), target
