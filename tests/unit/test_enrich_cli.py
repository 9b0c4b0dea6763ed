"""`onelane enrich`: files in and out, gzipped or not, whole or not at all; a progress bar for people only."""

import gzip
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from consumer.sources import Sample, Spans, newest
from consumer.types import Event, PlainEvent
from tests.support.command import on_a_terminal, onelane
from tests.support.flights import FLIGHTS, flight_values, flights_beside

PIPELINE = FLIGHTS / "pipeline.yaml"
VALUES = flight_values()[:50]
PLAIN = b"\n".join(VALUES) + b"\n"


@pytest.fixture(scope="module")
def expected() -> bytes:
    """What comes out of stdin."""
    done = onelane("enrich", PIPELINE, stdin=PLAIN)
    assert done.returncode == 0
    assert done.stdout.count(b"\n") == len(VALUES)
    return done.stdout


@pytest.mark.parametrize("packed", [False, True])
def test_files_in_and_out(packed: bool, expected: bytes, tmp_path: Path) -> None:  # noqa: FBT001
    """Gzip is known by its first bytes when read, by the name when written; packed twice, it is the same."""
    source = tmp_path / "events"
    source.write_bytes(gzip.compress(PLAIN) if packed else PLAIN)
    target = tmp_path / ("out.jsonl.gz" if packed else "out.jsonl")
    written = []
    for _ in range(2):
        done = onelane("enrich", PIPELINE, "--input", source, "--output", target)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        written.append(target.read_bytes())
    assert written[0] == written[1]
    assert (gzip.decompress(written[0]) if packed else written[0]) == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events", target.name]


@pytest.mark.parametrize("packed", [False, True])
def test_a_mark_at_a_files_beginning_is_the_files(packed: bool, expected: bytes, tmp_path: Path) -> None:  # noqa: FBT001
    """Windows writes one; with it the first event would be no JSON, and ends of lines are what they are there."""
    marked = b"\xef\xbb\xbf" + PLAIN.replace(b"\n", b"\r\n")
    marked = gzip.compress(marked) if packed else marked
    (tmp_path / "events").write_bytes(marked)
    filed = onelane("enrich", PIPELINE, "--input", tmp_path / "events")
    assert (filed.stdout, filed.stderr) == (expected, b"")
    assert onelane("enrich", PIPELINE, stdin=marked).stdout == expected


def test_stdin_may_be_gzipped_and_cut_short(expected: bytes) -> None:
    """The first events only."""
    done = onelane("enrich", PIPELINE, "--limit", "7", stdin=gzip.compress(PLAIN))
    assert done.stdout == b"".join(expected.splitlines(keepends=True)[:7])


