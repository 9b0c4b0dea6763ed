"""A worker that can't work says what is wrong and where, and ends with the exit code for it, before it joins.

Code 2 is the pipeline file, code 5 a check: the model against the mapping, or the topics. A supervisor need not
restart either.
"""

from tests.support.fixtures import OpenStream, StartWorker
from tests.support.worker import Worker


def test_a_broken_pipeline_file_is_told_with_its_line(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """A wrong name is told with file, line, and the name that was meant."""
    stream = open_stream()
    lines = stream.pipeline.read_text().splitlines()
    number = next(number for number, line in enumerate(lines, 1) if '"checkpoint"' in line)
    stream.pipeline.write_text("\n".join(lines).replace('"checkpoint"', '"chekpoint"'))
    words = _refused(start_worker(stream), code=2)
    assert f"{stream.pipeline}:{number}:" in words
    assert "checkpoint" in words


def test_a_setting_that_the_worker_owns_is_told_with_its_line(
    open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """Kafka settings that would break the guarantee are refused by name."""
    stream = open_stream({"kafka": {"enable.auto.commit": True}})
    lines = stream.pipeline.read_text().splitlines()
    number = next(number for number, line in enumerate(lines, 1) if "enable.auto.commit" in line)
    words = _refused(start_worker(stream), code=2)
    assert f"{stream.pipeline}:{number}:" in words
    assert "enable.auto.commit" in words


def test_a_mapping_that_does_not_fit_the_model_is_told(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """An output that the model does not have is told by name, with the line."""
    stream = open_stream({"model": {"outputs": {"minutes": {"tensor": "hours", "kind": "number"}}}})
    words = _refused(start_worker(stream), code=5)
    assert "hours" in words
    assert f"{stream.pipeline}:" in words


def test_a_missing_topic_is_told_by_name(open_stream: OpenStream, start_worker: StartWorker) -> None:
    """The worker makes no topics: a typing error would become one."""
    stream = open_stream({"output": {"topic": "no-such-topic"}})
    assert "no-such-topic" in _refused(start_worker(stream), code=5)


def test_a_dead_letter_topic_that_takes_less_than_the_input_is_told(
    open_stream: OpenStream, start_worker: StartWorker
) -> None:
    """A large event that can't be enriched must have a place to go to."""
    stream = open_stream()
    stream.broker.set_topic_config(stream.dead, max_message_bytes=50_000)
    words = _refused(start_worker(stream), code=5)
    assert stream.dead in words
    assert "max.message.bytes" in words


def _refused(worker: Worker, code: int) -> str:
    """What the worker said when it ended with a code."""
    worker.wait(allowed=[code])
    assert not worker.logs("started")
    assert not worker.logs("partitions assigned")
    return worker.tail()
