"""``onelane explain``: the way of one event, step by step."""

import base64
import binascii
import codecs
import logging
import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from consumer.assembly import assemble
from consumer.authoring.way import Answered, Placed, Way, explain
from consumer.cli.options import load_pipeline, pipeline_argument
from consumer.exits import PipelineError, RefusedError
from consumer.operate.logs import set_up_logs
from consumer.pipeline.encoding import UTF16, is_utf16
from consumer.types import NotYetError, PlainEvent

_CREATE_TIME: Final = 1
_LONGEST: Final = 60


@click.command(name="explain")
@pipeline_argument
@click.option("--key", help="The record's key.")
@click.option(
    "--header", "headers", multiple=True, metavar="NAME=VALUE", help="A header; may be given more than once."
)
@click.option("--timestamp", type=int, metavar="MS", help="The record's timestamp, in milliseconds since 1970.")
@click.option("--json", "as_json", is_flag=True, help="Tell it for programs.")
def command(
    pipeline: Path, key: str | None, headers: tuple[str, ...], timestamp: int | None, *, as_json: bool
) -> None:
    """Show the way of one event, from stdin: what features made of it, what the model answered, what became of it.

    An event of another format than JSON is base64.
    """
    set_up_logs(logging.WARNING)
    assembly = assemble(load_pipeline(pipeline))
    value = sys.stdin.buffer.read().strip().removeprefix(codecs.BOM_UTF8)
    if is_utf16(value):
        raise PipelineError(f"stdin: {UTF16}")
    if assembly.file.spec.input.format != "json":
        try:
            value = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise PipelineError(f"stdin: not base64, which binary events are: {error}") from None
    elif b"\n" in value and _is_json(value.split(b"\n", 1)[0]) and not _is_json(value):
        raise PipelineError("stdin: several events, a line each: give one of them, such as `head -1` does")
    event = PlainEvent(
        value,
        topic="stdin",
        key=None if key is None else key.encode(),
        headers=[_header(text) for text in headers] or None,
        timestamp=(0, 0) if timestamp is None else (_CREATE_TIME, timestamp),
    )
    try:
        way = explain(event, assembly)
    except NotYetError as error:
        raise RefusedError(f"the event can't be read: {error}") from None
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(_json(way)), indent=2))
        return
    for line in _lines(way):
        click.echo(line)


def _header(text: str) -> tuple[str, bytes]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise PipelineError(f"--header {text}: expected NAME=VALUE")
    return name, value.encode()


def _json(way: Way) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(way)
    if way.value is not None:
        told["value"] = msgspec.Raw(way.value) if _is_json(way.value) else _base64(way.value)
    return {name: value for name, value in told.items() if value is not None}


def _is_json(value: bytes) -> bool:
    try:
        msgspec.json.decode(value, type=msgspec.Raw)  # looked through, with nothing made of it
    except msgspec.DecodeError:
        return False
    return True


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _lines(way: Way) -> list[str]:
    lines = [_input(one) for one in way.inputs]
    lines += [_output(one) for one in way.outputs]
    if way.cause is not None:
        field = f" of field {way.cause.field}" if way.cause.field else ""
        lines.append(f"dead letter  {way.cause.code}{field}, at stage {way.cause.stage}: {way.cause.message}")
    elif way.value is not None:
        if way.predictions is not None:
            lines.append(f"predictions  {msgspec.json.encode(way.predictions).decode()}")
        lines.append(f"enriched     {way.value.decode() if _is_json(way.value) else _base64(way.value)}")
    else:
        lines.append(f"{way.became:12} it is not for the model: see `when`")
    return lines


def _input(one: Placed) -> str:
    read = ", ".join(f"{field} = {_short(value)}" for field, value in zip(one.fields, one.values, strict=True))
    if not one.stored:
        return f"input        {one.tensor:16} {one.kind:9} {read}"
    place = f"[{one.start}]" if one.stop - one.start == 1 else f"[{one.start}:{one.stop}]"
    made = _numbers(one.stored, one.numbers, one.stop - one.start)
    return f"input        {one.tensor + place:16} {one.kind:9} {read} -> {made}"


def _output(one: Answered) -> str:
    return f"output       {one.tensor:16} {_numbers(one.stored, one.numbers, one.count)}"


def _numbers(stored: list[Any], numbers: list[float] | None, count: int) -> str:
    more = ", …" if count > len(stored) else ""
    text = ", ".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in stored) + more
    if numbers is None:
        return text
    return f"{text} (is {', '.join(f'{value:.6g}' for value in numbers)}{more})"


def _short(value: object) -> str:
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
