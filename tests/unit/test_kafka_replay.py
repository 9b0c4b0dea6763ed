"""A replay's transactions when they go wrong, without a broker; and the settings of its clients."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from consumer.deadletter.letter import Letter
from consumer.deadletter.reading import Most, Outcome, Reading
from consumer.deadletter.replay import Judge, Memory
from consumer.deadletter.selection import Selection, Window
from consumer.exits import FatalBrokerError, PipelineError, RefusedError
from consumer.kafka import aside, checks, targets, topics
from consumer.kafka.checks import Topics
from consumer.kafka.notes import ReplayNotes, within_a_minute
from consumer.kafka.replay import Replay
from consumer.kafka.targets import Failure, InputTarget
from consumer.kafka.topics import TopicReader, find_partitions
from consumer.types import PlainEvent
from tests.support.letters import dead_letter
from tests.support.pipelines import GOOD, loaded
from tests.unit.test_kafka_outlet import Stuck

ABORTABLE = KafkaError(KafkaError.INVALID_TXN_STATE, "abort it", txn_requires_abort=True)
FENCED = KafkaError(KafkaError._FENCED, "fenced", fatal=True)
BOUNDS = {0: (0, 10)}


class FakeProducer:
    """Fails at the calls that it is told, as often as there are errors for them."""

    def __init__(self, failures: dict[str, list[KafkaError]]) -> None:
        self._failures = failures
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        def call(*_: object) -> None:
            self.calls.append(name)
            if self._failures.get(name):
                raise KafkaException(self._failures[name].pop(0))

        return call


class FakeTarget:
    """Keeps what is written."""

    def __init__(self, failures: dict[str, list[KafkaError]], *, learns: bool = False) -> None:
        self._producer = FakeProducer(failures)
        self._learns = learns
        self.opened = 0

    @property
    def producer(self) -> Producer:
        """The one that fails."""
        return cast("Producer", self._producer)

    def open(self) -> None:
        """Count."""
        self.opened += 1

    def rehearse(self, letters: Sequence[Letter]) -> Counter[str]:
        """Say how many."""
        return Counter({"published": len(letters)})

    def write(self, letters: Sequence[Letter]) -> Counter[str]:
        """Say how many."""
        return self.rehearse(letters)

    def failed(self) -> Failure:
        """Say whether anything was learnt."""
        return Failure("", self._learns)

    def close(self) -> None:
        """Do nothing."""


class FakeNotes:
    """ReplayNotes that another replay may have changed."""

    def __init__(self, found: Mapping[int, Memory]) -> None:
        self._found = dict(found)

    def read(self, partitions: Iterable[int]) -> dict[int, Memory]:
        """Return what is there."""
        return {partition: self._found[partition] for partition in partitions}

    def offsets(self, positions: Mapping[int, int], memories: Mapping[int, Memory]) -> list[object]:
        """Return nothing that matters."""
        del positions, memories
        return []

    def metadata(self) -> None:
        """Return nothing."""


def replay(target: FakeTarget, notes: Mapping[int, Memory] | None = None) -> Outcome:
    """Replay ten dead letters, four a batch."""
    records = [dead_letter(PlainEvent(b"v", topic="t"), at=(0, offset)) for offset in range(10)]
    judge = Judge("flight-delays", "t", Selection())
    memories = {0: Memory()}
    reading = Reading(records, BOUNDS, judge, memories, most=Most(4, 1000), now=0)
    run = Replay(cast("ReplayNotes", FakeNotes(notes or {0: Memory()})), target)
    return run.run(reading, memories, BOUNDS)


def test_batches_are_transactions() -> None:
    """Of so many rows each; the last one takes what is left, and the end of what was looked at."""
    target = FakeTarget({})
    assert replay(target).results == Counter({"published": 10})
    assert target._producer.calls == 3 * ["begin_transaction", "send_offsets_to_transaction", "commit_transaction"]


@pytest.mark.parametrize("call", ["begin_transaction", "send_offsets_to_transaction", "commit_transaction"])
def test_a_transaction_that_must_be_aborted_is_tried_again(call: str) -> None:
    """With a new producer; what it held is counted once."""
    target = FakeTarget({call: [ABORTABLE]})
    assert replay(target).results == Counter({"published": 10})
    assert target._producer.calls.count("abort_transaction") == 1
    assert target.opened == 1


def test_a_producer_that_dies_of_an_abort_is_replaced() -> None:
    """The next one's start ends the transaction."""
    target = FakeTarget({"commit_transaction": [ABORTABLE], "abort_transaction": [FENCED]})
    assert replay(target).results == Counter({"published": 10})


def test_a_producer_that_was_fenced_ends_the_replay() -> None:
    """Another replay is at work: nothing is tried again."""
    target = FakeTarget({"commit_transaction": [FENCED]})
    with pytest.raises(FatalBrokerError, match="another replay of this pipeline has taken over"):
        replay(target)
    assert "abort_transaction" not in target._producer.calls


def test_notes_that_are_not_ours_end_the_replay() -> None:
    """Another replay was at work between the abort and the new producer: what it did would be done again."""
    other = Memory()
    other.note(Selection(), (0, 7), 0)
    target = FakeTarget({"commit_transaction": [ABORTABLE]})
    with pytest.raises(FatalBrokerError, match="another replay of this pipeline has taken over"):
        replay(target, {0: other})


