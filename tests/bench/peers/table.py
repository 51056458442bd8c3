"""Other servers of models, each the way that its documentation shows, on the same SavedModel.

Each has a virtual environment of its own beside Lince's. It holds the server's own packages alone
and finds TensorFlow, NumPy and Pillow in Lince's: all run the same libraries. What a package pins
otherwise, it gets in its own.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.whole.models import Model
from tests.bench.whole.systems import System

ROOT = Path(__file__).parents[3]
APPS = Path(__file__).parent
#: The model's version folder, for the applications.
VERSION_VARIABLE = "BENCH_VERSION"
_BOUNDARY = "lince-benchmark"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """A server of models.

    Attributes:
        packages: that its environment needs.
        command: words after the environment's bin folder, for a port.
        body: of a request, of a picture's bytes.
        probabilities: of the answer's JSON.
        variables: of its environment, for a port.
    """

    name: str
    packages: tuple[str, ...]
    command: Callable[[int], tuple[str, ...]]
    path: str
    content_type: str
    body: Callable[[bytes], bytes]
    probabilities: Callable[[Any], list[float]]
    variables: Callable[[int], dict[str, str]] = lambda _: {}

    @property
    def environment(self) -> Path:
        """The folder of its virtual environment."""
        return Path(f"{sys.prefix}-peers") / self.name

    @property
    def is_installed(self) -> bool:
        mark = self.environment / "installed"
        return mark.is_file() and mark.read_text() == " ".join(self.packages)

    def install(self) -> None:
        """Makes the environment, unless it is there with these packages.

        Raises:
            CalledProcessError: pip could not install it.
        """
        if self.is_installed:
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", self.environment], check=True)
        (own,) = self.environment.glob("lib/python*/site-packages")
        (lince,) = Path(sys.prefix).glob("lib/python*/site-packages")
        # Comes after its own on the path: what is found there counts.
        (own / "lince.pth").write_text(f"{lince}\n")
        pip = (self.environment / "bin" / "python", "-m", "pip", "install", "-qq")
        subprocess.run([*pip, "--disable-pip-version-check", *self.packages], check=True)
        (self.environment / "installed").write_text(" ".join(self.packages))

    def system(self, model: Model) -> System:
        """The system that serves a model."""

        def command(port: int) -> list[str]:
            program, *words = self.command(port)
            return [str(self.environment / "bin" / program), *words]

        def variables(port: int) -> dict[str, str]:
            own = {VERSION_VARIABLE: str(model.version.absolute()), "PYTHONPATH": str(ROOT)}
            return {**own, **self.variables(port)}

        return System(
            name=self.name,
            command=command,
            variables=variables,
            path=self.path,
            content_type=self.content_type,
            body=self.body,
            probabilities=lambda answer, _: self.probabilities(answer),
        )


def _in_json(data: bytes) -> bytes:
    return json.dumps({"image": base64.b64encode(data).decode()}).encode()


def _in_form(data: bytes) -> bytes:
    disposition = 'Content-Disposition: form-data; name="images"; filename="picture.jpg"'
    head = f"--{_BOUNDARY}\r\n{disposition}\r\nContent-Type: image/jpeg\r\n\r\n"
    return head.encode() + data + f"\r\n--{_BOUNDARY}--\r\n".encode()


def _in_v2(data: bytes) -> bytes:
    """A request of the Open Inference protocol."""
    text = base64.b64encode(data).decode()
    entry = {"name": "image", "datatype": "BYTES", "shape": [1, 1], "data": [text]}
    return json.dumps({"inputs": [{**entry, "parameters": {"content_type": "base64"}}]}).encode()


PEERS: Sequence[Peer] = (
    Peer(
        name="fastapi",
        packages=("fastapi", "uvicorn[standard]"),
        command=lambda port: (
            *("uvicorn", "tests.bench.peers.fastapi_app:app"),
            *(f"--port={port}", "--no-access-log"),
        ),
        path="/classify",
        content_type="image/jpeg",
        body=lambda data: data,
        probabilities=lambda answer: answer["probabilities"],
    ),
    Peer(
        name="bentoml",
        packages=("bentoml",),
        command=lambda port: (
            *("bentoml", "serve", "tests.bench.peers.bentoml_app:Classifier"),
            *(f"--port={port}", f"--working-dir={ROOT}"),
        ),
        path="/classify",
        content_type=f"multipart/form-data; boundary={_BOUNDARY}",
        body=_in_form,
        probabilities=lambda answer: answer[0],
        variables=lambda _: {"BENTOML_DO_NOT_TRACK": "1"},
    ),
    Peer(
        name="litserve",
        packages=("litserve",),
        command=lambda port: ("python", "-m", "tests.bench.peers.litserve_app", str(port)),
        path="/predict",
        content_type="application/json",
        body=_in_json,
        probabilities=lambda answer: answer["probabilities"],
    ),
    Peer(
        name="mlserver",
        # Its workers ask for an event loop in a way that later ones of uvloop refuse.
        packages=("mlserver", "uvloop<0.22"),
        command=lambda _: ("mlserver", "start", str(APPS / "mlserver_app")),
        path="/v2/models/classifier/infer",
        content_type="application/json",
        body=_in_v2,
        probabilities=lambda answer: answer["outputs"][0]["data"],
        variables=lambda port: {
            "MLSERVER_HTTP_PORT": str(port),
            "MLSERVER_GRPC_PORT": str(port + 1),
            "MLSERVER_METRICS_PORT": str(port + 2),
            "MLSERVER_PARALLEL_WORKERS": str(os.cpu_count()),
        },
    ),
)
