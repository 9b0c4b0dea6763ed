"""``onelane demo`` as a newcomer runs it: on the embedded broker, and on a real one."""

import re
import subprocess
import sys

from tests.support.kafka import KafkaBroker
from tests.support.topics import admin_client, read_all

CAUSES = ("Malformed", "WrongType", "Missing", "BadTime", "FieldExists", "NotUtf8")


def demo(*options: str) -> str:
    """Run the demo to its end and return what it shows."""
    command = [sys.executable, "-m", "consumer", "demo", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def figure(shown: str, row: str) -> int:
    """Return a figure of the closing table."""
    (found,) = re.findall(rf"^{row} +([\d,]+)$", shown, re.MULTILINE)
    return int(str(found).replace(",", ""))


def test_the_demo_needs_no_broker_and_says_what_it_leaves_out() -> None:
    """On the embedded broker it runs at least once, says so, and all events are accounted for."""
    shown = demo()
    assert "at least once: it stores no transactional offsets" in shown
    assert "Left out, since it can't answer: whether the dead-letter topic takes messages" in shown
    assert figure(shown, "events in") == figure(shown, "enriched") + figure(shown, "dead letters")
    assert figure(shown, "dead letters") == len(CAUSES)
    assert all(cause in shown for cause in CAUSES)
    assert (
        len(re.findall(r"^event  ", shown, re.MULTILINE))
        == len(re.findall(r"^enriched  c", shown, re.MULTILINE))
        == 3
    )
    assert "\x1b[" not in shown


def test_the_demo_on_a_real_broker_runs_exactly_once_in_topics_of_its_own(kafka: KafkaBroker) -> None:
    """It makes its topics, names them, and leaves what it wrote to look at."""
    shown = demo("--bootstrap-servers", kafka.bootstrap)
    assert "exactly once" in shown
    (prefix,) = set(re.findall(r"(onelane-demo-[0-9a-f]+)-input", shown))
    records = read_all(kafka.bootstrap, f"{prefix}-output")
    assert len(records) == figure(shown, "enriched")
    with admin_client(kafka.bootstrap) as admin:
        assert len(admin.list_topics(timeout=10).topics[f"{prefix}-input"].partitions) == 6


def test_a_wrong_address_is_told_in_one_line() -> None:
    """Without a broker at the address there is one line and exit code 4, no flood of logs."""
    command = [sys.executable, "-m", "consumer", "demo", "--bootstrap-servers", "127.0.0.1:1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 4
    assert re.fullmatch(r"onelane: the topics can't be made at 127\.0\.0\.1:1: .*\n", done.stderr)
