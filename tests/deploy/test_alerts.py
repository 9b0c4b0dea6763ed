"""The alerts: taken by Prometheus, firing when they should, about metrics that there are."""

import re
from enum import StrEnum

import pytest

from consumer.broker import AbortKind
from consumer.hold import HoldKind
from consumer.operate.metrics import METRICS, SUPERVISED
from tests.deploy.files import PROMETHEUS, Document, load
from tests.support.prometheus import promtool

ALERTS = PROMETHEUS / "alerts.yaml"


@pytest.fixture(name="rules")
def _rules() -> Document:
    return [rule for group in load(ALERTS)["groups"] for rule in group["rules"]]


def test_prometheus_takes_the_rules() -> None:
    """By its own check, lint included."""
    promtool("check", "rules", "--lint=all", "--lint-fatal", str(ALERTS))


def test_the_alerts_fire_when_they_should() -> None:
    """Prometheus' own unit tests of rules: each alert is pending, fires and ends when it should, and not else."""
    promtool("test", "rules", str(PROMETHEUS / "alerts.test.yaml"))


def test_every_alert_has_a_unit_test(rules: Document) -> None:
    """One that was added without would never be seen to fire."""
    told = (PROMETHEUS / "alerts.test.yaml").read_text(encoding="utf-8")
    for rule in rules:
        assert re.search(rf'alertname="{rule["alert"]}", alertstate="firing"', told), rule["alert"]


def test_the_alerts_are_about_metrics_that_there_are(rules: Document) -> None:
    """Names in expressions and in what to do are those of the list, also without their labels."""
    known = {metric.name for metric in (*METRICS, *SUPERVISED)}
    for rule in rules:
        words = re.findall(r"\bonelane_\w+", f"{rule['expr']} {rule['annotations']}")
        assert words
        assert set(words) <= known


def test_every_alert_says_what_to_do(rules: Document) -> None:
    """A summary for the pager, a description for who was paged, and how bad it is."""
    for rule in rules:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert len(rule["annotations"]["summary"]) < 160
        assert len(rule["annotations"]["description"].splitlines()) >= 3


@pytest.mark.parametrize(("alert", "kinds"), [("OnelaneHeld", HoldKind), ("OnelaneAborts", AbortKind)])
def test_each_kind_is_told_apart(alert: str, kinds: type[StrEnum], rules: Document) -> None:
    """What is to be done about one does nothing for another."""
    (rule,) = [rule for rule in rules if rule["alert"] == alert]
    told = re.findall(r"^- (\w+): ", rule["annotations"]["description"], re.MULTILINE)
    assert sorted(told) == sorted(kinds)


def test_the_operator_gets_the_same_rules() -> None:
    """The PrometheusRule has the file's groups."""
    resource = load(PROMETHEUS / "prometheusrule.yaml")
    assert (resource["apiVersion"], resource["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert resource["spec"] == load(ALERTS)
