"""Avro: events read, enriched records made, schemas derived."""

import io
import json
import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import fastavro
import numpy as np
import orjson
import pytest

from consumer.deadletter.causes import Code
from consumer.records.answers import NumberColumn, OverColumn
from consumer.records.avro import AvroDialect, AvroWriter
from consumer.records.avro_schema import AvroSchema
from consumer.records.dialect import Rules
from consumer.records.envelope import FaultError
from consumer.records.predictions import Predictions
from consumer.records.schemas import Reference, Schema, SchemaError
from consumer.records.translated import Translated
from consumer.records.values import Fields, ListOf, Plain
from consumer.types import PlainEvent

FIELDS: list[dict[str, Any]] = [
    {"name": "id", "type": "long"},
    {"name": "delay", "type": ["null", "double"], "default": None},
    {"name": "carrier", "type": "string"},
]
EVENT = {"id": 2**62 + 1, "delay": 4.5, "carrier": "ÜA"}
RULES = Rules(
    finite=frozenset({"delay"}),
    forbidden="p",
    registry=True,
    message="",
    layout="merge",
    field="p",
    number=1000,
    name="pipe",
)
ANSWERS = Fields({"y": Plain.FLOAT, "late": Plain.BOOLEAN, "model": Plain.TEXT})


def record(*fields: dict[str, Any], **more: object) -> Schema:
    """Make a record's schema."""
    made = {"type": "record", "name": "Flight", "namespace": "air.port", "fields": list(fields or FIELDS), **more}
    return Schema("AVRO", json.dumps(made))


def rules(**changes: Any) -> Rules:  # noqa: ANN401
    """Change what a pipeline asks."""
    return Rules(**{**{name: getattr(RULES, name) for name in Rules.__struct_fields__}, **changes})


def written(schema: Schema, value: object) -> bytes:
    """Write an event as a producer does."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(json.loads(schema.text)), value)
    return stream.getvalue()


def read(schema: Schema, payload: bytes, finite: frozenset[str] | None = None, event: Schema | None = None) -> Any:  # noqa: ANN401
    """Read an event; what it says as JSON."""
    return orjson.loads(AvroDialect(event, rules(finite=finite)).decoder(schema).text(payload))


def fault(schema: Schema, payload: bytes, finite: frozenset[str] | None = None) -> tuple[str, str | None]:
    """Return why an event can't be read, and the field."""
    with pytest.raises(FaultError) as caught:
        AvroDialect(None, rules(finite=finite)).decoder(schema).text(payload)
    return caught.value.cause.code, caught.value.cause.field


def test_an_event_is_read_as_the_json_that_says_the_same() -> None:
    """All digits of a long among it."""
    assert read(record(), written(record(), EVENT)) == EVENT


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (
            {"type": "long", "logicalType": "timestamp-millis"},
            datetime(2013, 1, 2, tzinfo=UTC),
            "2013-01-02T00:00:00+00:00",
        ),
        ({"type": "int", "logicalType": "date"}, date(2013, 1, 2), "2013-01-02"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, Decimal("12.50"), 12.5),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B"),
        ("bytes", b"\xff\x00", "/wA="),
        ({"type": "map", "values": "int"}, {"a": 1}, {"a": 1}),
        ({"type": "array", "items": ["null", "string"]}, ["a", None], ["a", None]),
    ],
)
def test_each_type_has_its_place_in_json(kind: object, value: object, said: object) -> None:
    """As docs/formats.md says."""
    schema = record({"name": "a", "type": kind})
    assert read(schema, written(schema, {"a": value})) == {"a": said}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_lacks_is_refused_where_it_matters(number: float) -> None:
    """It would be taken for missing."""
    schema = record({"name": "a", "type": "double"}, {"name": "b", "type": {"type": "array", "items": "double"}})
    payload = written(schema, {"a": 1.0, "b": [0.0, number]})
    assert fault(schema, payload) == (Code.NOT_FINITE, "b[1]")
    assert fault(schema, payload, frozenset({"b"})) == (Code.NOT_FINITE, "b[1]")
    assert read(schema, payload, frozenset({"a"}))["a"] == 1.0


