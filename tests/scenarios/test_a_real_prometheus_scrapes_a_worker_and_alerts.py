"""A real Prometheus scrapes a real worker, takes its metrics without complaint, and fires the alert that is due.

The same of a supervisor's page, for all of its workers.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from consumer.operate.metrics import METRICS, Kind
from tests.deploy.files import PROMETHEUS
from tests.support.fixtures import OpenStream, StartSupervisor, StartWorker
from tests.support.prometheus import promtool, running
from tests.support.scrape import ask
from tests.support.stream import Stream, record
from tests.support.topics import produce, wait_until
from tests.support.worker import Worker

# A supervisor answers after 0.8 s where a worker does not, and these cores are shared.
CONFIG = """\
global: {{scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 1s}}
rule_files: [{rules}]
scrape_configs:
  - job_name: onelane
    static_configs: [{{targets: ["{target}"]}}]
"""


@pytest.fixture(name="stream")
def _stream(open_stream: OpenStream) -> Stream:
    return open_stream({"dead_letters": {"stop_after": {"in_a_row": 5}}})


@pytest.fixture(name="worker")
def _worker(stream: Stream, start_worker: StartWorker) -> Worker:
    """A worker with one of its partitions held."""
    worker = start_worker(stream)
    worker.wait_until_assigned(3)
    bad = [record(number, partition=1, dep_delay="late") for number in range(10)]
    produce(stream.bootstrap, stream.input, [*bad, *(record(number, partition=2) for number in range(10, 20))])
    worker.wait_for("partition held")
    return worker


def configured(folder: Path, target: str, wait: str) -> Path:
    """A configuration with the shipped rules, those that wait for so long a second instead."""
    rules, config = folder / "alerts.yaml", folder / "prometheus.yml"
    shipped = (PROMETHEUS / "alerts.yaml").read_text(encoding="utf-8")
    rules.write_text(shipped.replace(wait, "for: 1s"), encoding="utf-8")
    config.write_text(CONFIG.format(rules=rules, target=target), encoding="utf-8")
    return config


def asked(prometheus: str, query: str) -> list[dict[str, str]]:
    """The labels of what a query finds."""
    answer: Any = json.loads(ask(prometheus, f"/api/v1/query?{urlencode({'query': query})}").body)
    assert answer["status"] == "success", answer
    return [found["metric"] for found in answer["data"]["result"]]


def test_promtool_has_nothing_to_say_against_the_metrics(worker: Worker) -> None:
    """Neither against their names nor their help nor their form."""
    promtool("check", "metrics", stdin=ask(worker.http, "/metrics").body)


def test_a_held_partition_is_scraped_and_fires(stream: Stream, worker: Worker, tmp_path: Path) -> None:
    """By the shipped rules, but for the minute that they wait; the other alerts keep quiet."""
    with running(configured(tmp_path, worker.http, "for: 1m"), tmp_path / "prometheus") as prometheus:
        wait_until(lambda: asked(prometheus, 'ALERTS{alertstate="firing"}'), 60, "nothing fires")
        (alert,) = asked(prometheus, "ALERTS")
        assert alert == {
            "__name__": "ALERTS",
            "alertname": "OnelaneHeld",
            "alertstate": "firing",
            "severity": "critical",
            "pipeline": stream.name,
            "partition": "1",
            "kind": "guard",
        }
        (told,) = json.loads(ask(prometheus, "/api/v1/alerts").body)["data"]["alerts"]
        assert told["annotations"]["summary"] == f"Partition 1 of {stream.name} is held (guard)."
        names = {found["__name__"] for found in asked(prometheus, f'{{pipeline="{stream.name}"}}')}
        expected = {f"{metric.name}_bucket" if metric.kind is Kind.HISTOGRAM else metric.name for metric in METRICS}
        assert expected <= names
        assert asked(prometheus, "up == 1")


def test_a_supervisors_page_is_scraped_and_a_worker_that_does_not_answer_fires(
    open_stream: OpenStream, start_supervisor: StartSupervisor, tmp_path: Path
) -> None:
    """All workers' series by one address, told apart by their label; promtool has nothing to say against it."""
    stream = open_stream(partitions=2)
    supervisor = start_supervisor(stream)
    supervisor.wait_until_shared(1)
    promtool("check", "metrics", stdin=ask(supervisor.http, "/metrics").body)
    with running(configured(tmp_path, supervisor.http, "for: 5m"), tmp_path / "prometheus") as prometheus:
        every = f'onelane_joined{{pipeline="{stream.name}"}} == 1'
        wait_until(lambda: len(asked(prometheus, every)) == 2, 60, "not both workers are scraped")
        assert {one["worker"] for one in asked(prometheus, every)} == {"0", "1"}
        os.kill(supervisor.pid_of(1), signal.SIGSTOP)
        wait_until(lambda: asked(prometheus, 'ALERTS{alertstate="firing"}'), 60, "nothing fires")
        (alert,) = asked(prometheus, "ALERTS")
        assert (alert["alertname"], alert["pipeline"], alert["worker"]) == ("OnelaneWorkerDown", stream.name, "1")
        wait_until(lambda: {one["worker"] for one in asked(prometheus, every)} == {"0"}, 60, "a stale series stays")
