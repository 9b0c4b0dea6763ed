"""``onelane init``: a pipeline file, drafted from a model and a sample of events."""

import os
import re
import shlex
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import click

from consumer.assembly import assemble
from consumer.authoring.draft import draft
from consumer.authoring.fields import look_at_fields
from consumer.authoring.propose import propose
from consumer.authoring.report import report
from consumer.authoring.table import table_sizes
from consumer.cli.options import load_pipeline
from consumer.cli.streams import opened, written
from consumer.exits import PipelineError, RefusedError
from consumer.model.engines import find_engine
from consumer.model.file import ModelFile, open_interpreter, read_model, read_signature, refuse_state
from consumer.model.quiet import engine_words
from consumer.pipeline.check import build
from consumer.pipeline.findings import Finding
from consumer.pipeline.spec import Name, TopicName

_EVENTS: Final = 10_000
# Characters of a topic's name.
_LONGEST: Final = 249

_file = click.Path(dir_okay=False, path_type=Path)


@click.command(name="init")
@click.option("--model", "model", type=_file, required=True, metavar="FILE.tflite", help="The model.")
@click.option("--sample", "sample", type=_file, required=True, metavar="EVENTS", help="JSON lines, plain or gzipped.")
@click.option("--topic", metavar="TOPIC", help="That events come from; by default called as the sample is.")
@click.option("--name", metavar="NAME", help="Of the pipeline; by default the topic's.")
@click.option("--signature", metavar="NAME", help="Which of the model's signatures; not needed where it has one.")
@click.option("--output", "target", type=_file, default=Path("pipeline.yaml"), show_default=True, metavar="FILE")
@click.option("--force", is_flag=True, help="Write over files that are there.")
def command(
    *,
    model: Path,
    sample: Path,
    topic: str | None,
    name: str | None,
    signature: str | None,
    target: Path,
    force: bool,
) -> None:
    """Draft a pipeline file: the model says what it takes, the events what there is.

    What could not be known is marked as a guess. Vocabularies that are long become files beside it.
    """
    called = topic or _plain(sample.name.split(".")[0])
    _check_names(called, name)
    engine = find_engine("auto")
    content = read_model(model)
    interpreter = open_interpreter(engine, content)
    refuse_state(interpreter, content)
    tensors = read_signature(interpreter, content, _signature(interpreter, content, signature))
    with opened(sample) as (lines, _, _):
        look = look_at_fields(lines, str(sample), _EVENTS)
    field = "prediction"
    while field in look.names:
        field += "_"
    with engine_words():
        tables = table_sizes(engine, content, tensors)
    proposal = propose(tensors, look.fields, tables)
    path = os.path.relpath(model, target.parent)
    text, files = draft(proposal, name=name or called, topic=called, model=path, field=field, signature=signature)
    beside = {target: text, **{target.parent / file: entries for file, entries in files.items()}}
    for place in beside:
        for source in (model, sample):
            if place.exists() and place.samefile(source):
                raise PipelineError(f"{place}: would be written over {source}; give --output another folder")
    there = [str(path) for path in beside if path.exists()]
    if there and not force:
        raise PipelineError(f"{', '.join(there)}: there already; --force writes over it")
    with ExitStack() as stack:  # all of them or none
        for out, words in [(stack.enter_context(written(place)), made) for place, made in beside.items()]:
            out.write(words.encode())
    if look.bad:
        lines_are = "1 line is" if look.bad == 1 else f"{look.bad:,} lines are"
        click.echo(f"{lines_are} no event and left out, the first {look.first_bad}")
    _tell(target, sample, beside, proposal.open)


def _check_names(topic: str, name: str | None) -> None:
    """Refuse names that no pipeline file may have, before there is one.

    Raises:
        PipelineError: with the option that says it.
    """
    found: list[Finding] = []
    build(topic, TopicName, ("--topic",), found)
    if not found and len(longest := f"{topic}-enriched") > _LONGEST:
        words = (
            f"`{longest[:20]}…-enriched` would be of {len(longest)} characters, and topics have {_LONGEST} at most"
        )
        found.append(Finding(("--topic",), words))
    if not found:
        build(name or topic, Name, ("--topic" if name is None else "--name",), found)
    if found:
        raise PipelineError("; ".join(f"{one.path[0]}: {one.message}" for one in found))


def _signature(interpreter: Any, model: ModelFile, wanted: str | None) -> str | None:  # noqa: ANN401
    """See that it is said which of several signatures is meant."""
    names = interpreter.get_signature_list()
    if wanted is None and len(names) > 1:
        raise RefusedError(f"model {model.label} has several signatures: say which, --signature {_either(names)}")
    return wanted


def _either(names: Iterable[str]) -> str:
    return " or ".join(shlex.quote(name) for name in names)


def _tell(target: Path, sample: Path, beside: dict[Path, str], left: list[str]) -> None:
    """Say what was written, whether it is fine and runs, and what comes next."""
    count = beside[target].count("# guess: ")
    guesses = "1 guess is" if count == 1 else f"{count} guesses are"
    click.echo(f"wrote {', '.join(map(str, beside))}; {guesses} marked in it")
    told = "".join(f"\n  {words}" for words in left)
    found = report(target, os.environ)
    if found.findings:
        raise RefusedError(f"it is not fine yet:\n{found.source.report(found.findings)}{told}")
    try:
        assemble(load_pipeline(target))
    except RefusedError as error:
        raise RefusedError(f"it can't run as it is: {error}{told}") from None
    for words in left:
        click.echo(f"to do: {words}")
    file, events, cases = (shlex.quote(str(path)) for path in (target, sample, target.with_suffix(".case.yaml")))
    click.echo(
        f"""next:
  onelane lint {file} --sample {events}     # what would become of these events
  onelane explain {file} < ONE_EVENT        # what the model is given of one
  onelane test {file} --record {cases} --sample {events} --limit 5
  onelane enrich {file} --input {events} --output enriched.jsonl
  onelane run {file}                        # once the topics are there"""
    )


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]", "-", text, flags=re.ASCII).strip(".-") or "events"
