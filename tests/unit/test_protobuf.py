"""Protobuf: events read, enriched records made, schemas derived and written."""

import math
from base64 import b64encode
from typing import Any

import numpy as np
import orjson
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from consumer.deadletter.causes import Code
from consumer.records.answers import NumberColumn
from consumer.records.dialect import Rules
from consumer.records.envelope import FaultError
from consumer.records.predictions import Predictions
from consumer.records.protobuf import ProtobufDialect
from consumer.records.protobuf_schema import ProtobufSchema, from_file
from consumer.records.protobuf_text import proto_text
from consumer.records.schemas import Reference, Schema, SchemaError
from consumer.records.translated import Translated
from consumer.records.values import Fields, ListOf, Plain
from tests.support.formats import protobuf
from tests.unit.test_avro import OneBatch

RULES = Rules(
    finite=None,
    forbidden="p",
    registry=False,
    message="",
    layout="merge",
    field="p",
    number=1000,
    name="pipe",
)
ANSWERS = Fields({"y": Plain.FLOAT, "model": Plain.TEXT})
EVENT = """
syntax = "proto3";
package air.port;
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Event {
  int64 id = 1;
  optional double a = 2;
  string text = 3;
  bytes raw = 4;
  Kind kind = 5;
  repeated int32 many = 6;
  map<string, Inner> by_name = 7;
  oneof choice { string word = 8; int32 digit = 9; }
  google.protobuf.Timestamp at = 10;
  google.protobuf.DoubleValue wrapped = 11;
  Inner inner = 12;
  map<bool, int32> by_truth = 13;
  repeated Inner inners = 14;
  message Inner { uint64 n = 1; Event around = 2; }
  enum Kind { NONE = 0; SOME = 1; }
  reserved 20 to 22, 30;
  reserved "gone";
}
message Other { int32 x = 1; }
"""


def rules(**changes: Any) -> Rules:  # noqa: ANN401
    """Change what a pipeline asks."""
    return Rules(**{**{name: getattr(RULES, name) for name in Rules.__struct_fields__}, **changes})


def schema(text: str = EVENT) -> Schema:
    """Return a schema."""
    return Schema("PROTOBUF", text)


def said(payload: bytes, **changes: Any) -> Any:  # noqa: ANN401
    """Read an event; what it says as JSON."""
    return orjson.loads(ProtobufDialect(None, rules(**changes)).decoder(schema()).text(payload))


def fault(payload: bytes, **changes: Any) -> tuple[str, str | None]:  # noqa: ANN401
    """Return why an event can't be read, and the field."""
    with pytest.raises(FaultError) as caught:
        said(payload, **changes)
    return caught.value.cause.code, caught.value.cause.field


def event(**fields: Any) -> bytes:  # noqa: ANN401
    """Write an event as a producer does."""
    return bytes(protobuf(EVENT)(**fields).SerializeToString())


BARE = {"id": 0, "text": "", "raw": "", "kind": "NONE", "many": [], "by_name": {}, "by_truth": {}, "inners": []}


def test_fields_without_a_value_are_left_out_and_those_that_always_have_one_are_not() -> None:
    """As the schema says: `optional`, messages and oneofs can be absent, other fields are 0, empty or false."""
    assert said(b"") == BARE


def test_an_event_is_read_as_the_json_that_says_the_same() -> None:
    """Names as in the schema, integers as numbers with all their digits, times as RFC 3339."""
    payload = event(
        id=-(2**62) - 1,
        a=0.5,
        text="Ü",
        raw=b"\xff\x00",
        kind="SOME",
        many=[1, -2],
        by_name={"x": {"n": 2**64 - 1}},
        digit=0,
        at={"seconds": 1356998400, "nanos": 500_000_000},
        wrapped={"value": 2.5},
        inner={"around": {"id": 3}},
        by_truth={True: 1},
        inners=[{"n": 1}],
    )
    assert said(payload) == {
        "id": -(2**62) - 1,
        "a": 0.5,
        "text": "Ü",
        "raw": "/wA=",
        "kind": "SOME",
        "many": [1, -2],
        "by_name": {"x": {"n": 2**64 - 1}},
        "digit": 0,
        "at": "2013-01-01T00:00:00.500000+00:00",
        "wrapped": 2.5,
        "inner": {"n": 0, "around": {**BARE, "id": 3}},
        "by_truth": {"true": 1},
        "inners": [{"n": 1}],
    }


def test_an_enums_value_that_the_schema_does_not_name_is_its_number() -> None:
    """A producer may be ahead."""
    assert said(event(kind=7))["kind"] == 7


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_number_that_json_lacks_is_refused(number: float) -> None:
    """It would be taken for missing."""
    assert fault(event(a=number)) == (Code.NOT_FINITE, "a")
    assert fault(event(wrapped={"value": number})) == (Code.NOT_FINITE, "wrapped")


