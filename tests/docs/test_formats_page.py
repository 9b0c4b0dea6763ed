"""docs/formats.md: its pipeline files load, its command prints what it says."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from consumer.cli.options import load_pipeline
from consumer.types import Enriched, PlainEvent
from tests.support.command import ROOT, onelane
from tests.support.flights import FLIGHTS, flight_values
from tests.support.formats import assembled
from tests.support.pipelines import GOOD

PAGE = (ROOT / "docs" / "formats.md").read_text()
SECTIONS = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"```console\n\$ onelane (.+)\n```", PAGE)


@pytest.mark.parametrize("section", SECTIONS)
def test_each_example_loads_as_part_of_a_pipeline_file(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings of the registry's client, which are checked too."""
    monkeypatch.setenv("REGISTRY_USER", "me")
    monkeypatch.setenv("REGISTRY_PASSWORD", "secret")
    yaml = YAML(typ="safe", pure=True)
    spec: dict[str, Any] = {**yaml.load(GOOD), **yaml.load(section)}
    (tmp_path / "flights.avsc").write_text((FLIGHTS / "flights.avsc").read_text())
    with (tmp_path / "pipeline.yaml").open("w") as file:
        yaml.dump(spec, file)
    assert load_pipeline(tmp_path / "pipeline.yaml").spec.name == "small"


def test_what_is_kept_stands_before_the_predictions(tmp_path: Path) -> None:
    """As the page shows it of the first flight; … stands for anything."""
    (section,) = [one for one in SECTIONS if "keep:" in one]
    (shown,) = re.findall(r"```json\n(.+)\n```", PAGE)
    output = YAML(typ="safe", pure=True).load(section)["output"]
    event = PlainEvent(flight_values()[0], key=b"EWR", timestamp=(1, 1385200800000))
    (made,) = assembled(tmp_path, {"output": output}).enrichers()().enrich([event])
    assert isinstance(made, Enriched)
    assert re.fullmatch(re.escape(shown).replace("…", "[^,]+"), made.value.decode())


def test_the_schema_of_enriched_records_is_printed() -> None:
    """As it is committed."""
    assert len(COMMANDS) == 1
    done = onelane(*shlex.split(COMMANDS[0]))
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (ROOT / "schemas" / "flights-enriched.avsc").read_bytes()