def test_a_transaction_that_always_fails_is_given_up() -> None:
    """After five tries, with the reason."""
    target = FakeTarget({"commit_transaction": 99 * [ABORTABLE]})
    with pytest.raises(FatalBrokerError, match="dead letters can't be replayed: abort it"):
        replay(target)
    assert target._producer.calls.count("abort_transaction") == 5


def test_tries_that_teach_something_do_not_count() -> None:
    """Each finds one record that the broker refuses."""
    target = FakeTarget({"commit_transaction": 20 * [ABORTABLE]}, learns=True)
    assert replay(target).results == Counter({"published": 10})


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay may die at any time, so it need not wait for brokers for ever."""
    monkeypatch.setattr("consumer.kafka.notes._PATIENCE", 0.0)

    def away() -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    with pytest.raises(FatalBrokerError, match="goes on where this one ends"):
        within_a_minute(away, "anything")


class FakeConsumer:
    """Answers every question with the same."""

    def __init__(self, answer: list[Any]) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return lambda *_: self._answer


class FakeError:
    """A message that is an error."""

    def __init__(self, code: int) -> None:
        self._code = code

    def error(self) -> KafkaError:
        """Return it."""
        return KafkaError(self._code, "no way")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ([], "dead can't be read: no answer"),
        ([FakeError(KafkaError._TRANSPORT)], "dead can't be read: no way"),
        ([FakeError(KafkaError.TOPIC_AUTHORIZATION_FAILED)], "dead can't be read: no way"),
    ],
)
def test_reading_ends_where_no_record_comes(
    answer: list[Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 30 s of silence or of errors that may pass, and at once after one that will not."""
    final = answer and answer[0].error().code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
    monkeypatch.setattr(topics, "_CALL", 1e9 if final else 0.001)
    reader = TopicReader(loaded(tmp_path).spec, "dead", 1)
    reader.consumer.close()
    reader.consumer = cast("Consumer", FakeConsumer(answer))
    reader._last_words = "no answer"  # the real one may have had some by now
    with pytest.raises(FatalBrokerError, match=words):
        list(reader.read({0: (0, 5)}))


def test_too_many_notes_are_refused_with_what_to_do(tmp_path: Path) -> None:
    """Before anything is written."""
    memory = Memory()
    for number in range(1000):
        memory.note(Selection(), (2 * number, 2 * number + 1), 0)
    with TopicReader(loaded(tmp_path).spec, "dead", 1) as reader:
        notes = ReplayNotes(reader, "dead", "small.replay")
        with pytest.raises(RefusedError, match=r"group small\.replay can't remember more .* --restart"):
            notes.offsets({0: 5}, {0: memory})


SECURITY = {"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN", "sasl.username": "u"}


class Made:
    """Stands in for a client, and keeps its settings."""

    settings: list[dict[str, Any]]

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings.append(settings)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        raise KafkaException(KafkaError(KafkaError._TRANSPORT))


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_each_client_has_the_pipelines_settings(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Security and all; and transactions, whatever the pipeline's delivery."""
    Made.settings = []
    for module, name in (
        (checks, "AdminClient"),
        (topics, "Consumer"),
        (targets, "AdminClient"),
        (targets, "Producer"),
    ):
        monkeypatch.setattr(module, name, Made)
    monkeypatch.setattr(checks, "FIRST_CONTACT", 0.0)
    lines = "".join(f"  {name}: {value}\n" for name, value in (SECURITY | {"group.protocol": protocol}).items())
    spec = loaded(tmp_path, GOOD + lines + "delivery: at_least_once\n").spec
    with pytest.raises(FatalBrokerError):
        find_partitions(spec, "dead")
    TopicReader(spec, "dead", 1)
    InputTarget(spec, Topics({"in": 1}, {"in": 5_000_000}, 1)).open()
    assert len(Made.settings) == 4
    for settings in Made.settings:
        assert settings.items() >= SECURITY.items()
    reader, producer = Made.settings[1], Made.settings[3]
    assert (reader["group.id"], reader["isolation.level"]) == ("small.replay", "read_committed")
    assert "group.protocol" not in reader
    assert (producer["transactional.id"], producer["enable.idempotence"]) == ("small.replay-one", True)
    assert (producer["message.max.bytes"], producer["transaction.timeout.ms"]) == (5_000_000, 10_000)


def test_a_producer_that_does_not_close_holds_up_no_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against brokers that stand still it takes minutes, and each new try begins by closing the last one's."""
    monkeypatch.setattr(targets, "_longest_age", lambda *_: 0.0)
    monkeypatch.setattr(targets, "Producer", Stuck)
    monkeypatch.setattr(aside, "_CLOSING", 0.05)
    target = InputTarget(loaded(tmp_path).spec, Topics({"in": 1}, {}, 1))
    target.open()
    producer: Any = target.producer
    target.close()
    assert producer.closing.is_set()
    producer.over.set()


def test_a_partition_that_the_topic_has_not_is_told(tmp_path: Path) -> None:
    """Rather than that nothing is there."""
    with (
        TopicReader(loaded(tmp_path).spec, "dead", 3) as reader,
        pytest.raises(PipelineError, match="--partition 77: dead has partitions 0 to 2"),
    ):
        reader.spans(Window(partitions=frozenset({1, 77})), {0: (0, 5), 1: (0, 5), 2: (0, 5)})
