"""The pipeline file, typed. This is the public interface: field names here are what users write.

Docstrings of the classes and the ``description`` of the fields become the JSON Schema under ``schemas/``.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec

from consumer.pipeline.cases import Case
from consumer.pipeline.features import Feature
from consumer.pipeline.outputs import OutputField
from consumer.pipeline.section import FieldName, Spec, text
from consumer.pipeline.units import Duration, Size


def _duration(text: str) -> Duration:
    # A factory, since msgspec writes plain defaults into the schema and knows no units.
    made: Duration = msgspec.field(default_factory=lambda: Duration.parse(text))
    return made


TopicName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}$(?!\n)",
        description="A Kafka topic's name.",
        extra={"wanted": "a topic's name, of letters, digits, dots, _ and -"},
    ),
]
Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-zA-Z0-9._-]{1,200}$(?!\n)", extra={"wanted": "a name of letters, digits, dots, _ and -"}
    ),
]
Address = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^([a-zA-Z0-9.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}$(?!\n)",
        extra={"wanted": "host:port, such as 0.0.0.0:9404"},
    ),
]


InputFormat: TypeAlias = Literal["json", "json_schema", "avro", "protobuf", "raw"]
OutputFormat: TypeAlias = Literal["json", "json_schema", "avro", "protobuf"]


class Input(Spec, frozen=True, kw_only=True):
    """The topic that events are read from."""

    topic: TopicName
    format: Annotated[
        InputFormat,
        text(
            "How the value is encoded. avro, protobuf and json_schema: in a schema registry's wire format where "
            "there is a section `registry`, else without; raw: bytes, of which features see @value."
        ),
    ] = "json"
    schema: Annotated[
        str | None,
        text(
            "A file with the events' schema, relative to this one: what events are read as. By default the latest "
            "of the registry."
        ),
    ] = None
    message: Annotated[
        str | None, text("protobuf: the full name of the events' message in the schema; by default the first.")
    ] = None
    start: Annotated[
        Literal["earliest", "latest", "error"],
        text("Where to begin in a partition in which this group has never committed."),
    ] = "earliest"


class Output(Spec, frozen=True, kw_only=True):
    """The topic that enriched records are written to, and their shape."""

    topic: TopicName
    format: Annotated[
        OutputFormat | None, text("How the value is encoded; by default as the input's, json for raw ones.")
    ] = None
    layout: Annotated[
        Literal["merge", "nest", "only"],
        text(
            "merge: the event's own bytes and one more field; nest: event and predictions side by side; "
            "only: predictions."
        ),
    ] = "merge"
    field: Annotated[FieldName, text("The field that holds the predictions and says which model made them.")] = (
        "prediction"
    )
    existing: Annotated[
        Literal["dead_letter", "replace"],
        text("merge only: what becomes of an event that already has that field."),
    ] = "dead_letter"
    keep: Annotated[
        list[FieldName],
        text(
            "only: fields of the event to put before the predictions: @key, @timestamp, @headers.name, and its own."
        ),
    ] = msgspec.field(default_factory=list)
    number: Annotated[
        int,
        msgspec.Meta(
            ge=1,
            le=536_870_911,
            description="protobuf, merge only: the number of that field; one that events will not come to use.",
        ),
    ] = 1000
    register: Annotated[
        bool, text("With a registry: whether a worker registers the output's schema; false: it must be there.")
    ] = True


class StopAfter(Spec, frozen=True, kw_only=True):
    """How many dead letters of one partition are too many; then it is held, with its offset kept."""

    in_a_row: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None, text("So many one after the other; null: never.")
    ] = 500
    ratio: Annotated[
        Annotated[float, msgspec.Meta(gt=0, le=1)] | None,
        text("This part of the last `of_last` events; null: never."),
    ] = 0.5
    of_last: Annotated[int, msgspec.Meta(ge=1, le=1_000_000, description="Events that `ratio` is taken of.")] = 1000
    per_minute: Annotated[
        Annotated[int, msgspec.Meta(ge=1)] | None, text("So many within 60 seconds; null, the default: never.")
    ] = None


class DeadLetters(Spec, frozen=True, kw_only=True):
    """The topic for events that can't be enriched, and how many of them stop a partition."""

    topic: TopicName
    stop_after: StopAfter = msgspec.field(default_factory=StopAfter)
    when_held: Annotated[
        Literal["hold", "exit"],
        text("hold: the other partitions go on; exit: the process ends with code 6 once the hold is committed."),
    ] = "hold"


