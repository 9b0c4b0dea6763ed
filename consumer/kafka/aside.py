"""Calls of a client that may never return, made where they can be left behind.

``send_offsets_to_transaction`` was seen never to return after brokers were killed: what it asks of the group's
coordinator has a time-out that librdkafka never looks at, and waits for a broker that it may not even be calling
(https://github.com/confluentinc/librdkafka/issues/5456 and 5511, open in 2.16).
"""

import warnings
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Final, TypeVar

from confluent_kafka import KafkaException, Producer

T = TypeVar("T")
Job = Callable[[], None]

# Seconds: how often it is told that a call has not returned, and after how long it is left behind. Calls take a
# time-out of 10 s, and return soon after it where brokers answer or are known to be away. A call against a broker
# that stands still may come back later; its client is left all the same, and the next one's first call decides what
# became of it.
TELL: Final = 5.0
LEAVE: Final = 15.0
# To close a producer against brokers that stand still was seen to take six minutes, whatever there is left to send.
_CLOSING: Final = 5.0


class StuckError(Exception):
    """A call has not returned; its client is still inside it, and must not be touched any more."""


class Aside:
    """Makes calls of a producer on a thread of its own while the caller waits: one at a time touches it all the same.

    Never of a consumer: inside a rebalance callback it answers no other thread than that of the poll.

    Args:
        leave: seconds after which a call is left behind, with its thread and its client.
        tell: seconds between two tellings.
    """

    def __init__(self, leave: float = LEAVE, tell: float = TELL) -> None:
        self._leave = leave
        self._tell = tell
        self._jobs: SimpleQueue[Job | None] | None = None

    def run(self, call: Callable[[], T], waiting: Callable[[str], None]) -> T:
        """Return what a call returns, or raise what it raises.

        Args:
            call: it.
            waiting: is told in between that it has not returned.

        Raises:
            StuckError: it has not returned for too long.
        """
        future: Future[T] = Future()
        self._queue().put(lambda: _fulfil(future, call))
        waited = 0.0
        while waited < self._leave:
            span = min(self._tell, self._leave - waited)
            try:
                return future.result(span)
            except TimeoutError:
                if future.done():  # the call's own, or just now
                    return future.result()
            waited += span
            waiting("the client does not come back")
        self.close()  # the next call gets another thread
        raise StuckError(f"a call of the client has not returned for {self._leave:g} s")

    def close(self) -> None:
        """Let go of the thread, which would wait for another call for ever."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None

    def _queue(self) -> SimpleQueue[Job | None]:
        if self._jobs is None:
            self._jobs = SimpleQueue()
            # A daemon: the end of the process does not wait for a call that never returns. Until it does, its frame
            # keeps the client from being destroyed, which would wait too.
            Thread(target=_work, args=(self._jobs,), name="client", daemon=True).start()
        return self._jobs


def once(call: Callable[[], T], leave: float = LEAVE) -> T:
    """Return what a call returns that is made aside, on a thread that ends with it.

    Args:
        call: it.
        leave: seconds after which it is left behind.

    Raises:
        StuckError: it has not returned for too long.
    """
    aside = Aside(leave)
    try:
        return aside.run(call, lambda _: None)
    finally:
        aside.close()


def close_producer(producer: Producer) -> None:
    """Let go of a producer, and of all that it has not sent; one that does not close is left behind."""
    producer.purge()
    with suppress(StuckError):
        once(lambda: _close(producer), _CLOSING)


def _close(producer: Producer) -> None:
    # One that is dead for good says so once more, from the flush inside or in a warning; then it is gone.
    with suppress(KafkaException), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        producer.close()


def _work(jobs: SimpleQueue[Job | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
        del job  # it holds the client


def _fulfil(future: Future[T], call: Callable[[], T]) -> None:
    try:
        answer = call()
    except BaseException as error:  # noqa: BLE001 - the waiting thread's to deal with
        future.set_exception(error)
    else:
        future.set_result(answer)
