"""`onelane dead-letters` without a broker: arguments, and how dead letters look."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from consumer.cli.dead_letters.view import (
    dumps,
    histogram_json,
    histogram_table,
    letter_json,
    letter_table,
    moment,
    printable,
    value_text,
)
from consumer.deadletter.listing import Histogram
from consumer.kafka.words import plain as plain_words
from consumer.types import PlainEvent
from tests.support.command import onelane
from tests.support.letters import dead_letter, letter_of
from tests.support.pipelines import GOOD, write


def test_help_lists_the_three_commands() -> None:
    """And the command is in the list of all."""
    assert b"dead-letters" in onelane("--help").stdout
    done = onelane("dead-letters", "--help")
    assert done.returncode == 0
    for command in (b"list", b"show", b"replay"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["list"], "Missing argument 'PIPELINE.YAML'"),
        (["list", "p.yaml", "--cause", "Nonsense"], "'Nonsense' is not one of 'NoValue', 'NotUtf8',"),
        (["list", "p.yaml", "--stage", "nonsense"], "'nonsense' is not one of 'filter', 'decode', 'features',"),
        (["list", "p.yaml", "--since", "yesterday"], "'yesterday' is no time: expected one such as"),
        (["list", "p.yaml", "--offsets", "7..3"], "the first offset is above the last"),
        (["list", "p.yaml", "--partition", "-1"], "-1 is not in the range x>=0"),
        (["show", "p.yaml", "12"], "'12' is no PARTITION:OFFSET of the dead-letter topic, such as 2:1048"),
        (["show", "p.yaml", "1:2", "--cause", "Missing"], "either a place or filters, not both"),
        (["show", "p.yaml", "--json", "--raw"], "either --json or --raw, not both"),
        (["replay", "p.yaml", "--to", "nowhere"], "'nowhere' is not one of 'input', 'pipeline'"),
        (["replay", "p.yaml", "--max-replays", "0"], "0 is not in the range x>=1"),
        (["list", "p.yaml", "--since", "1m", "--until", "2h"], "--since is not before --until"),
    ],
)
def test_wrong_arguments_exit_2(arguments: Sequence[str], words: str) -> None:
    """Before a file is read or a broker asked."""
    done = onelane("dead-letters", *arguments)
    assert (done.returncode, done.stdout) == (2, b"")
    assert words in " ".join(done.stderr.decode().split())


@pytest.mark.parametrize("command", ["list", "show", "replay"])
def test_a_missing_pipeline_file_exits_2(command: str, tmp_path: Path) -> None:
    """In one line that names it."""
    done = onelane("dead-letters", command, tmp_path / "none.yaml")
    assert done.returncode == 2
    assert done.stderr.decode() == f"onelane: {tmp_path}/none.yaml: can't be read: No such file or directory\n"


@pytest.mark.parametrize("command", ["list", "show", "replay"])
def test_a_setting_that_librdkafka_refuses_exits_2(command: str, tmp_path: Path) -> None:
    """With librdkafka's words, and no trace."""
    done = onelane("dead-letters", command, write(tmp_path, GOOD + "  security.protocol: nonsense\n"))
    assert done.returncode == 2
    assert done.stderr.decode().startswith("onelane: kafka: librdkafka refuses a setting: ")
    assert "security.protocol" in done.stderr.decode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "(no value: a tombstone)"),
        (b"", "(empty)"),
        (b'{"a":1.0,"big":12345678901234567890123}', '{\n  "a": 1.0,\n  "big": 12345678901234567890123\n}'),
        (b'{"a":', '{"a":'),
        ("gr\u00fc\u00df\ta\nb".encode(), "gr\u00fc\u00df\ta\nb"),
        (b"\x1b[31mred", "\\x1b[31mred"),
        ('"\u009b31m"'.encode(), '"\\x9b31m"'),
        (
            b"\xff" + bytes(range(0x3A, 0x4A)),
            (
                "00000000  ff 3a 3b 3c 3d 3e 3f 40 41 42 43 44 45 46 47 48  .:;<=>?@ABCDEFGH\n"
                "00000010  49                                               I"
            ),
        ),
    ],
)
def test_a_value_is_json_or_text_or_hex(value: bytes | None, text: str) -> None:
    """Digits stay as they are, and nothing in it is obeyed by a terminal."""
    assert value_text(value) == text


def test_a_long_hex_dump_is_cut() -> None:
    """With how much more there is."""
    assert value_text(b"\xff" * 5000).splitlines()[-1] == "… 904 more bytes: --raw"


