"""The names that fields have in a sample of events."""

from typing import Any, Final

from consumer.pipeline.paths import joined, meant, parse

# Objects with names of their own in each event have no end of them.
_MOST: Final = 10_000
_DEEPEST: Final = 16


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
