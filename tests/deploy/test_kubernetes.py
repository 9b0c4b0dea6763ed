"""deploy/kubernetes: manifests that the API server would take, and that agree with the example they deploy."""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import kubernetes_validate  # type: ignore[import-untyped]  # ships no types
import pytest

from tests.deploy.dockerfile import instructions
from tests.deploy.files import (
    EXAMPLE,
    KUBERNETES,
    PROMETHEUS,
    Document,
    load,
    manifest,
    pipeline,
    shutdown_timeout,
)

# The newest version that kubernetes-validate 1.37 knows, and an older one that is still in use.
VERSIONS = ["1.33", "1.37"]
# `kubectl apply` keeps a copy of the manifest in an annotation, and annotations may not be longer than this.
LAST_APPLIED_LIMIT = 262_144


@pytest.fixture(name="deployment")
def _deployment() -> Document:
    return manifest("deployment")


@pytest.fixture(name="pod")
def _pod(deployment: Document) -> Document:
    return deployment["spec"]["template"]["spec"]


@pytest.fixture(name="container")
def _container(pod: Document) -> Document:
    return pod["containers"][0]


def _config_maps() -> dict[str, dict[str, bytes]]:
    """The files that each ConfigMap carries, by ConfigMap and key."""
    maps = [manifest(name) for name in ("config", "model")]
    return {
        found["metadata"]["name"]: {
            **{key: text.encode() for key, text in found.get("data", {}).items()},
            **{key: base64.b64decode(text) for key, text in found.get("binaryData", {}).items()},
        }
        for found in maps
    }


def _mounted(pod: Document) -> dict[str, bytes]:
    """The files that the worker sees, by path below the mount."""
    maps = _config_maps()
    files = {}
    for source in pod["volumes"][0]["projected"]["sources"]:
        held = maps[source["configMap"]["name"]]
        items = source["configMap"].get("items") or [{"key": key, "path": key} for key in held]
        files.update({item["path"]: held[item["key"]] for item in items})
    return files


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["config", "model", "deployment", "disruption"])
def test_the_api_would_accept_it(name: str, version: str) -> None:
    """Each manifest passes the strict schema of the Kubernetes API: no unknown field, no wrong type."""
    kubernetes_validate.validate(manifest(name), version, strict=True)


def test_kustomize_lists_every_manifest() -> None:
    """`kubectl apply -k` deploys what is in the folder: a new manifest cannot be forgotten."""
    manifests = {path.name for path in KUBERNETES.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(manifest("kustomization")["resources"]) == manifests


def test_the_worker_sees_the_files_of_the_example(pod: Document) -> None:
    """Pipeline file, vocabularies and model are mounted as they lie in the example, byte for byte."""
    text = (EXAMPLE / "pipeline.yaml").read_text(encoding="utf-8")
    names = ["pipeline.yaml", pipeline()["model"]["path"], *re.findall(r"vocabulary: ([\w.-]+)", text)]
    assert _mounted(pod) == {name: (EXAMPLE / name).read_bytes() for name in names}


def test_new_files_mean_new_pods(deployment: Document, pod: Document) -> None:
    """The pod template carries the files' hash, so that a change of a file alone rolls the workers."""
    mounted = _mounted(pod)
    model = pipeline()["model"]["path"]
    order = ["pipeline.yaml", *sorted(set(mounted) - {"pipeline.yaml", model}), model]
    digest = hashlib.sha256(b"".join(mounted[name] for name in order)).hexdigest()
    assert deployment["spec"]["template"]["metadata"]["annotations"]["onelane/files"] == digest


def test_the_rendered_manifests_are_fresh(tmp_path: Path) -> None:
    """Running render.py again changes nothing."""
    shutil.copytree(EXAMPLE, tmp_path / "examples" / "flights")
    copy = tmp_path / "deploy"
    for folder in (KUBERNETES, PROMETHEUS):
        shutil.copytree(folder, copy / folder.name)
    subprocess.run([sys.executable, copy / "kubernetes" / "render.py"], check=True)
    made = [KUBERNETES / f"{name}.yaml" for name in ("config", "model", "deployment")]
    for path in (*made, PROMETHEUS / "prometheusrule.yaml"):
        assert (copy / path.relative_to(KUBERNETES.parent)).read_bytes() == path.read_bytes()


def test_plain_kubectl_apply_can_carry_the_model() -> None:
    """No manifest is too long for the annotation in which `kubectl apply` keeps it."""
    assert max(path.stat().st_size for path in KUBERNETES.glob("*.yaml")) < LAST_APPLIED_LIMIT


def test_a_worker_may_finish_its_shutdown(pod: Document) -> None:
    """The grace period is longer than the worker's own shutdown time-out."""
    assert pod["terminationGracePeriodSeconds"] > shutdown_timeout()


def test_the_instance_is_the_pod(container: Document) -> None:
    """The transactional id follows the pod's name, which a restarted container keeps and no other pod has."""
    instance = next(entry for entry in container["env"] if entry["name"] == "ONELANE_INSTANCE")
    assert instance["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_a_worker_gets_one_whole_core(container: Document) -> None:
    """Requests equal limits at one core, and memory is limited."""
    resources = container["resources"]
    assert resources["requests"] == resources["limits"]
    assert resources["limits"]["cpu"] == "1"
    assert resources["limits"]["memory"]


def test_the_number_of_workers_is_left_to_keda(deployment: Document) -> None:
    """The Deployment states no replicas, which each apply would force back."""
    assert "replicas" not in deployment["spec"]


def test_a_worker_has_no_privileges(pod: Document, container: Document) -> None:
    """Not root, no capabilities, a read-only root, the default seccomp profile, and no token of the API."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_it_runs_as_the_user_of_the_image(pod: Document) -> None:
    """The pod's user and group are those that the Dockerfile sets."""
    context = pod["securityContext"]
    assert f"{context['runAsUser']}:{context['runAsGroup']}" == instructions("USER")[-1]


def test_the_selectors_find_the_pods(deployment: Document) -> None:
    """Deployment, spread and disruption budget all select by the labels that the pods have."""
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    spread = deployment["spec"]["template"]["spec"]["topologySpreadConstraints"][0]
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert spread["labelSelector"]["matchLabels"] == labels
    assert manifest("disruption")["spec"]["selector"]["matchLabels"] == labels


def test_the_mounted_pipeline_is_the_one_run(container: Document) -> None:
    """The worker runs the pipeline file of its mount."""
    mount = container["volumeMounts"][0]
    assert container["args"] == ["run", f"{mount['mountPath']}/pipeline.yaml"]


def test_every_manifest_is_one_document() -> None:
    """Each file holds one object, of the kind that its name promises."""
    kinds = {path.stem: load(path)["kind"] for path in KUBERNETES.glob("*.yaml")}
    assert kinds == {
        "config": "ConfigMap",
        "deployment": "Deployment",
        "disruption": "PodDisruptionBudget",
        "kustomization": "Kustomization",
        "model": "ConfigMap",
        "scaledobject": "ScaledObject",
    }
