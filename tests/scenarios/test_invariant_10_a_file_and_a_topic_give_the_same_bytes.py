"""Invariant 10: the live worker, `enrich` of a sample of its topic and `enrich` of a file give identical bytes."""

import json
from collections import Counter

import pytest

from tests.support.alike import assert_same
from tests.support.command import onelane
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.flights import flight_values
from tests.support.topics import NewRecord, committed, produce, read_all
from tests.support.verify import wait_until_caught_up

COUNT = 400
BAD = {7: b"{", 200: b'{"distance":"far"}'}


@pytest.mark.parametrize("rows", [7, 256])
def test_invariant_10_a_file_and_a_topic_give_the_same_bytes(
    rows: int, open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """Whatever the batches; dead letters have the same causes, and looking at a topic moves no group."""
    stream = open_stream({"batch": {"rows": rows}})
    values = {number: BAD.get(number, value) for number, value in enumerate(flight_values()[:COUNT])}
    produce(stream.bootstrap, stream.input, [NewRecord(key=b"%d" % n, value=value) for n, value in values.items()])
    worker = start_worker(stream)
    wait_until_caught_up(stream)
    worker.stop()
    live = [record.value for record in read_all(stream.bootstrap, stream.output)]
    causes = Counter(dict(record.headers)["onelane.cause"] for record in read_all(stream.bootstrap, stream.dead))
    before = committed(stream.bootstrap, stream.name, stream.input)
    sampled = onelane("enrich", stream.pipeline, "--from-topic", "--limit", "100000")
    filed = onelane("enrich", stream.pipeline, stdin=b"\n".join(values.values()))
    assert len(live) == COUNT - len(BAD)
    assert_same(sampled.stdout.splitlines(), live)
    assert_same(filed.stdout.splitlines(), live)
    told = [json.loads(line) for line in sampled.stderr.splitlines()]
    assert Counter(line["cause"].encode() for line in told) == causes
    assert {line["topic"] for line in told} == {stream.input}
    assert committed(stream.bootstrap, stream.name, stream.input) == before
    newest = onelane("enrich", stream.pipeline, "--from-topic", stream.input, "--limit", "30")
    assert len(newest.stdout.splitlines()) + len(newest.stderr.splitlines()) == 30
    marked = onelane("enrich", stream.pipeline, "--from-topic", stream.output, "--limit", "30")  # dead: FieldExists
    assert len(marked.stderr.splitlines()) == 30  # though markers of transactions take up offsets
    assert Counter(newest.stdout.splitlines()) < Counter(live)
    missing = onelane("enrich", stream.pipeline, "--from-topic", "nowhere")
    assert (missing.returncode, missing.stdout) == (5, b"")
    assert b"nowhere" in missing.stderr