class Model(Spec, frozen=True, kw_only=True):
    """The model, what goes into its tensors and what is read from them."""

    path: Annotated[str, text("A .tflite file, relative to the pipeline file.")]
    signature: Annotated[str | None, text("Which of the model's signatures is run; not needed where it has one.")] = (
        None
    )
    engine: Annotated[
        Literal["auto", "litert", "tflite-runtime"],
        text("auto: LiteRT where it is installed, else tflite-runtime."),
    ] = "auto"
    interpreters: Annotated[
        Literal["auto", "per_lane", "shared"],
        text(
            "auto: one for each lane, or one for all where the model's file is larger than 256 KiB: copies of the "
            "weights would push each other out of the core's cache."
        ),
    ] = "auto"
    inputs: Annotated[
        dict[str, list[Feature] | Feature],
        text("Input tensors by the signature's names; a list puts columns side by side, a map is the whole tensor."),
    ]
    outputs: Annotated[dict[str, OutputField], text("What is read from the output tensors, by the name it gets.")]


class Batch(Spec, frozen=True, kw_only=True):
    """A batch closes on the first of rows, bytes and wait, and never takes longer than time."""

    rows: Annotated[int, msgspec.Meta(ge=1, le=65536, description="Most rows of a batch.")] = 256
    wait: Annotated[Duration, text("How long the first row of a batch waits for others.")] = _duration("20ms")
    bytes: Annotated[Size, text("Bytes of the events and of their tensors.")] = msgspec.field(
        default_factory=lambda: Size.parse("4MiB")
    )
    time: Annotated[
        Duration, text("Longest that one batch may take; the rows are capped by the measured cost of one.")
    ] = _duration("1s")


class Operate(Spec, frozen=True, kw_only=True):
    """How the daemon behaves towards its supervisor."""

    http: Annotated[
        Address | None,
        text("Where /live, /ready and /metrics are served, such as 0.0.0.0:9404; port 0 takes a free one."),
    ] = None
    stuck_after: Annotated[
        Duration, text("An inference that takes longer, or a loop that stands still so long, ends the process.")
    ] = _duration("60s")
    shutdown_timeout: Annotated[
        Duration, text("After a signal the process is gone by then, with code 3 if not drained.")
    ] = _duration("25s")


class Pipeline(Spec, frozen=True, kw_only=True):
    """Everything that onelane needs to know: topics, mapping, model, delivery."""

    name: Annotated[Name, text("Consumer group, prefix of the transactional id, and provenance of each record.")]
    input: Input
    output: Output
    dead_letters: DeadLetters
    when: Annotated[
        str | None,
        text(
            "Which events are for the model, such as distance > 500 and carrier in ['AA', 'UA']; docs/filter.md has "
            "the language. By default all are."
        ),
    ] = None
    otherwise: Annotated[
        Literal["pass", "drop"],
        text("What becomes of the others: pass, to the output topic as they are, or drop."),
    ] = "pass"
    model: Model
    batch: Batch = msgspec.field(default_factory=Batch)
    delivery: Annotated[
        Literal["exactly_once", "at_least_once"],
        text("exactly_once: outputs, dead letters and offsets commit in one transaction."),
    ] = "exactly_once"
    checkpoint: Annotated[
        Duration, text("From the start of one checkpoint to the next; half of it is for events at least.")
    ] = _duration("100ms")
    kafka: Annotated[
        dict[str, str | int | float | bool],
        text("librdkafka settings, each routed to the client it belongs to; those that the worker owns are refused."),
    ] = msgspec.field(default_factory=dict)
    registry: Annotated[
        dict[str, str | int | float | bool],
        text("The schema registry: `url`, and other settings of confluent-kafka's registry client."),
    ] = msgspec.field(default_factory=dict)
    operate: Operate = msgspec.field(default_factory=Operate)
    tests: Annotated[list[Case], text("Cases for `onelane test`.")] = msgspec.field(default_factory=list)

    @property
    def output_format(self) -> OutputFormat:
        """How enriched records are encoded."""
        if self.output.format is not None:
            return self.output.format
        return "json" if self.input.format == "raw" else self.input.format
