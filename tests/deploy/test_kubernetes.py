"""k8s/base: what its parts say of each other, of Compose and of the model server."""

import re
from pathlib import Path

import kubernetes_validate
import pytest

from contract.settings import Settings
from tests.deploy import pods
from tests.deploy.pods import Document


@pytest.fixture
def templates(base: list[Document]) -> dict[str, Document]:
    return pods.templates(base)


@pytest.fixture
def gateway(base: list[Document]) -> Document:
    [(_, container)] = pods.gateways(base)
    return container


@pytest.fixture
def model_server(base: list[Document]) -> Document:
    [(_, container)] = pods.model_servers(base)
    return container


@pytest.fixture
def settings(base: list[Document], gateway: Document) -> Settings:
    return pods.settings(base, gateway)


def test_what_it_is_made_of(base: list[Document]) -> None:
    kinds: dict[str, int] = {}
    for document in base:
        kinds[document["kind"]] = kinds.get(document["kind"], 0) + 1
        assert document["metadata"].get("namespace") is None, "for any namespace"
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    assert kinds == {
        "ConfigMap": 2,
        "Service": 2,
        "PriorityClass": 1,
        "Deployment": 2,
        "PodDisruptionBudget": 2,
        "HorizontalPodAutoscaler": 2,
        "NetworkPolicy": 3,
    }


def test_every_deployment_has_a_budget_and_an_autoscaler(
    base: list[Document], templates: dict[str, Document]
) -> None:
    assert set(templates) == {"gateway", "model-server"}
    budgets = pods.of_kind(base, "PodDisruptionBudget")
    assert {d["metadata"]["name"] for d in budgets} == set(templates)
    scalers = pods.of_kind(base, "HorizontalPodAutoscaler")
    assert {d["spec"]["scaleTargetRef"]["name"] for d in scalers} == set(templates)
    [priority] = pods.of_kind(base, "PriorityClass")
    for template in templates.values():
        assert template["spec"]["priorityClassName"] == priority["metadata"]["name"]
    for deployment in pods.of_kind(base, "Deployment"):
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_services_name_ports_that_exist(
    base: list[Document], gateway: Document, model_server: Document
) -> None:
    containers = {"gateway": gateway, "model-server": model_server}
    for service in pods.of_kind(base, "Service"):
        name = service["metadata"]["name"].removesuffix("-headless")
        ports = pods.ports(containers[name])
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in ports
            if service["spec"].get("clusterIP") == "None":
                # Without an address of its own, a service translates no ports.
                assert port["port"] == ports[port["targetPort"]]


def test_config_maps_change_their_names_with_their_content(base: list[Document]) -> None:
    text = str(pods.of_kind(base, "Deployment"))
    for name in pods.config_maps(base):
        assert re.search(r"-[0-9a-z]{10}$", name)
        assert name in text


def test_the_model_server_stops_after_every_gateway_has_left_it(
    model_server: Document, settings: Settings
) -> None:
    channel = dict(
        part.split("=") for part in pods.flags(model_server)["grpc_channel_arguments"].split(",")
    )
    age = int(channel["grpc.max_connection_age_ms"]) / 1000
    grace = int(channel["grpc.max_connection_age_grace_ms"]) / 1000
    assert grace > settings.timeout_seconds
    # gRPC ends a connection up to a tenth later, and a cache of DNS holds an answer for some time.
    assert model_server["lifecycle"]["preStop"]["sleep"]["seconds"] >= age * 1.1 + 10


def test_models_come_from_images_of_their_versions(
    base: list[Document], templates: dict[str, Document], model_server: Document
) -> None:
    spec = templates["model-server"]["spec"]
    [volume] = [volume for volume in spec["volumes"] if volume["name"] == "models"]
    assert "emptyDir" in volume
    mounts = {mount["name"]: mount for mount in model_server["volumeMounts"]}
    assert mounts["models"] == {"name": "models", "mountPath": "/models", "readOnly": True}
    [copy] = spec["initContainers"]
    image, version = re.fullmatch(r"lince-model-(.+):(\d+)", copy["image"]).groups()  # type: ignore[union-attr]
    assert copy["name"] == f"{image}-{version}"
    [mount] = copy["volumeMounts"]
    assert mount["name"] == "models"
    assert copy["command"] == ["cp", "-r", "/models/.", f"{mount['mountPath']}/"]
    [data] = [data for data in pods.config_maps(base).values() if "models.config" in data]
    assert f'name: "{image}"' in data["models.config"]


def test_batches_run_on_as_many_threads_as_there_are_cpus(
    base: list[Document], model_server: Document, settings: Settings
) -> None:
    [data] = [data for data in pods.config_maps(base).values() if "batching.config" in data]
    values = dict(re.findall(r"^(\w+) \{ value: (\d+) \}$", data["batching.config"], re.M))
    cpus = pods.flags(model_server)["tensorflow_intra_op_parallelism"]
    assert values["num_batch_threads"] == cpus
    # A larger call would be refused.
    assert int(values["max_batch_size"]) >= settings.max_batch


@pytest.mark.parametrize("name", ["monitoring.config", "batching.config"])
def test_files_are_the_same_as_in_compose(root: Path, name: str) -> None:
    here = (root / "k8s" / "base" / name).read_bytes()
    assert here == (root / "docker" / "model-server" / name).read_bytes()


def test_network_policies(base: list[Document], templates: dict[str, Document]) -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in pods.of_kind(base, "NetworkPolicy")}
    deny = policies.pop("lince-deny")
    assert pods.chosen(deny["podSelector"]["matchLabels"], templates) == list(templates)
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    assert "ingress" not in deny
    assert "egress" not in deny
    assert set(policies) == set(templates)
    # What the gateway may send, the model server may receive; and it sends nothing itself.
    outgoing = policies["gateway"]["egress"][0]
    incoming = policies["model-server"]["ingress"][0]
    [to], [source] = outgoing["to"], incoming["from"]
    assert pods.chosen(to["podSelector"]["matchLabels"], templates) == ["model-server"]
    assert pods.chosen(source["podSelector"]["matchLabels"], templates) == ["gateway"]
    assert outgoing["ports"] == incoming["ports"]
    assert "egress" not in policies["model-server"]