@pytest.mark.parametrize(
    ("payload", "code", "words"),
    [
        (
            written(record(), EVENT)[:-1],
            Code.MALFORMED,
            "not what its schema says: `carrier` can't be read of the bytes from 19 on, which end at 22",
        ),
        (
            written(record(), EVENT) + b"\x00",
            Code.MALFORMED,
            "1 bytes are left over after the 23 that its schema makes a record of",
        ),
        (
            b"\xff" * 40,
            Code.MALFORMED,
            "not what its schema says: `id` can't be read of the bytes from 0 on, which end at 40",
        ),
        (
            b"\x02\x04\x02a",
            Code.MALFORMED,
            "not what its schema says: `delay` can't be read of the bytes from 1 on",
        ),
        (b"\x02\x00\x02\xff", Code.NOT_UTF8, "a text in it is not UTF-8: invalid start byte"),
    ],
)
def test_bytes_that_the_schema_does_not_say_are_refused(payload: bytes, code: Code, words: str) -> None:
    """Too few, too many, others; in our words, from which field and byte on, and of what is after it nothing."""
    with pytest.raises(FaultError) as caught:
        AvroDialect(None, rules()).decoder(record()).text(payload)
    cause = caught.value.cause
    assert (cause.code, cause.message) == (code, words)
    assert cause.field is None or f"`{cause.field}`" in words


def test_an_event_of_an_earlier_schema_is_read_as_the_pipelines() -> None:
    """What it lacks has its default; what the pipeline's schema lacks is left out."""
    old = record(FIELDS[0], {"name": "gone", "type": "string"})
    new = record(FIELDS[0], FIELDS[1], {"name": "carrier", "type": "string", "default": "??"})
    assert read(old, written(old, {"id": 1, "gone": "x"}), event=new) == {"id": 1, "delay": None, "carrier": "??"}


def test_an_event_that_can_not_be_read_as_the_pipelines_schema_is_refused() -> None:
    """A string where a number is wanted."""
    old = record({"name": "id", "type": "string"})
    with pytest.raises(FaultError) as caught:
        read(old, written(old, {"id": "x"}), event=record(FIELDS[0]))
    assert caught.value.cause.code == Code.WRONG_TYPE


@pytest.mark.parametrize("deep", [3000, 900_000])
def test_a_record_in_a_record_in_a_record_takes_no_process_down(deep: int) -> None:
    """The compiled reader of fastavro has no limit."""
    schema = record({"name": "next", "type": ["null", "air.port.Flight"]})
    assert fault(schema, b"\x02" * deep + b"\x00")[0] in (Code.MALFORMED, Code.TOO_DEEP)


@pytest.mark.parametrize(
    "items",
    [
        "null",
        {"type": "null"},
        {"type": "fixed", "name": "F", "size": 0},
        {"type": "record", "name": "R", "fields": []},
    ],
)
def test_an_array_of_nothing_is_refused(items: object) -> None:
    """Ten bytes could claim more items than any memory has."""
    with pytest.raises(SchemaError, match="array of nothing"):
        AvroSchema(record({"name": "a", "type": {"type": "array", "items": items}}))


def doubling(deep: int, first: object) -> list[dict[str, Any]]:
    """Types of which each holds the one before it twice."""
    types = [{"name": "T0", "type": {"type": "record", "name": "T0", "fields": [{"name": "x", "type": first}]}}]
    for place in range(1, deep):
        fields = [{"name": name, "type": f"T{place - 1}"} for name in "ab"]
        types.append({"name": f"T{place}", "type": {"type": "record", "name": f"T{place}", "fields": fields}})
    return types


def test_types_that_many_hold_are_looked_at_once() -> None:
    """Of thousands, each in two fields of the next, there are more ways than could ever be gone."""
    flat = {"type": "record", "name": "Flat", "fields": doubling(2000, "long")}
    assert not AvroSchema(Schema("AVRO", json.dumps(flat))).recursive
    last = {"name": "all", "type": {"type": "array", "items": "T1999"}}
    nothing = {"type": "record", "name": "Flat", "fields": [*doubling(2000, "null"), last]}
    with pytest.raises(SchemaError, match="array of nothing"):
        AvroSchema(Schema("AVRO", json.dumps(nothing)))


