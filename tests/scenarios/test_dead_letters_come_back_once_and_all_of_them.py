"""Events fall out of a mapping that is too narrow; it is mended, and they are replayed, with the replay killed by -9.

A dry run changes nothing. The replay is killed in an open transaction, twice, and started again each time, the last
time with a wider filter: every event is enriched in the end, none twice, those that were dead in the order in which
they died. The record of an event that was dead is that of one that never was.
"""

import secrets
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.support.alike import assert_same
from tests.support.command import onelane
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.replays import dead_letters, flight, kill_after, kill_in_transaction, mapping
from tests.support.stream import Protocol, Stream
from tests.support.topics import NewRecord, Record, committed, end_offsets, produce, read_all
from tests.support.verify import event_ids, wait_until_caught_up

COUNT = 1500
BROKEN = [number for number in range(COUNT) if number % 3 == 0]
BATCH = {"batch": {"rows": 50, "time": "500ms"}}
TRACE = (("trace", b"7f"),)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("to", ["input", "pipeline"])
def test_dead_letters_come_back_once_and_all_of_them(
    to: str, open_stream: OpenStream, start_worker: StartWorker, tmp_path: Path
) -> None:
    """For both targets: back into the input topic, and straight through the pipeline."""
    stream = open_stream(mapping(highest=3000.0) | BATCH)
    events = make_events()
    produce(stream.bootstrap, stream.input, events)
    work(stream, start_worker)
    assert dead_letters(stream, "list")["cause"] == {"OutOfRange": len(BROKEN)}
    assert _warned(stream, to) == (to == "input")
    stream.write_pipeline(mapping(highest=None) | BATCH)
    assert not _warned(stream, to)

    before = places(stream)
    dry = dead_letters(stream, "replay", "--to", to)
    assert (dry["dry_run"], dry["replayed"], dry["dead_again"]) == (True, len(BROKEN), {})
    assert places(stream) == before

    target = stream.input if to == "input" else stream.output
    for _ in range(2):
        kill_in_transaction(stream, target, "--to", to, "--cause", "OutOfRange", log=tmp_path / "replay.log")
    last = dead_letters(stream, "replay", "--to", to, "--yes")
    assert 0 < last["replayed"] < len(BROKEN)
    assert last["replayed"] + last["left"]["done"] == len(BROKEN)
    assert dead_letters(stream, "replay", "--to", to, "--yes")["replayed"] == 0

    if to == "input":
        assert_put_back(stream, events)
        work(stream, start_worker)
    assert_enriched_once(stream)
    assert_same(event_ids(read_all(stream.bootstrap, stream.dead)), BROKEN)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("to", "protocol", "delivery"), [("input", "classic", "at_least_once"), ("pipeline", "consumer", "exactly_once")]
)
def test_killed_at_random_moments_and_with_changing_filters(
    *,
    to: str,
    protocol: Protocol,
    delivery: str,
    open_stream: OpenStream,
    start_worker: StartWorker,
    tmp_path: Path,
    report: Callable[[str], None],
) -> None:
    """Eight kills between the start of the process and its last batch; whatever the group's protocol and delivery."""
    changes = BATCH | {"delivery": delivery}
    stream = open_stream(mapping(highest=3000.0) | changes, protocol=protocol)
    produce(stream.bootstrap, stream.input, make_events())
    work(stream, start_worker)
    stream.write_pipeline(mapping(highest=None) | changes, protocol)
    filters = [(), ("--cause", "OutOfRange"), ("--partition", "1"), ("--since", "1h", "--offsets", "50..")]
    at_work = [
        kill_after(stream, secrets.randbelow(3000) / 1000, "--to", to, *filters[n % 4], log=tmp_path / "replay.log")
        for n in range(8)
    ]
    last = dead_letters(stream, "replay", "--to", to, "--yes")
    assert last["replayed"] + last["left"]["done"] == len(BROKEN)
    target = stream.input if to == "input" else stream.output
    put_back = BROKEN if to == "input" else []
    assert_same(event_ids(read_all(stream.bootstrap, target)), [*range(COUNT), *put_back])
    report(
        f"replay to {to} killed {sum(at_work)} times at work: {last['left']['done']} of {len(BROKEN)} dead letters "
        "were replayed before the last run"
    )


def make_events() -> list[NewRecord]:
    """Events of a minute ago, each with a header of its own."""
    began = int(time.time() * 1000) - 60_000
    return [
        NewRecord(key=event.key, value=event.value, headers=TRACE, timestamp_ms=began + number)
        for number, event in enumerate(map(flight, range(COUNT)))
    ]


def work(stream: Stream, start_worker: StartWorker) -> None:
    """Have a worker enrich what there is."""
    worker = start_worker(stream)
    wait_until_caught_up(stream)
    worker.stop()


def places(stream: Stream) -> tuple[object, ...]:
    """Where each topic ends, and what the replay has committed."""
    ends = [end_offsets(stream.bootstrap, topic) for topic in (stream.input, stream.output, stream.dead)]
    return (*ends, committed(stream.bootstrap, f"{stream.name}.replay", stream.dead))


def assert_put_back(stream: Stream, events: Sequence[NewRecord]) -> None:
    """Each is in the input topic once more, as it was: partition, key, value, headers, timestamp; and a count."""
    records = read_all(stream.bootstrap, stream.input)
    first = {event_ids([record])[0]: record for record in records if record.headers == TRACE}
    back = [record for record in records if record.headers != TRACE]
    assert_same(event_ids(back), BROKEN)
    for number, record in zip(event_ids(back), back, strict=True):
        was = first[number]
        assert (record.partition, record.key, record.value) == (was.partition, was.key, was.value)
        assert record.timestamp_ms == events[number].timestamp_ms
        assert record.headers == (*TRACE, ("onelane.replays", b"1"))
    assert_in_order(back)


def assert_enriched_once(stream: Stream) -> None:
    """Every event, on its partition, with its own headers and no other; in two orders, the whole and the mended."""
    enriched = read_all(stream.bootstrap, stream.output)
    assert_same(event_ids(enriched), range(COUNT))
    assert_in_order([record for record in enriched if event_ids([record])[0] % 3 == 0])
    assert_in_order([record for record in enriched if event_ids([record])[0] % 3])
    assert {record.headers for record in enriched} == {TRACE}
    partitions = {event_ids([event])[0]: event.partition for event in read_all(stream.bootstrap, stream.input)}
    assert all(partitions[event_ids([record])[0]] == record.partition for record in enriched)


def assert_in_order(records: Sequence[Record]) -> None:
    """Of each partition, ids go up."""
    ids: dict[int, list[int]] = defaultdict(list)
    for record in records:
        ids[record.partition] += event_ids([record])
    assert len(ids) > 1
    assert all(numbers == sorted(numbers) for numbers in ids.values())


def _warned(stream: Stream, to: str) -> bool:
    """Whether a dry run says that the workers would make dead letters of them again."""
    done = onelane("dead-letters", "replay", stream.pipeline, "--to", to)
    assert done.returncode == 0, done.stderr.decode()
    return b"fell out of this very pipeline" in done.stderr
