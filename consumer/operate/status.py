"""What /live and /ready say, as JSON for a person who was woken up."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from consumer.hold import RELEASED_BY
from consumer.operate.vitals import Vitals


def status(pipeline: str, now: Vitals, wall: Callable[[], float]) -> dict[str, Any]:
    """Return how a worker is: the same for both probes."""

    def ago(seconds: float) -> dict[str, object]:
        since = datetime.fromtimestamp(wall() - seconds, UTC).isoformat(timespec="milliseconds")
        return {"seconds": round(seconds, 3), "since": since.replace("+00:00", "Z")}

    events = sum(events for events, _ in now.lags.values())
    return {
        "pipeline": pipeline,
        "live": now.live,
        "ready": now.ready,
        "not_ready_because": _why_not(now),
        "started": ago(now.age),
        "doing": {"what": now.doing[0], **ago(now.doing[1])},
        "waiting": {"what": now.waiting[0], **ago(now.waiting[1])} if now.waiting else None,
        "joined": now.joined,
        "draining": now.draining,
        "lanes": list(now.lanes),
        "lag": {"events": events, "seconds": round(max([0.0, *(s for _, s in now.lags.values())]), 3)},
        "held": [
            {
                "partition": partition,
                "offset": holding.offset,
                "kind": holding.hold.kind,
                "why": holding.hold.why,
                "cause": holding.hold.cause,
                "released_by": RELEASED_BY[holding.hold.kind],
                **ago(seconds),
            }
            for partition, (holding, seconds) in now.held.items()
        ],
        "last_checkpoint": None if now.checkpoint is None else ago(now.checkpoint),
    }


def _why_not(now: Vitals) -> str | None:
    if now.draining:
        return "it was told to stop"
    return None if now.joined else "the group has not taken it in yet"
