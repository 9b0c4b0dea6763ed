"""What ``onelane plan`` says, as it is written to JSON: schemas/plan.schema.json is made of this.

Times of the processor are microseconds, user and system, of all threads; other times are seconds on the wall.
"""

from typing import Final

import msgspec

from consumer.plan.measured import Measured

# Raised when a field goes or changes its meaning; fields that are added leave it.
VERSION: Final = 1


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
        memory: bytes that it may come to take, whatever the backlog and however slow the brokers.
        usual_memory: bytes that it takes with a backlog, and brokers that keep up.
    """

    rate: float
    cost: Cost
    memory: int
    usual_memory: int


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
        memory_request: bytes of a replica with a backlog, with all partitions in one.
        memory_limit: bytes that it may come to take at the most, likewise.
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
