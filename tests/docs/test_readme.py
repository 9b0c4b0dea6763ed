"""The README's pipeline file, layouts, commands and links are true."""

import gzip
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
from ruamel.yaml import YAML

from consumer.assembly import assemble
from consumer.cli import cli
from consumer.cli.dead_letters import list as dead_letters_list
from consumer.cli.dead_letters import replay as dead_letters_replay
from consumer.cli.dead_letters import show as dead_letters_show
from consumer.pipeline.load import load
from consumer.pipeline.schema import schema
from consumer.types import Enriched, PlainEvent

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "examples" / "flights"

PAGES = sorted(
    str(path.relative_to(ROOT))
    for folder in (".", "docs", "docs/decisions", "deploy", "examples")
    for path in (ROOT / folder).glob("*.md")
)

PIPELINE = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)[0]


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """The README's pipeline file beside the example's model and vocabularies."""
    folder = tmp_path / "flights"
    shutil.copytree(EXAMPLE, folder)
    path = folder / "readme.yaml"
    path.write_text(PIPELINE, encoding="utf-8")
    return path


def test_the_pipeline_file_loads_and_fits_its_model(pipeline: Path) -> None:
    """A reader may copy the file as it stands."""
    assert assemble(load(pipeline, {})).verdict.batched


def test_the_pipeline_file_shows_every_field_of_its_sections() -> None:
    """In full means in full: each field of each section that is not a kind of feature or output stands in it."""
    shown: dict[str, Any] = YAML(typ="safe", pure=True).load(PIPELINE)
    sections = {"Pipeline": shown} | {
        kind: shown[name]
        for name, kind in (
            ("input", "Input"),
            ("output", "Output"),
            ("dead_letters", "DeadLetters"),
            ("model", "Model"),
            ("batch", "Batch"),
            ("operate", "Operate"),
        )
    }
    definitions = schema()["$defs"]
    assert {kind: set(section) for kind, section in sections.items()} == {
        kind: set(definitions[kind]["properties"]) for kind in sections
    }


@pytest.mark.parametrize("layout", ["merge", "nest", "only"])
def test_the_layouts_are_those_shown(pipeline: Path, layout: str) -> None:
    """The shown event comes out in the shown shape, key by key."""
    block = README.partition("The same event in each layout:")[2]
    lines = dict(re.findall(r"^(event|merge|nest|only)\s+(\{.*\})$", block, re.MULTILINE))
    filled = lines[layout].replace('"model":…,"pipeline":…', '"model":"m","pipeline":"p"')
    needed = b',"distance":1,"sched_dep_time":1,"sched_arr_time":1,"time_hour":"2013-01-01T10:00:00Z"}'
    pipeline.write_text(PIPELINE.replace("layout: merge", f"layout: {layout}"), encoding="utf-8")
    enricher = assemble(load(pipeline, {})).enrichers()()
    (result,) = enricher.enrich([PlainEvent(lines["event"].encode()[:-1] + needed)])
    assert isinstance(result, Enriched)
    made = orjson.loads(result.value)
    for event in (made, made.get("event", {})):
        for name in ("distance", "sched_dep_time", "sched_arr_time", "time_hour"):
            event.pop(name, None)
    assert _shape(made) == _shape(orjson.loads(filled))


def _shape(value: object) -> object:
    """Return the keys in order and the types of what is under them."""
    if isinstance(value, dict):
        return [(name, _shape(inner)) for name, inner in value.items()]
    return type(value).__name__


def test_the_commands_exist() -> None:
    """Each `onelane …` that the README names is a command, and each `make …` a target."""
    commands = set(re.findall(r"(?:`|\$ )onelane ([a-z-]+)", README))
    assert commands
    assert commands <= set(cli.list_commands(click.Context(cli)))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README))
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def lines(page: str) -> list[str]:
    """Return the lines of a page's code that call onelane, without what the shell does with them."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"^```(?:console|sh)\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    found = re.findall(r"^(?:\$ )?(?:\S*/)?onelane (.+)$", blocks, re.MULTILINE)
    return [re.split(r" [<>|&]+ ?", line.split(" #")[0])[0] for line in found]


@pytest.mark.parametrize(("page", "line"), [(page, line) for page in PAGES for line in lines(page)])
def test_a_command_line_is_one(page: str, line: str) -> None:
    """Command, options and arguments of every line that a page shows; nothing is run."""
    command: click.Command | None = cli
    words = shlex.split(line)
    while isinstance(command, click.Group):
        name = words.pop(0)
        command = command.get_command(click.Context(command), name)
    assert command is not None, f"{page}: {line}"
    command.make_context(line, words)


def test_the_readmes_commands_go_through(tmp_path: Path) -> None:
    """One after the other, with a model and events of someone's; but for the daemon and the plan, which take long."""
    payments = ROOT / "examples" / "payments"
    shutil.copy(payments / "models" / "fraud.tflite", tmp_path / "model.tflite")
    with gzip.open(payments / "events.jsonl.gz") as events:
        some = [next(events) for _ in range(300)]
    (tmp_path / "events.jsonl").write_bytes(b"".join(some))
    (tmp_path / "event.json").write_bytes(some[0])
    (tmp_path / "pipeline.case.yaml").write_text(
        "cases: [{name: a, text: '{', expect_dead_letter: {cause: Malformed}}]"
    )
    block = README.split("## Use it")[1].split("```")[1]
    run = [
        line for line in re.findall(r"^\$ onelane (.+)$", block, re.MULTILINE) if not line.startswith(("plan", "run"))
    ]
    assert len(run) == 7
    for line in run:
        command = f"{sys.executable} -m consumer {line}"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            ["/bin/sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stderr.decode()}"
    assert (tmp_path / "enriched.jsonl").read_bytes().count(b"\n") == 299


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """A link to a file of the project names one that is there."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


def test_the_page_on_dead_letters_names_options_that_exist() -> None:
    """And leaves out none of the filters."""
    page = (ROOT / "docs" / "dead-letters.md").read_text(encoding="utf-8")
    named = set(re.findall(r"--[a-z][a-z-]+", page))
    modules = (dead_letters_list, dead_letters_show, dead_letters_replay)
    options = [
        {name for parameter in module.command.params for name in parameter.opts if name.startswith("--")}
        for module in modules
    ]
    assert named <= set[str]().union(*options)
    assert set[str].intersection(*options) <= named


def test_files_that_the_design_names_exist() -> None:
    """DESIGN.md's file map and text name files that are there."""
    text = (ROOT / "DESIGN.md").read_text(encoding="utf-8")
    for name in re.findall(
        r"`((?:consumer|schemas|docs|tests|kafka|features|pipeline|records|model|deadletter)/[\w./]*)`", text
    ):
        assert (ROOT / name).exists() or (ROOT / "consumer" / name).exists(), name


def test_nothing_committed_names_a_registry_or_a_folder_of_this_machine() -> None:
    """The repository works wherever it is cloned."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S607
    words = ("pypi" + ".org", "python" + "hosted", "registry.npm" + "js", "repo.maven" + ".apache", str(ROOT))
    for name in filter(None, listed.stdout.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).exists() else b""
        for word in words:
            assert word.encode() not in content, f"{name} names {word}"
