"""A job's pipeline file for one run."""

from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

PIPELINES: Final = Path(__file__).parent / "pipelines"


def write_pipeline(folder: Path, job: str, bootstrap: str, topics: tuple[str, str], delivery: str) -> Path:
    """Write a job's pipeline file with other topics: the one that events come from, and the one that they go to.

    The group is called as the latter; dead letters go to the topic called so with ``-dead`` at its end.
    """
    return rewrite(PIPELINES / f"{job}.yaml", folder, bootstrap, topics, delivery)


def rewrite(original: Path, folder: Path, bootstrap: str, topics: tuple[str, str], delivery: str) -> Path:
    """Write any pipeline file with other topics, as above, and the files that it names where they are."""
    yaml = YAML()
    tree = yaml.load(original)
    source, target = topics
    tree["name"], tree["delivery"] = target, delivery
    tree["input"]["topic"], tree["output"]["topic"], tree["dead_letters"]["topic"] = source, target, f"{target}-dead"
    tree["kafka"]["bootstrap.servers"] = bootstrap
    tree["model"]["path"] = str((original.parent / tree["model"]["path"]).resolve())
    for features in tree["model"]["inputs"].values():
        for feature in features if isinstance(features, list) else [features]:
            if isinstance(feature.get("vocabulary"), str):
                feature["vocabulary"] = str((original.parent / feature["vocabulary"]).resolve())
    path = folder / f"{target}.yaml"
    yaml.dump(tree, path)
    return path