def test_a_type_may_hold_itself_by_way_of_others() -> None:
    """Of each other, or far inside."""
    inner = {"type": "record", "name": "B", "fields": [{"name": "a", "type": ["null", "A"]}]}
    outer = {"type": "record", "name": "A", "fields": [{"name": "b", "type": {"type": "map", "values": inner}}]}
    assert AvroSchema(Schema("AVRO", json.dumps(outer))).recursive
    twice = [{"name": "x", "type": {"type": "fixed", "name": "F", "size": 2}}, {"name": "y", "type": "F"}]
    assert not AvroSchema(Schema("AVRO", json.dumps({"type": "record", "name": "A", "fields": twice}))).recursive


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (Schema("AVRO", "[" * 100_000), "no JSON"),
        (Schema("JSON", "{}"), "it is JSON, not AVRO"),
        (Schema("AVRO", "{"), "no JSON"),
        (Schema("AVRO", '{"type":"record"}'), "no Avro schema"),
        (Schema("AVRO", '{"type":"record","name":"A","fields":[{"name":"b","type":"Other"}]}'), "no Avro schema"),
    ],
)
def test_what_is_no_avro_schema_is_refused(schema: Schema, words: str) -> None:
    """In plain words."""
    with pytest.raises(SchemaError, match=words):
        AvroSchema(schema)


def test_schemas_may_refer_to_others() -> None:
    """As a registry's references do."""
    place = Schema("AVRO", '{"type":"record","name":"Place","namespace":"geo","fields":[{"name":"x","type":"int"}]}')
    text = '{"type":"record","name":"A","fields":[{"name":"at","type":"geo.Place"}]}'
    schema = Schema("AVRO", text, (Reference("geo.Place", "places", 1, place),))
    assert read(schema, b"\x06") == {"at": {"x": 3}}
    derived = AvroDialect(schema, RULES).derived(ANSWERS)
    assert derived.references == schema.references
    AvroSchema(derived)


class OneBatch:
    """A batch of translated events."""

    def __init__(self, *rows: Translated) -> None:
        self._rows = rows

    def events(self) -> list[Any]:
        """Return events."""
        return [PlainEvent(b"") for _ in self._rows]

    def values(self) -> list[bytes]:
        """Return nothing of use."""
        return [b"" for _ in self._rows]

    def rows(self) -> list[Translated]:
        """Return what the reader made."""
        return list(self._rows)


def enriched(dialect: AvroDialect, schema: Schema, *events: bytes, answers: tuple[float, ...] = (9.31,)) -> list[Any]:
    """Enrich events, and read what comes out as its schema says."""
    predictions = Predictions({"y": NumberColumn("t", 0), "late": OverColumn("t", 0, 1.0)}, {"model": "m@1"})
    writer: AvroWriter = dialect.writer(b"\x00\x00\x00\x00\x05", predictions, ANSWERS)
    decoder = dialect.decoder(schema)
    batch = OneBatch(*(Translated(None, b"", decoder, event) for event in events))
    values, bad = writer.write(batch, {"t": np.array(answers, dtype=np.float32)})
    assert not bad or len(values) < len(events)
    parsed = fastavro.parse_schema(json.loads(dialect.derived(ANSWERS).text))
    return [_read(parsed, value) for value in values]


def _read(parsed: Any, value: bytes) -> Any:  # noqa: ANN401
    assert value[:5] == b"\x00\x00\x00\x00\x05"
    stream = io.BytesIO(value[5:])
    found = fastavro.schemaless_reader(stream, parsed, None)
    assert stream.tell() == len(value) - 5
    return found


PREDICTION = {"y": float(np.float32(9.31)), "late": True, "model": "m@1"}


def test_merge_puts_a_field_behind_the_events_own_bytes() -> None:
    """The event's schema and one field more, read by another library."""
    dialect = AvroDialect(record(), RULES)
    assert enriched(dialect, record(), written(record(), EVENT)) == [{**EVENT, "p": PREDICTION}]


def test_nest_puts_event_and_predictions_side_by_side() -> None:
    """Each in a field."""
    dialect = AvroDialect(record(), rules(layout="nest", forbidden=None))
    assert enriched(dialect, record(), written(record(), EVENT)) == [{"event": EVENT, "p": PREDICTION}]


def test_only_needs_no_schema_of_events() -> None:
    """Nothing of them is in it."""
    dialect = AvroDialect(None, rules(layout="only", forbidden=None))
    assert enriched(dialect, record(), written(record(), EVENT)) == [{"p": PREDICTION}]


def test_an_event_of_an_earlier_schema_is_written_as_the_outputs() -> None:
    """The others in its batch keep their bytes."""
    old = record(FIELDS[0], FIELDS[2])
    dialect = AvroDialect(record(), RULES)
    event = {"id": 1, "delay": None, "carrier": "UA"}
    assert enriched(dialect, old, written(old, {"id": 1, "carrier": "UA"})) == [{**event, "p": PREDICTION}]


