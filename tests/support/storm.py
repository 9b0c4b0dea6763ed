"""A storm of rebalances: members that join, leave, die, and stand still past their session time-out."""

import secrets
import time
from collections import Counter
from collections.abc import Callable
from itertools import chain, cycle, islice
from typing import Final

from tests.support.topics import wait_until
from tests.support.worker import Worker

# Members that run; with fewer, nobody would be there to take over.
_FEWEST: Final = 2
_MOST: Final = 3
# Past the session time-out of 2 s, and with it past the next heartbeat's chance.
_STANDSTILL: Final = 2.5
# What happens to a member; another joins where there are too few.
_TROUBLES: Final = ("SIGTERM", "kill -9", "SIGSTOP")


class Storm:
    """Keeps up to three members of a group in motion.

    Attributes:
        happened: how often what happened.
        members: all that ever joined.

    Args:
        start: starts a member with an instance name.
    """

    def __init__(self, start: Callable[[str], Worker]) -> None:
        self._start = start
        self.happened: Counter[str] = Counter()
        self.members: list[Worker] = []
        self._asleep: dict[Worker, float] = {}
        self._leaving: set[Worker] = set()

    def rage(self, times: int) -> None:
        """Make trouble so often, each kind in turn; then let those that sleep sleep out, and wake them."""
        for trouble in islice(cycle(_TROUBLES), times):
            self._join_some()
            able = wait_until(self._able, 60, "no member is awake")
            self.happened[trouble] += 1
            self._trouble(secrets.choice(able), trouble)
            self._wake(time.monotonic())
            time.sleep(secrets.randbelow(600) / 1000)  # into whatever the members do by then
        wait_until(self._all_awake, 2 * _STANDSTILL, "members sleep on")

    def settle(self, partitions: int, timeout: float) -> list[Worker]:
        """Wait until the members that are left share all partitions, and return them."""
        self._join_some()
        try:
            wait_until(lambda: self._share(partitions), timeout, f"the members don't share {partitions} partitions")
        except TimeoutError as error:
            raise TimeoutError("\n".join([str(error), *(member.tail() for member in self._running)])) from error
        return self._running

    @property
    def _running(self) -> list[Worker]:
        return [member for member in self.members if member.running]

    @property
    def _staying(self) -> list[Worker]:
        return [member for member in self._running if member not in self._leaving]

    def _share(self, partitions: int) -> bool:
        owned = [member.owned for member in self._running]
        return (
            self._running == self._staying
            and all(owned)
            and sorted(chain.from_iterable(owned)) == list(range(partitions))
        )

    def _able(self) -> list[Worker]:
        """The members that have started, are awake and are not told to leave."""
        self._wake(time.monotonic())
        return [member for member in self._staying if member not in self._asleep and member.logs("started")]

    def _trouble(self, member: Worker, trouble: str) -> None:
        if trouble == "SIGTERM":
            member.terminate()
            self._leaving.add(member)
        elif trouble == "kill -9":
            member.kill()
        else:
            member.freeze()
            self._asleep[member] = time.monotonic() + _STANDSTILL

    def _join_some(self) -> None:
        while len(self._staying) < secrets.choice((_FEWEST, _MOST)):
            self._join()

    def _join(self) -> None:
        self.happened["join"] += 1
        self.members.append(self._start(f"member-{len(self.members)}"))

    def _all_awake(self) -> bool:
        self._wake(time.monotonic())
        return not self._asleep

    def _wake(self, now: float) -> None:
        for member in [member for member, until in self._asleep.items() if until <= now]:
            del self._asleep[member]
            member.thaw()


def interpreters(member: Worker) -> int:
    """How many interpreters a member has made for its lanes; those of the load probe come before it has started."""
    events = [line["event"] for line in member.logs()]
    return events[events.index("started") :].count("interpreter made") if "started" in events else 0


def assignments(member: Worker) -> int:
    """How many partitions were assigned to a member in all."""
    return sum(len(line["partitions"]) for line in member.logs("partitions assigned"))
