"""What the probes say of a worker in each state it can be in: docs/probes.md and the scenarios share this table."""

from typing import Final

import msgspec


class Row(msgspec.Struct, frozen=True):
    """One state.

    Attributes:
        state: in a word or two.
        meaning: what the worker does, and what a person should.
        live: what /live answers.
        ready: what /ready answers.
        body: conditions that the body of both fulfils.
        metrics: conditions that some series fulfils.
    """

    state: str
    meaning: str
    live: str
    ready: str
    body: tuple[str, ...]
    metrics: tuple[str, ...]


TRUTH: Final = (
    Row(
        "starting",
        "the model is proved, the broker asked, the group joined; a start that is refused ends the process.",
        "200",
        "503",
        ("joined == false",),
        ("onelane_ready == 0", "onelane_joined == 0"),
    ),
    Row(
        "idle",
        "it has partitions, and nothing to read in them. The age of the last checkpoint grows; that is no fault.",
        "200",
        "200",
        ("joined == true", "lag.events == 0", "waiting == null"),
        ("onelane_ready == 1", "onelane_lag_events == 0", "onelane_broker_wait_seconds == 0"),
    ),
    Row(
        "spare",
        "more workers than partitions: it has none, and takes over when another goes.",
        "200",
        "200",
        ("joined == true", "lanes == []"),
        ("onelane_ready == 1", "onelane_lanes == 0"),
    ),
    Row(
        "rebalancing",
        "partitions come or go; those that stay are served on.",
        "200",
        "200",
        ("joined == true",),
        ('onelane_rebalances_total{change="revoked"} > 0', "onelane_ready == 1"),
    ),
    Row(
        "slow model",
        "an inference takes long, but less than `operate.stuck_after`.",
        "200",
        "200",
        ('doing.what == "invoke"', "live == true"),
        ('onelane_doing_seconds{doing="invoke"} > 0',),
    ),
    Row(
        "hung model",
        "an inference takes longer than `operate.stuck_after`: the process ends with code 7, the stacks in its log.",
        "503",
        "200",
        ('doing.what == "invoke"', "live == false"),
        ('onelane_doing_seconds{doing="invoke"} > 0',),
    ),
    Row(
        "broker away",
        "no broker answers; the worker waits and goes on by itself. A restart would not help.",
        "200",
        "200",
        ("waiting != null",),
        ("onelane_broker_wait_seconds > 0",),
    ),
    Row(
        "input denied",
        "Read on the input topic was taken away, or the topic is gone: the worker waits, and goes on by itself when "
        "that is mended. Until then a restart would be refused.",
        "200",
        "200",
        ("joined == true", "waiting != null"),
        ("onelane_broker_wait_seconds > 0", "onelane_ready == 1"),
    ),
    Row(
        "held",
        "a partition is stopped, its offset kept; the others go on. `held` says why and what releases it.",
        "200",
        "200",
        ('held.0.kind == "guard"',),
        ('onelane_held{kind="guard"} == 1',),
    ),
    Row(
        "registry away",
        "the schema registry does not tell what a schema is: partitions that need it are held and tried again by the "
        "worker itself; the others go on.",
        "200",
        "200",
        ('held.0.kind == "registry"',),
        ('onelane_held{kind="registry"} == 1',),
    ),
    Row(
        "fenced",
        "another has taken its transactional id, or its transaction timed out: it makes a new producer and goes on; "
        "a second time within a minute the process ends with code 4.",
        "200",
        "200",
        ("joined == true",),
        ('onelane_aborts_total{kind="fenced"} > 0',),
    ),
    Row(
        "draining",
        "it was told to stop: open batches are finished, then the last checkpoint, then it leaves.",
        "200",
        "503",
        ("draining == true",),
        ("onelane_draining == 1", "onelane_ready == 0"),
    ),
)
