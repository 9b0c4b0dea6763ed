"""The pipeline file, typed. This is the public interface: field names here are what users write.

Docstrings of the classes and the ``description`` of the fields become the JSON Schema under ``schemas/``.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec

from consumer.pipeline.units import Duration, Size


def _text(description: str) -> msgspec.Meta:
    return msgspec.Meta(description=description)


def _duration(text: str) -> Duration:
    # A factory, since msgspec writes plain defaults into the schema and knows no units.
    made: Duration = msgspec.field(default_factory=lambda: Duration.parse(text))
    return made


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the pipeline file; unknown fields are refused."""


TopicName = Annotated[
    str, msgspec.Meta(pattern=r"^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$(?!\n)", description="A Kafka topic's name.")
]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9._-]{1,200}$(?!\n)")]
Address = Annotated[str, msgspec.Meta(pattern=r"^([a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$(?!\n)")]
FieldName = Annotated[
    # msgspec refuses such names in a typed struct, and JSON needs them escaped: a byte-wise merge would not see them.
    str,
    msgspec.Meta(
        pattern=r'^[^"\\\x00-\x1f\ud800-\udfff]+$(?!\n)', description="The name of a top-level field of the event."
    ),
]


class Input(Spec, frozen=True, kw_only=True):
    """The topic that events are read from."""

    topic: TopicName
    format: Annotated[Literal["json"], _text("How the value is encoded.")] = "json"
    start: Annotated[
        Literal["earliest", "latest", "error"],
        _text("Where to begin in a partition in which this group has never committed."),
    ] = "earliest"


class Output(Spec, frozen=True, kw_only=True):
    """The topic that enriched records are written to, and their shape."""

    topic: TopicName
    layout: Annotated[
        Literal["merge", "nest", "only"],
        _text(
            "merge: the event's own bytes and one more field; nest: event and predictions side by side; "
            "only: predictions."
        ),
    ] = "merge"
    field: Annotated[FieldName, _text("The field that holds the predictions and says which model made them.")] = (
        "prediction"
    )
    existing: Annotated[
        Literal["dead_letter", "replace"],
        _text("merge only: what becomes of an event that already has that field."),
    ] = "dead_letter"


class StopAfter(Spec, frozen=True, kw_only=True):
    """How many dead letters of one partition are too many; then it is held, with its offset kept."""

    in_a_row: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None, _text("So many one after the other; null: never.")
    ] = 500
    ratio: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=1)] | None,
        _text("This part of the last `of_last` events; null: never."),
    ] = 0.5
    of_last: Annotated[int, msgspec.Meta(ge=1, le=1_000_000, description="Events that `ratio` is taken of.")] = 1000
    per_minute: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None, _text("So many within 60 seconds; null, the default: never.")
    ] = None


class DeadLetters(Spec, frozen=True, kw_only=True):
    """The topic for events that can't be enriched, and how many of them stop a partition."""

    topic: TopicName
    stop_after: StopAfter = msgspec.field(default_factory=StopAfter)
    when_held: Annotated[
        Literal["hold", "exit"],
        _text("hold: the other partitions go on; exit: the process ends with code 6 once the hold is committed."),
    ] = "hold"


class _Scaled(Spec, frozen=True, kw_only=True):
    field: FieldName
    mean: Annotated[float, _text("Taken off the value.")] = 0.0
    std: Annotated[float, msgspec.Meta(gt=0, description="The value is divided by it, after the mean.")] = 1.0


class NumberFeature(_Scaled, frozen=True, kw_only=True, tag_field="kind", tag="number"):
    """A JSON number, as (value - mean) / std."""

    missing: Annotated[
        float | None,
        _text("Stands in for an absent or null field; without it such an event is a dead letter."),
    ] = None
    range: Annotated[
        tuple[float, float] | None,
        _text("Lowest and highest value allowed; outside it the event is a dead letter."),
    ] = None


class BooleanFeature(_Scaled, frozen=True, kw_only=True, tag_field="kind", tag="boolean"):
    """A JSON boolean, as 0 or 1."""

    missing: Annotated[bool | None, _text("Stands in for an absent or null field.")] = None


class CategoryFeature(Spec, frozen=True, kw_only=True, tag_field="kind", tag="category"):
    """A string or number, as its index in a vocabulary."""

    field: FieldName
    vocabulary: Annotated[
        str | list[str | int | float],
        _text("The entries in order, or the path of a file with one entry a line, relative to the pipeline file."),
    ]
    unknown: Annotated[
        int | None,
        _text(
            "Index of a value that is not in the vocabulary: 0 (entries then begin at 1) or the number of entries. "
            "Without it such an event is a dead letter."
        ),
    ] = None
    missing: Annotated[
        str | int | float | None,
        _text("The entry that stands in for an absent or null field; by default it counts as unknown."),
    ] = None