def test_only_the_fields_that_are_wanted_are_looked_at() -> None:
    """Where records keep the events' own bytes; the field that must not be there is among them."""
    payload = event(id=3, wrapped={"value": math.nan}, at={"seconds": 2**60}, text="x")
    assert said(payload, finite=frozenset({"id", "a"}), forbidden="text") == {"id": 3, "text": "x"}


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b'{"id":1}', Code.MALFORMED),
        (event(text="abc")[:-1], Code.MALFORMED),
        (b"\x1a\x02\xff\xff", Code.NOT_UTF8),
        (event(at={"seconds": 2**60}), Code.BAD_TIME),
    ],
)
def test_bytes_that_the_schema_does_not_say_are_refused(payload: bytes, code: Code) -> None:
    """Each with its cause."""
    assert fault(payload) == (code, None)


def test_bytes_of_no_message_are_told_in_our_words() -> None:
    """Not in those of Google's library."""
    with pytest.raises(FaultError, match=r"^not what its schema says: no \S*Event can be read of its 8 bytes$"):
        said(b'{"id":1}')


def test_a_message_in_a_message_in_a_message_takes_no_process_down() -> None:
    """Google's library has a limit."""
    payload = b""
    for _ in range(5000):
        payload = b"\x12" + _length(payload) + payload  # Inner.around
        payload = b"\x62" + _length(payload) + payload  # Event.inner
    assert fault(payload)[0] == Code.MALFORMED


def _length(payload: bytes) -> bytes:
    number, made = len(payload), b""
    while number > 127:
        made += bytes([number & 127 | 128])
        number >>= 7
    return made + bytes([number])


def test_the_place_of_the_message_stands_before_it_in_the_wire_format() -> None:
    """0 for the first; another message on the topic is none of ours."""
    assert said(b"\x00" + event(id=5), registry=True)["id"] == 5
    assert fault(b"\x02\x02" + event(id=5), registry=True)[0] == Code.BAD_WIRE_FORMAT
    other = ProtobufDialect(schema(), rules(registry=True, message="air.port.Other")).decoder(schema())
    assert other.text(b"\x02\x02\x08\x03") == b'{"x":3}'
    inner = ProtobufDialect(schema(), rules(registry=True, message="air.port.Event.Inner")).decoder(schema())
    for place in (b"\x04\x00\x00", b"\x04\x00\x04"):  # Python's serializer counts entries of maps, Java's does not
        assert orjson.loads(inner.text(place + b"\x08\x03"))["n"] == 3


def test_a_message_that_is_not_there_is_named_with_those_that_are() -> None:
    """`input.message`."""
    with pytest.raises(SchemaError, match=r"no message Flight; known: air\.port\.Event, air\.port\.Other"):
        ProtobufDialect(schema(), rules(message="Flight"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("message {", "no Protobuf schema: event.proto:1"),
        ('syntax = "proto3"; import "nowhere.proto";', "nowhere.proto"),
        ('syntax = "proto3";', "it has no messages"),
        ("QUJD", "no descriptor"),
    ],
)
def test_what_is_no_schema_is_refused(text: str, words: str) -> None:
    """With what the compiler says."""
    with pytest.raises(SchemaError, match=words):
        ProtobufDialect(schema(text), RULES)


def test_a_schema_of_another_kind_is_refused() -> None:
    """An Avro event on a topic of Protobuf."""
    with pytest.raises(SchemaError, match="it is AVRO, not PROTOBUF"):
        ProtobufSchema(Schema("AVRO", '"string"'))


def test_schemas_may_import_others() -> None:
    """As a registry's references do; none gets out of its folder."""
    place = schema('syntax = "proto3"; package geo; message Place { int32 x = 1; }')
    text = 'syntax = "proto3"; import "geo/place.proto"; message A { geo.Place at = 1; }'
    imports = (Reference("geo/place.proto", "places", 1, place),)
    trip = Schema("PROTOBUF", text, imports)
    dialect = ProtobufDialect(trip, RULES)
    assert dialect.decoder(trip).text(b"\x0a\x02\x08\x03") == b'{"at":{"x":3}}'
    derived = dialect.derived(ANSWERS)
    assert derived.references == imports
    ProtobufSchema(derived)
    with pytest.raises(SchemaError, match=r"no path of a \.proto file"):
        ProtobufSchema(Schema("PROTOBUF", text, (Reference("../../etc/a.proto", "places", 1, place),)))


