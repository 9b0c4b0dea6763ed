"""What the supervisor shows on ``operate.http``: its workers' probes and metrics as one."""

import time
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, Protocol

import msgspec
import orjson
import prometheus_client
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from consumer.operate import metrics
from consumer.operate.http import Page, Pages
from consumer.supervise.asking import Answer, ask
from consumer.supervise.member import Seen, State
from consumer.supervise.merging import merged

# Seconds in which workers answer, all at once: a probe has five in our manifests, and one in Kubernetes' defaults.
_PATIENCE: Final = 0.8
# A worker that has not answered yet may be at Python's own start for so many seconds.
_START: Final = 60.0
# Of the supervisor's own process, in the label ``worker``.
_ITSELF: Final = "supervisor"


class Watched(Protocol):
    """What is shown; see ``Supervisor``."""

    @property
    def turns(self) -> bool:
        """Whether its loop comes round."""
        ...

    @property
    def draining(self) -> bool:
        """Whether all are to end."""
        ...

    def seen(self) -> list[Seen]:
        """How the workers are."""
        ...


class Shown(msgspec.Struct, frozen=True):
    """A worker and what it says of itself.

    Attributes:
        seen: as its supervisor sees it.
        says: the body of its probes; None where it did not answer.
        started: whether its process has answered before, or has had its time for that.
    """

    seen: Seen
    says: Mapping[str, Any] | None
    started: bool

    @property
    def live(self) -> bool:
        """Whether nothing is stuck in it. One that waits to be started again is not: that is on its way already."""
        if self.seen.state is not State.RUNNING or (self.says is None and not self.started):
            return True
        return self.says is not None and bool(self.says["live"])

    @property
    def unready(self) -> str | None:
        """Why it does not do its share; None where it does, or where it was told by others to end."""
        if self.seen.state is State.ENDED:
            return None
        if self.seen.state is State.WAITING:
            return "it ended, and waits to be started again"
        if self.says is None:
            return "it does not answer" if self.started else "it starts"
        return None if self.says["ready"] else str(self.says["not_ready_because"])


class SupervisorFront:
    """The supervisor's pages.

    Args:
        pipeline: its name.
        watched: the supervisor.
        clock: monotonic seconds.
        asking: asks workers, by their addresses, for a page.
    """

    def __init__(
        self,
        pipeline: str,
        watched: Watched,
        clock: Callable[[], float] = time.monotonic,
        asking: Callable[[Mapping[int, tuple[str, int]], str, float], dict[int, Answer]] = ask,
    ) -> None:
        self._pipeline = pipeline
        self._watched = watched
        self._clock = clock
        self._asking = asking
        # By the worker's number: the last process of it that has answered.
        self._answered: dict[int, int | None] = {}
        self._process = prometheus_client.CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self._process)

    @property
    def pages(self) -> Pages:
        """What can be asked for, by path."""
        return {"/live": self._live, "/ready": self._ready, "/metrics": self._metrics}

    def _live(self) -> Page:
        shown = self._shown()
        return self._probe(shown, good=self._is_live(shown))

    def _ready(self) -> Page:
        shown = self._shown()
        return self._probe(shown, good=self._why_not(shown) is None)

    def _shown(self) -> list[Shown]:
        workers, answers = self._ask("/live")
        return [self._one(seen, answers.get(seen.number)) for seen in workers]

    def _one(self, seen: Seen, answer: Answer | None) -> Shown:
        old = seen.pid == self._answered.get(seen.number) or self._clock() - seen.since > _START
        return Shown(seen, None if answer is None else orjson.loads(answer.body), old)

    def _ask(self, path: str) -> tuple[list[Seen], dict[int, Answer]]:
        workers = self._watched.seen()
        answers = self._asking({one.number: one.address for one in workers if one.address}, path, _PATIENCE)
        for one in workers:
            if one.number in answers:
                self._answered[one.number] = one.pid
        return workers, answers

    def _is_live(self, shown: list[Shown]) -> bool:
        return self._watched.turns and all(one.live for one in shown)

    def _why_not(self, shown: list[Shown]) -> str | None:
        if self._watched.draining:
            return "it was told to stop"
        return next((f"worker {one.seen.number}: {why}" for one in shown if (why := one.unready)), None)

    def _probe(self, shown: list[Shown], *, good: bool) -> Page:
        why_not, now = self._why_not(shown), self._clock()
        body = {
            "pipeline": self._pipeline,
            "live": self._is_live(shown),
            "ready": why_not is None,
            "not_ready_because": why_not,
            "draining": self._watched.draining,
            "turns": self._watched.turns,
            "workers": [
                {
                    "worker": one.seen.number,
                    "instance": one.seen.instance,
                    "pid": one.seen.pid,
                    "state": one.seen.state,
                    "seconds": round(now - one.seen.since, 3),
                    "last_code": one.seen.code,
                    "restarts": one.seen.restarts,
                    "says": one.says,
                }
                for one in shown
            ],
        }
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        return Page(orjson.dumps(body, option=orjson.OPT_INDENT_2) + b"\n", "application/json", status)

    def _metrics(self) -> Page:
        workers, answers = self._ask("/metrics")
        own = prometheus_client.CollectorRegistry()
        own.register(_Workers(self._pipeline, workers, answers))
        pages = [
            ("", generate_latest(own).decode()),
            *((str(number), answers[number].body.decode()) for number in sorted(answers)),
            (_ITSELF, generate_latest(self._process).decode()),
        ]
        return Page(merged(pages).encode(), CONTENT_TYPE_PLAIN_0_0_4)


class _Workers:
    """What the supervisor itself has to tell."""

    def __init__(self, pipeline: str, workers: list[Seen], answers: Mapping[int, Answer]) -> None:
        self._pipeline = pipeline
        self._workers = workers
        self._answers = answers

    def collect(self) -> Iterator[Family]:
        up = GaugeMetricFamily(metrics.UP.name, metrics.UP.help, labels=metrics.UP.label_names)
        restarts = CounterMetricFamily(
            metrics.RESTARTS.name, metrics.RESTARTS.help, labels=metrics.RESTARTS.label_names
        )
        for one in self._workers:
            labels = (self._pipeline, str(one.number))
            up.add_metric(labels, float(one.number in self._answers))
            restarts.add_metric(labels, one.restarts)
        yield up
        yield restarts
