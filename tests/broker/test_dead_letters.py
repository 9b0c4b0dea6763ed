"""`onelane dead-letters` on a real broker."""

import base64
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from consumer.deadletter.causes import Code
from consumer.deadletter.headers import REPLAYS
from consumer.pipeline.load import load
from consumer.records.envelope import prefix
from consumer.types import Cause, Headers, PlainEvent, Stage
from tests.support.alike import assert_same, assert_same_order
from tests.support.command import ROOT, on_a_terminal, onelane
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.flights import FLIGHTS, flight_values
from tests.support.formats import schema_of, written
from tests.support.letters import BAD, dead_letter
from tests.support.replays import dead_letters, kill_in_transaction, mapping
from tests.support.stream import Stream, key, value
from tests.support.topics import NewRecord, produce, read_all, wait_until
from tests.support.verify import event_ids

NOW = int(time.time() * 1000)
HOUR = 3_600_000
FLIGHT = orjson.loads(flight_values()[0])
FAR = Cause(Stage.FEATURES, Code.OUT_OF_RANGE, "too far", "distance")


def letter(
    stream: Stream,
    number: int,
    *,
    cause: Cause = FAR,
    partition: int = 0,
    died: int = NOW,
    happened: int = NOW,
    headers: Headers = (),
    model: str = "delay@1",
    pipeline: str | None = None,
    label: str | None = None,
) -> NewRecord:
    """Return a dead letter of an event that is fine by now."""
    event = PlainEvent(
        value(number),
        offset=number,
        partition=partition,
        topic=stream.input,
        key=key(number),
        timestamp=(1, happened),
        headers=headers,
    )
    record = dead_letter(event, cause=cause, model=model, pipeline=label or f"{pipeline or stream.name}@1")
    return NewRecord(
        key=record.key(),
        value=record.value(),
        partition=partition,
        headers=tuple(record.headers() or ()),
        timestamp_ms=died,
    )


def bury(stream: Stream, letters: Sequence[NewRecord]) -> None:
    """Write records to the dead-letter topic."""
    produce(stream.bootstrap, stream.dead, letters)


def test_an_empty_topic_has_no_dead_letters(open_stream: OpenStream) -> None:
    """Which is no error, for a person or a program."""
    stream = open_stream()
    listed = dead_letters(stream, "list")
    assert (listed["total"], listed["foreign"], listed["cause"]) == (0, 0, {})
    assert dead_letters(stream, "replay", "--yes")["replayed"] == 0
    assert onelane("dead-letters", "list", stream.pipeline).stdout.decode() == f"{stream.dead}: 0 dead letters\n"
    assert "no dead letter that is meant" in dead_letters(stream, "show", code=2)["error"]


@pytest.mark.parametrize("command", ["list", "show", "replay"])
def test_a_missing_topic_exits_5(command: str, open_stream: OpenStream) -> None:
    """And is not made by asking."""
    stream = open_stream({"dead_letters": {"topic": "nowhere"}})
    error = dead_letters(stream, command, code=5)["error"]
    assert error.startswith("onelane: no topic nowhere on the brokers: create ")
    assert error.count("\n") == 1


def test_a_broker_that_is_away_exits_4(open_stream: OpenStream) -> None:
    """Within 30 s, with its address, in one line at the end; till then it is told that nobody answers."""
    stream = open_stream({"kafka": {"bootstrap.servers": "127.0.0.1:1"}})
    error = dead_letters(stream, "list", code=4)["error"]
    *waits, last = error.splitlines()
    assert last.startswith("onelane: no broker at 127.0.0.1:1 within 30 s: ")
    assert 2 <= len(waits) <= 4
    assert all("no broker answers yet" in line for line in waits)


