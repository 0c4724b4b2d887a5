"""The Kubernetes manifests: right by the published schemas, tight, and the same containers as compose's."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from agent import config as agent_config
from aggregator.setup.layout import CONTAINERS
from aggregator.setup.provision import DEMO_NODE
from export.command_line import parser

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
VERSIONS = ("1.29", "1.33")


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Iterate over every manifest with the name of its file."""
    for file in sorted(FOLDER.rglob("*.yaml")):
        if file.name != "kustomization.yaml":
            for found in yaml.safe_load_all(file.read_text()):
                yield f"{file.name}-{found['kind']}-{found['metadata']['name']}", found


MANIFESTS = dict(documents())
PODS = {
    name: found["spec"]["template"]["spec"]
    for name, found in MANIFESTS.items()
    if "template" in found.get("spec", {})
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", list(MANIFESTS))
def test_each_is_right_by_the_published_schema(name: str, version: str) -> None:
    """No field that Kubernetes does not know, none of another kind, in an older and in a newer version."""
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


@pytest.mark.parametrize("folder", [FOLDER, FOLDER / "training"])
def test_kustomize_names_every_file_and_image(folder: Path) -> None:
    """Each manifest of a folder is among its resources, each image of ours has the product's version."""
    text = yaml.safe_load((folder / "kustomization.yaml").read_text())
    files = {file.name for file in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(text["resources"]) == files
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version
    assert {image["newTag"] for image in text["images"]} == {version[1]}
    for generated in text.get("configMapGenerator", []):
        assert all((folder / name).exists() for name in generated["files"])


@pytest.mark.parametrize("name", list(PODS))
def test_every_container_is_tight(name: str) -> None:
    """Not root but `init`, read-only, without capabilities, with limits, without a token of the cluster."""
    pod = PODS[name]
    assert pod["automountServiceAccountToken"] is False
    is_init = name.endswith("Job-init")
    assert is_init or pod["securityContext"]["runAsNonRoot"] is True
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]
        assert is_init or "add" not in context["capabilities"]
        assert "memory" in container["resources"]["limits"]
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_users_images_and_folders_are_those_of_compose() -> None:
    """Each service runs as the same user, of the same image, with the same folders as with compose."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    owners = dict(CONTAINERS.owners)
    for name, folder in (("mongodb", "mongodb"), ("mosquitto", "mosquitto"), ("aggregator", "centre")):
        (pod,) = (pod for key, pod in PODS.items() if key.startswith(f"{name}.yaml"))
        assert pod["securityContext"]["runAsUser"] == owners[folder]
        container = pod["containers"][0]
        assert compose[name]["image"].split(":0.")[0] == container["image"]
        mounts = {mount.get("subPath"): mount["mountPath"] for mount in container.get("volumeMounts", [])}
        targets = {text.split(":")[1] for text in compose[name]["volumes"]}
        assert mounts[folder] in targets


def test_the_training_is_one_that_the_command_takes() -> None:
    """The Job's words are `gb-export`'s own: it learns from the volume, and keeps there what it learnt."""
    container = PODS["train.yaml-Job-train"]["containers"][0]
    words = parser(defaultdict(lambda: print), "").parse_args(container["args"])
    (place,) = (one["mountPath"] for one in container["volumeMounts"] if one["name"] == "training")
    assert words.recipe is None
    assert container["workingDir"] == place
    assert not any(Path(folder).is_absolute() for folder in (words.data, words.folder))


def test_what_manifests_name_is_there() -> None:
    """Claims, generated settings, ports and labels that one names are another's, or the same one's."""
    claims = {one["metadata"]["name"] for one in MANIFESTS.values() if one["kind"].endswith("VolumeClaim")}
    for name, pod in PODS.items():
        volumes = {volume["name"]: volume for volume in pod.get("volumes", [])}
        claimed = {
            one["persistentVolumeClaim"]["claimName"]
            for one in volumes.values()
            if "emptyDir" not in one and "configMap" not in one
        }
        assert claimed <= claims, name
        own = {row["metadata"]["name"] for row in MANIFESTS[name]["spec"].get("volumeClaimTemplates", [])}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= set(volumes) | own, name
    pods = {name: MANIFESTS[name]["spec"]["template"]["metadata"]["labels"] for name in PODS}
    ports = {
        (labels["app"], key)
        for name, labels in pods.items()
        for port in PODS[name]["containers"][0].get("ports", [])
        for key in (port["name"], port["containerPort"])
    }
    for one in MANIFESTS.values():
        if one["kind"] == "Service":
            for port in one["spec"]["ports"]:
                assert (one["spec"]["selector"]["app"], port.get("targetPort", port["port"])) in ports
        elif one["kind"] in ("Deployment", "StatefulSet"):
            assert one["spec"]["selector"]["matchLabels"] == one["spec"]["template"]["metadata"]["labels"]


def test_the_agents_config_is_one_that_the_agent_takes(tmp_path: Path) -> None:
    """The ConfigMap's file loads, and names the node that `init` has let in."""
    text = (FOLDER / "agent.toml").read_text().replace("/secrets/", f"{tmp_path}/")
    (tmp_path / "secret").write_text("a" * 48)
    (tmp_path / "agent.toml").write_text(text)
    loaded = agent_config.load(tmp_path / "agent.toml")
    assert loaded.node == DEMO_NODE
    assert loaded.broker.url == f"mqtts://{CONTAINERS.broker}:{CONTAINERS.broker_port}"


def test_probes_ask_for_progress_and_policies_let_in_what_is_needed() -> None:
    """Aggregators are ready while they make progress; each that listens has a policy."""
    aggregator = PODS["aggregator.yaml-Deployment-aggregator"]["containers"][0]
    assert aggregator["readinessProbe"]["httpGet"] == {"path": "/healthz", "port": "page", "scheme": "HTTPS"}
    assert MANIFESTS["aggregator.yaml-Deployment-aggregator"]["spec"]["replicas"] >= 2
    policies = {one["metadata"]["name"]: one for one in MANIFESTS.values() if one["kind"] == "NetworkPolicy"}
    assert policies["nobody"]["spec"]["podSelector"] == {}
    for name, pod in PODS.items():
        for port in pod["containers"][0].get("ports", []):
            label = MANIFESTS[name]["metadata"]["name"]
            allowed = [row["port"] for rule in policies[label]["spec"]["ingress"] for row in rule["ports"]]
            assert port["containerPort"] in allowed
