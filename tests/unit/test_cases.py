"""Cases of a pipeline: `onelane test`, its differences, its reports, and cases that are recorded."""

import base64
import gzip
import json
import shutil
from pathlib import Path
from xml.etree import ElementTree as ET

import orjson
import pytest
from ruamel.yaml import YAML

from consumer.exits import ExitCode
from consumer.pipeline.load import load
from tests.support.command import onelane
from tests.support.flights import FLIGHTS, flight_values, flights_beside
from tests.support.formats import schema_of, written
from tests.support.pipelines import changed

EVENT = """{dep_delay: 4.0, distance: 529.0, sched_dep_time: 500, sched_arr_time: 651, weekend: true,
      time_hour: "2013-11-23T10:00:00Z", carrier: US, origin: EWR, dest: CLT}"""

WRONG = "WrongType of field distance: Expected `float | null`, got `str`"


def pipeline(folder: Path, tests: str = "") -> Path:
    """Write the flights pipeline with cases."""
    return flights_beside(folder, f"tests:\n{tests}" if tests else "")


def case(name: str, rest: str, event: str = f"event: {EVENT}") -> str:
    """Write a case as YAML."""
    return f"  - name: {name}\n    {event}\n    {rest}\n"


def run(path: Path, *options: str | Path) -> tuple[int, list[str], str]:
    """Run the cases; exit code, lines without the folder, stderr without it."""
    done = onelane("test", path, *options)
    folder = f"{path.parent}/"
    return done.returncode, done.stdout.decode().replace(folder, "").splitlines(), done.stderr.decode()


def test_the_examples_cases_are_as_expected() -> None:
    """The flights example brings cases of its own, dead letters among them."""
    code, lines, _ = run(FLIGHTS / "pipeline.yaml")
    assert (code, lines) == (ExitCode.DONE, ["5 of 5 cases are as expected"])


def test_a_number_may_be_off_by_the_tolerance(tmp_path: Path) -> None:
    """By that and no more; the difference says what was expected, what came and by how much it is off."""
    tests = case("near", "expect: {minutes: 0.4, late: false}\n    tolerance: 0.05")
    tests += case("far", "expect: {minutes: 0.4}\n    tolerance: 0.04")
    code, lines, error = run(pipeline(tmp_path, tests))
    assert code == ExitCode.REFUSED
    assert lines == [
        "pipeline.yaml:36: far",
        "  minutes: expected 0.4 within 0.04, got 0.4446967 (+0.0446967)",
        "1 of 2 cases are as expected",
    ]
    assert error == "onelane: 1 of 2 cases are not as expected\n"


@pytest.mark.parametrize(
    ("rest", "event", "difference"),
    [
        ("expect: {late: true}", f"event: {EVENT}", "late: expected true, got false"),
        ("expect: {late: 0}", f"event: {EVENT}", "late: expected 0, got false"),
        ("expect: {hours: 1}", f"event: {EVENT}",
         "hours: there is no such prediction; there are minutes, late, model, pipeline"),
        ("expect: {late: true}", "event: {distance: far}",
         f"expected predictions, got a dead letter: {WRONG}"),
        ("expect_dead_letter: {cause: Malformed}", "event: {distance: far}",
         f"expected a dead letter (Malformed), got {WRONG}"),
        ("expect_dead_letter: {cause: WrongType, field: origin}", "event: {distance: far}",
         f"expected a dead letter (WrongType of field origin), got {WRONG}"),
        ("expect_dead_letter: {cause: NotUtf8}", "base64: 4pg=", None),
        ("expect_dead_letter: {cause: Malformed}", "text: '{'", None),
    ],
)  # fmt: skip
def test_each_difference_is_told(rest: str, event: str, difference: str | None, tmp_path: Path) -> None:
    """In one line, with both sides; true and 1 are not the same."""
    code, lines, _ = run(pipeline(tmp_path, case("one", rest, event)))
    if difference is None:
        assert (code, lines) == (ExitCode.DONE, ["1 of 1 cases are as expected"])
    else:
        assert (code, lines[1]) == (ExitCode.REFUSED, f"  {difference}")


def test_a_dead_letter_that_does_not_come_is_a_difference(tmp_path: Path) -> None:
    """It says what came instead."""
    code, lines, _ = run(pipeline(tmp_path, case("one", "expect_dead_letter: {cause: Missing}")))
    assert code == ExitCode.REFUSED
    assert lines[1].startswith('  expected a dead letter (Missing), got {"minutes":')


@pytest.mark.parametrize(
    ("rest", "event", "words"),
    [
        ("expect: {late: true}", "key: a", "pipeline.yaml:31: one: give one of `event`, `text` and `base64`"),
        (
            "tolerance: 1",
            f"event: {EVENT}",
            "pipeline.yaml:31: one: give one of `expect`, `expect_dead_letter` and `expect_filtered`",
        ),
        ("expect: {late: true}", "base64: '?'", "pipeline.yaml:31: one: `base64` is not base64: "),
        (
            "expect_dead_letter: {cause: Mising}",
            f"event: {EVENT}",
            ':34:26: tests[0].expect_dead_letter.cause: no such value: "Mising"; did you mean `Missing`?',
        ),
        ("expects: {late: true}", f"event: {EVENT}", "tests[0].expects: unknown field; did you mean `expect`?"),
    ],
)
def test_a_case_that_says_too_little_is_refused(rest: str, event: str, words: str, tmp_path: Path) -> None:
    """With its place; nothing is run."""
    code, lines, error = run(pipeline(tmp_path, case("one", rest, event)))
    assert (code, lines) == (ExitCode.PIPELINE, [])
    assert words in error


