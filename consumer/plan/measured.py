"""What was measured, as it is written to JSON.

Times of the processor are microseconds, user and system, of all threads; other times are seconds on the wall.
"""

from typing import Final

import msgspec

# The source of events that nobody gave.
MADE_UP: Final = "made up"
# Why something was left out that more of ``--seconds`` would let in.
NO_TIME: Final = "no time was left"


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured.

    Attributes:
        processor: its name.
        cores: how many this process may use.
        memory: bytes that it may use.
        busy: cores that others kept busy meanwhile; figures of a busy machine are lower than its own.
        python: its version.
        engine: its name and version.
    """

    processor: str
    cores: int
    memory: int
    busy: float
    python: str
    engine: str


class Events(msgspec.Struct, frozen=True):
    """What it was measured with.

    Attributes:
        source: a file, or ``made up``.
        count: how many different ones.
        bytes: of one, on average.
        dead_letters: how many of them can't be enriched.
        kept: part of them, 0 to 1, that reaches the model.
    """

    source: str
    count: int
    bytes: float
    dead_letters: int
    kept: float


class BatchCost(msgspec.Struct, frozen=True):
    """What events cost in batches of one size, in one process with one thread.

    Attributes:
        rows: events of a batch.
        model_us: of the model, an event: processor time, or the wall's where it waits for something else.
        codec_us: of decoding, features and encoding, an event; likewise.
        rate: events a second of the wall's time, without Kafka.
        median_seconds: a batch takes, half of the times at most.
        p99_seconds: a batch takes, 99 times of 100 at most.
        runs: how often it was done.
    """

    rows: int
    model_us: float
    codec_us: float
    rate: float
    median_seconds: float
    p99_seconds: float
    runs: int

    @property
    def total_us(self) -> float:
        """Both."""
        return self.model_us + self.codec_us


class Abreast(msgspec.Struct, frozen=True):
    """What the model does in several processes at once, each with so many threads, none of them pinned.

    Attributes:
        rows: of each batch.
        replicas: processes.
        threads: of each one's interpreter.
        rate: rows a second of all of them together.
        median_seconds: a batch takes, half of the times at most.
        p99_seconds: a batch takes, 99 times of 100 at most.
        cpu_us: processor time, a row.
        runs: batches of all of them together, in the better of the rounds.
    """

    rows: int
    replicas: int
    threads: int
    rate: float
    median_seconds: float
    p99_seconds: float
    cpu_us: float
    runs: int


class Memory(msgspec.Struct, frozen=True):
    """What a worker may come to take, in bytes, as its start line says, and what of it fills with a backlog.

    See ``consumer.operate.memory``.

    Attributes:
        process: code, libraries, the model.
        buffers: what the clients of Kafka may hold.
        open_events: what lanes may hold.
        work: one batch while it is enriched.
        interpreter: one of them.
        shared: whether there is one for all lanes.
        ahead: what the consumer has fetched ahead where there is a backlog of such events.
        record: what one takes that is on its way to the broker.
    """

    process: int
    buffers: int
    open_events: int
    work: int
    interpreter: int
    shared: bool
    ahead: int
    record: int


class Compared(msgspec.Struct, frozen=True):
    """Another pipeline for the same events, with another model, say.

    Attributes:
        pipeline: its file.
        model: name and hash.
        batch: the one that is best for it.
    """

    pipeline: str
    model: str
    batch: BatchCost


class Measured(msgspec.Struct, frozen=True):
    """All that was measured.

    Attributes:
        machine: where.
        events: with what.
        load_seconds: from the pipeline file to a model that is proved.
        interpreter_seconds: one more interpreter, with its first inference.
        batched: whether batches give what single rows give.
        why: where they do not.
        batches: by size, smallest first.
        abreast: replicas and threads, by rows, replicas and threads.
        halved_us: of a model whose rows have lengths: its processor time an event, with all of them cut to half.
        compared: other pipelines, as far as they were given.
        left_out: what there was no time or memory for.
        memory: of a worker.
        seconds: it took to measure.
    """

    machine: Machine
    events: Events
    load_seconds: float
    interpreter_seconds: float
    batched: bool
    why: str
    batches: list[BatchCost]
    abreast: list[Abreast]
    halved_us: float | None
    compared: list[Compared]
    left_out: list[str]
    memory: Memory
    seconds: float
