"""Roll-outs as in Kubernetes, with real processes in network namespaces: two gateways find three
model servers by DNS, all are replaced one by one, a canary is tried, promoted and rolled back, and
meanwhile callers go on asking. The times are those of k8s/, about a fifth as long.
"""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.integration.artifacts import publish_random
from tests.integration.load import Endpoints, Load, load
from tests.integration.network import DNS_PORT, Network, Pod, network
from tests.integration.processes import (
    LINCE,
    Running,
    answers,
    program_under_test,
    run,
    started,
    wait_until,
)

pytestmark = [pytest.mark.integration, pytest.mark.slow]

MODEL, LABELS, SIDE = "model", ("ant", "bee", "cow"), 32
SERVICE, GRPC_PORT, HTTP_PORT = "model-server-headless", 8500, 8000
# A gateway ends its connection after this time and a tenth, and asks DNS again within 5 s.
CONNECTION_AGE_SECONDS, DNS_SECONDS = 3.0, 5.0
MODEL_SERVER_PRE_STOP = CONNECTION_AGE_SECONDS * 1.1 + DNS_SECONDS + 1.0
GATEWAY_PRE_STOP, GATEWAY_DRAIN = 2.0, 10.0
MODEL_SERVER_FLAGS = (
    f"--port={GRPC_PORT}",
    "--model_config_file_poll_wait_seconds=1",
    "--allow_version_labels_for_unavailable_models=true",
    "--max_num_load_retries=0",
    "--file_system_poll_wait_seconds=1",
    "--grpc_channel_arguments=grpc.max_connection_age_ms="
    f"{CONNECTION_AGE_SECONDS * 1000:.0f},grpc.max_connection_age_grace_ms=3000",
)


@dataclass
class Started:
    """A process in a pod, and what ends both."""

    pod: Pod
    running: Running
    stack: ExitStack


@dataclass
class Cluster:
    """What runs; the model servers by DNS, the gateways by their endpoints."""

    network: Network
    scratch: Path
    servers: list[Started] = field(default_factory=list)
    gateways: list[Started] = field(default_factory=list)
    endpoints: Endpoints = field(default_factory=Endpoints)
    stack: ExitStack = field(default_factory=ExitStack)
    number: int = 0

    @property
    def config(self) -> Path:
        return self.scratch / "config" / "models.config"

    def start(self, command: tuple[str, ...], **variables: str) -> Started:
        self.number += 1
        stack = self.stack.enter_context(ExitStack())
        pod = stack.enter_context(self.network.pod())
        log = self.scratch / f"{self.number}.log"
        running = stack.enter_context(started((*pod.command, *command), log, **variables))
        return Started(pod, running, stack)

    def add_server(self) -> None:
        program = program_under_test()
        embedded = (*LINCE, "model-server", "--listen_address=0.0.0.0")
        command = embedded if program == "embedded" else (program,)
        new = self.start((*command, f"--model_config_file={self.config}", *MODEL_SERVER_FLAGS))
        line = re.compile(rf"Running gRPC ModelServer at [0-9.]+:{GRPC_PORT} ")
        wait_until(lambda: line.search(new.running.output()), "a model server", new.running)
        self.servers.append(new)
        self.publish_names()

    def add_gateway(self) -> None:
        server = f"dns://{self.network.own_address}:{DNS_PORT}/{SERVICE}:{GRPC_PORT}"
        new = self.start(
            (*LINCE, "gateway"),
            LINCE_MODELS=MODEL,
            LINCE_MODEL_SERVER=server,
            LINCE_HOST="0.0.0.0",
            LINCE_PORT=str(HTTP_PORT),
            LINCE_CANARY=f"{MODEL}=canary:25",
            LINCE_DRAIN_SECONDS=str(GATEWAY_DRAIN),
        )
        url = url_of(new)
        wait_until(lambda: answers(f"{url}/readyz"), "a gateway", new.running)
        self.gateways.append(new)
        self.endpoints.add(url)

    def publish_names(self) -> None:
        addresses = [server.pod.address for server in self.servers]
        self.network.names.records[SERVICE] = addresses

    def end_server(self) -> None:
        """As Kubernetes does it: the oldest leaves the service and goes on to serve for a while."""
        old = self.servers.pop(0)
        self.publish_names()
        time.sleep(MODEL_SERVER_PRE_STOP)
        old.running.stop()
        old.stack.close()

    def end_gateway(self) -> int:
        old = self.gateways.pop(0)
        self.endpoints.remove(url_of(old))
        time.sleep(GATEWAY_PRE_STOP)
        code = old.running.stop()
        old.stack.close()
        return code

    def lince(self, verb: str, *arguments: str) -> None:
        """Runs promote or rollback on the file that the model servers poll."""
        addresses = [f"--model-server={s.pod.address}:{GRPC_PORT}" for s in self.servers]
        common = (f"--config={self.config}", "--settle=2", "--wait=60", *addresses)
        done = run(verb, MODEL, *arguments, *common)
        assert done.returncode == 0, done.stderr


def url_of(gateway: Started) -> str:
    return f"http://{gateway.pod.address}:{HTTP_PORT}"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    from server.up import model_config

    models = tmp_path / "models"
    publish_random(models, MODEL, LABELS, SIDE)
    with network() as made, ExitStack() as stack:
        found = Cluster(made, tmp_path, stack=stack)
        found.config.parent.mkdir()
        found.config.write_text(f"# Ours.\n{model_config(models, [MODEL])}")
        for _ in range(3):
            found.add_server()
        found.lince("promote", "1")
        for _ in range(2):
            found.add_gateway()
        publish_random(models, MODEL, LABELS, SIDE)
        yield found


def test_no_request_fails(cluster: Cluster) -> None:
    with load(cluster.endpoints, MODEL, fresh=3, kept=2) as calls:
        assert set(calls.versions(50)) == {"1"}  # the second is there, but nobody has asked for it
        cluster.lince("promote", "2", "--canary")
        check_canary(calls)
        replace_servers(cluster)  # they start with labels in their configuration
        replace_gateways(cluster)
        check_canary(calls)
        cluster.lince("promote")
        wait_until(lambda: set(calls.versions(50)) == {"2"}, "the promotion")
        cluster.lince("rollback")
        wait_until(lambda: set(calls.versions(50)) == {"1"}, "the rollback")
    assert len(calls.answers) > 1000
    assert not calls.failed()
    assert len(calls.repeated) <= 4  # at most once for each gateway that left and each kept caller
    assert cluster.config.read_text().startswith("# Ours.\n")


def check_canary(calls: Load) -> None:
    """Both gateways have heard of the canary by now or soon: a quarter of the callers get it."""
    wait_until(lambda: "2" in calls.versions(40), "the canary")
    pairs = {(answer.version, answer.track) for answer in calls.next_answers(200)}
    assert pairs == {("1", "stable"), ("2", "canary")}


def replace_servers(cluster: Cluster) -> None:
    for _ in range(3):
        cluster.add_server()
        cluster.end_server()


def replace_gateways(cluster: Cluster) -> None:
    for _ in range(2):
        cluster.add_gateway()
        assert cluster.end_gateway() == 0
