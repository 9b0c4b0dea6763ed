"""Makes the files that are generated from data in the code: the JSON Schema, and pages of docs/.

``--check`` writes nothing and fails when one of them is stale.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import fields
import msgspec
import orjson

from consumer.assembly import assemble
from consumer.deadletter import causes, headers
from consumer.exits import MEANINGS
from consumer.kafka.settings import OWNED
from consumer.operate.metrics import METRICS, PIPELINE, SUPERVISED, Label, Metric
from consumer.operate.truth import TRUTH, TRUTH_OF_ALL, Row
from consumer.pipeline.load import load
from consumer.pipeline.schema import schema
from consumer.plan.shape import Plan

ROOT: Final = Path(__file__).parents[1]


def main() -> int:
    """Write the files, or check them."""
    made = {
        "schemas/pipeline.schema.json": orjson.dumps(
            schema(), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        ).decode(),
        "schemas/plan.schema.json": orjson.dumps(
            msgspec.json.schema(Plan), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        ).decode(),
        "schemas/flights-enriched.avsc": _enriched("pipeline-avro.yaml"),
        "docs/pipeline-file.md": _pipeline_file(),
        "docs/reference.md": _reference(),
        "docs/metrics.md": _metrics(),
        "docs/probes.md": _probes(),
    }
    checking = sys.argv[1:] == ["--check"]
    stale = [name for name, text in made.items() if not _same(ROOT / name, text)]
    if checking:
        for name in stale:
            print(f"{name} is stale: make generate")
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(made[name], encoding="utf-8")
        print(f"made {name}")
    return 0


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def _enriched(pipeline: str) -> str:
    """Return the schema of the flights example's enriched records."""
    made = assemble(load(ROOT / "examples" / "flights" / pipeline, {})).formats.schema
    if made is None:
        raise ValueError(f"{pipeline} has no schema")
    return made.text.rstrip("\n") + "\n"


def _pipeline_file() -> str:
    return f"""<!-- Made by scripts/generate.py from data in the code. Do not edit: make generate. -->
# The pipeline file, field by field

As the [JSON Schema](../schemas/pipeline.schema.json) has it, which editors complete from and `onelane schema` prints.
What kinds of feature and output make of events is told in [kinds.md](kinds.md), with the causes of dead letters. A
text may have `${{NAME}}` or `${{NAME:-default}}` of the environment in it.
[Writing a pipeline](writing-a-pipeline.md) goes task by task.

{fields.page(schema())}
"""


def _reference() -> str:
    return f"""<!-- Made by scripts/generate.py from data in the code. Do not edit: make generate. -->
# Reference

The pipeline file, field by field: [pipeline-file.md](pipeline-file.md).

## Exit codes

{_table(("code", "meaning"), [(str(int(code)), text) for code, text in MEANINGS.items()])}

## Dead letters

A dead letter has the event's key, value and headers, byte for byte, and these headers, which end with it: a replayed
event carries `{headers.REPLAYS}` alone, and an enriched record none of them.

{_table(("header", "meaning"), [(f"`{headers.PREFIX}{name}`", text) for name, text in headers.FIELDS.items()])}

The causes:

{_table(("cause", "meaning"), [(f"`{code}`", text) for code, text in causes.MEANINGS.items()])}

## Settings that the worker owns

In `kafka:`, these are refused:

{_table(("setting", "why"), [(f"`{name}`", why) for name, why in OWNED.items()])}
"""