def test_filters_say_which_are_counted(open_stream: OpenStream) -> None:
    """By cause, stage, model, time, partition and offset; foreign records are counted apart."""
    stream = open_stream()
    bury(
        stream,
        [
            letter(stream, 0, died=NOW - 3 * HOUR),
            letter(stream, 1, died=NOW - 2 * HOUR, cause=BAD, model="other@2"),
            letter(stream, 2, died=NOW - 1000),
            letter(stream, 3, partition=2, died=NOW - 3 * HOUR),
            NewRecord(value=b"hello", partition=1),
            NewRecord(value=b"hello", partition=1, headers=(("onelane.topic", b"x"), ("onelane.offset", b"y"))),
        ],
    )
    total = {
        (): 4,
        ("--cause", "OutOfRange"): 3,
        ("--cause", "OutOfRange", "--cause", "Malformed"): 4,
        ("--stage", "decode"): 1,
        ("--model", "delay"): 3,
        ("--model", "other@2"): 1,
        ("--since", "150m"): 2,
        ("--until", "1h"): 3,
        ("--since", "150m", "--until", "1h"): 1,
        ("--partition", "2"): 1,
        ("--offsets", "1..2"): 2,
        ("--offsets", "..0"): 2,
        ("--cause", "TooLarge"): 0,
    }
    assert {options: dead_letters(stream, "list", *options)["total"] for options in total} == total
    listed = dead_letters(stream, "list")
    assert (listed["foreign"], listed["partition"]) == (2, {"0": 3, "2": 1})
    text = onelane("dead-letters", "list", stream.pipeline).stdout.decode()
    assert "left out: 2 records not written by onelane" in text


def test_what_is_not_committed_is_not_there(open_stream: OpenStream) -> None:
    """An aborted dead letter never was, and one that is pending is not waited for."""
    stream = open_stream(partitions=1)
    producer = Producer({"bootstrap.servers": stream.bootstrap, "transactional.id": stream.name, "log_level": 0})
    producer.init_transactions(30)
    bury(stream, [letter(stream, 0)])
    for number in (1, 2):
        producer.begin_transaction()
        record = letter(stream, number)
        producer.produce(stream.dead, record.value, record.key, 0, headers=list(record.headers))
        producer.flush(10)
        if number == 1:
            producer.abort_transaction(30)
    assert dead_letters(stream, "list")["total"] == 1
    producer.abort_transaction(30)


def test_show_tells_all_of_one(open_stream: OpenStream) -> None:
    """By place or by filter; as bytes, JSON or text."""
    stream = open_stream()
    odd = letter(stream, 1, partition=1, headers=(("trace", b"7f"),))
    bury(stream, [letter(stream, 0), odd, NewRecord(value=b"hello", partition=1)])
    shown = dead_letters(stream, "show", "1:0")
    assert shown == dead_letters(stream, "show", "--partition", "1")
    assert (shown["topic"], shown["partition"], shown["offset"]) == (stream.dead, 1, 0)
    assert shown["event"]["offset"] == 1
    assert shown["value"] == {"json": json.loads(value(1))}
    assert shown["headers"] == [{"name": "trace", "value": {"text": "7f"}}]
    assert onelane("dead-letters", "show", stream.pipeline, "1:0", "--raw").stdout == value(1)
    text = onelane("dead-letters", "show", stream.pipeline, "1:0").stdout.decode()
    for words in ("OutOfRange", "too far", "distance", stream.dead, "key-1", '\n  "carrier": "US",\n'):
        assert words in text
    assert "1:1 was not written by onelane" in dead_letters(stream, "show", "1:1", code=2)["error"]
    assert "no dead letter at 1:2" in dead_letters(stream, "show", "1:2", code=2)["error"]
    assert "has partitions 0 to 2" in dead_letters(stream, "show", "7:0", code=2)["error"]


