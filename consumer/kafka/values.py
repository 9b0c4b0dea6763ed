"""Values of settings that librdkafka does not take, found by making clients that reach no broker."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import Consumer, KafkaException, Producer

from consumer.kafka.errors import reason
from consumer.kafka.settings import client_settings
from consumer.pipeline.findings import Finding
from consumer.pipeline.spec import Pipeline

_MADE: Final = re.compile(r"^Failed to create \w+: ")

Client = Callable[[dict[str, Any]], Any]


def refused_values(spec: Pipeline) -> list[Finding]:
    """Find values of the section ``kafka`` that librdkafka refuses, each with its own words.

    Args:
        spec: the pipeline; the names of its settings have been checked.
    """
    settings = client_settings(spec, "lint", None)
    found = {
        **_refused(Consumer, settings.consumer, spec.kafka),
        **_refused(Producer, settings.producer, spec.kafka),
    }
    return [Finding(("kafka", name) if name else ("kafka",), words) for name, words in found.items()]


def _refused(client: Client, settings: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Return the settings that a client refuses and why; under no name what no setting alone is to blame for."""
    left = {name: value for name, value in settings.items() if name != "bootstrap.servers"}
    found: dict[str, str] = {}
    while words := _words(client, left):
        # librdkafka may call a setting by another name, or name none: what mends it by being left out is to blame.
        candidates = sorted((name for name in left if name in given), key=lambda name: name not in words)
        culprit = next((name for name in candidates if _words(client, _without(left, name)) != words), "")
        found[culprit] = words
        if not culprit:
            break
        left = _without(left, culprit)
    return found


def _words(client: Client, settings: Mapping[str, Any]) -> str:
    """Return why a client refuses settings; nothing if it takes them."""
    try:
        client({**settings, "log_level": 0})
    except KafkaException as error:
        return _MADE.sub("", reason(error).str()).strip()
    except (TypeError, ValueError) as error:
        return str(error)
    return ""


def _without(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {other: value for other, value in settings.items() if other != name}
