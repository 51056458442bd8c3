"""Every overlay and job, and the base with every component: what must hold for each of them."""

import re
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from server.model_server.flags import IGNORED, Options
from tests.deploy import pods
from tests.deploy.pods import Document
from tests.deploy.quantities import gateway_memory, to_bytes, to_cpus, whole_cpus

pytestmark = pytest.mark.integration

K8S = Path(__file__).parents[2] / "k8s"

_FOLDERS = {
    str(path.parent.relative_to(K8S)): yaml.safe_load(path.read_text())["kind"]
    for path in sorted(K8S.rglob("kustomization.yaml"))
}
COMPONENTS = [
    name.removeprefix("components/") for name in _FOLDERS if name.startswith("components/")
]
VARIANTS = [
    *(name for name, kind in _FOLDERS.items() if kind == "Kustomization"),
    *(f"base+{component}" for component in COMPONENTS),
    "base+monitoring+keda+tls+ingress+api-keys+canary+gpu",
    "overlays/sidecar+monitoring+ingress+api-keys",
    "overlays/prod+keda+tls+canary+model-claim",
]

# Newest first. The oldest is what docs/deploy.md asks for, without the image volume.
_MINOR = int(kubernetes_validate.latest_version().split(".")[1])
VERSIONS = [f"1.{_MINOR}", f"1.{_MINOR - 1}", f"1.{_MINOR - 2}", "1.31"]
# Definitions that operators bring; Kubernetes' own schemas don't know them.
OPERATORS = {
    "cert-manager.io/v1",
    "keda.sh/v1alpha1",
    "monitoring.coreos.com/v1",
}
# What a cluster has to bring: named in the component that wants it.
SECRETS = {
    *("lince-api-keys", "lince-model-store", "lince-score-key"),
    *("model-server-tls", "gateway-tls"),
}
CLAIMS = {"lince-models", "lince-training", "pictures"}


@pytest.fixture(params=VARIANTS)
def name(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture
def documents(name: str, render: Callable[[str], list[Document]]) -> list[Document]:
    return render(name)


def test_there_are_all_that_the_documentation_names() -> None:
    text = (K8S.parent / "docs" / "deploy.md").read_text()
    named = set(re.findall(r"k8s/((?:overlays|components|jobs)/[a-z-]+)", text))
    assert named - set(_FOLDERS) == set()
    assert set(_FOLDERS) - named - {"base", "jobs/weekly"} == set()


def test_it_is_valid(name: str, documents: list[Document]) -> None:
    assert documents
    for document in documents:
        version = document["apiVersion"]
        if version in OPERATORS:
            continue
        assert re.fullmatch(r"([a-z0-9.]+/)?v\d+", version), "neither alpha nor beta"
        for kubernetes in VERSIONS[:-1] if "image-volume" in name else VERSIONS:
            kubernetes_validate.validate(document, kubernetes, strict=True)


def test_names_are_once(documents: list[Document]) -> None:
    names = [(d["kind"], d["metadata"]["name"]) for d in documents]
    assert len(set(names)) == len(names)
    spaces = {d["metadata"].get("namespace") for d in documents} - {None}
    assert len(spaces) <= 1


def test_what_pods_mount_is_there(documents: list[Document]) -> None:
    for template in pods.templates(documents).values():
        volumes = {volume["name"]: volume for volume in template["spec"].get("volumes", [])}
        mounted = set()
        for container in pods.containers(template):
            mounts = container["volumeMounts"]
            assert len({mount["mountPath"] for mount in mounts}) == len(mounts)
            mounted |= {mount["name"] for mount in mounts}
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in pods.config_maps(documents)
        assert mounted == set(volumes)
        for volume in volumes.values():
            assert len(volume) == 2, "a name and one source"
            _check_source(volume, documents)


def _check_source(volume: Document, documents: list[Document]) -> None:
    maps = pods.config_maps(documents)
    for source in [volume, *volume.get("projected", {}).get("sources", [])]:
        if "configMap" in source:
            items = source["configMap"].get("items", [])
            assert {i["key"] for i in items} <= set(maps[source["configMap"]["name"]])
    if "secret" in volume:
        assert volume["secret"]["secretName"] in SECRETS
    if "persistentVolumeClaim" in volume:
        assert volume["persistentVolumeClaim"]["claimName"] in CLAIMS


def test_pods_are_restricted(documents: list[Document]) -> None:
    for name, template in pods.templates(documents).items():
        pod = template["spec"]
        assert pod["enableServiceLinks"] is False, name
        assert pod["automountServiceAccountToken"] is False, name
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] >= 10000, name
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pods.containers(template):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, container["name"]
            for kind in ("requests", "limits"):
                assert {"cpu", "memory"} <= set(container["resources"][kind]), container["name"]


