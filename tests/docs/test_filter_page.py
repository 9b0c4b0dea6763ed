"""docs/filter.md: its table is true, line by line, and its pipeline file loads."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from consumer.filter import Filter
from consumer.pipeline.expression import compile_expression
from consumer.records.json_reader import JsonReader
from consumer.types import DeadLetter, Enriched, Event, Filtered, PlainEvent, Result, outcome
from tests.support.command import ROOT
from tests.support.pipelines import GOOD, loaded

PAGE = (ROOT / "docs" / "filter.md").read_text()
ROWS = re.findall(r"^\| `(.+?)` \| `(\{.*?\})` \| (\w+) \|$", PAGE, re.MULTILINE)


class Model:
    """Enriches everything."""

    def enrich(self, events: Sequence[Event]) -> list[Result]:
        """Return the events' own values."""
        return [Enriched(event, event.value() or b"") for event in events]


def test_the_table_is_there() -> None:
    """And is as long as it looks."""
    assert len(ROWS) == 32


@pytest.mark.parametrize(("when", "event", "expected"), ROWS)
def test_each_line_of_the_table(when: str, event: str, expected: str) -> None:
    """What the page says becomes of an event does."""
    expression = compile_expression(when)
    reader = JsonReader(dict.fromkeys(expression.fields, Any), None)
    (result,) = Filter(expression, reader, Model(), drop=False).enrich([PlainEvent(event.encode())])
    assert said(result) == expected
    assert orjson.loads(event) == orjson.loads(result.event.value() or b"")


def test_its_pipeline_file_loads(tmp_path: Path) -> None:
    """As a part of one."""
    (part,) = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
    assert loaded(tmp_path, GOOD + part).spec.otherwise == "drop"


def said(result: Result) -> str:
    """Return what became of an event, in a word."""
    if isinstance(result, DeadLetter):
        return str(result.cause.code)
    return str(outcome(result)) if isinstance(result, Filtered) else "enriched"
