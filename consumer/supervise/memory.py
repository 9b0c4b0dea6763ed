"""What all workers together may come to take: added up from their start lines."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import structlog

from consumer.operate.memory import limit

_log = structlog.get_logger()


class Budgets:
    """Hears the workers' start lines, and says the sum once all have told theirs.

    Args:
        workers: how many there are.
        most: returns the bytes that the container may take; None where there is no limit.
    """

    def __init__(self, workers: int, most: Callable[[], int | None] = limit) -> None:
        self._workers = workers
        self._most = most
        self._told: dict[int, tuple[Mapping[str, int], bool]] = {}
        self._lock = threading.Lock()
        self._said = False

    def heard(self, worker: int, line: Mapping[str, Any]) -> None:
        """Take a log line of a worker's; call it from any thread."""
        budget = line.get("memory_budget_bytes")
        if line.get("event") != "started" or not isinstance(budget, dict) or not {"total", "lanes"} <= budget.keys():
            return
        with self._lock:
            self._told[worker] = budget, line.get("interpreters") == "shared"
            if self._said or len(self._told) < self._workers:
                return
            self._said = True
        total, most = together(self._told.values()), self._most()
        _log.info("all workers started", workers=self._workers, memory_budget_bytes=total)
        if most is not None and most < total:
            _log.warning(
                "the container's memory limit is below what all workers may come to take: raise it, have fewer "
                "workers, or lower queued.max.messages.kbytes, queue.buffering.max.kbytes or batch.bytes",
                limit=most,
                budget=total,
            )


def together(budgets: Iterable[tuple[Mapping[str, int], bool]]) -> int:
    """Return the bytes that workers take at most together.

    Each has its process, buffers, open events and work. A partition has one lane in all of them, so lanes count once;
    where interpreters are shared, each worker has its own. What processes share of code and files is counted in each.

    Args:
        budgets: of each worker, as in its start line, and whether its interpreters are shared.
    """
    told = list(budgets)
    lanes = [budget["lanes"] for budget, _ in told]
    shared = any(is_shared for _, is_shared in told)
    return sum(budget["total"] - budget["lanes"] for budget, _ in told) + (sum(lanes) if shared else max(lanes))
