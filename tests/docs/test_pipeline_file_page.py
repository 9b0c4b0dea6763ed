"""docs/pipeline-file.md: every field of the pipeline file is there, with what it takes and what it says."""

import re

import pytest

from consumer.pipeline.schema import schema
from tests.support.command import ROOT

PAGE = (ROOT / "docs" / "pipeline-file.md").read_text()
SECTIONS: dict[str, str] = dict(re.findall(r"^## (.+)\n\n((?:(?!## ).*\n)+)", PAGE, re.MULTILINE))
# Those with fields of their own; the others are a list of values.
DEFINED = {name: one for name, one in schema()["$defs"].items() if "properties" in one}


def test_each_section_of_the_file_has_its_own() -> None:
    """Under its place in the file, each kind of feature and output among them."""
    assert len(SECTIONS) == len(DEFINED)
    assert {"The file", "input", "dead_letters.stop_after", "model.inputs: kind text", "tests"} < SECTIONS.keys()


@pytest.mark.parametrize("name", DEFINED)
def test_each_field_is_there_and_said(name: str) -> None:
    """In a row of its own, with no cell empty, in the section that has the words of the code."""
    (body,) = [text for text in SECTIONS.values() if text.startswith(f"{DEFINED[name]['description']}\n")]
    rows = [re.split(r"(?<!\\\\) \| ", line.strip("| ")) for line in body.splitlines() if line.startswith("| `")]
    assert [row[0].strip("`") for row in rows] == list(DEFINED[name]["properties"])
    assert all(len(row) == 4 and all(row) for row in rows)
    assert {row[0].strip("`") for row in rows if row[2] == "must be there"} == set(DEFINED[name]["required"])


def test_links_inside_lead_to_headings() -> None:
    """As GitHub names them."""
    anchors = {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in SECTIONS}
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links
    assert links <= anchors
