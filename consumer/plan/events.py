"""Events made up from what features make up for their fields, for when there is no sample."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import orjson

from consumer.assembly import Assembly
from consumer.exits import PipelineError
from consumer.pipeline.paths import Steps, is_part, parse
from consumer.plan.measured import MADE_UP
from consumer.types import Event, PlainEvent

_COUNT: Final = 512
_HEADERS: Final = "@headers."
_CREATED: Final = (1, 1_700_000_000_000)


def made_up(assembly: Assembly, count: int = _COUNT) -> list[Event]:
    """Return events that hold the declared fields and nothing else.

    Raises:
        PipelineError: they would have to be in a format that they can't be written in here.
    """
    columns = assembly.plan.made_up(count)
    paths = {field: parse(field) for field in columns if not is_part(field)}
    spec = assembly.file.spec
    if spec.input.format not in ("json", "raw"):
        raise PipelineError(f"--sample: events of format {spec.input.format} can't be made up; give some")
    return [_event(columns, paths, row) for row in range(count)]


def unfiltered(assembly: Assembly) -> Assembly:
    """Return a pipeline that takes all events for the model: those made up say nothing of what a filter keeps."""
    file = assembly.file
    spec = msgspec.structs.replace(file.spec, when=None)
    return msgspec.structs.replace(assembly, file=msgspec.structs.replace(file, spec=spec))


def _event(columns: Mapping[str, Sequence[Any]], paths: Mapping[str, Steps], row: int) -> Event:
    value = {field: column[row] for field, column in columns.items()}
    event: dict[str, Any] = {}
    for field, steps in paths.items():
        _put(event, steps, value[field])
    headers = [
        (field.removeprefix(_HEADERS), _bytes(part)) for field, part in value.items() if field.startswith(_HEADERS)
    ]
    kind, created = _CREATED
    return PlainEvent(
        _bytes(value["@value"]) if "@value" in value else orjson.dumps(event),
        offset=row,
        topic=MADE_UP,
        key=_bytes(value.get("@key")),
        timestamp=(kind, created + row),
        headers=headers or None,
    )


def _put(event: dict[str, Any], steps: Steps, value: object) -> None:
    """Put a value where a path leads, with all that is on the way."""
    here: Any = event
    for step, following in zip(steps, (*steps[1:], None), strict=True):
        if isinstance(step, int):
            here += [None] * (step + 1 - len(here))
            known = here[step]
        else:
            known = here.get(step)
        if following is None:
            here[step] = value
            return
        if known is None:
            known = [] if isinstance(following, int) else {}
            here[step] = known
        here = known


def _bytes(part: Any) -> bytes | None:  # noqa: ANN401 - whatever a feature makes up
    if part is None or isinstance(part, bytes):
        return part
    return str(part).encode()
