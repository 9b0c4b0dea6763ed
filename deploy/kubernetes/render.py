"""Writes the manifests that carry other files: the example's, for plain `kubectl apply`, and the alerts.

    python deploy/kubernetes/render.py

Run it after any change of the pipeline file, a vocabulary, the model or the alerts; a test fails until then.
"""
# ruff: noqa: INP001 -- a script, not a package

import base64
import hashlib
import re
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[1] / "examples" / "flights"
PROMETHEUS = HERE.parent / "prometheus"
HEADER = "# Made by render.py from examples/flights: change the files there, then run it again.\n"
ALERTS_HEADER = "# Made by deploy/kubernetes/render.py from alerts.yaml: change that file, then run it again.\n"
BASE64_WIDTH = 100


def main() -> None:
    """Write both ConfigMaps, mark the Deployment with what they hold, and write the alerts for the operator."""
    texts = [EXAMPLE / "pipeline.yaml", *_vocabularies(YAML(typ="safe").load(EXAMPLE / "pipeline.yaml"))]
    config = {path.name: path.read_text(encoding="utf-8") for path in texts}
    model = EXAMPLE / "models" / "delay.tflite"
    _write("config", {"data": {name: LiteralScalarString(text) for name, text in config.items()}})
    _write("model", {"binaryData": {model.name: LiteralScalarString(_folded(model.read_bytes()))}})
    _mark(HERE / "deployment.yaml", _digest([*texts, model]))
    _wrap_alerts(PROMETHEUS / "alerts.yaml", PROMETHEUS / "prometheusrule.yaml")


def _vocabularies(pipeline: Mapping[str, Any]) -> list[Path]:
    """The vocabulary files that the features name; a vocabulary that is a list is in the pipeline file itself."""
    tensors = pipeline["model"]["inputs"].values()
    features = [feature for tensor in tensors for feature in (tensor if isinstance(tensor, list) else [tensor])]
    named = [feature.get("vocabulary") for feature in features]
    return sorted({EXAMPLE / name for name in named if isinstance(name, str)})


def _folded(content: bytes) -> str:
    """Base64 in lines, which the API server's decoder joins: nobody wants to scroll through 40,000 columns."""
    encoded = base64.b64encode(content).decode("ascii")
    return "".join(f"{encoded[at : at + BASE64_WIDTH]}\n" for at in range(0, len(encoded), BASE64_WIDTH))


def _write(name: str, content: Mapping[str, Any]) -> None:
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"flight-delays-{name}"}, **content}
    with (HERE / f"{name}.yaml").open("w", encoding="utf-8") as file:
        file.write(HEADER)
        YAML().dump(manifest, file)


def _wrap_alerts(rules: Path, manifest: Path) -> None:
    """Put the rules, word for word, into the resource that the Prometheus operator reads them from."""
    body = "".join(line for line in rules.read_text(encoding="utf-8").splitlines(keepends=True) if line[0] != "#")
    manifest.write_text(
        f"{ALERTS_HEADER}apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n"
        f"metadata:\n  name: onelane\nspec:\n{textwrap.indent(body, '  ')}",
        encoding="utf-8",
    )


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _mark(deployment: Path, digest: str) -> None:
    text = deployment.read_text(encoding="utf-8")
    deployment.write_text(re.sub(r'(onelane/files: )".*"', rf'\1"{digest}"', text), encoding="utf-8")


if __name__ == "__main__":
    main()