@pytest.mark.parametrize(("kept", "more"), [(-20, b""), (40, b"x" * 40)], ids=["cut", "scrambled"])
def test_what_is_broken_leaves_no_output(kept: int, more: bytes, tmp_path: Path) -> None:
    """A file under its name is whole; the message names the one that is broken."""
    source, target = tmp_path / "events.gz", tmp_path / "out.jsonl"
    source.write_bytes(gzip.compress(PLAIN)[:kept] + more)
    done = onelane("enrich", PIPELINE, "--input", source, "--output", target)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"onelane: {source}: broken gzip: ")
    assert [path.name for path in tmp_path.iterdir()] == ["events.gz"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Is named, and nothing is written over."""
    target = tmp_path / "out.jsonl"
    target.write_text("kept")
    done = onelane("enrich", PIPELINE, "--input", tmp_path / "none", "--output", target)
    assert (done.returncode, target.read_text()) == (2, "kept")
    assert done.stderr.decode() == f"onelane: {tmp_path / 'none'}: can't be read: No such file or directory\n"


@pytest.mark.parametrize("file", ["models/delay.tflite", "carriers.txt"])
@pytest.mark.parametrize("option", ["--output", "--dead-letters"])
def test_nothing_is_written_over_what_the_pipeline_is_made_from(option: str, file: str, tmp_path: Path) -> None:
    """A model is hours of training; a slip of the shell's completion is none."""
    folder = shutil.copytree(FLIGHTS, tmp_path / "flights")
    before = (folder / file).read_bytes()
    done = onelane("enrich", folder / "pipeline.yaml", option, folder / file, stdin=PLAIN)
    assert done.returncode == 2
    assert done.stderr.decode() == f"onelane: {folder / file}: would be written over, and it is read here\n"
    assert (folder / file).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--output", "events"], "{}/events: would be written over, and it is read here"),
        (["--dead-letters", "events"], "{}/events: would be written over, and it is read here"),
        (["--output", "link"], "{0}/link: would be written over, and it is read here as {0}/events"),
        (["--dead-letters", "pipeline.yaml"], "{}/pipeline.yaml: would be written over, and it is read here"),
        (["--output", "new", "--dead-letters", "./new"], "{}/new: would be written twice"),
        (["--output", "new", "--dead-letters", "new-link"], "{0}/new-link: would be written twice, as {0}/new too"),
    ],
)
def test_nothing_is_written_over_what_is_read_or_written(arguments: list[str], words: str, tmp_path: Path) -> None:
    """By whatever name: events and the pipeline file stay as they are; both names of one file are told."""
    flights_beside(tmp_path, "")
    (tmp_path / "events").write_bytes(PLAIN)
    (tmp_path / "link").symlink_to("events")
    (tmp_path / "new-link").symlink_to("new")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    options = [one if one.startswith("--") else str(tmp_path / one) for one in arguments]
    done = onelane("enrich", tmp_path / "pipeline.yaml", "--input", tmp_path / "events", *options)
    assert done.returncode == 2
    assert done.stderr.decode() == f"onelane: {words.format(tmp_path)}\n"
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_dead_letters_are_there_whole_or_not_at_all(tmp_path: Path) -> None:
    """As enriched records are: a run that fails leaves those of an earlier one alone."""
    letters = tmp_path / "dead.jsonl"
    letters.write_text("kept")
    onelane("enrich", PIPELINE, "--input", tmp_path / "none", "--dead-letters", letters)
    assert letters.read_text() == "kept"
    onelane("enrich", PIPELINE, "--output", tmp_path / "out", "--dead-letters", letters, stdin=b"{")
    assert letters.read_bytes().count(b"Malformed") == 1