def test_escapes_are_written_out() -> None:
    """Of the old and the new kind; letters and pictures stay."""
    assert printable("a\x07\x1b\x7f\u202e🛫é") == "a\\x07\\x1b\\x7f\\u202e🛫é"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (1_700_000_000_123, "2023-11-14T22:13:20.123Z"), (2**62, f"{2**62} ms")],
)
def test_moments_are_utc(milliseconds: int, text: str) -> None:
    """Or a number, where no calendar has them."""
    assert moment(milliseconds) == text


def plain(table: object, width: int) -> list[str]:
    """Return what a terminal of that width shows."""
    console = Console(width=width, force_terminal=False, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_histogram_fits_a_terminal(width: int) -> None:
    """Ten rows a dimension at most, with what is left out summed up; long names are folded."""
    histogram = Histogram(0)
    for number in range(30):
        event = PlainEvent(b"v", topic="t")
        histogram.add(letter_of(dead_letter(event, at=(number, 0), model="m" * 60, pipeline="p" * 200)))
    lines = plain(histogram_table(histogram, width), width)
    assert max(map(len, lines)) <= width
    words = "\n".join(lines)
    assert (words.count("m"), words.count("p")) == (60 + len(["Malformed", "model", "more", "minute"]), 200 + 3)
    (rest,) = [line for line in lines if "20 more" in line]
    assert rest.split()[:3] == ["20", "more", "20"]
    assert not [line for line in lines if line.startswith(("field", "replays"))]
    assert len(histogram_json(histogram)["partition"]) == 30  # type: ignore[arg-type]


def test_a_letter_keeps_its_names_on_a_narrow_terminal() -> None:
    """They are folded, not cut."""
    event = PlainEvent(b"v", topic="t", key=b"k" * 70, headers=[("h" * 90, b"w" * 100)])
    lines = plain(letter_table(letter_of(dead_letter(event))), 40)
    assert max(map(len, lines)) <= 40
    words = "\n".join(lines)
    assert (words.count("h"), words.count("w")) == (90 + len(["header", "flight-delays"]), 100)
    assert all(name in words for name in ("dead letter", "timestamp", "pipeline", "header"))


def test_a_letter_is_shown_without_obeying_it() -> None:
    """Markup and escapes of its key and headers are text."""
    event = PlainEvent(b"v", topic="t", key=b"[red]k", headers=[("a[b]", b"\x1b[2J"), ("none", None), ("x", b"\xff")])
    lines = plain(letter_table(letter_of(dead_letter(event))), 80)
    assert lines[-4:] == [
        "key          [red]k",
        "header a[b]  \\x1b[2J",
        "header none  null",
        "header x     0xff",
    ]


def test_a_letter_for_programs_says_what_bytes_are() -> None:
    """JSON as JSON, text as text, and the rest in base64; null is null."""
    event = PlainEvent(b'{"n": 1.0}', topic="t", key=b"\xff", headers=[("a", None), ("b", b"c")])
    found = letter_json(letter_of(dead_letter(event)))
    assert found["key"] == {"base64": "/w=="}
    assert found["headers"] == [{"name": "a", "value": None}, {"name": "b", "value": {"text": "c"}}]
    assert '"value": {\n    "json": {"n": 1.0}\n  }' in dumps(found)
    assert letter_json(letter_of(dead_letter(PlainEvent(None, topic="t"))))["value"] is None
    assert letter_json(letter_of(dead_letter(PlainEvent(b"{", topic="t"))))["value"] == {"text": "{"}


@pytest.mark.parametrize(
    ("said", "plainly"),
    [
        ("127.0.0.1:9/bootstrap: Connect to ipv4#127.0.0.1:9 failed: Connection refused (after 0ms in state CONNECT)",
         "127.0.0.1:9 refuses connections"),
        ("sasl_ssl://b:9/1: Connect to ipv6#[::1]:9 failed: Timed out (after 9ms in state UP)",
         "[::1]:9 can't be reached: Timed out"),
        ("b:9/bootstrap: Failed to resolve 'b:9': Name or service not known (after 41ms in state CONNECT)",
         "b:9 is no host that is known here"),
        ("Failed to get metadata: Local: Broker transport failure", "no connection to a broker"),
        ("b:9/2: Disconnected (after 9ms in state UP, 3 identical error(s) suppressed)", "Disconnected"),
        ("Local: Timed out", "no answer in time"),
        ("Broker: Group authorization failed", "Broker: Group authorization failed"),
    ],
)  # fmt: skip
def test_what_the_client_says_is_said_plainly(said: str, plainly: str) -> None:
    """Without its states, its names for brokers and its counting."""
    assert plain_words(said) == plainly
