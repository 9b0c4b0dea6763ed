"""How many cores a process may use."""

import os
from pathlib import Path

import pytest

from consumer.operate import cores as module
from consumer.operate.cores import cores, quota


@pytest.mark.parametrize(
    ("text", "allowed"),
    [("250000 100000\n", 2.5), ("50000 100000\n", 0.5), ("max 100000\n", None), ("", None), ("100000 0\n", None)],
)
def test_the_second_version_says_it_in_one_file(tmp_path: Path, text: str, allowed: float | None) -> None:
    """Microseconds and period; `max` is no quota, and so is what nobody understands."""
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert quota([(file,)]) == allowed


@pytest.mark.parametrize(("most", "allowed"), [("350000", 3.5), ("-1", None)])
def test_the_first_version_says_it_in_two(tmp_path: Path, most: str, allowed: float | None) -> None:
    """And -1 is no quota; a file of the second version that is not there is passed over."""
    files = (tmp_path / "cpu.cfs_quota_us", tmp_path / "cpu.cfs_period_us")
    for file, text in zip(files, (most, "100000"), strict=True):
        file.write_text(f"{text}\n")
    assert quota([(tmp_path / "cpu.max",), files]) == allowed


def test_no_file_is_no_quota(tmp_path: Path) -> None:
    """As on a machine without control groups."""
    assert quota([(tmp_path / "cpu.max",)]) is None


@pytest.mark.parametrize(("allowed", "expected"), [(None, 8), (2.9, 2), (0.5, 1), (99.0, 8)])
def test_a_quota_is_rounded_down(monkeypatch: pytest.MonkeyPatch, allowed: float | None, expected: int) -> None:
    """To one at least, and never above what the process is bound to, whatever the machine has."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setattr(module, "quota", lambda: allowed)
    assert cores() == expected
