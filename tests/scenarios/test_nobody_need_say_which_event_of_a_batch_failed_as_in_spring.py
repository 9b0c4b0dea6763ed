"""Some events of a batch make the model fail, and the model says that the batch failed, not which of its rows.

Spring's batch listeners leave it to their user to say which record it was: "something like binary search on the batch
to find bad messages" was asked for (https://github.com/spring-projects/spring-kafka/issues/3554), since there is "no
indication where in the batch the error occurred" (https://github.com/spring-projects/spring-kafka/issues/1382), and
each further bad record costs another poll (https://github.com/spring-projects/spring-kafka/issues/3297). Here the
worker halves the batch until it knows.
"""

import json
from pathlib import Path
from typing import Final, get_args

from tests.support.alike import assert_same_order
from tests.support.fixtures import OpenStream, StartWorker
from tests.support.scrape import scrape, total
from tests.support.stream import Stream
from tests.support.topics import NewRecord, produce, read_all
from tests.support.verify import event_ids, verify, wait_until_caught_up
from tests.support.work import Delivery

# 100 // x: a zero makes the whole inference fail, and the mapping does not know.
MODEL: Final = Path(__file__).parents[1] / "models" / "bad_divisor.tflite"
ROWS: Final = 256
BAD: Final = [0, 7, 8, 130, 255]


def test_nobody_need_say_which_event_of_a_batch_failed_as_in_spring(
    open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """Five of a batch of 256: just these are dead letters, the others enriched in order, all from one batch."""
    works = []
    for delivery in get_args(Delivery):
        stream = open_stream({"delivery": delivery}, partitions=1, name=delivery.replace("_", "-"))
        _serve_the_division(stream)
        events = [{"id": number, "x": 0 if number in BAD else number + 1} for number in range(ROWS)]
        produce(stream.bootstrap, stream.input, [NewRecord(value=json.dumps(event).encode()) for event in events])
        works.append((stream, start_worker(stream)))
    for stream, worker in works:
        wait_until_caught_up(stream)
        found = scrape(worker.http)
        worker.stop()
        assert total(found, "onelane_batches_total") == total(found, "onelane_batches_total", reason="rows") == 1
        assert total(found, "onelane_dead_letters_total", cause="InvokeFailed") == len(BAD)
        letters = read_all(stream.bootstrap, stream.dead)
        assert event_ids(letters) == BAD
        for letter in letters:
            headers = dict(letter.headers)
            assert (headers["onelane.stage"], headers["onelane.cause"]) == (b"invoke", b"InvokeFailed")
        enriched = event_ids(read_all(stream.bootstrap, stream.output))
        assert_same_order(enriched, [number for number in range(ROWS) if number not in BAD])
        verify(stream, range(ROWS)).assert_each_once()
        assert not worker.logs("rewound to the last checkpoint")


def _serve_the_division(stream: Stream) -> None:
    """Have the stream's pipeline divide by an event's number."""
    spec = json.loads(stream.pipeline.read_text())
    spec["model"] = {
        "path": str(MODEL),
        "inputs": {"x": [{"field": "x", "kind": "number", "range": [-1000, 1000]}]},
        "outputs": {"y": {"tensor": "y", "kind": "number"}},
    }
    spec["batch"] |= {"rows": ROWS, "wait": "5s"}
    stream.pipeline.write_text(json.dumps(spec))
