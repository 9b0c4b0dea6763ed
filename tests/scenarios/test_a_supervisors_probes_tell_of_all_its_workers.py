"""The supervisor's truth table of docs/probes.md, row by row: brought about with real workers on a real broker.

What /live and /ready answer, what their body says and which metric shows it stand in `consumer/operate/truth.py`.
"""

import os
import signal
import time
from pathlib import Path

from consumer.operate.truth import TRUTH_OF_ALL
from tests.support.fixtures import OpenStream, StartSupervisor
from tests.support.probing import wait_until_shown
from tests.support.scrape import ask, scrape, total
from tests.support.stream import Stream
from tests.support.supervisor import Supervisor
from tests.support.topics import wait_until

# What a kubelet waits for an answer, if nobody says otherwise, and more for these shared cores.
PROBE_TIMEOUT = 1.5


def test_every_row_of_the_table_has_a_test() -> None:
    """A state that was added without would be a promise that nobody has seen kept."""
    text = Path(__file__).read_text()
    for row in TRUTH_OF_ALL:
        assert f'wait_until_shown(supervisor, "{row.state}")' in text


def test_all_work_until_one_stands_still(open_stream: OpenStream, start_supervisor: StartSupervisor) -> None:
    """Its absence is told in time for a probe, and shows as a metric beside what the others tell."""
    supervisor = start_supervisor(open_stream(partitions=2))
    wait_until_shown(supervisor, "all work")
    stopped = supervisor.pid_of(1)
    os.kill(stopped, signal.SIGSTOP)
    wait_until_shown(supervisor, "one does not answer")
    began = time.monotonic()
    assert ask(supervisor.http, "/live").status == 503
    assert time.monotonic() - began < PROBE_TIMEOUT
    found = scrape(supervisor.http)
    assert {one.labels["worker"] for one in found if one.name == "onelane_joined"} == {"0"}
    assert total(found, "process_resident_memory_bytes", worker="supervisor") > 0
    os.kill(stopped, signal.SIGCONT)
    wait_until_shown(supervisor, "all work")


def test_one_starts_and_starts_again(open_stream: OpenStream, start_supervisor: StartSupervisor) -> None:
    """It is killed twice, so that it waits for longer than the first second."""
    supervisor = start_supervisor(open_stream(partitions=2))
    wait_until_shown(supervisor, "one starts")
    for times in (1, 2):
        os.kill(supervisor.pid_of(1), signal.SIGKILL)
        supervisor.wait_until_said(1, "worker ended", after=times - 1)
        if times == 1:
            supervisor.wait_until_said(1, "worker started", after=1)
    wait_until_shown(supervisor, "one is to start again")
    assert [line["starts_again_in_seconds"] for line in supervisor.said(1, "worker ended")] == [1, 2]
    wait_until_shown(supervisor, "all work")


def test_one_is_stuck_and_is_started_again(
    open_stream: OpenStream, start_supervisor: StartSupervisor, tmp_path: Path
) -> None:
    """Its own watchdog ends it with code 7."""
    hangs = tmp_path / "hangs"
    stream = open_stream({"operate": {"stuck_after": "3s"}}, partitions=2)
    supervisor = _hanging(start_supervisor, stream, hangs)
    wait_until_shown(supervisor, "one is stuck")
    for worker in supervisor.workers:
        assert supervisor.wait_until_said(worker, "worker ended")["code"] == 7
        assert supervisor.said(worker, "stuck")[0]["stacks"]
    hangs.unlink()
    wait_until_shown(supervisor, "all work")


def test_all_end_at_one_deadline(open_stream: OpenStream, start_supervisor: StartSupervisor, tmp_path: Path) -> None:
    """Counted from the first signal: what does not end by then is ended, with code 3."""
    stream = open_stream({"operate": {"shutdown_timeout": "4s"}}, partitions=2)
    supervisor = _hanging(start_supervisor, stream, tmp_path / "hangs")
    began = time.monotonic()
    supervisor.terminate()
    wait_until_shown(supervisor, "all end")
    assert supervisor.wait(allowed=(3,)) == 3
    assert 3.9 < time.monotonic() - began < 10
    wait_until(lambda: not supervisor.alive, 10, "a worker is left")


def _hanging(start_supervisor: StartSupervisor, stream: Stream, hangs: Path) -> Supervisor:
    """Start workers, and let all of them hang in their next inference."""
    supervisor = start_supervisor(stream, module="tests.support.hung_model", environment={"HUNG_MODEL": str(hangs)})
    supervisor.wait_until_shared(1)
    hangs.touch()
    stream.feed(range(100))
    wait_until(lambda: supervisor.doing == ["invoke", "invoke"], 60, "the model does not run")
    return supervisor
