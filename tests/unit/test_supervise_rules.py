"""What becomes of workers that end: the rules, and the supervisor that goes by them, on a clock of the test's."""

from collections.abc import Callable, Sequence
from signal import SIGKILL, SIGTERM, Signals

import msgspec
import pytest

from consumer.exits import ExitCode
from consumer.supervise.member import Seen, State
from consumer.supervise.rules import Backoff, meaning, verdict
from consumer.supervise.silence import MARGIN, STARTING, WORKING, Call, Silence
from consumer.supervise.supervisor import Supervisor
from consumer.supervise.tie import STACKS
from tests.support.memory import Clock

TIMEOUT = 25.0


def test_a_worker_that_ends_again_and_again_waits_longer_each_time() -> None:
    """From 1 s, twice as long each time, to 30 s."""
    backoff = Backoff()
    assert [backoff.after(5.0) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_a_worker_that_has_served_for_a_minute_starts_at_once() -> None:
    """What ended it is no part of what ended it before."""
    backoff = Backoff()
    assert [backoff.after(lived) for lived in (0.1, 0.1, 59.9, 60.0, 0.1)] == [1, 2, 4, 1, 2]


@pytest.mark.parametrize(
    ("codes", "code"),
    [
        ([], ExitCode.DONE),
        ([0, 0], ExitCode.DONE),
        ([0, 7, 1], ExitCode.STUCK),
        ([3, 5, 2], ExitCode.REFUSED),
        ([0, -SIGKILL], ExitCode.FORCED),
        ([0, -SIGTERM], ExitCode.DONE),
        ([0, 77], ExitCode.BUG),
    ],
)
def test_the_code_of_the_whole_is_that_of_what_went_wrong(codes: list[int], code: ExitCode) -> None:
    """What no restart can mend first; a worker that is told to stop before it listens ends of the signal."""
    assert verdict(codes) is code


def test_a_code_is_told_in_words() -> None:
    """Those of the list, and signals by their names; realtime ones have none."""
    assert meaning(7).startswith("the watchdog")
    assert meaning(-9) == "killed by SIGKILL"
    assert meaning(-50) == "signal 50"
    assert meaning(77) == "no code of onelane's"


def calls(silence: Silence, *turns: tuple[float, bytes]) -> list[tuple[float, Call]]:
    """Let turns go by, each at its time with what is heard; return what is called for, and when."""
    called = [(now, silence.turn(beats, now)) for now, beats in turns]
    return [(now, call) for now, call in called if call is not Call.NOTHING]


def quiet(start: float, end: float) -> list[tuple[float, bytes]]:
    """Turns of half a second in which nothing is heard."""
    return [(start + turn / 2, b"") for turn in range(1, round(2 * (end - start)) + 1)]


def test_a_worker_that_gives_no_sign_of_life_is_asked_once_and_killed_once() -> None:
    """After what it may be at one thing and a margin; a start may take longer."""
    limit = 20 + MARGIN
    silence = Silence(300, 20, 0.0)
    assert calls(silence, (1.0, WORKING), *quiet(1, 1 + limit)) == []
    assert calls(silence, *quiet(1 + limit, 50)) == [(1.5 + limit, Call.ASK), (2.5 + limit, Call.KILL)]
    assert calls(Silence(300, 20, 0.0), (1.0, STARTING), *quiet(1, 311)) == []
    assert [call for _, call in calls(Silence(300, 20, 0.0), *quiet(0, 320))] == [Call.ASK, Call.KILL]


def test_a_sign_of_life_is_enough() -> None:
    """Also after the question, and the last one of several counts; then all begins anew."""
    silence = Silence(300, 20, 0.0)
    assert [call for _, call in calls(silence, (0.5, STARTING + WORKING), *quiet(0.5, 31))] == [Call.ASK]
    assert calls(silence, (31.5, WORKING), *quiet(31.5, 61)) == []
    assert silence.seconds == pytest.approx(29.5)


def test_what_the_supervisor_slept_through_is_no_silence_of_workers() -> None:
    """After Ctrl-Z, say, or on a machine that stood still: they too had no time, or their signs are not read yet."""
    silence = Silence(300, 20, 0.0)
    assert calls(silence, (1.0, WORKING), (5000.0, b""), (5000.5, b"")) == []


class Fake:
    """A worker whose ends the test decides."""

    def __init__(self, number: int, clock: Clock) -> None:
        self.seen = Seen(number, f"a-{number}", State.WAITING, clock())
        self.due: float | None = clock()
        self.sent: list[int] = []
        self.starts = 0
        self.ends: int | None = None
        self.called = Call.NOTHING
        self.broken = 0
        self.stubborn = False
        self._clock = clock
        self._backoff = Backoff()

    def start(self) -> None:
        """Run, unless the machine has no process left."""
        self.starts += 1
        if self.broken:
            self.broken -= 1
            raise BlockingIOError("no process is left")
        self.due = None
        self._see(State.RUNNING)

    def ended(self) -> int | None:
        """End as the test says."""
        code, self.ends = self.ends, None
        if code is not None:
            self._see(State.ENDED)
        return code

    def listen(self) -> tuple[Call, float]:
        """Give no sign of life, if the test says so."""
        return self.called, 70.0

    def again(self, lived: float) -> float:
        """Wait."""
        wait = self._backoff.after(lived)
        self.due = self._clock() + wait
        self._see(State.WAITING)
        return wait

    def leave(self) -> None:
        """Wait no longer."""
        if self.seen.state is State.WAITING:
            self.due = None
            self._see(State.ENDED)

    def send(self, number: int) -> None:
        """End of a signal, unless it is stubborn."""
        self.sent.append(number)
        if self.seen.state is State.RUNNING and not self.stubborn:
            self.ends = 0

    def _see(self, state: State) -> None:
        self.seen = msgspec.structs.replace(self.seen, state=state, since=self._clock())


Step = Callable[[], Sequence[Signals]]


class World:
    """Two workers, and what happens while the supervisor waits: one step a wait, and the clock moves on by it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.members = [Fake(0, self.clock), Fake(1, self.clock)]
        self.steps: list[Step] = []
        self.supervisor = Supervisor(self.members, TIMEOUT, self._wait, self.clock)

    def end(self, number: int, code: int) -> None:
        """Next, a worker ends."""

        def step() -> Sequence[Signals]:
            self.members[number].ends = code
            return []

        self.steps.append(step)

    def stop(self) -> None:
        """Next, a signal comes."""
        self.steps.append(lambda: [SIGTERM])

    def quiet(self, turns: int) -> None:
        """Next, nothing happens for so many turns."""
        self.steps += [list] * turns

    def run(self) -> ExitCode:
        """Let the supervisor run to its end, which must come within the steps and ten seconds more."""
        self.quiet(20)
        return self.supervisor.run()

    def _wait(self, seconds: float) -> Sequence[Signals]:
        assert self.steps, "the supervisor does not end"
        self.clock.sleep(seconds)
        return self.steps.pop(0)()


@pytest.fixture(name="world")
def _world() -> World:
    return World()


def test_a_signal_is_passed_on_once(world: World) -> None:
    """And the end of all is the end."""
    world.quiet(3)
    world.stop()
    assert world.run() is ExitCode.DONE
    assert [member.sent for member in world.members] == [[SIGTERM]] * 2
    assert [member.starts for member in world.members] == [1, 1]
    assert world.supervisor.draining


@pytest.mark.parametrize("code", [1, 3, 4, 7, -9, 77])
def test_what_a_restart_may_mend_is_started_again(world: World, code: int) -> None:
    """After its back-off, while the others go on."""
    world.end(1, code)
    world.quiet(2)
    world.end(1, code)
    world.quiet(4)
    world.stop()
    began = world.clock()
    assert world.run() is ExitCode.DONE
    assert [member.starts for member in world.members] == [1, 3]
    assert world.clock() - began > 3


@pytest.mark.parametrize("code", [2, 5, 6])
def test_what_no_restart_can_mend_ends_all_with_its_code(world: World, code: int) -> None:
    """The others end as on a signal; a signal that comes then is the first one, and is not passed on again."""
    world.members[0].stubborn = True
    world.end(1, code)
    world.stop()
    world.end(0, 0)
    assert world.run() == code
    assert world.members[0].sent == [SIGTERM]


def test_a_worker_without_a_sign_of_life_is_killed_and_started_again(world: World) -> None:
    """Asked for its stacks first; the others go on."""

    def call(what: Call) -> Step:
        def step() -> Sequence[Signals]:
            world.members[1].called = what
            return []

        return step

    world.members[1].stubborn = True
    world.steps += [call(Call.ASK), call(Call.KILL), call(Call.NOTHING)]
    world.end(1, -SIGKILL)
    world.quiet(4)
    world.stop()
    world.end(1, 0)
    assert world.run() is ExitCode.DONE
    assert [member.sent for member in world.members] == [[SIGTERM], [STACKS, SIGKILL, SIGTERM]]
    assert [member.starts for member in world.members] == [1, 2]


def test_a_start_that_fails_is_tried_again(world: World) -> None:
    """After its back-off; the others run on."""
    world.members[1].broken = 2
    world.quiet(8)
    world.stop()
    began = world.clock()
    assert world.run() is ExitCode.DONE
    assert [member.starts for member in world.members] == [1, 3]
    assert world.clock() - began > 3


def test_a_worker_that_waits_is_not_started_any_more(world: World) -> None:
    """Once all are to end."""
    world.end(1, 4)
    world.stop()
    assert world.run() is ExitCode.DONE
    assert world.members[1].starts == 1


def test_a_worker_that_others_stopped_stays_so(world: World) -> None:
    """The whole has ended when none is left."""
    world.end(1, 0)
    world.quiet(5)
    world.end(0, 0)
    assert world.run() is ExitCode.DONE
    assert [member.starts for member in world.members] == [1, 1]


def test_what_does_not_end_in_time_is_killed(world: World) -> None:
    """One deadline for all, from the first signal."""
    world.members[0].stubborn = True
    world.stop()
    world.quiet(round(TIMEOUT / 0.5))
    began = world.clock()
    assert world.run() is ExitCode.FORCED
    assert world.members[0].sent == [SIGTERM, SIGKILL]
    assert world.clock() - began == pytest.approx(TIMEOUT + 0.5)


def test_a_second_signal_kills_at_once(world: World) -> None:
    """Whatever is open then is read again."""
    world.members[0].stubborn = True
    world.stop()
    world.stop()
    assert world.run() is ExitCode.FORCED
    assert world.members[0].sent == [SIGTERM, SIGKILL]


def test_a_loop_that_stands_still_shows(world: World) -> None:
    """After ten seconds of it."""
    assert world.supervisor.turns
    world.clock.sleep(10.0)
    assert not world.supervisor.turns
