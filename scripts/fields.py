"""The page on the pipeline file, made from its JSON Schema: every field, what it takes, its default, what it says."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

Node: TypeAlias = Mapping[str, Any]

_FILE: Final = "The file"
_PLAIN: Final = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "array": "list",
    "object": "map",
    "": "anything",
}
_DEFS: Final = "#/$defs/"


def page(schema: Node) -> str:
    """Return what is between the page's first heading and its end.

    Args:
        schema: of the file.
    """
    names = dict(_names(schema))
    parts = []
    for name, heading in names.items():
        section = schema["$defs"][name]
        rows = [_row(field, node, section, schema, names) for field, node in section["properties"].items()]
        table = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
        head = "| field | takes | by default | what it says |\n|---|---|---|---|"
        parts.append(f"## {heading}\n\n{section['description']}\n\n{head}\n{table}")
    return "\n\n".join(parts)


def _names(schema: Node) -> Iterator[tuple[str, str]]:
    """Return the sections with their headings, in the order of the file: each before what is in it."""
    waiting = [(_named(schema), _FILE)]
    seen = set()
    while waiting:
        name, heading = waiting.pop(0)
        if name in seen or "properties" not in schema["$defs"][name]:
            continue
        seen.add(name)
        yield name, heading
        inner = []
        for field, node in schema["$defs"][name]["properties"].items():
            for inside in _refs(node):
                kind = schema["$defs"][inside].get("properties", {}).get("kind")
                path = field if heading == _FILE else f"{heading}.{field}"
                inner.append((inside, path if kind is None else f"{path}: kind {kind['enum'][0]}"))
        waiting = inner + waiting if heading != _FILE else inner


def _refs(node: Any) -> Iterator[str]:  # noqa: ANN401 - a schema holds anything
    """Return the sections in a field, in order."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield _named(node)
        for name, inner in node.items():
            if name != "discriminator":
                yield from _refs(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _refs(inner)


def _named(node: Node) -> str:
    return str(node["$ref"]).removeprefix(_DEFS)


def _row(field: str, node: Node, section: Node, schema: Node, names: Mapping[str, str]) -> tuple[str, ...]:
    said = node.get("description", "")
    if "$ref" in node and not said:
        said = schema["$defs"][_named(node)]["description"]
    if field == "kind":
        said = "Which kind it is."
    for one in node.get("anyOf", []):
        said = said or one.get("description", "")
    if not said:
        raise ValueError(f"{section['title']}.{field} is not described")
    return f"`{field}`", _escaped(_takes(node, schema, names)), _default(field, node, section), _escaped(said)


def _default(field: str, node: Node, section: Node) -> str:
    if field in section["required"]:
        return "must be there"
    return _shown(node["default"]) if "default" in node else "see there" if "$ref" in node else "nothing"


def _takes(node: Node, schema: Node, names: Mapping[str, str]) -> str:
    if "$ref" in node:
        name = _named(node)
        return (
            f"[{names[name]}]({_link(names[name])})"
            if name in names
            else _takes(schema["$defs"][name], schema, names)
        )
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "discriminator" in node:
        return f"one of [its kinds]({_link(names[_named(node['anyOf'][0])])})"
    if "anyOf" in node:
        several = dict.fromkeys(_takes(one, schema, names) for one in node["anyOf"])
        if _PLAIN["number"] in several:
            several.pop(_PLAIN["integer"], None)
        return " or ".join(several)
    inner = node.get("items") or node.get("additionalProperties")
    return _plain(node) + (f" of {_takes(inner, schema, names)}" if isinstance(inner, dict) else "")


def _plain(node: Node) -> str:
    """Return what a field takes that has a type."""
    if "prefixItems" in node:
        return f"list of {node['maxItems']} numbers"
    if "examples" in node:
        return f"text such as {', '.join(f'`{one}`' for one in node['examples'])}"
    return _PLAIN[node.get("type", "")] + _limits(node)


def _limits(node: Node) -> str:
    low, high = node.get("minimum"), node.get("maximum")
    above = node.get("exclusiveMinimum")
    words = "" if above is None else f" above {above}"
    if low is not None:
        words = f" from {low}"
    return words if high is None else f"{words} to {high}"


def _shown(value: object) -> str:
    if value is None:
        return "`null`"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def _link(heading: str) -> str:
    """Return the link to a heading, as GitHub names them."""
    kept = "".join(char for char in heading.lower() if char.isalnum() or char in " -_")
    return f"#{kept.replace(' ', '-')}"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
