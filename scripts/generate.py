"""Makes the files that are generated from data in the code: the JSON Schema, and docs/reference.md.

``--check`` writes nothing and fails when one of them is stale.
"""

import sys
from pathlib import Path
from typing import Final

import orjson

from consumer.deadletter import causes, headers
from consumer.exits import MEANINGS
from consumer.kafka.settings import OWNED
from consumer.pipeline.schema import schema

ROOT: Final = Path(__file__).parents[1]


def main() -> int:
    """Write the files, or check them."""
    made = {
        "schemas/pipeline.schema.json": orjson.dumps(
            schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        ).decode(),
        "docs/reference.md": _reference(),
    }
    checking = sys.argv[1:] == ["--check"]
    stale = [name for name, text in made.items() if not _same(ROOT / name, text)]
    if checking:
        for name in stale:
            print(f"{name} is stale: make generate")
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(made[name], encoding="utf-8")
        print(f"made {name}")
    return 0


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def _reference() -> str:
    return f"""<!-- Made by scripts/generate.py from data in the code. Do not edit: make generate. -->
# Reference

The pipeline file: [schemas/pipeline.schema.json](../schemas/pipeline.schema.json), also printed by `onelane schema`.

## Exit codes

{_table(("code", "meaning"), [(str(int(code)), text) for code, text in MEANINGS.items()])}

## Dead letters

A dead letter has the event's key, value and headers, byte for byte, and these headers, which end with it: a replayed
event carries `{headers.REPLAYS}` alone, and an enriched record none of them.

{_table(("header", "meaning"), [(f"`{headers.PREFIX}{name}`", text) for name, text in headers.FIELDS.items()])}

The causes:

{_table(("cause", "meaning"), [(f"`{code}`", text) for code, text in causes.MEANINGS.items()])}

## Settings that the worker owns

In `kafka:`, these are refused:

{_table(("setting", "why"), [(f"`{name}`", why) for name, why in OWNED.items()])}
"""


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {left} | {right} |" for left, right in rows)]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
