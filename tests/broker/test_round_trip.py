"""Real events through a real broker and back, over both group protocols and both deliveries."""

import gzip
import itertools
from collections import defaultdict
from pathlib import Path

import numpy as np
import orjson
import pytest
from ai_edge_litert.interpreter import Interpreter

from tests.support.alike import assert_same_order
from tests.support.fixtures import OpenStream
from tests.support.inprocess import run_worker
from tests.support.stream import Protocol, Stream
from tests.support.topics import NewRecord, Record, lag, produce, read_all

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
PARTITIONS = 6
BROKEN = (b"{", b'{"dep_delay":"late"}', b"[1]", b'{"id":1,"delay":0}', b"\xff")


def flights(count: int) -> list[bytes]:
    """Return the example's first events."""
    with gzip.open(EXAMPLE / "events.jsonl.gz") as lines:
        return [line.rstrip(b"\n") for line in itertools.islice(lines, count)]


def keyed(values: list[bytes]) -> list[NewRecord]:
    """Give each event a key, its carrier, and a header; broken ones have keys too."""
    return [
        NewRecord(value=value, key=value.partition(b'"carrier":"')[2][:2] or b"?", headers=(("n", b"%d" % number),))
        for number, value in enumerate(values)
    ]


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_every_event_comes_out_once_in_order_enriched_or_dead(
    open_stream: OpenStream, protocol: Protocol, delivery: str
) -> None:
    """What is fed comes out once, in the order of its partition, with key, partition, headers and bytes kept."""
    stream = open_stream({"delivery": delivery}, partitions=PARTITIONS, protocol=protocol)
    good = flights(1500)
    mixed = list(good)
    for number, value in enumerate(BROKEN):
        mixed.insert(200 * (number + 1), value)
    produce(stream.bootstrap, stream.input, keyed(mixed))
    fed = read_all(stream.bootstrap, stream.input, until_count=len(mixed))

    figures = run_worker(stream.pipeline, lambda: lag(stream.bootstrap, stream.name, stream.input) == 0)

    enriched = read_all(stream.bootstrap, stream.output, until_count=len(good))
    dead = read_all(stream.bootstrap, stream.dead, until_count=len(BROKEN))
    assert figures.events == len(mixed)
    assert_same_order(same_way(fed, enriched), [record for record in fed if record.value not in BROKEN])
    assert {record.value for record in dead} == set(BROKEN)
    for letter in dead:
        told = dict(letter.headers)
        source = next(record for record in fed if record.value == letter.value)
        assert (letter.key, letter.partition) == (source.key, source.partition)
        assert told["onelane.topic"] == stream.input.encode()
        assert (told["onelane.partition"], told["onelane.offset"]) == (
            b"%d" % source.partition,
            b"%d" % source.offset,
        )
        assert told["onelane.timestamp"] == b"%d" % source.timestamp_ms
        assert told["n"] == dict(source.headers)["n"]


def same_way(fed: list[Record], enriched: list[Record]) -> list[Record]:
    """Return the events that the enriched records were made of, checking bytes, key, headers and order."""
    by_header = {record.headers[0]: record for record in fed}
    sources = []
    places: dict[int, int] = defaultdict(lambda: -1)
    for record in enriched:
        source = by_header[record.headers[0]]
        assert record.value is not None
        assert source.value is not None
        assert record.value.startswith(source.value[:-1] + b',"delay":{"minutes":')
        assert (record.key, record.partition, record.headers) == (source.key, source.partition, source.headers)
        assert source.offset > places[source.partition]
        places[source.partition] = source.offset
        sources.append(source)
    return sources


def test_scores_are_those_of_the_model_run_directly_on_one_event_at_a_time(open_stream: OpenStream) -> None:
    """Minutes on the output topic are what the interpreter says of each event alone, by arithmetic written here."""
    stream = open_stream(partitions=PARTITIONS)
    values = flights(300)
    produce(stream.bootstrap, stream.input, keyed(values))
    run_worker(stream.pipeline, lambda: lag(stream.bootstrap, stream.name, stream.input) == 0)
    direct = Direct(stream)
    for record in read_all(stream.bootstrap, stream.output, until_count=len(values)):
        told = orjson.loads(record.value or b"")
        assert told["delay"]["minutes"] == pytest.approx(direct.minutes(told), abs=1e-3)


class Direct:
    """The model, one event at a time, by itself."""

    def __init__(self, stream: Stream) -> None:
        del stream
        self._run = Interpreter(str(EXAMPLE / "models" / "delay.tflite")).get_signature_runner()
        self._entries = {
            name: (EXAMPLE / f"{file}.txt").read_text().splitlines()
            for name, file in (("carrier", "carriers"), ("origin", "origins"), ("dest", "destinations"))
        }

    def minutes(self, event: dict[str, object]) -> float:
        """Return the model's minutes for an event."""
        local = np.datetime64(str(event["time_hour"]).rstrip("Z")) - np.timedelta64(5, "h")  # New York in winter
        weekday = (local.astype("datetime64[D]").astype(int) - 4) % 7
        hour = local.astype("datetime64[h]").astype(int) % 24
        raw = [event["dep_delay"] or 0.0, event["distance"], event["sched_dep_time"], event["sched_arr_time"]]
        numbers = np.array([*raw, event["weekend"], weekday, hour], dtype=np.float64)
        mean, std = [13.6, 1046, 1341, 1530, 0, 3, 13], [41.9, 737, 468, 500, 1, 2, 4.7]
        features = ((numbers - mean) / std).astype(np.float32)[None]
        indices = {name: np.array([[self._place(name, event)]], dtype=np.int32) for name in self._entries}
        return float(self._run(features=features, **indices)["minutes"].item())

    def _place(self, name: str, event: dict[str, object]) -> int:
        entries = self._entries[name]
        return entries.index(str(event[name])) + 1 if event[name] in entries else 0
