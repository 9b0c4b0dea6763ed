"""Probes, ports and annotations of the manifests and the compose file meet what a worker serves."""

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from consumer.operate.front import Front
from consumer.operate.http import Server
from consumer.operate.pulse import Pulse
from consumer.pipeline.load import load as load_pipeline
from tests.deploy.files import EXAMPLE, ROOT, Document, load, manifest
from tests.support.memory import Clock

PROBES = {"startupProbe": "/live", "livenessProbe": "/live", "readinessProbe": "/ready"}


@pytest.fixture(name="template")
def _template() -> Document:
    return manifest("deployment")["spec"]["template"]


@pytest.fixture(name="container")
def _container(template: Document) -> Document:
    return template["spec"]["containers"][0]


@pytest.fixture(name="clock")
def _clock() -> Clock:
    return Clock()


@pytest.fixture(name="front")
def _front(clock: Clock) -> Front:
    return Front("p", Pulse(10.0, clock), lambda: False, clock)


@pytest.fixture(name="server")
def _server(front: Front) -> Iterator[Server]:
    server = Server("127.0.0.1:0", front.pages)
    yield server
    server.close()


def variables(container: Document) -> dict[str, str]:
    """The environment of the worker, as the pipeline file sees it."""
    return {entry["name"]: entry["value"] for entry in container["env"] if "value" in entry}


def served(environment: Mapping[str, str]) -> str | None:
    """Where the example's worker serves with an environment."""
    return load_pipeline(EXAMPLE / "pipeline.yaml", environment).spec.operate.http


@pytest.mark.parametrize("probe", PROBES)
def test_each_probe_asks_a_page_that_there_is(probe: str, container: Document, front: Front) -> None:
    """Starting and living by /live, readiness by /ready, each by the port's name."""
    asked = container[probe]["httpGet"]
    assert asked == {"path": PROBES[probe], "port": "http"}
    assert asked["path"] in front.pages


def test_the_worker_serves_where_the_probes_ask(template: Document, container: Document, front: Front) -> None:
    """On every address of the pod, at the port that is named, annotated and scraped."""
    (port,) = container["ports"]
    annotations = template["metadata"]["annotations"]
    assert port["name"] == "http"
    assert served(variables(container)) == f"0.0.0.0:{port['containerPort']}"
    assert annotations["prometheus.io/scrape"] == "true"
    assert annotations["prometheus.io/port"] == str(port["containerPort"])
    assert annotations["prometheus.io/path"] in front.pages


def test_a_stuck_worker_ends_itself_before_its_supervisor_kills_it(container: Document) -> None:
    """The probe fails only from then on; it has failed often enough when the worker has had the time to end."""
    probe = container["livenessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] >= 20
    assert all(container[name]["timeoutSeconds"] >= 5 for name in PROBES)


def test_two_workers_on_one_machine_do_not_fight_for_a_port() -> None:
    """Without the variable the example takes a free one, for this machine only."""
    assert served({}) == "127.0.0.1:0"


def test_the_compose_worker_serves_where_it_is_asked() -> None:
    """Its own health check, and other containers."""
    worker = load(ROOT / "docker-compose.yml")["services"]["worker"]
    (port,) = worker["expose"]
    assert served(worker["environment"]) == f"0.0.0.0:{port}"
    assert f"http://127.0.0.1:{port}/live" in worker["healthcheck"]["test"][-1]


def test_the_compose_health_check_tells_alive_from_stuck(server: Server, clock: Clock) -> None:
    """Its command is content with a worker that lives, and not with one that is stuck."""
    kind, program, flag, script = load(ROOT / "docker-compose.yml")["services"]["worker"]["healthcheck"]["test"]
    assert (kind, program, flag) == ("CMD", "python", "-c")
    here = re.sub(r"127\.0\.0\.1:\d+", server.address, script)

    def healthy() -> bool:
        done = subprocess.run([sys.executable, "-c", here], capture_output=True, check=False, timeout=30)
        return done.returncode == 0

    assert healthy()
    clock.sleep(1000)
    assert not healthy()