def test_images_are_pinned(documents: list[Document]) -> None:
    for template in pods.templates(documents).values():
        for container in pods.containers(template):
            assert re.search(r":\d+(\.\d+\.\d+)?(-gpu)?$", container["image"]), container["image"]


def test_selectors_choose_their_own_pods(documents: list[Document]) -> None:
    templates = pods.templates(documents)
    selectors = [
        *(d["spec"]["selector"] for d in pods.of_kind(documents, "Service")),
        *(
            d["spec"]["selector"]["matchLabels"]
            for d in pods.of_kind(documents, "Deployment", "PodDisruptionBudget")
        ),
        *(
            spread["labelSelector"]["matchLabels"]
            for t in templates.values()
            for spread in t["spec"].get("topologySpreadConstraints", [])
        ),
        *(
            d["spec"]["podSelector"]["matchLabels"]
            for d in pods.of_kind(documents, "NetworkPolicy")
            if "app.kubernetes.io/name" in d["spec"]["podSelector"]["matchLabels"]
        ),
    ]
    for selector in selectors:
        assert len(pods.chosen(selector, templates)) == 1, selector


def test_autoscalers_and_replicas(documents: list[Document]) -> None:
    deployments = {d["metadata"]["name"]: d for d in pods.of_kind(documents, "Deployment")}
    targets = [
        d["spec"]["scaleTargetRef"]["name"]
        for d in pods.of_kind(documents, "HorizontalPodAutoscaler", "ScaledObject")
    ]
    assert len(set(targets)) == len(targets), "two would pull a Deployment to and fro"
    for name, deployment in deployments.items():
        # With both, every apply would undo what the autoscaler has done.
        assert ("replicas" in deployment["spec"]) != (name in targets) or "gpu" in str(deployment)
    for autoscaler in pods.of_kind(documents, "HorizontalPodAutoscaler"):
        assert autoscaler["spec"]["minReplicas"] >= 2
        assert autoscaler["spec"]["scaleTargetRef"]["name"] in deployments
    for budget in pods.of_kind(documents, "PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] == 1


def test_the_gateways_settings_and_memory(documents: list[Document]) -> None:
    for _, container in pods.gateways(documents):
        settings = pods.settings(documents, container)
        expected = {"http": settings.port, "metrics": settings.metrics_port}
        assert pods.ports(container) == expected
        assert (settings.host, settings.metrics_host) == ("0.0.0.0", "0.0.0.0")
        limits = container["resources"]["limits"]
        assert gateway_memory(settings, to_cpus(limits["cpu"])) <= to_bytes(limits["memory"])


def test_probes_ask_what_is_there(documents: list[Document]) -> None:
    for _, container in pods.gateways(documents):
        paths = [
            container[kind]["httpGet"]["path"]
            for kind in ("startupProbe", "livenessProbe", "readinessProbe")
        ]
        assert paths == ["/livez", "/livez", "/readyz"]
        assert container["livenessProbe"]["httpGet"]["port"] == "http"
    for _, container in pods.model_servers(documents):
        flags = pods.flags(container)
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container[kind]
            if "ssl_config_file" in flags:  # the kubelet's gRPC probe knows no TLS
                assert "grpc" not in probe
                assert pods.ports(container)[probe["tcpSocket"]["port"]] == int(flags["port"])
            else:
                assert probe["grpc"]["port"] == int(flags["port"])
                assert flags["enable_grpc_healthcheck_service"] == "true"


def test_grace_is_longer_than_what_it_is_for(documents: list[Document]) -> None:
    for template, container in pods.gateways(documents) + pods.model_servers(documents):
        if container.get("restartPolicy") == "Always":
            continue  # a sidecar stops after the gateway
        needed = container["lifecycle"]["preStop"]["sleep"]["seconds"] + 5
        if container["name"] == "gateway":
            needed += pods.settings(documents, container).drain_seconds
        assert template["spec"]["terminationGracePeriodSeconds"] >= needed


def test_the_model_servers_flags(documents: list[Document]) -> None:
    known = {field.name for field in fields(Options)} | set(IGNORED)
    for template, container in pods.model_servers(documents):
        flags = pods.flags(container)
        assert set(flags) - known == set()
        assert len(flags) == len(container["args"])
        cpus = whole_cpus(container["resources"]["limits"]["cpu"])
        assert int(flags["tensorflow_intra_op_parallelism"]) == cpus
        assert int(flags["tensorflow_inter_op_parallelism"]) == cpus
        assert int(flags["grpc_max_threads"]) >= cpus
        assert flags["allow_version_labels_for_unavailable_models"] == "true"
        assert template["spec"]["shareProcessNamespace"] is True, "signals reach it"
        assert pods.ports(container) == {
            "grpc": int(flags["port"]),
            "rest": int(flags["rest_api_port"]),
        }
        _check_files(flags, template, container, documents)


def _check_files(
    flags: dict[str, str], template: Document, container: Document, documents: list[Document]
) -> None:
    """What flags name lies in a volume that is mounted there."""
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    maps = pods.config_maps(documents)
    for flag, value in flags.items():
        if not flag.endswith("_file") or flag == "ssl_config_file":
            continue
        volume = mounts[str(Path(value).parent)]
        sources = volume.get("projected", {}).get("sources", [volume])
        files = [
            key
            for source in sources
            for key in (
                [item["path"] for item in source["configMap"].get("items", [])]
                or maps[source["configMap"]["name"]]
            )
        ]
        assert files.count(Path(value).name) == 1, flag


def test_gateways_ask_for_the_models_that_are_served(documents: list[Document]) -> None:
    maps = [data for data in pods.config_maps(documents).values() if "models.config" in data]
    for _, container in pods.gateways(documents):
        settings = pods.settings(documents, container)
        for data in maps:
            served = dict(
                re.findall(r'name: "([^"]+)"\s+base_path: "([^"]+)"', data["models.config"])
            )
            assert tuple(served) == settings.models
            assert served == {name: f"/models/{name}" for name in served}


def test_gateways_find_the_model_server(documents: list[Document]) -> None:
    services = {d["metadata"]["name"]: d["spec"] for d in pods.of_kind(documents, "Service")}
    for template, container in pods.gateways(documents):
        address = pods.settings(documents, container).model_server
        [(place, server)] = pods.model_servers(documents)
        flags = pods.flags(server)
        if address.startswith("unix://"):
            assert place is template
            assert address == f"unix://{flags['grpc_socket_path']}"
            folder = str(Path(flags["grpc_socket_path"]).parent)
            mounts = [
                [m["name"] for m in c["volumeMounts"] if m["mountPath"] == folder]
                for c in (container, server)
            ]
            assert mounts[0] == mounts[1] != []
            continue
        host, port = address.removeprefix("dns:///").split(":")
        # gRPC sees every pod, by the pods' own port.
        assert services[host]["clusterIP"] == "None"
        assert int(port) == int(flags["port"]) in [p["port"] for p in services[host]["ports"]]


def test_network_policies_let_through_what_there_is(documents: list[Document]) -> None:
    templates = pods.templates(documents)
    policies = [d["spec"] for d in pods.of_kind(documents, "NetworkPolicy")]
    for name, template in templates.items():
        own = [
            policy
            for policy in policies
            if name in pods.chosen(policy["podSelector"]["matchLabels"], templates)
        ]
        assert {kind for policy in own for kind in policy["policyTypes"]} == {"Ingress", "Egress"}
        allowed = {
            port["port"]
            for policy in own
            for rule in policy.get("ingress", [])
            for port in rule["ports"]
        }
        listening = {p for c in pods.containers(template) for p in pods.ports(c).values()}
        if "unix://" in str(documents):
            listening -= {8500}  # nobody comes that way but the kubelet
        assert allowed == listening


def test_the_overlay_of_the_documentation(tmp_path: Path) -> None:
    text = (K8S.parent / "docs" / "deploy.md").read_text()
    shutil.copytree(K8S, tmp_path / "lince" / "k8s")
    files = re.findall(r"^```\w*\n# (my-lince/\S+)\n(.*?)^```", text, re.M | re.S)
    assert len(files) == 2
    for name, content in files:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    documents = pods.kustomize(tmp_path / "my-lince")
    for check in (
        test_names_are_once,
        test_what_pods_mount_is_there,
        test_pods_are_restricted,
        test_images_are_pinned,
        test_the_model_servers_flags,
        test_gateways_ask_for_the_models_that_are_served,
    ):
        check(documents)
    [(_, gateway)] = pods.gateways(documents)
    models = pods.settings(documents, gateway).models
    [(template, _)] = pods.model_servers(documents)
    images = [container["image"] for container in template["spec"]["initContainers"]]
    assert images == [f"registry.example.com/lince-model-{name}:1" for name in models]
