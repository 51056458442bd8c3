"""One model server with a model many times: once unbatched, and once for each candidate.

In one process, measurements can take turns, and all have the same machine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np

from contract.wire import serving_pb2 as pb
from contract.wire.channel import open_channel
from contract.wire.stubs import model_server_stubs
from contract.wire.tensors import to_tensor
from server import children
from server.errors import StartError
from server.ports import free_port, is_open
from server.served import Ports, undescribed
from server.tuning.callers import Callers, Job, Load
from server.tuning.candidate import FILE, Candidate
from server.tuning.errors import TuneError
from server.up import model_config

#: To end in order; nothing is lost with it.
_STOP_SECONDS = 1.0
_REQUESTS = 8
#: Of pictures for a model that takes any.
_ANY_SIDE = 224
_OFF = "off"

#: Measures a candidate, or the unbatched model for None, with so many callers for so many seconds.
Measure = Callable[[Candidate | None, int, float], Load]


@contextmanager
def serving(
    version: Path,
    candidates: Sequence[Candidate],
    callers: Callers,
    *,
    program: str,
    flags: Sequence[str],
    largest_call: int,
) -> Iterator[Measure]:
    """Starts a model server on a free port of 127.0.0.1 and gives what measures it.

    Args:
        version: the model's version, a folder; nothing is written into it.
        program: as the setting LINCE_MODEL_SERVER_PROGRAM has it.
        flags: more of the model server's.
        largest_call: rows of a call that has to be taken.

    Raises:
        StartError: the model server did not start.
        TuneError: the model is not an image classifier.
    """
    with tempfile.TemporaryDirectory(prefix="lince-tune-") as text:
        scratch, port = Path(text), free_port()
        names = {None: _OFF} | {each: f"c{n}" for n, each in enumerate(candidates)}
        for candidate, name in names.items():
            _link(version, scratch / name / version.name)
            if candidate is not None:
                parameters = scratch / name / version.name / FILE
                parameters.write_text(candidate.text(largest_call))
        config, log = scratch / "models.config", scratch / "model-server.log"
        config.write_text(model_config(scratch, list(names.values())))
        command = [
            *children.model_server_program(program),
            *(f"--model_config_file={config}", f"--port={port}", "--max_num_load_retries=0"),
            *("--enable_batching", "--enable_per_model_batching_parameters"),
            *flags,
        ]
        with log.open("wb") as output:
            child = children.start(command, output)
        try:
            children.await_ready([child], lambda: is_open("127.0.0.1", port), "the model server")
            address = f"127.0.0.1:{port}"
            ports = _ports(address)

            def measure(candidate: Candidate | None, count: int, seconds: float) -> Load:
                requests = _requests(names[candidate], ports)
                return callers.run(Job(address, requests, count, seconds))

            yield measure
        except StartError as error:
            raise StartError(f"{error}\n{_shortened(log.read_text(errors='replace'))}") from error
        finally:
            children.stop(child, _STOP_SECONDS)


def takes_threads(program: str) -> bool:
    """Whether a model server takes the number of batch threads from a model's file.

    TensorFlow Serving does not: its models share one pool, of which the flags decide.

    Raises:
        StartError: there is no such program.
    """
    return children.model_server_program(program)[-1] == "model-server"


def _shortened(log: str) -> str:
    """What a server printed: of a wrong flag the first lines tell, of a bad model the last."""
    lines = log.strip().splitlines()
    return "\n".join(lines if len(lines) <= 6 else [*lines[:2], "…", *lines[-3:]])


def _link(version: Path, target: Path) -> None:
    """Makes a version's folder anew, of links, without parameters of its own."""
    target.mkdir(parents=True)
    for entry in version.iterdir():
        if entry.name != FILE:
            (target / entry.name).symlink_to(entry.absolute())


def _ports(address: str) -> Ports:
    """How the model is called, by its signatures: it need not be one of Lince's."""
    request = pb.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = _OFF
    with open_channel(address, None) as channel:
        try:
            answer = model_server_stubs(channel).get_model_metadata(request, timeout=60)
        except grpc.RpcError as error:
            raise TuneError(f"the model server: {error.code().name}: {error.details()}") from error
    found = pb.SignatureDefMap.FromString(answer.metadata["signature_def"].value)
    ports = undescribed(_OFF, answer.model_spec.version.value, found).ports
    if ports is None:
        raise TuneError("the model is not an image classifier: there are no calls to measure")
    return ports


def _requests(model: str, ports: Ports) -> list[bytes]:
    """Calls of one image each, noise; serialized."""
    pixels, rng = ports.pixels, np.random.default_rng(0)
    shape = (1, pixels.height or _ANY_SIDE, pixels.width or _ANY_SIDE, pixels.channels)
    made = []
    for _ in range(_REQUESTS):
        request = pb.PredictRequest()
        request.model_spec.name = model
        image = rng.integers(0, 256, shape, np.uint8).astype(ports.dtype)
        request.inputs[ports.input].CopyFrom(to_tensor(image))
        request.output_filter.append(ports.output)
        made.append(request.SerializeToString())
    return made
