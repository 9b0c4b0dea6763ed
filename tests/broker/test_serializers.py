"""Confluent's own serializers and deserializers at both ends, with a real registry between them and us."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from consumer.assembly import Assembly
from consumer.kafka.registry import CheckingRegistry, RegisteringRegistry, SchemaRegistry
from consumer.types import Enriched, PlainEvent
from tests.support.apicurio import Apicurio
from tests.support.flights import flight_values
from tests.support.formats import assembled, protobuf, schema_of

FLIGHTS = [orjson.loads(value) for value in flight_values()[:20]]


@pytest.fixture
def client(registry: Apicurio) -> Iterator[SchemaRegistryClient]:
    """A registry client as other programs have it."""
    with closing(SchemaRegistryClient({"url": registry.url})) as made:
        yield made


class Assemble:
    """Assembles the flights example with a registry, which is closed with the test."""

    def __init__(self, registry: Apicurio, folder: Path, topic: Callable[[str], str]) -> None:
        self._url = registry.url
        self._folder = folder
        self.topics = {"input": topic("in"), "output": topic("out")}
        self._opened: list[SchemaRegistry] = []

    def __call__(self, kind: type[SchemaRegistry], name: str, layout: str = "merge") -> Assembly:
        """Assemble it in a format."""
        changes: dict[str, dict[str, Any]] = {
            "registry": {"url": self._url},
            "input": {"format": name, "topic": self.topics["input"]},
            "output": {"topic": self.topics["output"], "layout": layout},
        }

        def opened(settings: Any) -> SchemaRegistry:  # noqa: ANN401 - of the pipeline file
            self._opened.append(kind(settings, patience=10))
            return self._opened[-1]

        return assembled(self._folder, changes, opened)

    def close(self) -> None:
        """Close what was opened."""
        for registry in self._opened:
            registry.close()


@pytest.fixture
def assemble(registry: Apicurio, tmp_path: Path, unique: Callable[[str], str]) -> Iterator[Assemble]:
    """Assembles the flights example."""
    with closing(Assemble(registry, tmp_path, unique)) as made:
        yield made


def context(topic: str) -> SerializationContext:
    """Return what a serializer has to know."""
    return SerializationContext(topic, MessageField.VALUE)


def enriched(assembly: Assembly, values: list[bytes]) -> list[bytes]:
    """Enrich events, all of them."""
    results = assembly.enrichers()().enrich([PlainEvent(value) for value in values])
    assert all(isinstance(result, Enriched) for result in results), results[0]
    return [result.value for result in results if isinstance(result, Enriched)]


@pytest.mark.parametrize("layout", ["merge", "nest", "only"])
def test_avro(assemble: Assemble, client: SchemaRegistryClient, layout: str) -> None:
    """Schemas are registered and found by both."""
    write = AvroSerializer(client, schema_of("avro").text)
    values = [write(flight, context(assemble.topics["input"])) for flight in FLIGHTS]
    read = AvroDeserializer(client)
    for flight, value in zip(FLIGHTS, enriched(assemble(RegisteringRegistry, "avro", layout), values), strict=True):
        found = read(value, context(assemble.topics["output"]))
        assert found["delay"].keys() == {"minutes", "late", "model", "pipeline"}
        event = {"merge": found, "nest": found.get("event"), "only": flight}[layout]
        assert {name: event[name] for name in flight} == flight


@pytest.mark.parametrize("layout", ["merge", "nest", "only"])
def test_protobuf(assemble: Assemble, client: SchemaRegistryClient, layout: str) -> None:
    """The registry takes the .proto files that we write.

    Confluent's deserializer for Python can't be asked: it wants schemas in a form that Apicurio does not give.
    """
    known = protobuf(schema_of("protobuf").text)
    write = ProtobufSerializer(known, client, {"use.deprecated.format": False})
    fields = [{name: value for name, value in flight.items() if value is not None} for flight in FLIGHTS]
    values = [write(known(**flight), context(assemble.topics["input"])) for flight in fields]
    values = enriched(assemble(RegisteringRegistry, "protobuf", layout), values)
    registered = client.get_latest_version(f"{assemble.topics['output']}-value").schema
    for flight, value in zip(FLIGHTS, values, strict=True):
        assert value[5:6] == b"\x00"  # the schema's first message
        found = protobuf(registered.schema_str).FromString(value[6:])
        assert found.delay.model.startswith("delay@")
        event = {"merge": found, "nest": getattr(found, "event", None), "only": None}[layout]
        assert event is None or (event.id, event.dest) == (flight["id"], flight["dest"])


def test_json_schema(assemble: Assemble, client: SchemaRegistryClient) -> None:
    """Records are what their schema says, by the deserializer that checks it."""
    text = orjson.dumps({**orjson.loads(schema_of("json_schema").text), "title": "Flight"}).decode()
    write = JSONSerializer(text, client)
    values = [write(flight, context(assemble.topics["input"])) for flight in FLIGHTS]
    values = enriched(assemble(RegisteringRegistry, "json_schema"), values)
    registered = client.get_latest_version(f"{assemble.topics['output']}-value").schema
    read = JSONDeserializer(registered.schema_str, schema_registry_client=client)
    for flight, value in zip(FLIGHTS, values, strict=True):
        found = read(value, context(assemble.topics["output"]))
        assert found["delay"]["late"] in (True, False)
        assert {name: found[name] for name in flight} == flight


def test_what_lint_looks_at_is_what_run_registers(assemble: Assemble, client: SchemaRegistryClient) -> None:
    """Lint leaves the registry as it is; a second worker, and one that may not register, find the schema."""
    AvroSerializer(client, schema_of("avro").text)(FLIGHTS[0], context(assemble.topics["input"]))
    subject = f"{assemble.topics['output']}-value"
    assemble(CheckingRegistry, "avro")
    assert subject not in client.get_subjects()
    assemble(RegisteringRegistry, "avro")
    assemble(RegisteringRegistry, "avro")
    assemble(SchemaRegistry, "avro")
    assert client.get_versions(subject) == [1]
