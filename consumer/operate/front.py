"""The front that a worker shows: metrics and probes on ``operate.http``."""

import time
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from consumer.operate.http import Page, Pages
from consumer.operate.meters import Meters
from consumer.operate.pulse import Pulse
from consumer.operate.status import status
from consumer.operate.vitals import Vitals, Watcher


class Front:
    """What observes a worker for outsiders, and the pages that tell them.

    Args:
        pipeline: its name.
        pulse: what the worker's thread is at.
        draining: whether the process was told to stop.
        clock: monotonic seconds.
        wall: seconds since 1970.
    """

    def __init__(
        self,
        pipeline: str,
        pulse: Pulse,
        draining: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._pipeline = pipeline
        self._wall = wall
        self.watcher = Watcher(pulse, draining, clock, wall)
        self.meters = Meters(pipeline, self.watcher.vitals)

    @property
    def pages(self) -> Pages:
        """What can be asked for, by path."""
        return {"/live": self._live, "/ready": self._ready, "/metrics": self._metrics}

    def _live(self) -> Page:
        now = self.watcher.vitals()
        return self._probe(now, good=now.live)

    def _ready(self) -> Page:
        now = self.watcher.vitals()
        return self._probe(now, good=now.ready)

    def _probe(self, now: Vitals, *, good: bool) -> Page:
        body = msgspec.json.format(msgspec.json.encode(status(self._pipeline, now, self._wall)), indent=2) + b"\n"
        return Page(body, "application/json", HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)

    def _metrics(self) -> Page:
        return Page(generate_latest(self.meters.registry), CONTENT_TYPE_PLAIN_0_0_4)