def test_cases_beside_the_file_are_run_too(tmp_path: Path) -> None:
    """Those that are named after it, with their own place; another pipeline's are not."""
    path = pipeline(tmp_path)
    (tmp_path / "pipeline.late.case.yaml").write_text("cases:\n" + case("one", "expect: {late: true}"))
    (tmp_path / "other.case.yaml").write_text("cases:\n" + case("two", "expect: {late: true}"))
    code, lines, _ = run(path)
    assert code == ExitCode.REFUSED
    assert lines[0] == "pipeline.late.case.yaml:2: one"
    assert lines[-1] == "0 of 1 cases are as expected"


def test_a_file_of_cases_names_its_own_faults(tmp_path: Path) -> None:
    """With line and column."""
    path = pipeline(tmp_path)
    (tmp_path / "pipeline.case.yaml").write_text("cases:\n  - nam: x\n")
    code, _, error = run(path)
    assert code == ExitCode.PIPELINE
    assert f"{tmp_path}/pipeline.case.yaml:2:5: cases[0].nam: unknown field; did you mean `name`?" in error


def test_no_cases_is_no_success(tmp_path: Path) -> None:
    """A CI that ran nothing must not be green."""
    code, _, error = run(pipeline(tmp_path))
    assert code == ExitCode.PIPELINE
    assert "no cases: add `tests` to it, or a pipeline.case.yaml beside it" in error


def test_the_report_is_junit_s(tmp_path: Path) -> None:
    """One case each with its file and line; what XML can't hold is replaced."""
    tests = case("good", "expect: {late: false}") + case('"a < \\x01"', "expect: {late: true}")
    run(pipeline(tmp_path, tests), "--junit", tmp_path / "report.xml")
    suite = ET.parse(tmp_path / "report.xml").getroot()[0]  # noqa: S314 - our own
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    good, bad = suite
    assert (good.get("name"), len(good), good.get("line")) == ("good", 0, "31")
    assert (bad.get("name"), bad[0].get("message")) == ("a < \ufffd", "late: expected true, got false")


def test_the_report_is_written_over_no_cases_and_no_model(tmp_path: Path) -> None:
    """Nor over anything else that was read for it."""
    path = pipeline(tmp_path)
    carriers = Path(shutil.copy(FLIGHTS / "carriers.txt", tmp_path))
    path.write_text(path.read_text().replace(str(FLIGHTS / "carriers.txt"), "carriers.txt"))
    cases = tmp_path / "pipeline.case.yaml"
    cases.write_text("cases:\n" + case("one", "expect: {late: false}"))
    for file in (cases, carriers):
        before = file.read_bytes()
        code, _, error = run(path, "--junit", file)
        assert (code, error) == (ExitCode.PIPELINE, f"onelane: {file}: would be written over, and it is read here\n")
        assert file.read_bytes() == before


def test_where_the_report_can_not_be_written_no_case_is_run(tmp_path: Path) -> None:
    """They may take minutes."""
    path = pipeline(tmp_path, case("one", "expect: {late: true}"))
    code, lines, error = run(path, "--junit", tmp_path / "nowhere" / "x.xml")
    told = f"onelane: {tmp_path}/nowhere/x.xml: can't be written: No such file or directory\n"
    assert (code, lines, error) == (ExitCode.PIPELINE, [], told)


def test_recorded_cases_are_as_expected(tmp_path: Path) -> None:
    """Made of events as they are, good and bad, also where YAML would not give them back; and they find a change."""
    path = pipeline(tmp_path)
    with gzip.open(FLIGHTS / "events.jsonl.gz") as lines:
        good = [next(lines).rstrip() for _ in range(3)]
    values = [*good, b'{"distance": 1.0}', b'{"distance":"$x"}', b"\xff", b"{"]
    sample = tmp_path / "events.jsonl"
    sample.write_bytes(b"\n".join(values))
    cases = tmp_path / "pipeline.case.yaml"
    code, lines_, _ = run(path, "--record", cases, "--sample", sample)
    assert (code, lines_[0].split(";")[0]) == (ExitCode.DONE, "pipeline.case.yaml: 7 cases")
    assert run(path)[:2] == (ExitCode.DONE, ["7 of 7 cases are as expected"])
    text = cases.read_text()
    assert text.count("expect_dead_letter:") == 4
    cases.write_text(text.replace("late: false", "late: true", 1))
    assert run(path)[1][-1] == "6 of 7 cases are as expected"