def test_an_import_may_be_named_as_the_schema_itself_is_named_here() -> None:
    """A topic's schema has no name in a registry: it makes way for those that have one."""
    place = schema('syntax = "proto3"; package geo; message Place { int32 x = 1; }')
    imports = (Reference("event.proto", "places", 1, place),)
    text = 'syntax = "proto3"; import "event.proto"; message A { geo.Place at = 1; }'
    trip = Schema("PROTOBUF", text, imports)
    assert ProtobufDialect(trip, RULES).decoder(trip).text(b"\x0a\x02\x08\x03") == b'{"at":{"x":3}}'
    file = ProtobufSchema(trip).file
    file.name = "event.proto"
    alone = Schema("PROTOBUF", b64encode(file.SerializeToString()).decode(), imports)
    assert ProtobufDialect(alone, RULES).decoder(alone).text(b"\x0a\x02\x08\x03") == b'{"at":{"x":3}}'


def test_an_import_may_be_named_as_the_pipeline_is() -> None:
    """Records of predictions alone have a file of their own."""
    place = schema('syntax = "proto3"; message Place { int32 x = 1; }')
    text = 'syntax = "proto3"; import "pipe.proto"; message A { Place at = 1; }'
    trip = Schema("PROTOBUF", text, (Reference("pipe.proto", "places", 1, place),))
    dialect = ProtobufDialect(trip, rules(layout="only", forbidden=None))
    writer = dialect.writer(b"", Predictions({"y": NumberColumn("t", 0)}, {"model": "m@1"}), ANSWERS)
    batch = OneBatch(Translated(None, b"", dialect.decoder(trip), b""))
    values, bad = writer.write(batch, {"t": np.array([0.5], dtype=np.float32)})
    assert not bad
    assert protobuf(dialect.derived(ANSWERS).text).FromString(values[0]).p.y == 0.5


def test_a_descriptor_set_does_as_well() -> None:
    """What `protoc --include_imports --descriptor_set_out` makes needs no compiler."""
    files = FileDescriptorSet(file=ProtobufSchema(schema()).files).SerializeToString()
    assert from_file(EVENT.encode()) == EVENT
    assert from_file(files) == b64encode(files).decode()
    decoder = ProtobufDialect(None, RULES).decoder(schema(from_file(files)))
    assert orjson.loads(decoder.text(event(id=9)))["id"] == 9


def test_one_files_descriptor_does_as_well() -> None:
    """As Confluent's serializer for Python registers it; what it needs is Google's, or referred to."""
    file = ProtobufSchema(schema()).file
    text = b64encode(file.SerializeToString()).decode()
    decoder = ProtobufDialect(None, RULES).decoder(schema(text))
    assert orjson.loads(decoder.text(event(id=9, at={"seconds": 0})))["at"] == "1970-01-01T00:00:00+00:00"
    place = schema('syntax = "proto3"; package geo; message Place { int32 x = 1; }')
    imports = (Reference("geo/place.proto", "places", 1, place),)
    text = 'syntax = "proto3"; import "geo/place.proto"; message A { geo.Place at = 1; }'
    trip = ProtobufSchema(Schema("PROTOBUF", text, imports)).file
    alone = b64encode(trip.SerializeToString()).decode()
    ProtobufSchema(Schema("PROTOBUF", alone, imports))
    with pytest.raises(SchemaError, match=r"needs geo/place\.proto, and does not say where"):
        ProtobufSchema(Schema("PROTOBUF", alone))


PROTO2 = """
syntax = "proto2";
package old;
message Event {
  required int32 id = 1;
  optional string word = 2 [default = "a \\"b\\""];
  optional bytes raw = 3 [default = "\\377a"];
  repeated int32 many = 4 [packed = true];
  optional Kind kind = 5 [default = SOME];
  enum Kind { option allow_alias = true; NONE = 0; SOME = 1; ANY = 1; reserved 5 to 7; }
  extensions 100 to max;
}
"""


@pytest.mark.parametrize("text", [EVENT, PROTO2])
def test_a_schema_that_is_written_says_what_was_read(text: str) -> None:
    """All that decides what bytes mean."""
    file = ProtobufSchema(schema(text)).file
    again = ProtobufSchema(schema(proto_text(file))).file
    assert again == file


@pytest.mark.parametrize(
    "text",
    [
        'syntax = "proto2"; message A { optional group B = 1 { optional int32 c = 1; } }',
        'syntax = "proto2"; message A { extensions 1 to 5; } extend A { optional int32 b = 1; }',
        'edition = "2023"; message A { int32 b = 1; }',
    ],
)
def test_what_can_not_be_written_is_refused(text: str) -> None:
    """At the start, rather than registered as something else."""
    with pytest.raises(SchemaError, match="can't"):
        proto_text(ProtobufSchema(schema(text)).file)