def _metrics() -> str:
    head = ("metric", "kind", "counts", "labels", "what it says")
    first: dict[Label, str] = {}
    for one in (*METRICS, *SUPERVISED):
        for label in one.labels:
            first.setdefault(label, one.name)
    values = [(f"`{label.name}`", f"`{name}`", _values(label)) for label, name in first.items()]
    return f"""<!-- Made by scripts/generate.py from data in the code. Do not edit: make generate. -->
# Metrics

`operate.http` serves them on `/metrics`. Every one has the label `{PIPELINE}`, the pipeline file's `name`, and these:

{_table(head, [_metric(one) for one in METRICS])}

The values of labels:

{_table(("label", "first of", "values"), values)}

Events and dead letters count once their results are durable: what an abort undoes never shows, and what is done again
counts once. Batches, rows and seconds count as the work is done. Series of a partition are gone with the partition;
all others that can be known before are there from the start, at 0, but for `onelane_dead_letters_total`.

Beside these are those of the process as every Prometheus client names them (`process_cpu_seconds_total`,
`process_resident_memory_bytes`, `process_open_fds`, …), without the label.

## With `--workers`

The supervisor serves the metrics of all its workers as one page, each series with the label `worker` before its
others: the worker's number, from 0. Its own process is `worker="supervisor"` in the `process_` metrics. For counters,
histograms and all that is of a partition, `sum without (worker)` gives what a single worker would tell. Beside them:

{_table(head, [_metric(one) for one in SUPERVISED])}

Alerts on them, with what to do: [deploy/prometheus/alerts.yaml](../deploy/prometheus/alerts.yaml).
"""


def _metric(one: Metric) -> tuple[str, ...]:
    return f"`{one.name}`", str(one.kind), one.unit, _labels(one), one.help


def _labels(metric: Metric) -> str:
    return ", ".join(f"`{label.name}`" for label in metric.labels)


def _values(label: Label) -> str:
    return ", ".join(f"`{value}`" for value in label.values) or label.meaning


def _probes() -> str:
    return f"""<!-- Made by scripts/generate.py from data in the code. Do not edit: make generate. -->
# Probes

`/live` asks whether anything is stuck: 503 means that a restart helps. `/ready` asks whether the worker does its
share, or would do it: 503 means that it is not there yet, or on its way out. A supervisor that restarts workers on a
rebalance, a slow model or a broker that is away makes things worse, so none of these answers 503.

{_states("the worker", TRUTH)}

Both answer with the same JSON: `pipeline`, `live`, `ready`, `not_ready_because`, `started`, `doing` (what the
worker's thread is at), `waiting` (what it waits for from a broker, or null), `joined`, `draining`, `lanes`, `lag`,
`held` (each partition with its offset, kind, why, the most frequent cause, and what releases it) and
`last_checkpoint`; times are `seconds` ago and `since`, in UTC. The conditions in the table are on its fields, and on
metrics as Prometheus takes them. Each row is brought about with a real worker in tests/scenarios.

The worker's own watchdog ends a worker that is stuck, with code 7, also where nobody asks. Native code that hangs
while it holds Python's global lock leaves no thread to do that, nor to answer: the probe times out, which counts as a
failure. So set a liveness probe all the same; the supervisor of `--workers` kills such a worker by itself.

## With `--workers`

The supervisor answers for all its workers, which it asks at once, for 0.8 s at most. It is alive if its own loop
comes round and each worker that runs is alive; ready, if each is that was not ended on purpose.

{_states("the workers", TRUTH_OF_ALL)}

Both answer with the same JSON: `pipeline`, `live`, `ready`, `not_ready_because`, `draining`, `turns` (whether the
supervisor's own loop comes round) and `workers`: each with `worker` (its number), `instance`, `pid`, `state` and for
how many `seconds`, `last_code` (what its last process ended with; a signal as a negative number), `restarts`, and
`says`: what it says of itself, as above, or null where it does not answer. Each row is brought about with real
workers in tests/scenarios.
"""


def _states(who: str, rows: Sequence[Row]) -> str:
    head = (who, "/live", "/ready", "the body says", "the metric that shows it")
    table = _table(head, [(row.state, row.live, row.ready, _code(row.body), _code(row.metrics)) for row in rows])
    meanings = "\n".join(f"- **{row.state}**: {row.meaning}" for row in rows)
    return f"{table}\n\n{meanings}"


def _code(conditions: tuple[str, ...]) -> str:
    return "<br>".join(f"`{condition}`" for condition in conditions)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(head), *lines[1:]])


if __name__ == "__main__":
    sys.exit(main())
