"""The pipeline file as a tree of plain values, each with its place.

YAML 1.2, duplicate keys refused; ``${NAME}`` and ``${NAME:-default}`` are replaced inside parsed scalars only:
the environment can never add structure; ``$$`` stands for a dollar.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import ConstructorError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from consumer.exits import PipelineError
from consumer.pipeline.findings import Finding, Path, Place, dotted

_VARIABLE: Final = re.compile(r"\$(?:\$|\{(\w+)(?::-([^}]*))?\}|\{[^}]*\}?)")

_SURROGATE: Final = "holds half of a character (a surrogate), which is no text"


class Source:
    """A parsed file: ``tree`` holds plain values, ``place`` tells where a path stands."""

    def __init__(self, text: str, file: str, environment: Mapping[str, str]) -> None:
        self.file = file
        self._environment = environment
        self._places: dict[Path, tuple[int, int]] = {(): (0, 0)}
        self.findings: list[Finding] = []
        self._without: set[Path] = set()
        self.tree = self._plain(_parse(text, file), ())

    def place(self, path: Path) -> Place:
        """Return where ``path`` stands, or the nearest of its parents that does."""
        while path not in self._places:
            path = path[:-1]
        line, column = self._places[path]
        return Place(self.file, line + 1, column + 1)

    def report(self, findings: list[Finding]) -> str:
        """Write findings for a person, one a line, in the order of the file."""
        located = sorted(((self.place(f.path), f) for f in findings), key=lambda lf: (lf[0].line, lf[0].column))
        return "\n".join(
            f"{place}: {dotted(f.path) + ': ' if f.path else ''}{f.message}{'; ' + f.hint if f.hint else ''}"
            for place, f in located
        )

    def without_echoes(self, findings: list[Finding]) -> list[Finding]:
        """Leave out what is wrong because a variable has no value: that is a finding of its own."""
        around = {path[:length] for path in self._without for length in range(1, len(path) + 1)}
        return [one for one in findings if one.path not in around or one in self.findings]

    def _plain(self, node: Any, path: Path) -> Any:  # noqa: ANN401 - a YAML tree holds anything
        if isinstance(node, CommentedMap):
            names = {key: self._sound(str(key)) for key in node}
            for key, name in names.items():
                place = node.lc.key(key) if key in (node.lc.data or {}) else self._places[path]
                self._places[(*path, name)] = place
                if name != str(key):
                    self.findings.append(Finding((*path, name), _SURROGATE))
            return {names[key]: self._plain(value, (*path, names[key])) for key, value in node.items()}
        if isinstance(node, CommentedSeq):
            for index in range(len(node)):
                self._places[(*path, index)] = node.lc.item(index)
            return [self._plain(value, (*path, index)) for index, value in enumerate(node)]
        return self._scalar(node, path)

    def _scalar(self, value: Any, path: Path) -> Any:  # noqa: ANN401
        if isinstance(value, str):
            text = self._expand(str(value), path)
            sound = self._sound(text)
            if sound != text:
                self.findings.append(Finding(path, _SURROGATE))
            return sound
        for plain in (bool, int, float):  # ruamel's round-trip scalars are subclasses
            if isinstance(value, plain):
                return plain(value)
        return value if value is None else str(value)

    @staticmethod
    def _sound(text: str) -> str:
        """Write halves of characters as they are escaped: no file's name, no JSON and no terminal takes them."""
        return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()

    def _expand(self, text: str, path: Path) -> str:
        def replace(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            name, default = match[1], match[2]
            if name is None:
                self.findings.append(
                    Finding(
                        path,
                        f"`{match[0]}` is not a variable",
                        "write ${NAME} or ${NAME:-default}; $$ for a dollar",
                    )
                )
                self._without.add(path)
                return ""
            value = self._environment.get(name) or default
            if value is None:
                self.findings.append(
                    Finding(path, f"the environment has no {name}", f"set it, or give a default: ${{{name}:-…}}")
                )
                self._without.add(path)
                return ""
            return value

        return _VARIABLE.sub(replace, text)


class _Constructor(RoundTripConstructor):
    """Tells where a scalar stands of which no value can be made: a number of thousands of digits, a 13th month."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:  # noqa: ANN401, FBT001, FBT002 - theirs
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError) as error:
            words = str(error).partition(";")[0]
            raise ConstructorError(problem=words, problem_mark=node.start_mark) from None


def _parse(text: str, file: str) -> Any:  # noqa: ANN401
    parser = YAML(typ="rt", pure=True)
    parser.Constructor = _Constructor
    try:
        return parser.load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        raise PipelineError(f"{place}: not valid YAML: {(error.problem or str(error)).splitlines()[0]}") from None
    except RecursionError:
        raise PipelineError(f"{file}: not a pipeline file: nested hundreds deep") from None
    except YAMLError as error:
        raise PipelineError(f"{file}: not valid YAML: {str(error).splitlines()[0]}") from None