def enriched(payload: bytes, **changes: Any) -> tuple[bytes, Any]:  # noqa: ANN401
    """Enrich an event: the bytes, and what a consumer of the derived schema reads."""
    dialect = ProtobufDialect(schema(), rules(**changes))
    writer = dialect.writer(b"", Predictions({"y": NumberColumn("t", 0)}, {"model": "m@1"}), ANSWERS)
    batch = OneBatch(Translated(None, b"", dialect.decoder(schema()), payload))
    values, bad = writer.write(batch, {"t": np.array([0.5], dtype=np.float32)})
    assert not bad
    return values[0], protobuf(dialect.derived(ANSWERS).text).FromString(values[0])


def test_merge_puts_a_field_behind_the_events_own_bytes() -> None:
    """Also what its schema does not know: a producer may be ahead."""
    payload = event(id=5, text="x") + b"\xba\x3e\x03new"  # field 999
    value, found = enriched(payload)
    assert value.startswith(payload)
    assert (found.id, found.text, found.p.y, found.p.model) == (5, "x", 0.5, "m@1")
    assert b"new" in found.SerializeToString()


def test_nest_puts_event_and_predictions_side_by_side() -> None:
    """In the first message of its file."""
    _, found = enriched(event(id=5), layout="nest", forbidden=None)
    assert (found.DESCRIPTOR.full_name, found.event.id, found.p.y) == ("air.port.Event_enriched", 5, 0.5)


def test_only_leaves_the_event_out() -> None:
    """Named after the pipeline."""
    _, found = enriched(event(id=5), layout="only", forbidden=None)
    assert (found.DESCRIPTOR.full_name, found.p.y) == ("pipe_enriched", 0.5)
    assert [field.name for field in found.DESCRIPTOR.fields] == ["p"]


def test_the_fields_number_is_free_in_the_events_schema() -> None:
    """Else two fields would be one."""
    with pytest.raises(SchemaError, match=r"number 3: say another `output\.number`"):
        ProtobufDialect(schema(), rules(number=3)).derived(ANSWERS)
    later = schema(EVENT.replace("oneof choice", "string late = 1000;\n  oneof choice"))
    with pytest.raises(SchemaError, match="its field late has the number 1000"):
        ProtobufDialect(schema(), RULES).decoder(later)


@pytest.mark.parametrize(
    "field",
    [b"\xc2\x3e\x03new", b"\xc0\x3e\x07", b"\xc1\x3e12345678", b"\xc5\x3e1234", b"\xc3\x3e\x08\x01\xc4\x3e",
     b"\xc2\xbe\x00\x03new"],
    ids=["bytes", "number", "64 bits", "32 bits", "group", "a longer way to write it"],
)  # fmt: skip
def test_an_event_of_a_later_schema_may_have_the_fields_number(field: bytes) -> None:
    """Both would be one field then, whatever its type; bytes that only look like it harm nothing."""
    assert fault(event(id=5) + field) == (Code.FIELD_EXISTS, None)
    assert said(event(raw=b"\xc2\x3e\x03new"))["id"] == 0


def test_replace_lets_an_old_field_give_way() -> None:
    """Of the schema and of each event."""
    _, found = enriched(event(id=5, text="old", word="w"), field="text", forbidden=None)
    assert (found.id, found.word, found.text.y) == (5, "w", 0.5)


def test_a_schema_with_the_output_field_is_refused_at_the_start() -> None:
    """Each event would be a dead letter."""
    with pytest.raises(SchemaError, match="have a field 'text' already"):
        ProtobufDialect(schema(), rules(forbidden="text"))


def test_lists_and_records_of_answers_have_types_of_their_own() -> None:
    """As the best labels with their scores."""
    item = Fields({"label": Plain.TEXT, "score": Plain.DOUBLE})
    answers = Fields({"best": ListOf(item), "n": Plain.LONG, "all": ListOf(Plain.FLOAT), "one": item})
    text = ProtobufDialect(None, rules(layout="only")).derived(answers).text
    made = protobuf(text)(p={"best": [{"label": "a", "score": 0.5}], "n": 3, "all": [1.0], "one": {"label": "b"}})
    assert (made.p.best[0].label, made.p.n, list(made.p.all), made.p.one.label) == ("a", 3, [1.0], "b")
    with pytest.raises(SchemaError, match="list of lists"):
        ProtobufDialect(None, rules(layout="only")).derived(Fields({"x": ListOf(ListOf(Plain.LONG))}))
