"""Files as commands open them: gzipped or not, and written whole or not at all."""

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import BinaryIO, Final, cast

from consumer.cli.signals import undone_by_signals
from consumer.exits import PipelineError
from consumer.pipeline.encoding import UTF16, is_utf16
from consumer.sources import Form, Lines
from consumer.types import Event

_GZIP: Final = b"\x1f\x8b"
_MARK: Final = codecs.BOM_UTF8
_LEVEL: Final = 6
# Events that are read at once.
_MANY: Final = 256


@contextmanager
def opened(path: Path) -> Iterator[tuple[Iterable[bytes], int, Callable[[], int]]]:
    """Open a file of lines, gzipped or not; gives its lines, its size in bytes, and how far it has been read.

    Raises:
        PipelineError: it can't be read.
    """
    try:
        raw = path.open("rb")
    except OSError as error:
        raise PipelineError(f"{path}: can't be read: {error.strerror}") from None
    with raw:
        yield compressed(raw, str(path)), os.fstat(raw.fileno()).st_size, raw.tell


def sampled(path: Path, name: str, limit: int) -> Iterator[Event]:
    """Return the first events of a file, as many as there are up to a limit.

    Args:
        path: of the file, gzipped or not.
        name: of the events' format.
        limit: how many at most.

    Raises:
        PipelineError: it can't be read, or a line of it.
    """
    with opened(path) as (lines, _, _):
        source = Lines(lines, str(path), Form.of(name))
        yield from islice(chain.from_iterable(iter(lambda: source.read(_MANY), [])), limit)


def compressed(raw: BinaryIO, name: str) -> Iterable[bytes]:
    """Return the lines of a stream, unpacked where it is gzip by its first two bytes.

    A byte order mark at its beginning is the file's, not the first event's: it is left out.

    Raises:
        PipelineError: it is UTF-16; while reading, that it is broken.
    """
    begins: Callable[[int], bytes] | None = getattr(raw, "peek", None)
    start = b"" if begins is None else begins(len(_MARK))
    if start.startswith(_GZIP):
        return _unpacked(raw, name)
    _refuse_utf16(start, name)
    if start.startswith(_MARK):
        raw.read(len(_MARK))
    return raw


def _refuse_utf16(start: bytes, name: str) -> None:
    """Each of its lines would be a dead letter of its own, or half of a character beside it."""
    if is_utf16(start):
        raise PipelineError(f"{name}: {UTF16}")


def _unpacked(raw: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        with gzip.GzipFile(fileobj=raw, mode="rb") as lines:
            start = lines.peek(len(_MARK))
            _refuse_utf16(start, name)
            if start.startswith(_MARK):
                lines.read(len(_MARK))
            yield from lines
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise PipelineError(f"{name}: broken gzip: {error}") from None


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """Write a file, gzipped if it ends in .gz; it is there under its name once all went well.

    A pipe or a device takes what comes as it comes: nothing takes its place. A signal that ends the process leaves
    nothing half written.

    Raises:
        PipelineError: it can't be; it is told before anything is written.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as raw, _packed(raw, path) as out:
            yield out
        return
    target = path.resolve()  # a link stays one
    part = target.with_name(f".{target.name}.{os.getpid()}.part")  # two runs may write one file: the last one's stays
    try:
        with undone_by_signals(), _made(part, path) as raw, _packed(raw, path) as out:
            yield out
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _made(part: Path, path: Path) -> io.BufferedWriter:
    """Make the file that becomes ``path``; nobody has heard of its own name."""
    try:
        return part.open("wb")
    except OSError as error:
        raise PipelineError(f"{path}: can't be written: {error.strerror}") from None


def keep_apart(read: Iterable[Path | None], written: Iterable[Path | None]) -> None:
    """See that nothing is written over what is read, nor over what else is written.

    Raises:
        PipelineError: two of them are one file, by whatever names; both are in the message where they are two.
    """
    needed: dict[Path, Path] = {path.resolve(): path for path in read if path is not None}
    taken: dict[Path, Path] = {}
    for path in written:
        if path is None or (path.exists() and not path.is_file()):  # a device takes what comes
            continue
        place = path.resolve()
        if place in needed:
            also = "" if needed[place] == path else f" as {needed[place]}"
            raise PipelineError(f"{path}: would be written over, and it is read here{also}")
        if place in taken:
            also = "" if taken[place] == path else f", as {taken[place]} too"
            raise PipelineError(f"{path}: would be written twice{also}")
        taken[place] = path


@contextmanager
def _packed(raw: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    if path.suffix != ".gz":
        yield raw
        return
    # Without a name and a time in it: the same records are the same bytes.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as packed:
        yield cast("BinaryIO", packed)
