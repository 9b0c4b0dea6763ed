"""A lane against a simple model, under any order of events, batches and rewinds (invariant 7)."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from consumer.lane import BatchRule, Lane, Reason
from tests.support.making import event, offsets


class LaneMachine(RuleBasedStateMachine):
    """The model is a list of (offset, size, arrival)."""

    @initialize(
        rows=st.integers(1, 6),
        size=st.integers(1, 40),
        row_bytes=st.integers(0, 4),
        position=st.integers(0, 10),
    )
    def open(self, rows: int, size: int, row_bytes: int, position: int) -> None:
        """Open a lane."""
        self.rule = BatchRule(rows=rows, bytes=size, wait=5.0, row_bytes=row_bytes)
        self.lane = Lane(0, position, self.rule)
        self.now = 0.0
        self.next = position
        self.open_rows: list[tuple[int, int, float]] = []

    @rule(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=8), gap=st.integers(0, 2))
    def extend(self, sizes: list[int], gap: int) -> None:
        """Events come, perhaps after a gap in the offsets."""
        first = self.next + gap
        self.lane.extend([event(first + place, b"x" * size) for place, size in enumerate(sizes)], self.now)
        self.open_rows += [(first + place, size, self.now) for place, size in enumerate(sizes)]
        self.next = first + len(sizes)

    @rule(seconds=st.floats(0, 7))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    @rule()
    def serve(self) -> None:
        """Batches are taken for as long as one is due: then no row has waited past the wait."""
        while (why := self.lane.due(self.now)) is not None:
            self._check_batch(why)
        assert all(self.now < arrival + self.rule.wait for _, _, arrival in self.open_rows)

    @rule()
    def drain(self) -> None:
        """A batch is taken before it is due."""
        if self.open_rows:
            self._check_batch(Reason.DRAIN)

    @rule(back=st.integers(0, 5))
    def restart(self, back: int) -> None:
        """A rewind drops what is open."""
        self.next = max(0, self.next - back)
        self.lane.restart(self.next)
        self.open_rows.clear()

    def _check_batch(self, why: Reason) -> None:
        batch = self.lane.take()
        taken, self.open_rows = self.open_rows[: len(batch)], self.open_rows[len(batch) :]
        assert offsets(batch) == [offset for offset, _, _ in taken]
        weight = self._weight(taken)
        assert 1 <= len(batch) <= self.rule.rows
        assert weight <= self.rule.bytes or len(batch) == 1
        more = self._weight(self.open_rows[:1]) if self.open_rows else 0
        if why is Reason.ROWS:
            assert len(batch) == self.rule.rows
        elif why is Reason.BYTES:
            assert weight >= self.rule.bytes or (more and weight + more > self.rule.bytes)
        elif why is Reason.WAIT:
            assert self.now >= taken[0][2] + self.rule.wait

    def _weight(self, rows: list[tuple[int, int, float]]) -> int:
        return sum(size + self.rule.row_bytes for _, size, _ in rows)

    @invariant()
    def agrees(self) -> None:
        """Position, size and fullness are those of the model."""
        if not hasattr(self, "lane"):
            return
        assert self.lane.size == len(self.open_rows)
        assert self.lane.position == (self.open_rows[0][0] if self.open_rows else self.next)
        assert self.lane.full == (
            len(self.open_rows) >= self.rule.rows or self._weight(self.open_rows) >= self.rule.bytes
        )


def test_invariant_7_events_leave_a_lane_once_and_in_time() -> None:
    """Each in order, in batches within the rule, and none waits past the wait when it is served."""
    run_state_machine_as_test(LaneMachine, settings=settings(max_examples=100, stateful_step_count=25))