@pytest.mark.parametrize("name", ["avro", "protobuf"])
def test_show_says_what_values_of_a_schema_say(name: str, open_stream: OpenStream) -> None:
    """By the pipeline's schema; what it does not fit, and what needs a registry that is away, is told, and in hex."""
    schema = {"avro": "flights.avsc", "protobuf": "flights.proto"}[name]
    stream = open_stream({"input": {"format": name, "schema": str(FLIGHTS / schema)}}, partitions=1)
    good = written(name, FLIGHT, schema_of(name))
    broken = good[:-1]
    bury(stream, [replace(letter(stream, number), value=bytes_) for number, bytes_ in enumerate([good, broken])])
    shown = dead_letters(stream, "show", "0:0")["value"]
    assert base64.b64decode(shown["base64"]) == good
    assert (shown["json"]["id"], shown["json"]["carrier"]) == (FLIGHT["id"], FLIGHT["carrier"])
    assert (
        f'"carrier": "{FLIGHT["carrier"]}"' in onelane("dead-letters", "show", stream.pipeline, "0:0").stdout.decode()
    )
    assert onelane("dead-letters", "show", stream.pipeline, "0:0", "--raw").stdout == good
    assert dead_letters(stream, "show", "0:1")["value"] == {"base64": base64.b64encode(broken).decode()}
    done = onelane("dead-letters", "show", stream.pipeline, "0:1")
    assert f"00000000  {broken[:16].hex(' ')}" in done.stdout.decode()
    assert done.stderr.decode().startswith("its bytes are shown: not what its schema says: ")
    away = {"input": {"format": name}, "registry": {"url": "http://127.0.0.1:1"}}
    stream.write_pipeline(away)
    bury(stream, [replace(letter(stream, 2), value=prefix(1) + good)])
    done = onelane("dead-letters", "show", stream.pipeline, "0:2")
    assert f"00000000  {(prefix(1) + good)[:16].hex(' ')}" in done.stdout.decode()
    assert done.stderr.decode().startswith("its bytes are shown: schema 1 can't be had: no answer from http://127.0")


def test_a_replay_leaves_what_it_should(open_stream: OpenStream) -> None:
    """Foreign records, other pipelines' and those that were replayed too often; and says how many."""
    stream = open_stream()
    bury(
        stream,
        [
            letter(stream, 0),
            letter(stream, 1, pipeline="other"),
            letter(stream, 2, headers=((REPLAYS, b"3"),)),
            letter(stream, 3, cause=BAD),
            NewRecord(value=b"hello"),
        ],
    )
    fates = {"replay": 2, "spent": 1, "elsewhere": 1}
    assert dead_letters(stream, "list")["replay"] == fates
    done = dead_letters(stream, "replay", "--cause", "OutOfRange", "--yes")
    assert done["published"] == 1
    assert dead_letters(stream, "list")["replay"] == fates | {"replay": 1, "done": 1}
    told = " ".join(onelane("dead-letters", "list", stream.pipeline).stdout.decode().split())
    assert (
        "for `replay`: 1 to replay, 1 replayed already, 1 replayed too often (--max-replays 3), 1 of another" in told
    )
    assert done["left"] == {"unselected": 1, "done": 0, "spent": 1, "elsewhere": 1, "foreign": 1}
    assert event_ids(read_all(stream.bootstrap, stream.input)) == [0]
    more = dead_letters(stream, "replay", "--max-replays", "4", "--yes")
    assert (more["published"], more["left"]["done"]) == (2, 1)
    assert sorted(event_ids(read_all(stream.bootstrap, stream.input))) == [0, 2, 3]
    counts = {event_ids([r])[0]: dict(r.headers)[REPLAYS] for r in read_all(stream.bootstrap, stream.input)}
    assert counts == {0: b"1", 2: b"4", 3: b"1"}


