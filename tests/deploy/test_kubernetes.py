"""k8s/base: what its parts say of each other, and what Kubernetes' schemas say of them."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from contract.settings import Settings
from tests.programs import require

Document = dict[str, Any]


def _of_kind(manifests: list[Document], kind: str) -> list[Document]:
    return [manifest for manifest in manifests if manifest["kind"] == kind]


def _matches(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return selector.items() <= labels.items()


def _chosen(selector: dict[str, str], deployments: dict[str, Document]) -> list[str]:
    """Names of the deployments whose pods a selector chooses."""
    return [
        name
        for name, template in deployments.items()
        if _matches(selector, template["metadata"]["labels"])
    ]


def _container(deployments: dict[str, Document], name: str) -> Document:
    [container] = deployments[name]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def _ports(container: Document) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in container["ports"]}


def test_selectors_choose_their_own_pods(
    manifests: list[Document], deployments: dict[str, Document]
) -> None:
    assert set(deployments) == {"gateway", "model-server"}
    for manifest in _of_kind(manifests, "Deployment"):
        name, spec = manifest["metadata"]["name"], manifest["spec"]
        assert _chosen(spec["selector"]["matchLabels"], deployments) == [name]
        [spread] = spec["template"]["spec"]["topologySpreadConstraints"]
        assert _chosen(spread["labelSelector"]["matchLabels"], deployments) == [name]
        assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    for manifest in _of_kind(manifests, "Service"):
        name = manifest["metadata"]["name"].removesuffix("-headless")
        assert _chosen(manifest["spec"]["selector"], deployments) == [name]
    budgets = _of_kind(manifests, "PodDisruptionBudget")
    for manifest in budgets:
        name = manifest["metadata"]["name"]
        assert _chosen(manifest["spec"]["selector"]["matchLabels"], deployments) == [name]
    assert {manifest["metadata"]["name"] for manifest in budgets} == set(deployments)


def test_services_and_probes_name_ports_that_exist(
    manifests: list[Document], deployments: dict[str, Document]
) -> None:
    for manifest in _of_kind(manifests, "Service"):
        name = manifest["metadata"]["name"].removesuffix("-headless")
        ports = _ports(_container(deployments, name))
        for port in manifest["spec"]["ports"]:
            assert port["targetPort"] in ports
            if manifest["spec"].get("clusterIP") == "None":
                # Without an address of its own, a service translates no ports.
                assert port["port"] == ports[port["targetPort"]]
    for name in deployments:
        container = _container(deployments, name)
        ports = _ports(container)
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container[kind]
            asked = probe["grpc"]["port"] if "grpc" in probe else ports[probe["httpGet"]["port"]]
            assert asked in ports.values()


def test_gateway_finds_the_model_server(
    manifests: list[Document], deployments: dict[str, Document], settings_in_base: dict[str, str]
) -> None:
    address = settings_in_base["LINCE_MODEL_SERVER"]
    name, _, port = address.removeprefix("dns:///").rpartition(":")
    [service] = [
        manifest
        for manifest in _of_kind(manifests, "Service")
        if manifest["metadata"]["name"] == name
    ]
    assert address.startswith("dns:///")
    assert service["spec"]["clusterIP"] == "None"
    assert int(port) in [port["port"] for port in service["spec"]["ports"]]
    arguments = _container(deployments, "model-server")["args"]
    assert f"--port={port}" in arguments


def test_config_maps_and_mounts_exist(
    root: Path, kustomization: Document, deployments: dict[str, Document]
) -> None:
    generated = {generator["name"]: generator for generator in kustomization["configMapGenerator"]}
    [source] = _container(deployments, "gateway")["envFrom"]
    assert source["configMapRef"]["name"] in generated
    for template in deployments.values():
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        [container] = template["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
    config = next(
        volume["configMap"]["name"]
        for volume in deployments["model-server"]["spec"]["volumes"]
        if "configMap" in volume
    )
    for argument in _container(deployments, "model-server")["args"]:
        flag, _, value = argument.partition("=")
        if flag.endswith("_config_file"):
            assert value.removeprefix("/config/") in generated[config]["files"]
            assert (root / "k8s" / "base" / Path(value).name).is_file()


def test_the_gateway_asks_for_the_models_that_are_served(
    root: Path, deployments: dict[str, Document], settings_in_base: dict[str, str]
) -> None:
    text = (root / "k8s" / "base" / "models.config").read_text()
    served = dict(re.findall(r'name: "([^"]+)" base_path: "([^"]+)"', text))
    assert tuple(served) == Settings.from_environment(settings_in_base).models
    mounts = _container(deployments, "model-server")["volumeMounts"]
    [folder] = [mount["mountPath"] for mount in mounts if mount["name"] == "models"]
    assert served == {name: f"{folder}/{name}" for name in served}


def test_grace_is_longer_than_what_it_is_for(
    deployments: dict[str, Document], settings_in_base: dict[str, str]
) -> None:
    drain = {
        "gateway": Settings.from_environment(settings_in_base).drain_seconds,
        "model-server": 0.0,  # it ends at once on SIGTERM
    }
    for name, template in deployments.items():
        command = _container(deployments, name)["lifecycle"]["preStop"]["exec"]["command"]
        assert command[0] == "sleep"
        needed = int(command[1]) + drain[name] + 5
        assert template["spec"]["terminationGracePeriodSeconds"] >= needed, name


def test_the_model_server_stops_after_every_gateway_has_left_it(
    deployments: dict[str, Document], settings_in_base: dict[str, str]
) -> None:
    container = _container(deployments, "model-server")
    [flag] = [a for a in container["args"] if a.startswith("--grpc_channel_arguments=")]
    channel = dict(part.split("=") for part in flag.partition("=")[2].split(","))
    age = int(channel["grpc.max_connection_age_ms"]) / 1000
    grace = int(channel["grpc.max_connection_age_grace_ms"]) / 1000
    assert grace > Settings.from_environment(settings_in_base).timeout_seconds
    # gRPC ends a connection up to a tenth later, and a cache of DNS holds an answer for some time.
    assert int(container["lifecycle"]["preStop"]["exec"]["command"][1]) >= age * 1.1 + 10


def test_pods_are_restricted(deployments: dict[str, Document]) -> None:
    for name, template in deployments.items():
        pod, container = template["spec"], _container(deployments, name)
        assert pod["enableServiceLinks"] is False
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] >= 1000
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} == set(container["resources"]["limits"])
        assert {"cpu", "memory"} == set(container["resources"]["requests"])


def test_signals_reach_the_model_server(deployments: dict[str, Document]) -> None:
    assert deployments["model-server"]["spec"]["shareProcessNamespace"] is True
    assert _container(deployments, "model-server")["command"] == [
        "/usr/bin/tensorflow_model_server"
    ]


def test_models_are_read_only(deployments: dict[str, Document]) -> None:
    [volume] = [
        volume
        for volume in deployments["model-server"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert volume["persistentVolumeClaim"] == {"claimName": "lince-models", "readOnly": True}
    mounts = {m["name"]: m for m in _container(deployments, "model-server")["volumeMounts"]}
    assert mounts[volume["name"]]["readOnly"] is True


def _allowed(policy: Document) -> set[int]:
    return {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}


def test_network_policies(manifests: list[Document], deployments: dict[str, Document]) -> None:
    policies = {m["metadata"]["name"]: m for m in _of_kind(manifests, "NetworkPolicy")}
    deny = policies.pop("lince-deny")["spec"]
    assert _chosen(deny["podSelector"]["matchLabels"], deployments) == list(deployments)
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in deny
    assert "egress" not in deny
    assert set(policies) == set(deployments)
    for name, policy in policies.items():
        assert _chosen(policy["spec"]["podSelector"]["matchLabels"], deployments) == [name]
        assert _allowed(policy) == set(_ports(_container(deployments, name)).values())
    # What the gateway may send, the model server may receive; and it sends nothing itself.
    outgoing = policies["gateway"]["spec"]["egress"][0]
    incoming = policies["model-server"]["spec"]["ingress"][0]
    assert _chosen(outgoing["to"][0]["podSelector"]["matchLabels"], deployments) == ["model-server"]
    assert _chosen(incoming["from"][0]["podSelector"]["matchLabels"], deployments) == ["gateway"]
    assert outgoing["ports"] == incoming["ports"]
    assert "egress" not in policies["model-server"]["spec"]


def test_nothing_names_a_namespace(manifests: list[Document], kustomization: Document) -> None:
    assert "namespace" not in kustomization
    for manifest in manifests:
        assert "namespace" not in manifest["metadata"]


@pytest.mark.parametrize("version", ["1.27", "1.31", "1.34", kubernetes_validate.latest_version()])
def test_the_base_is_valid(
    root: Path, render: Callable[[Path], list[Document]], version: str
) -> None:
    rendered = render(root / "k8s" / "base")
    assert len(rendered) == 11
    for document in rendered:
        kubernetes_validate.validate(document, version, strict=True)


def test_rendering_names_the_generated_config_maps(
    root: Path, render: Callable[[Path], list[Document]]
) -> None:
    rendered = render(root / "k8s" / "base")
    maps = {document["metadata"]["name"] for document in _of_kind(rendered, "ConfigMap")}
    text = str(_of_kind(rendered, "Deployment"))
    assert len(maps) == 2
    assert all(re.search(r"-[0-9a-z]{10}$", name) and name in text for name in maps)


def _kubectl_minor() -> int:
    command = [require("kubectl"), "version", "--client", "--output=json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(re.sub(r"\D", "", json.loads(done.stdout)["clientVersion"]["minor"]))


def test_the_overlay_of_the_documentation_renders(
    root: Path, tmp_path: Path, render: Callable[[Path], list[Document]]
) -> None:
    text = (root / "docs" / "deployment.md").read_text()
    shutil.copytree(root / "k8s", tmp_path / "lince" / "k8s")
    files = re.findall(r"^```\w*\n# (my-lince/\S+)\n(.*?)^```", text, re.M | re.S)
    assert len(files) == 2
    for name, content in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if _kubectl_minor() < 21:  # an older kustomize takes folders as `bases` alone
            content = content.replace("resources:", "bases:")
        path.write_text(content)
    rendered = render(tmp_path / "my-lince")
    gateway, model_server = sorted(
        _of_kind(rendered, "ConfigMap"), key=lambda document: str(document["metadata"]["name"])
    )
    settings = Settings.from_environment(gateway["data"])
    assert len(settings.models) == 2
    assert settings.host == "0.0.0.0"  # merged, not replaced
    assert set(model_server["data"]) == {"models.config", "monitoring.config"}
    for name in settings.models:
        assert f'name: "{name}"' in model_server["data"]["models.config"]
    for document in rendered:
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