@pytest.mark.parametrize("name", ["avro", "protobuf"])
@pytest.mark.parametrize("layout", ["merge", "nest", "only"])
def test_events_of_other_formats_are_recorded_as_they_came(name: str, layout: str, tmp_path: Path) -> None:
    """In base64, as `onelane enrich` takes them; predictions are read back from whatever the record is."""
    schema = FLIGHTS / ("flights.avsc" if name == "avro" else "flights.proto")
    path = pipeline(tmp_path)
    text = changed("format: json,", f"format: {name}, schema: {schema},", path.read_text())
    path.write_text(changed("layout: merge", f"layout: {layout}", text))
    values = [written(name, orjson.loads(value), schema_of(name)) for value in flight_values()[:2]]
    sample = tmp_path / "events"
    sample.write_bytes(b"\n".join(map(base64.b64encode, [*values, b"\xff"])))
    cases = tmp_path / "pipeline.case.yaml"
    code, lines, error = run(path, "--record", cases, "--sample", sample)
    assert (code, error, lines[0].split(";")[0]) == (ExitCode.DONE, "", "pipeline.case.yaml: 3 cases")
    tree = YAML(typ="safe").load(cases.read_text())["cases"]
    assert [base64.b64decode(one["base64"]) for one in tree] == [*values, b"\xff"]
    assert tree[0]["expect"] == {"minutes": pytest.approx(0.4446967), "late": False}
    assert tree[2]["expect_dead_letter"]["cause"] == "Malformed"
    assert run(path)[:2] == (ExitCode.DONE, ["3 of 3 cases are as expected"])
    cases.write_text(cases.read_text().replace("late: false", "late: true", 1))
    assert run(path)[1][1:] == ["  late: expected true, got false", "2 of 3 cases are as expected"]


def test_an_event_as_yaml_is_for_json(tmp_path: Path) -> None:
    """Of another format it is refused, with what to write instead."""
    path = pipeline(tmp_path, case("one", "expect: {late: true}"))
    given = f"format: avro, schema: {FLIGHTS / 'flights.avsc'},"
    path.write_text(changed("format: json,", given, path.read_text()))
    code, lines, error = run(path)
    assert (code, lines) == (ExitCode.PIPELINE, [])
    assert ":31: one: `event` is JSON, and events are avro: say `base64`, as `onelane test --record` writes" in error


def test_a_sample_that_is_not_of_the_format_or_empty_is_refused(tmp_path: Path) -> None:
    """With file and line, and without a file of cases."""
    path = pipeline(tmp_path)
    given = f"format: avro, schema: {FLIGHTS / 'flights.avsc'},"
    path.write_text(changed("format: json,", given, path.read_text()))
    sample, cases = tmp_path / "events", tmp_path / "pipeline.case.yaml"
    for content, words in ((b"{}\n", ":1: not base64, which binary events are: "), (b"\n", ": no events")):
        sample.write_bytes(content)
        code, _, error = run(path, "--record", cases, "--sample", sample)
        assert (code, cases.exists()) == (ExitCode.PIPELINE, False)
        assert f"onelane: {sample}{words}" in error


def test_integers_of_any_size_are_events_too(tmp_path: Path) -> None:
    """As YAML and as recorded; JSON says nothing of 64 bits."""
    flight = orjson.loads(flight_values()[0])
    sample = tmp_path / "events.jsonl"
    lines = [json.dumps({**flight, "id": 10**30}), json.dumps({**flight, "dest": 10**400})]
    sample.write_text("\n".join(lines))
    event = "event: " + EVENT.replace("{", f"{{id: {10**30}, ")
    path = pipeline(tmp_path, case("one", "expect: {late: false}", event))
    assert run(path)[:2] == (ExitCode.DONE, ["1 of 1 cases are as expected"])
    code, lines, error = run(path, "--record", tmp_path / "pipeline.case.yaml", "--sample", sample)
    assert (code, error) == (ExitCode.DONE, "")
    assert run(path)[:2] == (ExitCode.DONE, ["3 of 3 cases are as expected"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--record", "x.case.yaml"], "--record wants --sample"),
        (["--record", "x.yaml", "--sample", "e"], "has to end in .case.yaml"),
    ],
)
def test_what_can_not_be_recorded_is_refused(options: list[str], words: str, tmp_path: Path) -> None:
    """Before anything is written."""
    code, _, error = run(pipeline(tmp_path), *options)
    assert code == ExitCode.PIPELINE
    assert words in error


def test_recorded_cases_are_never_written_over(tmp_path: Path) -> None:
    """They may have been looked through."""
    cases = tmp_path / "pipeline.case.yaml"
    cases.write_text("mine")
    code, _, error = run(pipeline(tmp_path), "--record", cases, "--sample", FLIGHTS / "events.jsonl.gz")
    assert (code, cases.read_text()) == (ExitCode.PIPELINE, "mine")
    assert "the file exists" in error


def test_cases_do_not_change_what_a_pipeline_is(tmp_path: Path) -> None:
    """A hold is released by another mapping, not by another case."""
    plain = load(pipeline(tmp_path)).label
    assert load(pipeline(tmp_path, case("one", "expect: {late: false}"))).label == plain
