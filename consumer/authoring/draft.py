"""A proposal as a pipeline file, with what was guessed as comments."""

import itertools
import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

from consumer.authoring.guess import Guess
from consumer.authoring.propose import Proposal

_PLAIN: Final = re.compile(r"[A-Za-z_][\w./-]*")
# YAML takes these for something else than text.
_WORDS: Final = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
# A longer vocabulary is a file beside the pipeline's.
_INLINE: Final = 12


def draft(
    proposal: Proposal, *, name: str, topic: str, model: str, field: str, signature: str | None = None
) -> tuple[str, dict[str, str]]:
    """Write a pipeline file.

    Args:
        proposal: of inputs and outputs.
        name: of the pipeline.
        topic: of events.
        model: the model's path, as the file will say it.
        field: of the output, that holds predictions.
        signature: of the model, if it was chosen.

    Returns:
        The text, and the files that go beside it by name.
    """
    files: dict[str, str] = {}
    lines = [
        "# Drafted by `onelane init`. What is marked as a guess could not be known from the model and the sample.",
        *(f"# TO DO: {_printable(words)}." for words in proposal.open),
        f"name: {_scalar(name)}",
        f"input: {{topic: {_scalar(topic)}, format: json, start: earliest}}",
        f"output: {{topic: {_scalar(topic + '-enriched')}, layout: merge, field: {_scalar(field)}}}",
        f"dead_letters: {{topic: {_scalar(topic + '-dead')}}}",
        "model:",
        f"  path: {_scalar(model)}",
        *([] if signature is None else [f"  signature: {_scalar(signature)}"]),
        "  inputs:",
    ]
    for tensor, made in proposal.inputs.items():
        if isinstance(made, list):
            lines.append(f"    {_scalar(tensor)}:{'' if made else ' []'}")
            lines += [_entry("      - ", guess, files) for guess in made]
        else:
            lines.append(_entry(f"    {_scalar(tensor)}: ", made, files))
    lines += _unused(proposal.unused)
    lines.append("  outputs:")
    lines += [_entry(f"    {_scalar(called)}: ", guess, files) for called, guess in proposal.outputs.items()]
    lines += [
        "batch: {rows: 256, wait: 20ms}",
        "delivery: exactly_once",
        "checkpoint: 100ms",
        "kafka:",
        "  bootstrap.servers: ${KAFKA_BOOTSTRAP_SERVERS:-localhost:9092}",
        "operate:",
        "  http: ${ONELANE_HTTP:-127.0.0.1:9404}",
    ]
    return "\n".join(lines) + "\n", files


def _entry(lead: str, guess: Guess, files: dict[str, str]) -> str:
    spec = dict(guess.spec)
    if guess.entries is not None and len(guess.entries) > _INLINE and not any(map(_breaks_lines, guess.entries)):
        file = _free(re.sub(r"\W+", "-", spec["field"]).strip("-") or "vocabulary", files)
        files[file] = "".join(f"{entry}\n" for entry in guess.entries)
        spec["vocabulary"] = file
    comment = f"   # guess: {_printable(guess.why)}" if guess.why else ""
    return f"{lead}{_mapping(spec)}{comment}"


def _breaks_lines(entry: object) -> bool:
    """Return whether an entry can't be a line of a file: it would be read as two, or without its byte order mark."""
    return bool(set(str(entry)) & set("\n\r\ufeff"))


def _free(name: str, files: Mapping[str, str]) -> str:
    """Return a file's name that no other vocabulary has, on file systems without case too."""
    taken = {file.lower() for file in files}
    numbered = (f"{name}-{number}.txt" for number in itertools.count(2))
    return next(file for file in itertools.chain((f"{name}.txt",), numbered) if file.lower() not in taken)


def _unused(fields: Mapping[str, str]) -> list[str]:
    """Say which fields are left out and why, a line a reason."""
    by_reason: dict[str, list[str]] = {}
    for field, why in fields.items():
        by_reason.setdefault(why, []).append(_printable(field))
    return [f"  # not read, since {_printable(why)}: {', '.join(names)}" for why, names in by_reason.items()]


def _mapping(spec: Mapping[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_value(value)}" for key, value in spec.items()) + "}"


def _value(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _scalar(value) if isinstance(value, str) else orjson.dumps(value).decode()


def _scalar(text: str) -> str:
    """Write a text as YAML: as it is, or in quotes, in which JSON and YAML are one; a dollar begins a variable."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return _printable(orjson.dumps(text.replace("$", "$$")).decode())


def _printable(text: str) -> str:
    """Escape what YAML takes for the end of a line, or does not take at all."""
    return "".join(one if one.isprintable() else f"\\U{ord(one):08X}" for one in text)
