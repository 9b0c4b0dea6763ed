"""Where a hook of a pipeline file is: found and hashed, not imported yet."""

import hashlib
import importlib.util
import re
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Final

import msgspec

_FUNCTION: Final = re.compile(r"(?P<where>[^:]+):(?P<name>[A-Za-z_]\w*)")
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


class HookSource(msgspec.Struct, frozen=True):
    """A function in a file or module.

    Attributes:
        where: the file or module, as it is written in the pipeline file.
        name: of the function.
        file: the file's path; None for a module.
        origin: the path of the source.
        sha256: of the module's source, in hex: part of the pipeline's hash.
    """

    where: str
    name: str
    file: Path | None
    origin: Path
    sha256: str


def find_hook(function: str, directory: Path) -> HookSource:
    """Find a function that is written as ``features.py:make`` or ``package.module:make``.

    Args:
        function: it.
        directory: of the pipeline file, which files are relative to.

    Raises:
        ValueError: it is written otherwise, or there is no such file or module.
    """
    match = _FUNCTION.fullmatch(function)
    if match is None:
        raise ValueError("write it as features.py:make or package.module:make")
    where, name = match["where"], match["name"]
    if where.endswith(".py"):
        file = directory / where
        try:
            return HookSource(where, name, file.resolve(), file.resolve(), _sha256(file))
        except OSError as error:
            raise ValueError(f"{file} can't be read: {error.strerror}") from None
    if _MODULE.fullmatch(where) is None:
        raise ValueError("write it as features.py:make or package.module:make")
    try:
        with redirect_stdout(sys.stderr):
            spec = importlib.util.find_spec(where)
    except (ImportError, ValueError) as error:
        raise ValueError(f"no module {where}: {error}") from None
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a package that it is in may raise anything
        raise ValueError(f"{where} can't be imported: {type(error).__name__}: {error}") from None
    if spec is None or spec.origin is None:
        raise ValueError(f"no module {where}")
    if not spec.has_location:  # sys and os, for example
        raise ValueError(f"{where} is a part of Python itself, and has no source to tell its version by")
    return HookSource(where, name, None, Path(spec.origin), _sha256(Path(spec.origin)))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
