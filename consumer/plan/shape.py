"""What ``onelane plan`` finds out, as it is written to JSON: schemas/plan.schema.json is made of these.

Times of the processor are microseconds, user and system, of all threads; other times are seconds on the wall.
"""

from typing import Final

import msgspec

# Raised when a field goes or changes its meaning; fields that are added leave it.
VERSION: Final = 1
# The source of events that nobody gave.
MADE_UP: Final = "made up"


class Wanted(msgspec.Struct, frozen=True):
    """What was asked for.

    Attributes:
        rate: events a second, on an ordinary day.
        peak: events a second at the worst, not less than ``rate``.
        drain: seconds within which a backlog is to be gone.
        partitions: what the topic has; None where that is asked.
        brokers: how many there are, each of which may have one answer to a fetch on its way.
        kafka_us: what the clients of Kafka cost an event.
    """

    rate: float
    peak: float
    drain: float
    partitions: int | None
    brokers: int
    kafka_us: float


class Machine(msgspec.Struct, frozen=True):
    """Where it was measured.

    Attributes:
        processor: its name.
        cores: how many this process may use.
        memory: bytes that it may use.
        busy: cores that others kept busy just before; figures of a busy machine are lower than its own.
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
    """What a worker may come to take, in bytes, as its start line says; see ``consumer.operate.memory``.

    Attributes:
        process: code, libraries, the model.
        buffers: what the clients of Kafka may hold.
        open_events: what lanes may hold.
        work: one batch while it is enriched.
        interpreter: one of them.
        shared: whether there is one for all lanes.
    """

    process: int
    buffers: int
    open_events: int
    work: int
    interpreter: int
    shared: bool


class Limits(msgspec.Struct, frozen=True):
    """What the pipeline file says of batches.

    Attributes:
        rows: of a batch at most.
        wait: seconds that the first row waits.
        time: seconds that a batch may take.
        checkpoint: seconds between two.
        poll_interval: seconds after which the group expels a worker that does not poll.
    """

    rows: int
    wait: float
    time: float
    checkpoint: float
    poll_interval: float


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
    left_out: list[str]
    memory: Memory
    seconds: float


class Cost(msgspec.Struct, frozen=True):
    """Processor time of an event, on a node all of whose cores do the same.

    Attributes:
        model_us: the model.
        codec_us: decoding, features, encoding.
        kafka_us: the clients of Kafka.
    """

    model_us: float
    codec_us: float
    kafka_us: float

    @property
    def total_us(self) -> float:
        """All of it."""
        return self.model_us + self.codec_us + self.kafka_us


class Prediction(msgspec.Struct, frozen=True):
    """What one worker on a core of its own will do.

    Attributes:
        rate: events a second with the core fully used, which it reaches with a backlog.
        cost: of an event.
        memory: bytes that it may come to take.
    """

    rate: float
    cost: Cost
    memory: int


class Recommended(msgspec.Struct, frozen=True):
    """What to deploy.

    Attributes:
        rows: ``batch.rows``.
        wait: ``batch.wait``, in seconds.
        checkpoint: ``checkpoint``, in seconds.
        rows_at_rate: events that a batch will have at the ordinary rate.
        partitions: of the input topic.
        replicas: at the ordinary rate; also KEDA's minReplicaCount.
        replicas_at_peak: at the worst.
        max_replicas: KEDA's maxReplicaCount: the partitions.
        utilisation: part of their cores that the replicas use at the ordinary rate, 0 to 1 and above.
        cpu_request: cores of a replica.
        cpu_limit: cores of a replica.
        memory_request: bytes of a replica.
        memory_limit: bytes of a replica, with all partitions in one.
        lag_threshold: KEDA's lagThreshold, in events.
        cool_down: seconds of the autoscaler's scaleDown.stabilizationWindowSeconds, and of KEDA's cooldownPeriod.
        replica: what one replica does, with the recommended batches.
        replica_carries: events a second of one replica, with head room.
        machine_carries: events a second of this machine with a replica a core, with head room.
        partitions_carry: events a second with a replica a partition, with head room.
        head_room: part of a core that is planned with.
    """

    rows: int
    wait: float
    checkpoint: float
    rows_at_rate: float
    partitions: int
    replicas: int
    replicas_at_peak: int
    max_replicas: int
    utilisation: float
    cpu_request: float
    cpu_limit: float
    memory_request: int
    memory_limit: int
    lag_threshold: int
    cool_down: float
    replica: Prediction
    replica_carries: float
    machine_carries: float
    partitions_carry: float
    head_room: float


class Step(msgspec.Struct, frozen=True):
    """Something to try next.

    Attributes:
        what: to do.
        effect: what it gives.
        basis: ``measured`` here, or ``computed`` from what was.
    """

    what: str
    effect: str
    basis: str


class Plan(msgspec.Struct, frozen=True):
    """The whole of it.

    Attributes:
        onelane: the version that made it.
        pipeline: name and mapping.
        model: name and hash.
        wanted: what was asked for.
        limits: what the pipeline file says.
        measured: what was measured.
        recommended: what to deploy.
        warnings: what will not do as it is.
        steps: what to try next.
        version: of this shape.
    """

    onelane: str
    pipeline: str
    model: str
    wanted: Wanted
    limits: Limits
    measured: Measured
    recommended: Recommended
    warnings: list[str]
    steps: list[Step]
    version: int = VERSION
