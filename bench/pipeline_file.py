"""A job's pipeline file for one run."""

from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

PIPELINES: Final = Path(__file__).parent / "pipelines"


def write_pipeline(folder: Path, job: str, bootstrap: str, topics: tuple[str, str], delivery: str) -> Path:
    """Write a job's pipeline file with other topics: the one that events come from, and the one that they go to.

    The group is called as the latter; dead letters go to the topic called so with ``-dead`` at its end.
    """
    yaml = YAML()
    tree = yaml.load(PIPELINES / f"{job}.yaml")
    source, target = topics
    tree["name"], tree["delivery"] = target, delivery
    tree["input"]["topic"], tree["output"]["topic"], tree["dead_letters"]["topic"] = source, target, f"{target}-dead"
    tree["kafka"]["bootstrap.servers"] = bootstrap
    tree["model"]["path"] = str((PIPELINES / tree["model"]["path"]).resolve())
    for features in tree["model"]["inputs"].values():
        for feature in features if isinstance(features, list) else [features]:
            if "vocabulary" in feature:
                feature["vocabulary"] = str((PIPELINES / feature["vocabulary"]).resolve())
    path = folder / f"{target}.yaml"
    yaml.dump(tree, path)
    return path
