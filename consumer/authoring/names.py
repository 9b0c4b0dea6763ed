"""The names that fields have in a sample of events, and which of them was meant by one that is not there."""

import difflib
from typing import Any, Final

from consumer.pipeline.paths import parse

# Objects with names of their own in each event have no end of them.
_MOST: Final = 10_000
_DEEPEST: Final = 16
_ALIKE: Final = 0.6
_LISTED: Final = 8


class Names:
    """The paths of all fields seen, as features write them; those in lists by the first item."""

    def __init__(self) -> None:
        self._paths: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._paths)

    @property
    def full(self) -> bool:
        """Whether there were too many to keep: what is not among them may be there all the same."""
        return len(self._paths) >= _MOST

    def add(self, event: Any) -> None:  # noqa: ANN401 - JSON holds anything
        """Take in the fields of an event."""
        if isinstance(event, dict) and not self.full:
            self._add(event, "", 1)

    def has(self, field: str) -> bool:
        """Return whether a field was in any event, if it was null there."""
        path = ""
        for step in parse(field):
            path = f"{path}[0]" if isinstance(step, int) else joined(path, step)
        return path in self._paths

    def hint(self, field: str) -> str:
        """Return which field may have been meant; empty where there were none."""
        return meant(field, list(self._paths))

    def _add(self, event: dict[str, Any], before: str, depth: int) -> None:
        for name, value in event.items():
            path = joined(before, name)
            self._paths[path] = None
            while isinstance(value, list) and value:
                value, path = value[0], f"{path}[0]"  # noqa: PLW2901 - down to what is in it
                self._paths[path] = None
            if isinstance(value, dict) and depth < _DEEPEST:
                self._add(value, path, depth + 1)


def meant(field: str, known: list[str]) -> str:
    """Return a hint: the known field most like one that is not there, or some of the known ones.

    Only the last name of a path counts, and not its case: ``country`` is likely ``user.country``.
    """
    if not known:
        return ""
    lasts = {_last(path): path for path in reversed(known)}
    close = difflib.get_close_matches(_last(field), lasts, n=1, cutoff=_ALIKE)
    if close:
        return f"did you mean `{lasts[close[0]]}`?"
    more = ", …" if len(known) > _LISTED else ""
    return f"there are {', '.join(f'`{path}`' for path in known[:_LISTED])}{more}"


def joined(before: str, name: str) -> str:
    """Return the path of a name inside of another path."""
    plain = name and not set(name) & set('.[]"\\') and not name.startswith("@")
    if plain:
        return f"{before}.{name}" if before else name
    return f'{before}["{name}"]'


def _last(path: str) -> str:
    """Return the last name of a path in small letters; a path that can't be written is its own name."""
    try:
        names = [step for step in parse(path) if isinstance(step, str)]
    except ValueError:
        return path.lower()
    return names[-1].lower()