def test_a_union_keeps_its_branch_where_an_event_is_written_again() -> None:
    """Two records with the same fields are told apart by name."""
    branches = [
        {"type": "record", "name": name, "fields": [{"name": "x", "type": "int"}]} for name in ("First", "Second")
    ]
    old = record({"name": "a", "type": branches})
    new = record({"name": "a", "type": branches}, {"name": "b", "type": "int", "default": 7})
    payload = written(old, {"a": ("air.port.Second", {"x": 1})})
    dialect = AvroDialect(new, RULES)
    predictions = Predictions({"y": NumberColumn("t", 0)}, {"model": ""})
    writer = dialect.writer(b"", predictions, Fields({"y": Plain.FLOAT, "model": Plain.TEXT}))
    values, _ = writer.write(OneBatch(Translated(None, b"", dialect.decoder(old), payload)), {"t": np.zeros(1, "f4")})
    assert values == [b"\x02\x02\x0e" + b"\x00" * 5]  # branch 1, x = 1, b = 7, y = 0, model = ""


def test_replace_lets_an_old_field_give_way() -> None:
    """Of the schema and of each event."""
    schema = record(FIELDS[0], {"name": "p", "type": "string"}, FIELDS[2])
    dialect = AvroDialect(schema, rules(forbidden=None))
    found = enriched(dialect, schema, written(schema, {"id": 1, "p": "old", "carrier": "UA"}))
    assert found == [{"id": 1, "carrier": "UA", "p": PREDICTION}]


def test_a_schema_with_the_output_field_is_refused_at_the_start() -> None:
    """Each event would be a dead letter."""
    with pytest.raises(SchemaError, match="have a field 'p' already"):
        AvroDialect(record({"name": "p", "type": "int"}), RULES)


def test_an_event_with_the_output_field_is_a_dead_letter_though_its_reader_leaves_it_out() -> None:
    """A later schema than the pipeline's."""
    late = record(*FIELDS, {"name": "p", "type": "int"})
    with pytest.raises(FaultError) as caught:
        AvroDialect(record(), RULES).decoder(late).text(written(late, {**EVENT, "p": 1}))
    assert (caught.value.cause.code, caught.value.cause.field) == (Code.FIELD_EXISTS, "p")


def test_a_row_without_a_finite_answer_takes_no_neighbour_along() -> None:
    """The event beside it keeps its own bytes (invariant 3)."""
    dialect = AvroDialect(record(), RULES)
    events = [written(record(), {**EVENT, "id": number}) for number in range(3)]
    found = enriched(dialect, record(), *events, answers=(1.0, math.nan, 2.0))
    assert [(one["id"], one["p"]["y"]) for one in found] == [(0, 1.0), (2, 2.0)]


def test_lists_and_records_of_answers_have_types_of_their_own() -> None:
    """As the best labels with their scores."""
    answers = Fields({"best": ListOf(Fields({"label": Plain.TEXT, "score": Plain.FLOAT})), "n": Plain.LONG})
    schema = AvroDialect(None, rules(layout="only", forbidden=None)).derived(answers)
    value = {"p": {"best": [{"label": "a", "score": 0.5}], "n": 3}}
    dialect = AvroDialect(None, rules(layout="only", forbidden=None))
    assert orjson.loads(dialect.decoder(schema).text(AvroSchema(schema).write(value))) == value


def test_events_that_are_no_records_have_no_place_for_predictions() -> None:
    """A string is not enriched."""
    with pytest.raises(SchemaError, match="no records"):
        AvroDialect(Schema("AVRO", '"string"'), RULES).derived(ANSWERS)


def test_the_enriched_events_schema_is_as_documented() -> None:
    """Names say whose field they are, in the event's namespace."""
    tree = json.loads(AvroDialect(record(), RULES).derived(ANSWERS).text)
    assert (tree["name"], tree["namespace"], [field["name"] for field in tree["fields"]]) == (
        "Flight",
        "air.port",
        ["id", "delay", "carrier", "p"],
    )
    assert tree["fields"][-1]["type"] == {
        "type": "record",
        "name": "Flight_p",
        "namespace": "air.port",
        "fields": [
            {"name": "y", "type": "float"},
            {"name": "late", "type": "boolean"},
            {"name": "model", "type": "string"},
        ],
    }