TimePart = Literal["year", "month", "day", "hour", "minute", "second", "weekday", "yearday"]


class TimeFeature(_Scaled, frozen=True, kw_only=True, tag_field="kind", tag="time"):
    """A part of an RFC 3339 time; weekday counts from Monday = 0, yearday from 1."""

    part: TimePart
    zone: Annotated[
        str, _text("IANA time zone in which the part is read; a time without offset is taken to be in it.")
    ] = "UTC"
    missing: Annotated[float | None, _text("Value of the part that stands in for an absent or null field.")] = None


Feature: TypeAlias = NumberFeature | BooleanFeature | CategoryFeature | TimeFeature


class _TensorOutput(Spec, frozen=True, kw_only=True):
    tensor: Annotated[str, _text("The output's name in the model's signature.")]
    index: Annotated[
        Annotated[int, msgspec.Meta(ge=0)] | None,
        _text("Which of the row's values; not needed where there is one."),
    ] = None


class NumberOutput(_TensorOutput, frozen=True, kw_only=True, tag_field="kind", tag="number"):
    """The value of an output tensor."""


class OverOutput(_TensorOutput, frozen=True, kw_only=True, tag_field="kind", tag="over"):
    """Whether the value of an output tensor is over a threshold."""

    threshold: float


OutputField: TypeAlias = NumberOutput | OverOutput


class Model(Spec, frozen=True, kw_only=True):
    """The model, what goes into its tensors and what is read from them."""

    path: Annotated[str, _text("A .tflite file, relative to the pipeline file.")]
    engine: Annotated[
        Literal["auto", "litert", "tflite-runtime"],
        _text("auto: LiteRT where it is installed, else tflite-runtime."),
    ] = "auto"
    interpreters: Annotated[
        Literal["per_lane", "shared"], _text("shared saves memory for large models and many partitions.")
    ] = "per_lane"
    inputs: Annotated[
        dict[str, list[Feature] | Feature],
        _text("Input tensors by the signature's names; a list puts columns side by side, a map is the whole tensor."),
    ]
    outputs: Annotated[dict[str, OutputField], _text("What is read from the output tensors, by the name it gets.")]


class Batch(Spec, frozen=True, kw_only=True):
    """A batch closes on the first of rows, bytes and wait, and never takes longer than time."""

    rows: Annotated[int, msgspec.Meta(ge=1, le=65536)] = 256
    wait: Annotated[Duration, _text("How long the first row of a batch waits for others.")] = _duration("20ms")
    bytes: Annotated[Size, _text("Bytes of the events and of their tensors.")] = msgspec.field(
        default_factory=lambda: Size.parse("4MiB")
    )
    time: Annotated[
        Duration, _text("Longest that one batch may take; the rows are capped by the measured cost of one.")
    ] = _duration("1s")


class Operate(Spec, frozen=True, kw_only=True):
    """How the daemon behaves towards its supervisor."""

    http: Annotated[
        Address | None,
        _text("Where /live, /ready and /metrics are served, such as 0.0.0.0:9404; port 0 takes a free one."),
    ] = None
    stuck_after: Annotated[
        Duration, _text("An inference that takes longer, or a loop that stands still so long, ends the process.")
    ] = _duration("60s")
    shutdown_timeout: Annotated[
        Duration, _text("After a signal the process is gone by then, with code 3 if not drained.")
    ] = _duration("25s")


class Pipeline(Spec, frozen=True, kw_only=True):
    """Everything that onelane needs to know: topics, mapping, model, delivery."""

    name: Annotated[Name, _text("Consumer group, prefix of the transactional id, and provenance of each record.")]
    input: Input
    output: Output
    dead_letters: DeadLetters
    model: Model
    batch: Batch = msgspec.field(default_factory=Batch)
    delivery: Annotated[
        Literal["exactly_once", "at_least_once"],
        _text("exactly_once: outputs, dead letters and offsets commit in one transaction."),
    ] = "exactly_once"
    checkpoint: Annotated[Duration, _text("Pause between the end of one checkpoint and the next.")] = _duration(
        "100ms"
    )
    kafka: Annotated[
        dict[str, str | int | float | bool],
        _text(
            "librdkafka settings, each routed to the client it belongs to; those that the worker owns are refused."
        ),
    ] = {}
    operate: Operate = msgspec.field(default_factory=Operate)
