"""docs/guarantees.md: each fault has a note for whoever is on call."""

import re

import pytest

from tests.support.command import ROOT

PAGE = (ROOT / "docs" / "guarantees.md").read_text()
FAULTS = dict(re.findall(r"^### (.+)\n((?:(?!^##).*\n)+)", PAGE, re.MULTILINE))


def test_the_faults_are_told_one_by_one() -> None:
    """None is left out by how this test reads the page."""
    assert len(FAULTS) == PAGE.count("\n### ") > 10


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_a_note_for_whoever_is_on_call(fault: str) -> None:
    """In words that say what to do, or that there is nothing to do."""
    notes = re.findall(r"^\*\*On call:\*\* (.+)", FAULTS[fault], re.MULTILINE)
    assert notes
    assert min(map(len, notes)) > len("nothing")
