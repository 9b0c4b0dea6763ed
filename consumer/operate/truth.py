"""What the probes say of a worker in each state it can be in: docs/probes.md and the scenarios share this table."""

from typing import Final

import msgspec


class Row(msgspec.Struct, frozen=True):
    """One state, of a worker or of several under a supervisor.

    Attributes:
        state: in a word or two.
        meaning: what it does, and what a person should.
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
        "output denied",
        "Write on the output or the dead-letter topic was taken away, or the topic is gone: what was written is "
        "undone and tried again, and goes through by itself when that is mended.",
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
        "dead letter refused",
        "the dead-letter topic does not take what must go there: that partition is held and tried again each minute; "
        "the others go on.",
        "200",
        "200",
        ('held.0.kind == "refused"',),
        ('onelane_held{kind="refused"} == 1',),
    ),
    Row(
        "offset gone",
        "retention has deleted events of a partition that were not read: it is held, since to skip them is for a "
        "person to decide; the others go on. A restart alone mends nothing.",
        "200",
        "200",
        ('held.0.kind == "offset_gone"',),
        ('onelane_held{kind="offset_gone"} == 1',),
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

# What a supervisor's probes say of all its workers: 200 of /live where restarting them all would mend nothing.
TRUTH_OF_ALL: Final = (
    Row(
        "all work",
        "each worker does its share; spare ones do.",
        "200",
        "200",
        ("not_ready_because == null", "workers.0.says.ready == true"),
        ('onelane_worker_up{worker="0"} == 1', 'onelane_ready{worker="0"} == 1'),
    ),
    Row(
        "one starts",
        "a worker has not joined yet. One that has not answered yet either has 60 s for Python's own start.",
        "200",
        "503",
        ("ready == false",),
        ('onelane_worker_restarts_total{worker="1"} == 0',),
    ),
    Row(
        "one is to start again",
        "a worker ended with what a restart may mend, and waits for its next start: 1 s, then twice as long each "
        "time, 30 s at most. The others go on, also with its partitions; restarting them too would help nobody.",
        "200",
        "503",
        ('workers.1.state == "waiting to be started again"',),
        ('onelane_worker_up{worker="1"} == 0',),
    ),
    Row(
        "one is stuck",
        "a worker says so of itself; it ends within seconds, with code 7, and is started again.",
        "503",
        "200",
        ("workers.1.says.live == false",),
        ('onelane_worker_up{worker="1"} == 1',),
    ),
    Row(
        "one does not answer",
        "a worker answers nothing within 0.8 s, as where native code hangs with Python's global lock, or its process "
        "is stopped; the others' answers are there all the same. After `operate.stuck_after` and 10 s its supervisor "
        "kills it, and starts it again.",
        "503",
        "503",
        ("workers.1.says == null", "workers.0.says.live == true"),
        ('onelane_worker_up{worker="1"} == 0', 'onelane_worker_up{worker="0"} == 1'),
    ),
    Row(
        "all end",
        "a signal came, or a worker ended with code 2, 5 or 6, which no restart can mend: all finish what is open.",
        "200",
        "503",
        ("draining == true",),
        ('onelane_draining{worker="0"} == 1',),
    ),
)
