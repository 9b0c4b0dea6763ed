"""A tree of plain values against the typed sections: every finding at once, each with its path.

``msgspec.convert`` alone stops at the first error and does not name the keys of a mapping on its way.
"""

import re
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, cast

import msgspec

from consumer.pipeline.findings import Finding, Path, nearest, no_such_value
from consumer.pipeline.units import Duration, Size
from consumer.pipeline.words import shown, wrong_value

_MISSING: Final = object()
_AT: Final = re.compile(r" - at `[^`]*`$")


def build(tree: object, kind: type, path: Path, findings: list[Finding]) -> Any:  # noqa: ANN401
    """Make ``kind`` from ``tree``; what does not fit goes to ``findings`` and None stands in for it."""
    return _value(tree, kind, path, findings)


def _value(tree: object, kind: Any, path: Path, findings: list[Finding]) -> Any:  # noqa: ANN401
    bare = _bare(kind)
    section = _section(bare)
    if section is not None:
        return None if tree is None and bare is not section else _struct(tree, section, path, findings)
    sections = _sections(bare)
    if sections and isinstance(tree, dict):
        return _tagged(tree, sections, path, findings)
    container = _container(bare)
    if container is not None and typing.get_origin(container) is dict and isinstance(tree, dict):
        item = typing.get_args(container)[1]
        return {key: _value(value, item, (*path, key), findings) for key, value in tree.items()}
    if container is not None and typing.get_origin(container) is list and isinstance(tree, list):
        item = typing.get_args(container)[0]
        return [_value(value, item, (*path, index), findings) for index, value in enumerate(tree)]
    return _leaf(tree, kind, path, findings)


def _bare(kind: Any) -> Any:  # noqa: ANN401
    return typing.get_args(kind)[0] if typing.get_origin(kind) is typing.Annotated else kind


def _section(kind: Any) -> type[msgspec.Struct] | None:  # noqa: ANN401
    """Return the one section that ``kind`` is, or may be where it is not null."""
    members = [member for member in _members(kind) if member is not types.NoneType]
    if len(members) == 1 and isinstance(members[0], type) and issubclass(members[0], msgspec.Struct):
        return members[0]
    return None


def _members(kind: Any) -> tuple[Any, ...]:  # noqa: ANN401
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return typing.get_args(kind)
    return (kind,)


def _sections(kind: Any) -> dict[str, type[msgspec.Struct]]:  # noqa: ANN401
    """Return the tagged sections among the members of a union, by tag."""
    return {
        cast("str", member.__struct_config__.tag): member
        for member in _members(kind)
        if isinstance(member, type) and issubclass(member, msgspec.Struct)
    }


def _container(kind: Any) -> Any:  # noqa: ANN401
    """Return the list or mapping whose items have places of their own: in a union, one of sections."""
    members = _members(kind)
    for member in members:
        if typing.get_origin(member) in (list, dict) and (
            len(members) == 1 or _holds_sections(typing.get_args(member)[-1])
        ):
            return member
    return None


def _holds_sections(kind: Any) -> bool:  # noqa: ANN401
    return bool(_sections(_bare(kind))) or _container(_bare(kind)) is not None


def _tagged(tree: dict[str, object], sections: Mapping[str, type], path: Path, findings: list[Finding]) -> Any:  # noqa: ANN401
    tag = tree.get("kind", _MISSING)
    if tag is _MISSING:
        findings.append(Finding(path, "`kind` is missing", f"one of {', '.join(sections)}"))
    elif not isinstance(tag, str) or tag not in sections:
        findings.append(Finding((*path, "kind"), f"no such kind: {shown(tag)}", nearest(str(tag), sections)))
    else:
        rest = {key: value for key, value in tree.items() if key != "kind"}
        return _struct(rest, sections[tag], path, findings)
    return None


def _struct(tree: object, kind: type[msgspec.Struct], path: Path, findings: list[Finding]) -> Any:  # noqa: ANN401
    if not isinstance(tree, dict):
        findings.append(Finding(path, f"expected a mapping, got {shown(tree)}"))
        return None
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    findings.extend(Finding((*path, key), "unknown field", nearest(key, fields)) for key in tree if key not in fields)
    before = len(findings)
    values = {}
    for name, field in fields.items():
        if name in tree:
            values[field.name] = _value(tree[name], field.type, (*path, name), findings)
        elif field.required:
            findings.append(Finding(path, f"`{name}` is missing"))
    return kind(**values) if len(findings) == before else None


def _leaf(tree: object, kind: Any, path: Path, findings: list[Finding]) -> Any:  # noqa: ANN401
    allowed = _choices(kind)
    if allowed and tree not in allowed:
        findings.append(no_such_value(path, tree, [str(one) for one in allowed if one is not None]))
        return None
    try:
        # Lax: a number from ${VARIABLE} arrives as text.
        return msgspec.convert(tree, kind, strict=False, dec_hook=_unit)
    except msgspec.ValidationError as error:
        findings.append(Finding(path, wrong_value(_AT.sub("", str(error)), kind, tree)))
        return None


def _choices(kind: Any) -> list[object]:  # noqa: ANN401
    """Return the values that a type consists of; none where it has others."""
    found: list[object] = []
    for member in map(_bare, _members(_bare(kind))):
        if member is types.NoneType:
            found.append(None)
        elif typing.get_origin(member) is typing.Literal:
            found += typing.get_args(member)
        elif isinstance(member, type) and issubclass(member, Enum):
            found += list(member)
        else:
            return []
    return found


def _unit(kind: type, value: object) -> object:
    if kind in (Duration, Size):
        return kind.parse(value)
    raise NotImplementedError(kind)
