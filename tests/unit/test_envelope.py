"""What stands around an event's bytes."""

import pytest

from consumer.deadletter.causes import Code
from consumer.records.envelope import FaultError, Wire, prefix
from consumer.records.json_schema import JsonDecoder
from consumer.records.schemas import Schema
from consumer.types import NotYetError
from tests.support.registries import Registry

JSON = Schema("JSON", '{"type":"object"}')


def wire() -> tuple[Wire, Registry, int]:
    """Make an envelope, its registry, and the id of a schema in it."""
    registry = Registry()
    registry.add(Schema("AVRO", '"string"'))
    return Wire(registry, JsonDecoder), registry, registry.add(JSON)


def fault(envelope: Wire, value: bytes) -> tuple[str, str]:
    """Return why a value can't be read."""
    with pytest.raises(FaultError) as caught:
        envelope.open(value)
    return caught.value.cause.code, caught.value.cause.message


def test_the_wire_format_is_that_of_confluents_serializers() -> None:
    """A zero, four bytes of id, the most significant first."""
    assert prefix(0x01020304) == b"\x00\x01\x02\x03\x04"


def test_a_value_is_taken_out_and_its_schema_asked_for_once() -> None:
    """Ids never change their meaning."""
    envelope, registry, number = wire()
    for _ in range(3):
        decoder, payload = envelope.open(prefix(number) + b'{"a":1}')
        assert decoder.text(payload) == b'{"a":1}'
    assert registry.asked == [number]


@pytest.mark.parametrize("value", [b"\x00\x00\x00\x00", b"\x00", b'{"id":1}', b"\x01\x00\x00\x00\x02{}"])
def test_what_has_no_prefix_is_bad(value: bytes) -> None:
    """It would be guessed at."""
    envelope, _, _ = wire()
    code, message = fault(envelope, value)
    assert code == Code.BAD_WIRE_FORMAT
    assert value[:5].hex(" ") in message


def test_a_schema_of_another_kind_is_unknown_for_ever() -> None:
    """Ids never change their meaning: the registry is not asked for each event."""
    envelope, registry, _ = wire()
    for _ in range(2):
        code, message = fault(envelope, prefix(1) + b"{}")
        assert code == Code.UNKNOWN_SCHEMA
        assert "it is AVRO, not JSON" in message
    assert registry.asked == [1]


def test_a_schema_that_is_not_there_may_come() -> None:
    """Whether it has is the registry's to know, which is asked for each event."""
    envelope, registry, number = wire()
    later = number + 1
    assert fault(envelope, prefix(later) + b"{}") == (Code.UNKNOWN_SCHEMA, f"no schema {later}: there is none")
    assert registry.add(Schema("JSON", "{}")) == later
    assert envelope.open(prefix(later) + b"{}")[1] == b"{}"


def test_a_registry_that_is_away_decides_nothing() -> None:
    """It is asked again."""
    envelope, registry, number = wire()
    registry.away = True
    with pytest.raises(NotYetError):
        envelope.open(prefix(number) + b"{}")
    registry.away = False
    assert envelope.open(prefix(number) + b"{}")[1] == b"{}"
