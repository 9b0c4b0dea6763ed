"""Make the messages, their true languages and the labels from the translations that Django carries.

Run from the repository's root: `python -m examples.text.make_events`. Chance is seeded: the same package gives the
same bytes.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import polib

from examples.served import write_gzip, write_lines

HERE: Final = Path(__file__).parent
SEED: Final = 17

# Neighbours are among them on purpose: cs and sk, da and nb, es and pt, ru and uk.
LANGUAGES: Final = (
    "cs", "da", "de", "el", "en", "es", "fi", "fr", "hu", "it",
    "nb", "nl", "pl", "pt", "ro", "ru", "sk", "sv", "tr", "uk",
)  # fmt: skip
SHORTEST: Final = 12  # characters; less ("Admin", "Total") is often the same in several languages

EVENTS_A_LANGUAGE: Final = 60
SENTENCES: Final = (1, 4)
# What real topics have too: a body that says nothing, none, and one that is no text. The last three are dead letters.
ODD: Final = ({"body": ""}, {}, {"body": None}, {"body": 404})

# Placeholders and markup are the same in all languages; what is left is what a person wrote.
NOT_TEXT: Final = re.compile(r"%\([^)]*\)[a-z]|%[a-z]|\{[^}]*\}|<[^>]*>|&[a-z]+;")


@dataclass(frozen=True)
class Text:
    """One translation: which message it is of, its language and what it says."""

    message: str
    language: str
    body: str


def read_texts() -> list[Text]:
    """Read all texts in all languages, each once, in a fixed order."""
    spec = find_spec("django")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("Django is missing: pip install -r requirements-train.txt")
    root = Path(spec.submodule_search_locations[0])
    texts = {}
    for language in LANGUAGES:
        # The messages themselves are English; German has nearly all of them.
        for path in sorted(root.rglob(f"locale/{'de' if language == 'en' else language}/LC_MESSAGES/*.po")):
            for entry in polib.pofile(str(path)):
                for body in _bodies(entry, language):
                    texts.setdefault((language, body), Text(entry.msgid, language, body))
    return list(texts.values())


def _bodies(entry: polib.POEntry, language: str) -> Iterator[str]:
    if entry.obsolete or entry.fuzzy:
        return
    english = {entry.msgid, entry.msgid_plural}
    translated = {entry.msgstr, *entry.msgstr_plural.values()} - english
    for text in sorted(english if language == "en" else translated):
        body = " ".join(NOT_TEXT.sub(" ", text).split())
        if len(body) >= SHORTEST:
            yield body


def part_of(text: Text) -> str:
    """Split by message: the same sentence in two close languages is never on both sides."""
    tenth = zlib.crc32(text.message.encode()) % 10
    return "held out" if tenth < 2 else "validation" if tenth == 2 else "training"  # noqa: PLR2004 - two tenths, one


def in_part(texts: list[Text], part: str) -> list[Text]:
    """Give the texts of training, validation or held out."""
    return [text for text in texts if part_of(text) == part]


def events(held_out: list[Text]) -> list[dict[str, Any]]:
    """Make messages of one to four held-out texts, a long one a language, and a few odd ones, shuffled."""
    rng = np.random.default_rng(SEED)
    bodies = defaultdict(list)
    for text in held_out:
        bodies[text.language].append(text.body)
    made: list[dict[str, Any]] = list(map(dict, ODD))
    for language, mine in bodies.items():
        made.append({"body": " ".join(mine), "language": language})
        for _ in range(EVENTS_A_LANGUAGE):
            chosen = rng.choice(len(mine), rng.integers(*SENTENCES, endpoint=True), replace=False)
            made.append({"body": " ".join(mine[i] for i in chosen), "language": language})
    return [{"id": number, **made[i]} for number, i in enumerate(rng.permutation(len(made)))]


def main() -> None:
    """Write the events, their truth and the labels beside this script."""
    texts = read_texts()
    for part in ("training", "validation", "held out"):
        print(f"{part}: {len(in_part(texts, part))} texts")
    rows = events(in_part(texts, "held out"))
    write_lines(HERE / "events.jsonl.gz", ({k: v for k, v in row.items() if k != "language"} for row in rows))
    known = [f"{row['id']},{row['language']}" for row in rows if "language" in row]
    write_gzip(HERE / "truth.csv.gz", "".join(f"{line}\n" for line in ["id,language", *known]).encode())
    (HERE / "labels.txt").write_text("".join(f"{language}\n" for language in LANGUAGES))
    print(f"{len(rows)} events, {len(rows) - len(known)} of them in no language")


if __name__ == "__main__":
    main()
