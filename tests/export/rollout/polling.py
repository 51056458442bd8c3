"""Fake model servers that follow a model configuration file by TensorFlow Serving's rules."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
from google.protobuf import text_format

from contract.manifest import Manifest
from contract.wire import serving_pb2 as pb
from tests.manifests import make_manifest
from tests.server.fake_model_server import FakeModelServer, running

MODEL = "flowers-cnn"
CONFIG = """\
# What we serve.
model_config_list {
  config { name: "digits-cnn" base_path: "/models/digits-cnn" model_platform: "tensorflow" }
  config {
    name: "flowers-cnn"  # the one that changes
    base_path: "/models/flowers-cnn"
    model_platform: "tensorflow"
  }
}
"""


def manifest(accuracy: float, fingerprint: str = "0") -> Manifest:
    made = make_manifest()
    return replace(
        made, metrics={"accuracy": accuracy}, data=replace(made.data, fingerprint=fingerprint)
    )


@dataclass
class PollingServer(FakeModelServer):
    """Looks at its file whenever it is asked for its status, and loads at once or a little later.

    Attributes:
        config: the file.
        disk: the versions that there are; the highest is served where the file names none.
        bad: versions that can't be loaded.
        polls_to_load: how often it has to be asked until a version is there.
        gaps: labels that stood for a version which some replica did not have; must stay empty.
        beside: all replicas.
    """

    config: Path = Path()
    disk: dict[int, Manifest] = field(default_factory=dict)
    bad: set[int] = field(default_factory=set)
    polls_to_load: int = 0
    polls: dict[int, int] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    beside: list["PollingServer"] = field(default_factory=list)

    def status(self, request: pb.GetModelStatusRequest, context: grpc.ServicerContext) -> object:
        self.poll()
        answer = super().status(request, context)
        for number in self.bad & set(self.wanted()[0]):
            entry = answer.model_version_status.add(version=number, state=50)
            entry.status.error_code = 5
            entry.status.error_message = "no saved_model.pb"
        return answer

    def wanted(self) -> tuple[list[int], dict[str, int]]:
        parsed = text_format.Parse(
            self.config.read_text(), pb.ModelServerConfig(), allow_unknown_field=True
        )
        entry = parsed.model_config_list.config[1]
        versions = list(entry.model_version_policy.specific.versions) or [max(self.disk)]
        return versions, dict(entry.version_labels)

    def poll(self) -> None:
        versions, labels = self.wanted()
        there = self.models.setdefault(MODEL, {})
        for number in set(versions) & set(self.disk) - self.bad - set(there):
            self.polls[number] = self.polls.get(number, 0) + 1
            if self.polls[number] > self.polls_to_load:
                there[number] = self.disk[number]
        for number in set(there) - set(versions):
            del there[number]
            self.polls.pop(number, None)
        before = self.labels.get(MODEL, {})
        moved = [label for label in labels if before.get(label, labels[label]) != labels[label]]
        if all(labels[label] in there for label in moved):
            self.labels[MODEL] = labels
        for label, number in self.labels.get(MODEL, {}).items():
            self.gaps += [
                f"{label} is version {number}, which {other.port} has not"
                for other in self.beside
                if number not in other.models.get(MODEL, {})
            ]


@contextmanager
def polling_servers(
    config: Path, disk: dict[int, Manifest], count: int = 3
) -> Iterator[list[PollingServer]]:
    """Replicas that have served for a while; the last is slower than the others."""
    config.write_text(CONFIG)
    servers = [PollingServer({}, config=config, disk=disk) for _ in range(count)]
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(running(server))
            server.poll()
            server.beside = servers
        servers[-1].polls_to_load = 1
        yield servers
