"""The schema registry stops answering while events come whose schema the worker has not seen yet.

Their partition waits, visibly, the others go on, and once the registry is back everything is enriched, once.
`OUTAGE=60` makes it last a minute; here it is a few seconds.
"""

import json
import os
import time
from urllib.request import urlopen

import orjson

from consumer.kafka.registry import RegisteringRegistry
from consumer.records.envelope import prefix
from consumer.records.schemas import Schema
from tests.support.alike import assert_same
from tests.support.apicurio import Apicurio
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.flights import flight_values
from tests.support.formats import FRAME, read, schema_of, written
from tests.support.probing import wait_until_shown
from tests.support.stream import Stream
from tests.support.topics import NewRecord, committed, produce, read_all, wait_until
from tests.support.verify import wait_until_caught_up
from tests.support.worker import Worker

OUTAGE = float(os.environ.get("OUTAGE", "6"))

FLIGHT = orjson.loads(flight_values()[0])


def later() -> Schema:
    """Return the next version of the events' schema."""
    tree = json.loads(schema_of("avro").text)
    added = {"name": "gate", "type": "string", "default": "?"}
    return Schema("AVRO", json.dumps({**tree, "fields": [*tree["fields"], added]}))


class Events:
    """Avro events of two schemas, each with an id of its own."""

    def __init__(self, stream: Stream, registry: Apicurio) -> None:
        self._stream = stream
        edge = RegisteringRegistry({"url": registry.url})
        self._versions = [
            (schema, edge.claim(f"{stream.input}-value", schema)) for schema in (schema_of("avro"), later())
        ]
        edge.close()
        self.count = 0

    def feed(self, partition: int, version: int, count: int = 20) -> None:
        """Write some to a partition."""
        schema, number = self._versions[version]
        records = [
            NewRecord(value=written("avro", {**FLIGHT, "id": one, "gate": "A1"}, schema, number), partition=partition)
            for one in range(self.count, self.count + count)
        ]
        produce(self._stream.bootstrap, self._stream.input, records)
        self.count += count


def offsets(stream: Stream) -> dict[int, int]:
    """Return what is committed."""
    return {at: offset or 0 for at, offset in committed(stream.bootstrap, stream.name, stream.input).items()}


def enriched(stream: Stream, registry: Apicurio) -> list[int]:
    """Return the ids of enriched records, each read with the schema that it names."""
    edge = RegisteringRegistry({"url": registry.url}, patience=10)
    schemas: dict[int, Schema] = {}
    ids = []
    for record in read_all(stream.bootstrap, stream.output):
        value = record.value or b""
        number = int.from_bytes(value[1:FRAME])
        assert value[:FRAME] == prefix(number)
        schema = schemas.setdefault(number, edge.schema(number))
        found = read("avro", value[FRAME:], schema)
        assert found["delay"]["late"] in (True, False)
        ids.append(found["id"])
    edge.close()
    assert len(schemas) == 1
    return ids


def status(worker: Worker, page: str) -> str:
    """Return what a worker tells."""
    with urlopen(f"http://{worker.http}{page}", timeout=5) as answer:
        return str(answer.read().decode())


def test_a_registry_that_is_away_holds_up_its_lanes_only(
    open_stream: OpenStream, start_worker: StartWorker, registry: Apicurio
) -> None:
    """Frozen, under load: nothing is lost, doubled or a dead letter, and the worker stays in its group."""
    stream = open_stream({"input": {"format": "avro"}, "registry": {"url": registry.url}})
    events = Events(stream, registry)
    worker = start_worker(stream)
    worker.wait_until_assigned(3)
    for partition in range(3):
        events.feed(partition, 0)
    wait_until(lambda: sum(offsets(stream).values()) == 60, 30, "the first events are not enriched")
    with registry.frozen():
        began = time.monotonic()
        events.feed(2, 1)
        held = worker.wait_for("partition held")
        assert (held["partition"], held["offset"], held["kind"], held["level"]) == (2, 20, "registry", "error")
        wait_until_shown(worker, "registry away")
        rounds = 0
        while time.monotonic() - began < OUTAGE:
            for partition, version in ((0, 0), (1, 0), (2, 1)):
                events.feed(partition, version)
            rounds += 1
            going_on = {0: 20 + 20 * rounds, 1: 20 + 20 * rounds, 2: 20}
            wait_until(lambda: offsets(stream) == going_on, 30, "the others do not go on")  # noqa: B023 - waited for
        body = json.loads(status(worker, "/ready"))
        assert [(one["partition"], one["kind"]) for one in body["held"]] == [(2, "registry")]
        assert "has not told yet what schema" in body["held"][0]["why"]
        assert f'onelane_held{{kind="registry",partition="2",pipeline="{stream.name}"}} 1.0' in status(
            worker, "/metrics"
        )
    assert len(worker.logs("partition held")) == 1
    wait_until_caught_up(stream, 30)
    worker.wait_for("partition released")
    assert worker.stop() == 0
    assert_same(enriched(stream, registry), range(events.count))
    assert read_all(stream.bootstrap, stream.dead) == []
