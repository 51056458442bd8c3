"""The model servers as a roll-out sees them: which replicas there are, and what each one serves."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import grpc
import numpy as np

from contract import manifest as manifests
from contract.errors import ContractError
from contract.manifest import Manifest
from contract.wire import serving_pb2 as pb
from contract.wire.channel import open_channel
from contract.wire.stubs import ModelServerStubs, model_server_stubs
from contract.wire.tensors import to_array, to_tensor
from contract.wire.tls import Tls
from export.rollout.errors import NotLiveError
from export.rollout.plan import Serving

_SECONDS = 10.0
_AVAILABLE, _END = pb.ModelVersionStatus.AVAILABLE, pb.ModelVersionStatus.END


@dataclass(frozen=True)
class Replica:
    """What one model server said of a model.

    Attributes:
        address: where it listens.
        available: versions that can be asked.
        failed: versions that could not be loaded → why.
        labels: label → version, of the labels that were asked for and answer.
        error: why it said nothing; empty: it answered.
    """

    address: str
    available: frozenset[int] = frozenset()
    failed: Mapping[int, str] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    error: str = ""

    def lacks(self, wanted: Serving, labels: Collection[str]) -> str:
        """Returns in words what of a state it doesn't serve yet; empty: it serves all.

        Args:
            wanted: the state.
            labels: that must not answer unless the state has them.
        """
        if self.error:
            return f"{self.address}: {self.error}"
        versions = set(wanted.versions or ())
        for number in sorted(versions - self.available):
            why = self.failed.get(number, "it isn't there")
            return f"{self.address}: version {number} is not available: {why}"
        for label in sorted({*labels, *wanted.labels}):
            if self.labels.get(label) != wanted.labels.get(label):
                found = self.labels.get(label, "no version")
                return f"{self.address}: the label {label} stands for {found}"
        for number in sorted(self.available - versions):
            return f"{self.address}: version {number} is still there"
        return ""


class ModelServers:
    """All replicas behind some addresses; to be closed. Not for several threads.

    Args:
        addresses: host:port, where a name stands for all addresses that it resolves to, each time
            anew; dns:///name:port; unix:///path.
        tls: None calls them in the clear.
    """

    def __init__(self, addresses: Sequence[str], tls: Tls | None) -> None:
        self._addresses, self._tls = addresses, tls
        self._channels: dict[str, grpc.Channel] = {}

    def close(self) -> None:
        """Ends the connections."""
        for channel in self._channels.values():
            channel.close()
        self._channels.clear()

    def ask(self, model: str, labels: Collection[str]) -> list[Replica]:
        """Asks each replica what it serves of a model, and what some labels stand for.

        Raises:
            NotLiveError: a name can't be resolved.
        """
        return [
            _asked(address, self._stubs(address, host), model, labels)
            for address, host in self._resolved()
        ]

    def describe(self, model: str, version: int) -> Manifest | None:
        """Returns a version's manifest; None: it has none.

        Raises:
            NotLiveError: the model server doesn't answer.
        """
        address, host = next(self._resolved())
        request = pb.PredictRequest()
        request.model_spec.name = model
        request.model_spec.version.value = version
        request.model_spec.signature_name = "describe"
        request.inputs["query"].CopyFrom(to_tensor(np.array([b""], object)))
        try:
            answer = self._stubs(address, host).predict(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.FAILED_PRECONDITION:  # no such signature
                return None
            raise NotLiveError(f"{address}: version {version}: {_words(error)}") from error
        try:
            return manifests.parse(bytes(to_array(answer.outputs["manifest"]).flat[0]))
        except (ContractError, IndexError) as error:
            raise NotLiveError(f"{address}: version {version}: {error}") from error

    def _resolved(self) -> Iterator[tuple[str, str]]:
        seen = set()
        for address in self._addresses:
            for found, host in _resolve(address):
                if found not in seen:
                    seen.add(found)
                    yield found, host

    def _stubs(self, address: str, host: str) -> ModelServerStubs:
        if address not in self._channels:
            tls = self._tls
            if tls is not None and not tls.name and host:
                tls = replace(tls, name=host)  # the certificate has the name, not the address
            self._channels[address] = open_channel(address, tls)
        return model_server_stubs(self._channels[address])


def _resolve(address: str) -> Iterator[tuple[str, str]]:
    """Yields the addresses behind one, each with the name that a certificate would have."""
    if address.startswith("unix:"):
        yield address, ""
        return
    name = address.removeprefix("dns:").removeprefix("///")
    host, _, port = name.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdigit() or "/" in host:
        raise NotLiveError(f"{address} is not host:port, dns:///name:port or unix:///path")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotLiveError(f"{address}: {error.strerror}") from error
    for family, _, _, _, (ip, number, *_) in found:
        yield (f"[{ip!s}]:{number!s}" if family == socket.AF_INET6 else f"{ip!s}:{number!s}"), host


def _asked(address: str, stubs: ModelServerStubs, model: str, labels: Collection[str]) -> Replica:
    request = pb.GetModelStatusRequest()
    request.model_spec.name = model
    try:
        entries = stubs.get_model_status(request, timeout=_SECONDS).model_version_status
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return Replica(address)
        return Replica(address, error=_words(error))
    answers = {label: _stands_for(stubs, model, label) for label in labels}
    return Replica(
        address,
        frozenset(entry.version for entry in entries if entry.state == _AVAILABLE),
        {
            entry.version: entry.status.error_message
            for entry in entries
            if entry.state == _END and entry.status.error_code
        },
        {label: number for label, number in answers.items() if number is not None},
    )


def _stands_for(stubs: ModelServerStubs, model: str, label: str) -> int | None:
    """Asks for a label's version; None: nothing that is available has it."""
    request = pb.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = model
    request.model_spec.version_label = label
    with contextlib.suppress(grpc.RpcError):
        return int(stubs.get_model_metadata(request, timeout=_SECONDS).model_spec.version.value)
    return None


def _words(error: grpc.RpcError) -> str:
    return f"{error.code().name}: {error.details()}"
