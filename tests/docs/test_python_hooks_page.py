"""docs/python-hooks.md: its hooks, its pipeline sections and its tests are put together and run."""

import re
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from tests.support.command import ROOT, onelane
from tests.support.flights import flights_beside

PAGE = (ROOT / "docs" / "python-hooks.md").read_text()
FEATURES, ANSWERS, TESTS = re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL)
SECTIONS = re.findall(r"```yaml\n(.+?)```", PAGE, re.DOTALL)

FLIGHT = """
FLIGHT = {
    "dep_delay": 4.0, "distance": 529.0, "sched_dep_time": 500, "sched_arr_time": 651, "weekend": True,
    "time_hour": "2013-11-23T10:00:00Z", "carrier": "UA", "origin": "EWR", "dest": "CLT",
}
"""


def test_what_the_page_shows_works(tmp_path: Path) -> None:
    """The hooks in the flights pipeline, tested by the page's own tests."""
    yaml = YAML(typ="safe", pure=True)
    path = flights_beside(tmp_path)
    tree = yaml.load(path.read_text())
    for section in map(yaml.load, SECTIONS):
        for part in ("inputs", "outputs"):
            tree["model"][part].update(section["model"].get(part, {}))
    with path.open("w") as file:
        yaml.dump(tree, file)
    (tmp_path / "features.py").write_text(FEATURES)
    (tmp_path / "answers.py").write_text(ANSWERS)
    (tmp_path / "test_hooks.py").write_text(f"from features import route\n{FLIGHT}\n{TESTS}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout
    linted = onelane("lint", path)
    assert linted.returncode == 0, linted.stderr
