"""`onelane run --workers`: several workers on one machine, which share the partitions and end together.

One that is killed is started again under its name, what no restart can mend ends all, and no worker outlives its
supervisor. Each event is enriched once through all of it.
"""

import os
import signal
from pathlib import Path

import pytest

from tests.support.fixtures import OpenStream, StartSupervisor
from tests.support.scrape import ask, samples, total
from tests.support.stream import Feeder, Protocol, record
from tests.support.topics import produce, wait_until
from tests.support.verify import verify, wait_until_caught_up

# The shutdown time-out of a pipeline that says nothing of it, and what a slow machine adds.
DEADLINE = 30.0


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_two_workers_share_the_partitions_and_one_that_is_killed_comes_back(
    protocol: Protocol, open_stream: OpenStream, start_supervisor: StartSupervisor
) -> None:
    """Under its name, with its part; and both end with their last checkpoint within one deadline, with code 0."""
    stream = open_stream(partitions=4, protocol=protocol)
    with Feeder(stream, rate=500) as feeder:
        supervisor = start_supervisor(stream)
        supervisor.wait_until_shared(2)
        assert {line["instance"] for line in supervisor.logs("started")} == {"crew-0", "crew-1"}
        assert {line["protocol"] for line in supervisor.logs("started")} == {protocol}
        os.kill(supervisor.pid_of(1), signal.SIGKILL)
        ended = supervisor.wait_until_said(1, "worker ended")
        assert (ended["code"], ended["meaning"]) == (-signal.SIGKILL, "killed by SIGKILL")
        supervisor.wait_until_said(1, "worker started", after=1)
        supervisor.wait_until_shared(2)
        count = feeder.stop()
    wait_until_caught_up(stream)
    found = samples(ask(supervisor.http, "/metrics").body)
    assert total(found, "onelane_worker_restarts_total", worker="0") == 0
    assert total(found, "onelane_worker_restarts_total", worker="1") == 1
    for worker in "01":
        assert total(found, "onelane_lanes", worker=worker, pipeline=stream.name) == 2
        assert total(found, "onelane_enriched_total", worker=worker) > 0
    assert supervisor.stop(within=DEADLINE) == 0
    assert [line["event"] for line in supervisor.logs() if "worker" in line].count("stopped") == 2
    verify(stream, range(count)).assert_exactly_once()


def test_a_worker_in_which_no_thread_can_run_is_killed_and_comes_back(
    open_stream: OpenStream, start_supervisor: StartSupervisor, tmp_path: Path
) -> None:
    """A model that hangs with Python's global lock silences its own watchdog too: the supervisor says where it is."""
    hangs = tmp_path / "hangs"
    stream = open_stream({"operate": {"stuck_after": "2s", "http": None}}, partitions=2)
    environment = {"HUNG_MODEL": str(hangs), "HUNG_MODEL_HOLDS": "yes"}
    supervisor = start_supervisor(stream, module="tests.support.hung_model", environment=environment)
    supervisor.wait_until_shared(1)
    hangs.touch()
    produce(stream.bootstrap, stream.input, [record(0, partition=0)])
    silent = supervisor.wait_for("worker gives no sign of life; it is asked for its stacks, and killed")
    assert silent["seconds"] >= 12
    hangs.unlink()
    worker = silent["worker"]
    produce(stream.bootstrap, stream.input, [record(number, partition=number % 2) for number in range(1, 50)])
    ended = supervisor.wait_until_said(worker, "worker ended")
    assert (ended["code"], ended["starts_again_in_seconds"]) == (-signal.SIGKILL, 1)
    assert any("in _hold" in line["event"] for line in supervisor.logs() if line.get("worker") == worker)
    supervisor.wait_until_said(worker, "worker started", after=1)
    supervisor.wait_until_shared(1)
    wait_until_caught_up(stream)
    assert not [line for line in supervisor.logs("worker ended") if line["worker"] != worker]
    assert supervisor.stop(within=DEADLINE) == 0
    verify(stream, range(50)).assert_exactly_once()


def test_ctrl_c_in_a_backlog_ends_all_in_time(open_stream: OpenStream, start_supervisor: StartSupervisor) -> None:
    """Each worker drains for itself, at the same time; what was left is enriched by the next ones, once.

    A terminal sends it to the whole group: workers in it would be told twice, and end by force.
    """
    stream = open_stream(partitions=4)
    with Feeder(stream, rate=2000, backlog=40_000) as feeder:
        first = start_supervisor(stream)
        first.wait_until_shared(2)
        os.killpg(first.pid, signal.SIGINT)
        assert first.wait(within=DEADLINE) == 0
        assert not first.alive
        count = feeder.stop()
    second = start_supervisor(stream)
    wait_until_caught_up(stream)
    assert second.stop(within=DEADLINE) == 0
    verify(stream, range(count)).assert_exactly_once()


def test_a_refused_start_ends_all_with_its_code(open_stream: OpenStream, start_supervisor: StartSupervisor) -> None:
    """Another start would be refused too: the output topic is not there."""
    stream = open_stream({"output": {"topic": "is-nowhere"}})
    supervisor = start_supervisor(stream)
    assert supervisor.wait(allowed=(5,), within=60) == 5
    assert supervisor.logs("worker ended with what no restart can mend; all end")[0]["code"] == 5
    assert not supervisor.alive
    assert len(supervisor.logs("worker started")) == 2


def test_a_wrong_pipeline_file_starts_no_worker(open_stream: OpenStream, start_supervisor: StartSupervisor) -> None:
    """The supervisor reads it too, and says where."""
    stream = open_stream({"checkpoint": "never"})
    supervisor = start_supervisor(stream)
    assert supervisor.wait(allowed=(2,)) == 2
    assert not supervisor.logs("worker started")


def test_workers_die_with_a_supervisor_that_is_killed(
    open_stream: OpenStream, start_supervisor: StartSupervisor
) -> None:
    """The kernel ends them: nothing is left that would work on beside the next supervisor's."""
    supervisor = start_supervisor(open_stream(partitions=2))
    supervisor.wait_until_shared(1)
    assert len(supervisor.alive) == 2
    supervisor.kill()
    wait_until(lambda: not supervisor.alive, 10, "workers outlive their supervisor")


def test_a_second_signal_ends_all_at_once(
    open_stream: OpenStream, start_supervisor: StartSupervisor, tmp_path: Path
) -> None:
    """With code 3, while the model hangs and nothing else would end for long."""
    hangs = tmp_path / "hangs"
    stream = open_stream({"operate": {"shutdown_timeout": "100s"}}, partitions=2)
    supervisor = start_supervisor(stream, module="tests.support.hung_model", environment={"HUNG_MODEL": str(hangs)})
    supervisor.wait_until_shared(1)
    hangs.touch()
    stream.feed(range(100))
    wait_until(lambda: supervisor.doing == ["invoke", "invoke"], 60, "the model does not run")
    supervisor.terminate()
    supervisor.wait_for("stopping")
    supervisor.terminate()
    assert supervisor.wait(allowed=(3,), within=10) == 3
    wait_until(lambda: not supervisor.alive, 10, "a worker is left")
