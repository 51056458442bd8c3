"""What each component says of the code that it is about."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import promql_parser
import pytest
import yaml
from google.protobuf import text_format

from contract import canary
from server import metrics
from server.model_server.wire.files_pb2 import SSLConfig
from tests.certificates import Identity, identity
from tests.deploy import pods, prometheus_rule
from tests.deploy.pods import Document
from tests.deploy.quantities import to_bytes, to_cpus

Render = Callable[[str], list[Document]]


def test_the_operators_rules_are_prometheus_s(root: Path) -> None:
    assert prometheus_rule.TARGET.read_text() == prometheus_rule.text(), (
        "python -m tests.deploy.prometheus_rule makes it anew"
    )
    manifest = yaml.safe_load(prometheus_rule.TARGET.read_text())
    assert manifest["spec"]["groups"] == prometheus_rule.groups() != []


@pytest.mark.integration
def test_service_monitors_find_what_there_is(root: Path, render: Render) -> None:
    documents = render("base+monitoring")
    config = yaml.safe_load((root / "monitoring" / "prometheus" / "prometheus.yml").read_text())
    jobs = {
        job["job_name"]: job.get("metrics_path", "/metrics") for job in config["scrape_configs"]
    }
    services = pods.of_kind(documents, "Service")
    found = {}
    for monitor in pods.of_kind(documents, "ServiceMonitor"):
        selector = monitor["spec"]["selector"]["matchLabels"].items()
        [service] = [s for s in services if selector <= s["metadata"]["labels"].items()]
        [endpoint] = monitor["spec"]["endpoints"]
        assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
        found[service["metadata"]["labels"][monitor["spec"]["jobLabel"]]] = endpoint["path"]
    assert found == jobs
    # TensorFlow Serving is told the same path.
    [data] = [d for d in pods.config_maps(documents).values() if "monitoring.config" in d]
    assert f'path: "{jobs["model-server"]}"' in data["monitoring.config"]


@pytest.mark.integration
def test_keda_asks_for_metrics_that_there_are(render: Render) -> None:
    documents = render("base+keda")
    assert pods.of_kind(documents, "HorizontalPodAutoscaler") == []
    names = {row.name for row in metrics.table()}
    for scaled in pods.of_kind(documents, "ScaledObject"):
        assert scaled["spec"]["scaleTargetRef"]["name"] in pods.templates(documents)
        queries = [
            trigger["metadata"]["query"]
            for trigger in scaled["spec"]["triggers"]
            if trigger["type"] == "prometheus"
        ]
        assert queries
        for query in queries:
            promql_parser.parse(query)
            asked = {
                re.sub(r"_(sum|count|bucket)$", "", n) for n in re.findall(r"lince_\w+", query)
            }
            assert asked
            assert asked - names == set()


@pytest.mark.integration
def test_keda_adds_gateways_before_all_threads_are_taken(render: Render) -> None:
    documents = render("base+keda")
    [(_, gateway)] = pods.gateways(documents)
    settings = pods.settings(documents, gateway)
    [scaled] = [
        d for d in pods.of_kind(documents, "ScaledObject") if d["metadata"]["name"] == "gateway"
    ]
    threshold = float(scaled["spec"]["triggers"][0]["metadata"]["threshold"])
    assert 1 <= threshold < settings.workers * settings.threads


@pytest.fixture(scope="module")
def authority() -> Identity:
    return identity("authority")


@pytest.mark.integration
def test_the_model_servers_tls_file_holds_what_the_secret_does(
    render: Render, authority: Identity, tmp_path: Path
) -> None:
    server = identity("model-server-headless", authority)
    files = {
        "tls.key": server.key_pem(),
        "tls.crt": server.certificate_pem(),
        "ca.crt": authority.certificate_pem(),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    documents = render("base+tls")
    [(template, _)] = pods.model_servers(documents)
    [container] = [c for c in pods.containers(template) if c["name"] == "ssl-config"]
    subprocess.run(
        container["command"],
        env={**os.environ, "IN": str(tmp_path), "OUT": str(tmp_path)},
        check=True,
    )
    written = tmp_path / "ssl.config"
    assert written.stat().st_mode & 0o077 == 0
    config = text_format.Parse(written.read_text(), SSLConfig())
    assert config.server_key == files["tls.key"]
    assert config.server_cert == files["tls.crt"]
    assert config.custom_ca == files["ca.crt"]
    assert config.client_verify


@pytest.mark.integration
def test_certificates_are_for_those_who_show_them(render: Render) -> None:
    documents = render("base+tls")
    [(_, gateway)] = pods.gateways(documents)
    settings = pods.settings(documents, gateway)
    certificates = {
        d["metadata"]["name"]: d["spec"] for d in pods.of_kind(documents, "Certificate")
    }
    host = settings.model_server.removeprefix("dns:///").partition(":")[0]
    assert certificates["model-server"]["dnsNames"] == [host]
    assert "server auth" in certificates["model-server"]["usages"]
    assert "client auth" in certificates["gateway"]["usages"]
    mounted = {
        volume["secret"]["secretName"]
        for template in pods.templates(documents).values()
        for volume in template["spec"]["volumes"]
        if "secret" in volume
    }
    secrets = {name: spec["secretName"] for name, spec in certificates.items()}
    assert mounted == {secrets["model-server"], secrets["gateway"]}
    files = (
        settings.model_server_ca,
        settings.model_server_certificate,
        settings.model_server_key,
    )
    folders = {m["name"]: m["mountPath"] for m in gateway["volumeMounts"]}
    assert [str(file) for file in files] == [
        f"{folders['tls']}/{name}" for name in ("ca.crt", "tls.crt", "tls.key")
    ]


@pytest.mark.integration
def test_the_canary_has_a_version_and_its_model(render: Render) -> None:
    documents = render("base+canary")
    [(_, gateway)] = pods.gateways(documents)
    settings = pods.settings(documents, gateway)
    [share] = [canary.parse(text) for text in settings.canary]
    text = pods.config_maps(documents)["models"]["models.config"]
    labels = dict(re.findall(r'version_labels \{ key: "(\w+)" value: (\d+) \}', text))
    loaded = re.findall(r"versions: (\d+)", text)
    assert set(labels) == {"stable", share.label}
    assert set(labels.values()) == set(loaded)
    [(template, server)] = pods.model_servers(documents)
    images = [c["image"] for c in template["spec"]["initContainers"]]
    assert set(images) == {f"lince-model-{share.model}:{version}" for version in loaded}
    # The file that changes is looked at again and again, and a changed map is seen in the pods.
    assert int(pods.flags(server)["model_config_file_poll_wait_seconds"]) > 0
    assert all("subPath" not in mount for mount in server["volumeMounts"])


@pytest.mark.integration
def test_the_ingress_leads_to_the_gateway(render: Render) -> None:
    documents = render("base+ingress")
    [ingress] = pods.of_kind(documents, "Ingress")
    [rule] = ingress["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    [service] = [
        d for d in pods.of_kind(documents, "Service") if d["metadata"]["name"] == backend["name"]
    ]
    ports = {port["name"]: port["targetPort"] for port in service["spec"]["ports"]}
    [(_, gateway)] = pods.gateways(documents)
    settings = pods.settings(documents, gateway)
    assert pods.ports(gateway)[ports[backend["port"]["name"]]] == settings.port
    assert [rule["host"]] == ingress["spec"]["tls"][0]["hosts"]
    assert settings.metrics_port not in (0, settings.port), "metrics are not for the world"
    [policy] = [
        d["spec"]
        for d in pods.of_kind(documents, "NetworkPolicy")
        if d["metadata"]["name"] == "gateway"
    ]
    assert {"namespaceSelector": {}} not in policy["ingress"][0]["from"]


@pytest.mark.integration
def test_keys_are_where_the_setting_says(render: Render) -> None:
    documents = render("base+api-keys")
    [(_, gateway)] = pods.gateways(documents)
    folders = [m["mountPath"] for m in gateway["volumeMounts"] if m["name"] == "keys"]
    assert [str(Path(pods.settings(documents, gateway).api_keys_file).parent)] == folders


@pytest.mark.integration
def test_a_gpu_for_each_model_server(render: Render) -> None:
    documents = render("overlays/gpu")
    [(template, server)] = pods.model_servers(documents)
    assert server["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert server["image"].endswith("-gpu")
    [toleration] = template["spec"]["tolerations"]
    assert toleration["key"] == "nvidia.com/gpu"


@pytest.mark.integration
def test_the_sidecar_has_the_model_servers_flags(render: Render) -> None:
    [(_, alone)] = pods.model_servers(render("base"))
    [(_, sidecar)] = pods.model_servers(render("overlays/sidecar"))
    flags, expected = pods.flags(sidecar), pods.flags(alone)
    del flags["grpc_socket_path"], expected["grpc_channel_arguments"]
    assert flags == expected
    same = ("image", "command", "env", "ports", "resources", "securityContext")
    assert {key: sidecar[key] for key in same} == {key: alone[key] for key in same}
    assert sidecar["restartPolicy"] == "Always", "it runs beside the gateway"


@pytest.mark.integration
def test_the_quota_is_the_sum(render: Render) -> None:
    documents = render("overlays/prod")
    [quota] = pods.of_kind(documents, "ResourceQuota")
    most = {
        d["spec"]["scaleTargetRef"]["name"]: d["spec"]["maxReplicas"]
        for d in pods.of_kind(documents, "HorizontalPodAutoscaler")
    }
    sums = {"requests.cpu": 0.0, "limits.cpu": 0.0, "requests.memory": 0, "limits.memory": 0}
    number = 0
    for deployment in pods.of_kind(documents, "Deployment"):
        surge = deployment["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
        count = most[deployment["metadata"]["name"]] + surge
        number += count
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        for kind in ("requests", "limits"):
            asked = container["resources"][kind]
            sums[f"{kind}.cpu"] += count * to_cpus(asked["cpu"])
            sums[f"{kind}.memory"] += count * to_bytes(asked["memory"])
    hard = quota["spec"]["hard"]
    assert number == int(hard["pods"])
    for key, value in sums.items():
        written = hard[key]
        assert value == (to_bytes(written) if key.endswith("memory") else to_cpus(written)), key
