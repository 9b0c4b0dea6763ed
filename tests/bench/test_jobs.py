"""The peers' jobs and onelane's pipelines give the same records."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from bench.events import events
from bench.peers.job import JOBS, Job
from bench.peers.records import differences
from tests.support.command import onelane

PIPELINES = Path(__file__).parents[2] / "bench" / "pipelines"
COUNT = 200
PROVENANCE = ("model", "pipeline")


def values_of(job: str) -> list[bytes]:
    """Return the first of a job's events."""
    return [value for _, value in events(job, COUNT)]


@pytest.mark.parametrize("name", JOBS)
def test_jobs_answer_as_onelane_does(name: str) -> None:
    """Many at once, one at a time, encoded or not: the fields are the same, the numbers to a 100,000th."""
    values = values_of(name)
    expected = enriched(name, values)
    job = Job(name)
    decoded: list[dict[str, Any]] = [orjson.loads(value) for value in values]
    for found in (
        [orjson.loads(value) for value in job.many(values)],
        [orjson.loads(job.one(value)) for value in values],
        job.many_decoded(decoded),
        [job.one_decoded(event) for event in decoded],
    ):
        assert not [told for one, other in zip(found, expected, strict=True) for told in differences(one, other)]
    assert decoded == [orjson.loads(value) for value in values]


def enriched(name: str, values: list[bytes]) -> list[dict[str, Any]]:
    """Return what `onelane enrich` writes, without the provenance, which peers have none of."""
    field = JOBS[name].field
    done = onelane("enrich", PIPELINES / f"{name}.yaml", stdin=b"\n".join(values))
    assert done.returncode == 0, done.stderr
    records: list[dict[str, Any]] = [orjson.loads(line) for line in done.stdout.splitlines()]
    for record in records:
        record[field] = {key: value for key, value in record[field].items() if key not in PROVENANCE}
    return records


@pytest.mark.parametrize("name", JOBS)
def test_jobs_take_more_than_a_batch(name: str) -> None:
    """A framework may hand over more events than a batch has rows."""
    values = values_of(name) * 3
    job = Job(name)
    assert job.many(values) == [value for _ in range(3) for value in job.many(values[:COUNT])]


def test_differences_are_told() -> None:
    """A field too many or too few, another type, a number that is off."""
    assert not list(differences({"a": [1, 2.000001]}, {"a": [1, 2.0]}))
    assert list(differences({"a": 1}, {"a": 1, "b": 2}))
    assert list(differences({"a": 1, "b": 2}, {"a": 1}))
    assert list(differences({"a": [1.0, 2.1]}, {"a": [1.0, 2.0]}))
    assert list(differences({"a": True}, {"a": 1}))
    assert list(differences({"a": [1]}, {"a": [1, 2]}))
