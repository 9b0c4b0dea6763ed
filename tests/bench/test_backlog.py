"""What is printed of runs over a backlog: predictions held against them, and two workers against one."""

from pathlib import Path

from bench.backlog import Seen
from bench.pipeline_file import rewrite
from bench.predictions import PIPELINE_FILES, rows
from bench.two_workers import report
from consumer.pipeline.load import load
from consumer.plan.shape import Cost, Prediction

MB = 1_000_000


def test_a_prediction_is_held_against_the_best_run() -> None:
    """Others add to CPU and never take from it; of memory the most counts."""
    cost = Cost(model_us=2.0, codec_us=3.0, kafka_us=5.0)
    told = Prediction(rate=100_000.0, cost=cost, memory=600 * MB, usual_memory=330 * MB)
    seen = [Seen(cpu_us=12.5, rate=40_000.0, memory=300 * MB), Seen(cpu_us=15.0, rate=50_000.0, memory=200 * MB)]
    assert list(rows("flights", told, seen)) == [
        "| flights | CPU, us an event | 10.00 | 12.50 | 0.80 |",
        "| flights | events/s of a core | 100,000 | 80,000 | 1.25 |",
        "| flights | memory, MB | 330 | 300 | 1.10 |",
        "| flights | the budget, which memory never exceeds, MB | 600 | | |",
        "| flights | events/s by the clock | | 50,000 | |",
    ]


def test_two_workers_carry_what_their_processor_time_says() -> None:
    """Twice as much as one, if an event costs them no more."""
    one = [Seen(cpu_us=10.0, rate=50_000.0, memory=MB), Seen(cpu_us=12.0, rate=60_000.0, memory=MB)]
    two = [Seen(cpu_us=10.5, rate=70_000.0, memory=MB), Seen(cpu_us=16.0, rate=65_000.0, memory=MB)]
    lines = report({1: one, 2: two}, 1000)
    assert "| 1 | 10.00 | 11.00 | 100,000 | 60,000 |" in lines
    assert "| 2 | 10.50 | 13.25 | 190,476 | 70,000 |" in lines
    assert lines[-1] == "ratio 1.90"


def test_a_pipeline_file_is_written_with_other_topics_and_the_same_meaning(tmp_path: Path) -> None:
    """The files that it names are found from where it is now; a vocabulary that is no file stays as it is."""
    original = PIPELINE_FILES["flights"]
    file = rewrite(original, tmp_path, "localhost:9092", ("here", "there"), "at_least_once")
    written, before = load(file, {}), load(original, {})
    assert (written.spec.input.topic, written.spec.output.topic) == ("here", "there")
    assert written.spec.dead_letters.topic == "there-dead"
    assert written.mapping == before.mapping