def test_a_pipe_is_written_to_not_replaced(tmp_path: Path) -> None:
    """Nor a device, nor what a link leads to by the link."""
    pipe, link, real = tmp_path / "pipe", tmp_path / "link", tmp_path / "real"
    os.mkfifo(pipe)
    with subprocess.Popen(["/bin/cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        assert onelane("enrich", PIPELINE, "--limit", "3", "--output", pipe, stdin=PLAIN).returncode == 0
        assert reader.communicate(timeout=30)[0].count(b"\n") == 3
    assert pipe.is_fifo()
    link.symlink_to(real)
    assert onelane("enrich", PIPELINE, "--limit", "3", "--output", link, stdin=PLAIN).returncode == 0
    assert (link.is_symlink(), real.read_bytes().count(b"\n")) == (True, 3)
    full = onelane("enrich", PIPELINE, "--output", "/dev/full", stdin=PLAIN)
    assert (full.returncode, full.stderr) == (2, b"onelane: No space left on device\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "1h"], "--since is for --from-topic"),
        (["--from-topic", "--input", "x"], "events come from --input or from --from-topic, not from both"),
        (["--limit", "0"], "0 is not in the range x>=1"),
        (["--from-topic", "--since", "soon"], "'soon' is no time"),
    ],
)
def test_wrong_arguments_exit_2(arguments: list[str], words: str) -> None:
    """Before anything is read."""
    done = onelane("enrich", PIPELINE, *arguments)
    assert done.returncode == 2
    assert words in " ".join(done.stderr.decode().split())


def test_a_bar_is_for_terminals(tmp_path: Path) -> None:
    """On one, events are counted while it goes; the tests above saw none in a pipe."""
    source = tmp_path / "events.jsonl"
    source.write_bytes(PLAIN)
    shown = on_a_terminal("enrich", PIPELINE, "--input", source)
    assert b"50 events" in shown
    assert b"100%" in shown


def test_a_bar_leaves_nothing_among_records_and_dead_letters(tmp_path: Path) -> None:
    """Records on the terminal have it to themselves; dead letters come above the bar, each a line of its own."""
    source = tmp_path / "events.jsonl"
    source.write_bytes(PLAIN + b"{\n" + PLAIN + b"{\n")
    both = on_a_terminal("enrich", PIPELINE, "--input", source, stdout=True)
    assert b"\x1b[" not in both.replace(b"\x1b[0m", b"")
    assert both.count(b"\n") == 103
    shown = on_a_terminal("enrich", PIPELINE, "--input", source)
    letters = [line for line in shown.split(b"\n") if b'{"line"' in line]
    assert len(letters) == 2
    for line in letters:
        before, _, letter = line.partition(b'{"line"')
        assert before.endswith(b"\x1b[2K")
        assert letter.rstrip().endswith(b'"text":"{"}')


def test_settings_of_colour_make_no_terminal_of_a_pipe(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """CI systems set them."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    source = tmp_path / "events.jsonl"
    source.write_bytes(PLAIN)
    done = onelane("enrich", PIPELINE, "--input", source, "--output", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, b"")


def record_at(partition: int, offset: int) -> Event:
    """Make a record of a topic."""
    return PlainEvent(b"{}", topic="t", partition=partition, offset=offset)


def test_the_newest_of_each_partition_are_taken() -> None:
    """As many of each; more where another has fewer, and never more than asked for."""
    bounds = {0: (0, 100), 1: (40, 42), 2: (0, 0), 3: (10, 60)}

    def read(spans: Spans) -> list[Event]:
        return [record_at(partition, offset) for partition, span in spans.items() for offset in range(*span)]

    assert newest(bounds, 41, read) == {0: (81, 100), 1: (40, 42), 2: (0, 0), 3: (40, 60)}
    assert newest(bounds, 10_000, read) == {**bounds}


@pytest.mark.parametrize("every", [1, 2, 3, 50])
@pytest.mark.parametrize("limit", [1, 7, 40, 1000])
def test_offsets_without_a_record_are_not_counted(every: int, limit: int) -> None:
    """Markers of transactions and gaps take up offsets: there are as many records as were asked for, the newest."""
    bounds = {0: (0, 400), 1: (1000, 1450)}
    offsets = {partition: list(range(low, high, every)) for partition, (low, high) in bounds.items()}
    there = [(partition, offset) for partition, each in offsets.items() for offset in each]

    def read(spans: Spans) -> list[Event]:
        return [record_at(*place) for place in there if spans[place[0]][0] <= place[1] < spans[place[0]][1]]

    found = [(event.partition(), event.offset()) for event in read(newest(bounds, limit, read))]
    assert len(found) == min(limit, len(there))
    for partition, each in offsets.items():
        mine = [offset for at, offset in found if at == partition]
        assert mine == each[len(each) - len(mine) :]


def test_a_sample_knows_how_far_it_is() -> None:
    """By partition; and where an event is."""
    records: list[Event] = [PlainEvent(b"{}", topic="t", partition=p, offset=o) for p, o in ((0, 5), (1, 3), (0, 7))]
    sample = Sample(records, {0: 4, 1: 3, 2: 9})
    assert [event.offset() for event in sample.read(2)] == [5, 3]
    assert sample.positions() == {0: 6, 1: 4, 2: 9}
    assert sample.where(sample.read(2)[0]) == {"topic": "t", "partition": 0, "offset": 7}
    assert sample.read(2) == []
