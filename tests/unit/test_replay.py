"""Which dead letters a replay takes, and what it remembers."""

import pytest

from consumer.deadletter.causes import Code
from consumer.deadletter.headers import REPLAYS
from consumer.deadletter.replay import MEMORY_LIMIT, Fate, Judge, Memory, MemoryFullError
from consumer.deadletter.selection import Selection
from consumer.types import Cause, PlainEvent, Stage
from tests.support.letters import dead_letter, letter_of

ALL = Selection(replays=3)
MISSING = Selection(causes=frozenset(["Missing"]), replays=3)


def record(
    offset: int = 0,
    code: Code = Code.MISSING,
    replays: int = 0,
    topic: str = "t",
    pipeline: str = "flight-delays@2",
) -> PlainEvent:
    """Return a dead letter."""
    event = PlainEvent(b"v", topic=topic, headers=[(REPLAYS, str(replays).encode())])
    return dead_letter(event, cause=Cause(Stage.FEATURES, code, "absent"), at=(0, offset), pipeline=pipeline)


def fate(of: PlainEvent, selection: Selection = ALL, memory: Memory | None = None) -> Fate:
    """Return what a replay of the pipeline flight-delays makes of a record."""
    return Judge("flight-delays", "t", selection).judge(of, memory or Memory())[0]


def remembered(selection: Selection, *spans: tuple[int, int]) -> Memory:
    """Return a memory that has been written down and read again."""
    memory = Memory()
    for span in spans:
        memory.note(selection, span, 0)
    return Memory(memory.text())


def test_each_record_has_a_fate() -> None:
    """Foreign, of another pipeline, of another topic, not selected, done, spent, or to replay."""
    assert fate(PlainEvent(b"v")) is Fate.FOREIGN
    assert fate(record(pipeline="other@2")) is Fate.ELSEWHERE
    assert fate(record(pipeline="flight-delays@new-mapping")) is Fate.REPLAY
    assert fate(record(topic="other")) is Fate.ELSEWHERE
    assert fate(record(code=Code.BAD_TIME), MISSING) is Fate.UNSELECTED
    assert fate(record(4), MISSING, remembered(ALL, (0, 5))) is Fate.DONE
    assert fate(record(5), MISSING, remembered(ALL, (0, 5))) is Fate.REPLAY
    assert fate(record(replays=2)) is Fate.REPLAY
    assert fate(record(replays=3)) is Fate.SPENT


def test_only_what_the_earlier_filter_took_is_done() -> None:
    """A changed filter replays what the first one left, and no more."""
    memory = remembered(MISSING, (0, 10))
    assert fate(record(3), ALL, memory) is Fate.DONE
    assert fate(record(3, Code.BAD_TIME), ALL, memory) is Fate.REPLAY


def test_what_was_left_for_its_count_can_be_replayed_under_a_higher_limit() -> None:
    """It was looked at, and was not replayed."""
    memory = remembered(ALL, (0, 10))
    assert fate(record(3, replays=3), Selection(replays=4), memory) is Fate.REPLAY
    assert fate(record(3, replays=2), Selection(replays=4), memory) is Fate.DONE


def test_spans_that_touch_become_one() -> None:
    """However many batches a replay had, the memory stays short."""
    memory = remembered(ALL, (0, 5), (5, 7), (20, 30), (6, 9))
    assert memory.text() == remembered(ALL, (0, 9), (20, 30)).text()
    assert memory.has(letter_of(record(8)))
    assert not memory.has(letter_of(record(9)))


def test_what_a_wider_filter_tells_is_forgotten_of_the_narrower_one() -> None:
    """And what retention has taken."""
    memory = remembered(MISSING, (0, 5), (6, 8))
    memory.note(ALL, (0, 8), 0)
    assert memory.text() == remembered(ALL, (0, 8)).text()
    memory.note(ALL, (8, 9), 7)
    assert memory.text() == remembered(ALL, (7, 9)).text()


def test_nothing_looked_at_is_nothing_remembered() -> None:
    """An empty span leaves no trace."""
    assert remembered(ALL, (5, 5)).text() == Memory().text()


def test_a_memory_that_is_full_says_so() -> None:
    """Rather than being refused by the broker."""
    memory = Memory()
    for number in range(MEMORY_LIMIT // 8):
        memory.note(ALL, (10 * number, 10 * number + 1), 0)
    with pytest.raises(MemoryFullError):
        memory.text()


@pytest.mark.parametrize("text", ["x", "{}", "[1]", '[{"selection":{"causes":1},"spans":[]}]'])
def test_a_memory_of_something_else_is_refused(text: str) -> None:
    """Not taken for an empty one, which would replay all again."""
    with pytest.raises(ValueError, match=r"."):
        Memory(text)


@pytest.mark.parametrize("text", [None, ""])
def test_no_text_is_no_memory(text: str | None) -> None:
    """Where nothing was ever replayed."""
    assert not Memory(text).has(letter_of(record()))
