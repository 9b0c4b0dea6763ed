"""The bare loop: the flights job written by hand for speed, with the worker's guarantees and none of its checks.

Same typed decode, same arithmetic, same model and batches, same bytes out, same transactions. What it lacks: lanes,
rebalances, dead letters, errors of any kind, figures, a way to stop.

    python -m bench.bare_loop BOOTSTRAP INPUT OUTPUT EVENTS
"""

import sys
import time
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import orjson
from ai_edge_litert.interpreter import Interpreter
from confluent_kafka import Consumer, Producer, TopicPartition

FLIGHTS: Final = Path(__file__).parents[1] / "examples" / "flights"
ROWS: Final = 512
CHECKPOINT: Final = 0.1
NEW_YORK: Final = ZoneInfo("America/New_York")
PROVENANCE: Final = b',"model":"delay@525033bf","pipeline":"flight-delays@3d931c4f"}}'


class Flight(msgspec.Struct, gc=False):
    """The declared fields of an event."""

    dep_delay: float | None = None
    distance: float | None = None
    sched_dep_time: float | None = None
    sched_arr_time: float | None = None
    weekend: bool | None = None
    time_hour: str | None = None
    carrier: str | None = None
    origin: str | None = None
    dest: str | None = None


@lru_cache(maxsize=4096)
def local(text: str) -> tuple[float, float]:
    """Return weekday and hour in New York."""
    moment = msgspec.convert(text, datetime).astimezone(NEW_YORK)
    return (moment.weekday() - 3) / 2, (moment.hour - 13) / 4.7


def vocabulary(name: str) -> dict[str | None, int]:
    """Return entry -> index, from 1."""
    return {entry: place for place, entry in enumerate((FLIGHTS / name).read_text().splitlines(), 1)}


class Model:
    """The interpreter with its tensors resolved."""

    def __init__(self) -> None:
        self.interpreter = Interpreter(model_path=str(FLIGHTS / "models" / "delay.tflite"), num_threads=1)
        runner = self.interpreter.get_signature_runner("serving_default")
        self.inputs = {name: details["index"] for name, details in runner.get_input_details().items()}
        self.outputs = {name: details["index"] for name, details in runner.get_output_details().items()}
        self.size = 0
        self.carriers, self.origins = vocabulary("carriers.txt"), vocabulary("origins.txt")
        self.destinations = vocabulary("destinations.txt")

    def predict(self, rows: list[Flight]) -> tuple[list[bytes], list[bool]]:
        """Return minutes as JSON, and whether each is late."""
        count = len(rows)
        features = np.empty((count, 7), dtype=np.float32)
        features[:, 0] = [0.0 if row.dep_delay is None else row.dep_delay for row in rows]
        features[:, 1] = [row.distance for row in rows]
        features[:, 2] = [row.sched_dep_time for row in rows]
        features[:, 3] = [row.sched_arr_time for row in rows]
        features[:, 4] = [row.weekend for row in rows]
        features[:, 5:7] = [local(row.time_hour or "") for row in rows]
        features[:, :4] -= (13.6, 1046, 1341, 1530)
        features[:, :4] /= (41.9, 737, 468, 500)
        columns = {
            "features": features,
            "carrier": np.array([[self.carriers.get(row.carrier, 0)] for row in rows], dtype=np.int32),
            "origin": np.array([[self.origins.get(row.origin, 0)] for row in rows], dtype=np.int32),
            "dest": np.array([[self.destinations.get(row.dest, 0)] for row in rows], dtype=np.int32),
        }
        if count != self.size:
            for name, index in self.inputs.items():
                self.interpreter.resize_tensor_input(index, columns[name].shape)
            self.interpreter.allocate_tensors()
            self.size = count
        for name, index in self.inputs.items():
            self.interpreter.set_tensor(index, columns[name])
        self.interpreter.invoke()
        minutes = self.interpreter.get_tensor(self.outputs["minutes"]).reshape(-1)
        late = self.interpreter.get_tensor(self.outputs["late"]).reshape(-1)
        return orjson.dumps(minutes, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b","), (late > 0.5).tolist()  # noqa: PLR2004


def main(bootstrap: str, source: str, target: str, events: int) -> None:
    """Enrich a topic and end."""
    model = Model()
    decode = msgspec.json.Decoder(Flight).decode
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": f"bare-{target}",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    producer = Producer(
        {"bootstrap.servers": bootstrap, "transactional.id": f"bare-{target}", "delivery.report.only.error": True}
    )
    producer.init_transactions()
    consumer.subscribe([source])
    print("ready", flush=True)
    done = 0
    open_since = 0.0
    ends: dict[int, int] = {}
    produce = producer.produce
    while done < events:
        messages = consumer.consume(ROWS, 0.05)
        if messages:
            if not open_since:
                producer.begin_transaction()
                open_since = time.monotonic()
            values = [message.value() or b"" for message in messages]
            minutes, lates = model.predict([decode(value) for value in values])
            for message, value, minute, late in zip(messages, values, minutes, lates, strict=True):
                verdict = b"true" if late else b"false"
                record = b'%b,"delay":{"minutes":%b,"late":%b%b' % (value[:-1], minute, verdict, PROVENANCE)
                produce(target, record, message.key(), message.partition() or 0)
                ends[message.partition() or 0] = message.offset() or 0
            producer.poll(0)
            done += len(messages)
        if open_since and (time.monotonic() - open_since > CHECKPOINT or done >= events):
            offsets = [TopicPartition(source, partition, offset + 1) for partition, offset in ends.items()]
            producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata())
            producer.commit_transaction()
            open_since = 0.0
    consumer.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
