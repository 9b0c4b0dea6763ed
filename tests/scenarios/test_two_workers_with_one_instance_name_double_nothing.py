"""Two live workers have the same instance name, by mistake: each start fences the other's producer.

They must not fence each other for ever. The older one renews its producer once, which fences the younger one; who is
fenced again within a minute ends with code 4, and the other does all of the work.
"""

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.stream import Feeder
from tests.support.topics import wait_until
from tests.support.verify import verify, wait_until_caught_up


def test_two_workers_with_one_instance_name_double_nothing(
    open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """One of them is left, and the results are right."""
    stream = open_stream(partitions=4)
    with Feeder(stream, rate=600) as feeder:
        workers = [start_worker(stream, "twin")]
        workers[0].wait_until_assigned(4)
        workers.append(start_worker(stream, "twin"))
        workers[1].wait_for("partitions assigned")
        wait_until(lambda: not all(worker.running for worker in workers), 40, "they fence each other for ever")
        left = [worker for worker in workers if worker.running]
        ended = [worker for worker in workers if not worker.running]
        assert len(left) == 1
        ended[0].wait(allowed=[4])
        left[0].wait_until_assigned(4)
        total = feeder.stop()
        wait_until_caught_up(stream)
    left[0].stop()
    verify(stream, range(total)).assert_exactly_once()