def test_what_is_likely_in_vain_is_said_before_it_is_done(open_stream: OpenStream) -> None:
    """To a person who could still stop it, and beside what programs read."""
    stream = open_stream()
    label = load(stream.pipeline).label
    bury(stream, [letter(stream, 0, label=label), letter(stream, 1)])
    watched = (
        "import sys, consumer.kafka.replay as replay\n"
        "run = replay.Replay.run\n"
        "def told(*given):\n    print('DEED', file=sys.stderr, flush=True)\n    return run(*given)\n"
        "replay.Replay.run = told\n"
        f"sys.argv = ['onelane', 'dead-letters', 'replay', {str(stream.pipeline)!r}, '--yes', '--json']\n"
        "from consumer.cli import main\nmain()\n"
    )
    done = subprocess.run([sys.executable, "-c", watched], cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert json.loads(done.stdout)["published"] == 2
    warning, deed = done.stderr.decode().splitlines()
    assert warning.startswith(f"1 of them fell out of this very pipeline ({label}): ")
    assert deed == "DEED"


def test_a_replay_shows_how_far_it_is_on_a_terminal(open_stream: OpenStream) -> None:
    """First looking, then at the deed, each with a share; a pipe sees none of it."""
    stream = open_stream(partitions=1)
    bury(stream, [letter(stream, number) for number in range(600)])
    assert b"\x1b" not in onelane("dead-letters", "replay", stream.pipeline).stderr
    shown = on_a_terminal("dead-letters", "replay", stream.pipeline, "--yes").decode()
    looking, replaying = (re.findall(rf"{what}\s.*?(\d+)%", shown) for what in ("looking", "replaying"))
    assert max(map(int, looking)) > 40
    assert max(map(int, replaying)) > 40
    assert shown.index("looking") < shown.index("replaying")
    assert_same_order(event_ids(read_all(stream.bootstrap, stream.input)), range(600))


def test_restart_replays_again(open_stream: OpenStream) -> None:
    """All that is meant, and from then on it is remembered anew."""
    stream = open_stream()
    bury(stream, [letter(stream, number) for number in range(5)])
    assert dead_letters(stream, "replay", "--yes")["published"] == 5
    assert dead_letters(stream, "replay", "--restart")["replayed"] == 5
    assert dead_letters(stream, "replay")["replayed"] == 0
    assert dead_letters(stream, "replay", "--restart", "--offsets", "..1", "--yes")["published"] == 2
    assert dead_letters(stream, "replay", "--yes")["published"] == 3


def test_an_event_that_is_nearly_too_old_for_its_topic_gets_the_present_time(open_stream: OpenStream) -> None:
    """Else retention would take it before it is read."""
    stream = open_stream(partitions=1)
    stream.broker.set_topic_config(stream.input, retention_ms=10 * HOUR)
    bury(stream, [letter(stream, 0, happened=NOW - 4 * HOUR), letter(stream, 1, happened=NOW - 6 * HOUR)])
    dead_letters(stream, "replay", "--yes")
    young, old = read_all(stream.bootstrap, stream.input)
    assert young.timestamp_ms == NOW - 4 * HOUR
    assert old.timestamp_ms >= NOW


def test_an_event_of_a_partition_that_is_gone_goes_where_its_key_says(open_stream: OpenStream) -> None:
    """As in a topic that was made anew with fewer of them."""
    stream = open_stream(partitions=3)
    stream.broker.create_topic(f"{stream.name}-few", 1)
    stream.write_pipeline({"input": {"topic": f"{stream.name}-few"}})
    few = PlainEvent(value(0), partition=2, topic=f"{stream.name}-few", key=key(0))
    record = dead_letter(few, pipeline=f"{stream.name}@1")
    bury(stream, [NewRecord(key=key(0), value=value(0), headers=tuple(record.headers() or ()))])
    assert dead_letters(stream, "replay", "--yes")["published"] == 1
    (back,) = read_all(stream.bootstrap, f"{stream.name}-few")
    assert back.partition == 0


def test_what_dies_again_is_counted_until_the_limit(open_stream: OpenStream) -> None:
    """Through the pipeline: the new dead letter names the first place of the event, and counts."""
    stream = open_stream({"batch": {"rows": 10, "time": "500ms"}} | mapping(highest=10.0), partitions=1)
    bury(stream, [letter(stream, number, headers=(("trace", b"7f"),)) for number in range(3)])
    for count in (1, 2):
        dry = dead_letters(stream, "replay", "--to", "pipeline", "--max-replays", "2")
        assert (dry["enriched"], dry["dead_again"]) == (0, {"OutOfRange": 3})
        done = dead_letters(stream, "replay", "--to", "pipeline", "--max-replays", "2", "--yes")
        assert (done["enriched"], done["dead_again"]) == (0, {"OutOfRange": 3})
        last = read_all(stream.bootstrap, stream.dead)[-3:]
        for number, record in enumerate(last):
            headers = dict(record.headers)
            assert (headers[REPLAYS], headers["trace"]) == (b"%d" % count, b"7f")
            assert (headers["onelane.topic"], headers["onelane.offset"]) == (stream.input.encode(), b"%d" % number)
            assert len(headers) == len(record.headers)
    done = dead_letters(stream, "replay", "--to", "pipeline", "--max-replays", "2", "--yes")
    assert (done["replayed"], done["left"]["done"], done["left"]["spent"]) == (0, 6, 3)
    assert len(read_all(stream.bootstrap, stream.dead)) == 9
    assert not read_all(stream.bootstrap, stream.output)


def test_what_dies_again_in_the_worker_keeps_its_count(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """Through the input topic: the new dead letter names the event's new place."""
    stream = open_stream(mapping(highest=10.0), partitions=1)
    stream.feed([7])
    bury(stream, [letter(stream, 0)])
    assert dead_letters(stream, "replay", "--yes")["published"] == 1
    worker = start_worker(stream)
    wait_until(lambda: len(read_all(stream.bootstrap, stream.dead)) == 3, 60, "the event does not die again")
    worker.stop()
    headers = dict(read_all(stream.bootstrap, stream.dead)[-1].headers)
    assert (headers["onelane.offset"], headers[REPLAYS]) == (b"1", b"1")


def test_a_record_that_the_output_topic_refuses_is_dead_again_alone(open_stream: OpenStream) -> None:
    """A compacted topic takes no record without a key; its neighbours are enriched."""
    stream = open_stream(partitions=1)
    stream.broker.set_topic_config(stream.output, cleanup_policy="compact")
    letters = [letter(stream, number) for number in range(10)]
    for number in (3, 6):
        letters[number] = NewRecord(value=letters[number].value, partition=0, headers=letters[number].headers)
    bury(stream, letters)
    done = dead_letters(stream, "replay", "--to", "pipeline", "--yes")
    assert (done["enriched"], done["dead_again"]) == (8, {"Refused": 2})
    assert event_ids(read_all(stream.bootstrap, stream.output)) == [0, 1, 2, 4, 5, 7, 8, 9]
    assert event_ids(read_all(stream.bootstrap, stream.dead)[10:]) == [3, 6]


def test_an_input_topic_that_refuses_an_event_ends_the_replay(open_stream: OpenStream) -> None:
    """With why; nothing is half done, and nothing is remembered."""
    stream = open_stream(partitions=1)
    stream.broker.set_topic_config(stream.input, cleanup_policy="compact")
    fine = letter(stream, 0)
    bury(stream, [fine, NewRecord(value=fine.value, partition=0, headers=fine.headers)])
    error = dead_letters(stream, "replay", "--yes", code=4)["error"]
    assert f"{stream.input} does not take the events back: " in error
    assert not read_all(stream.bootstrap, stream.input)
    assert dead_letters(stream, "replay", "--offsets", "..0", "--yes")["published"] == 1


def test_a_second_replay_takes_over_from_the_first(open_stream: OpenStream, tmp_path: Path) -> None:
    """The first ends with code 4 at its next transaction; all are replayed once."""
    stream = open_stream(partitions=1)
    bury(stream, [letter(stream, number) for number in range(400)])
    command = [sys.executable, "-m", "tests.support.slow_replay", "dead-letters", "replay", str(stream.pipeline)]
    with (tmp_path / "first.log").open("wb") as log:
        first = subprocess.Popen([*command, "--yes"], cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_until(lambda: read_all(stream.bootstrap, stream.input), 60, "the first replay writes nothing")
        second = dead_letters(stream, "replay", "--yes")
        assert first.wait(60) == 4
    finally:
        first.kill()
        first.wait()
    assert 0 < second["published"] < 400
    assert "another replay of this pipeline has taken over" in (tmp_path / "first.log").read_text()
    assert_same_order(event_ids(read_all(stream.bootstrap, stream.input)), range(400))


def test_a_killed_replay_is_not_waited_for_by_a_dry_run_for_ever(open_stream: OpenStream, tmp_path: Path) -> None:
    """It waits for what the killed one left open until its transaction times out (3 s here), and tells the truth."""
    stream = open_stream(partitions=1)
    bury(stream, [letter(stream, number) for number in range(400)])
    kill_in_transaction(stream, stream.input, log=tmp_path / "replay.log")
    dry = dead_letters(stream, "replay")
    assert dry["left"]["done"] == len(read_all(stream.bootstrap, stream.input)) > 0
    assert dry["replayed"] == 400 - dry["left"]["done"]


def test_a_worker_enriches_what_was_put_back_beside_new_events(
    open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """A replay into the input topic of a worker that runs needs no stop of it."""
    stream = open_stream()
    bury(stream, [letter(stream, number, partition=number % 3) for number in range(0, 60, 2)])
    start_worker(stream)
    stream.feed(range(1, 60, 2))
    assert dead_letters(stream, "replay", "--yes")["published"] == 30
    wait_until(lambda: len(read_all(stream.bootstrap, stream.output)) >= 60, 60, "not all are enriched")
    assert_same(event_ids(read_all(stream.bootstrap, stream.output)), range(60))


def test_a_topic_that_was_made_anew_has_nothing_replayed(open_stream: OpenStream) -> None:
    """Its offsets begin again at 0; Kafka forgets what was committed for the old one."""
    stream = open_stream(partitions=1)
    bury(stream, [letter(stream, number) for number in range(3)])
    assert dead_letters(stream, "replay", "--yes")["published"] == 3
    stream.broker.delete_topic(stream.dead)
    stream.broker.create_topic(stream.dead, 1, max_message_bytes=2_000_000)
    bury(stream, [letter(stream, number) for number in range(3)])
    assert dead_letters(stream, "replay", "--yes")["published"] == 3


def test_notes_that_something_else_wrote_are_refused(open_stream: OpenStream) -> None:
    """Not taken for none, which would replay all again; --restart forgets them."""
    stream = open_stream(partitions=1)
    bury(stream, [letter(stream, 0)])
    settings = {"bootstrap.servers": stream.bootstrap, "group.id": f"{stream.name}.replay", "log_level": 0}
    with Consumer(settings) as consumer:
        consumer.commit(offsets=[TopicPartition(stream.dead, 0, 1, "by hand")], asynchronous=False)
    assert dead_letters(stream, "list")["replay"] is None  # counting goes on without
    error = dead_letters(stream, "replay", "--yes", code=5)["error"]
    assert f"the offset of {stream.dead}[0] was committed by something else; --restart forgets it" in error
    assert dead_letters(stream, "replay", "--restart", "--yes")["published"] == 1


def test_a_replay_that_is_broken_off_says_how_to_go_on(open_stream: OpenStream, tmp_path: Path) -> None:
    """Ctrl-C: code 3, in one line, and the same command takes the rest."""
    stream = open_stream(partitions=1)
    bury(stream, [letter(stream, number) for number in range(400)])
    command = [sys.executable, "-m", "tests.support.slow_replay", "dead-letters", "replay", str(stream.pipeline)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*command, "--yes"], cwd=ROOT, stdout=log, stderr=log)
    try:
        wait_until(lambda: read_all(stream.bootstrap, stream.input), 60, "the replay writes nothing")
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 3
    finally:
        process.kill()
        process.wait()
    said = (tmp_path / "log").read_text()
    assert said == "onelane: stopped; the same command goes on where this one ended\n"
    assert 0 < dead_letters(stream, "replay", "--yes")["published"] < 400
    assert_same_order(event_ids(read_all(stream.bootstrap, stream.input)), range(400))
