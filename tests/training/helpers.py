"""What the tests of training share: generated pictures, a local web server, small fits."""

import gzip
import hashlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

from contract.run_folder import RunFolder
from training.data.dataset import DataSet
from training.evaluation.evaluate import evaluate
from training.fitting.fit import train
from training.fitting.options import FitOptions
from training.recipes import find

#: Keras asks TensorFlow's variables for an array in a way that NumPy 2 calls deprecated.
KERAS_AND_NUMPY = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"


def picture(
    seed: int, colour: tuple[int, int, int] = (128, 128, 128), size: int = 24
) -> Image.Image:
    """A noisy picture of one colour, another one for each seed."""
    noise = np.random.default_rng(seed).integers(-60, 60, (size, size + 8, 3))
    return Image.fromarray(np.clip(noise + colour, 0, 255).astype(np.uint8))


COLOURS = {"blue": (40, 40, 200), "green": (40, 200, 40), "red": (200, 40, 40)}


def class_folders(root: Path, counts: dict[str, int], suffix: str = ".png") -> Path:
    """A folder per class with so many pictures, of the class's colour where its name is one."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True)
        for seed in range(count):
            colour = COLOURS.get(name, (100, 150, 200))
            picture(1000 * number + seed, colour).save(root / name / f"{seed:03}{suffix}")
    return root


def data_set(counts: list[int], own_test: int = 0, own_validation: int = 0) -> DataSet:
    """Pictures of one pixel, class by class; the last are its own validation and test set."""
    targets = np.repeat(np.arange(len(counts)), counts)
    return DataSet(
        name="made",
        source="generated",
        labels=tuple("abcdefghij"[: len(counts)]),
        inputs=np.arange(len(targets), dtype=np.uint8).reshape(-1, 1, 1, 1),
        targets=targets,
        own_validation=own_validation,
        own_test=own_test,
    )


def run_of(recipe: str, root: Path, **options: object) -> tuple[RunFolder, list[str]]:
    """Fits and evaluates; returns the run and what was said."""
    said: list[str] = []
    chosen = FitOptions(**options)
    run = train(find(recipe), chosen, runs=root / "runs", cache=root / "cache", say=said.append)
    assert run is not None
    evaluate(run, said.append)
    return run, said


Route = Callable[[BaseHTTPRequestHandler], None]


class Web:
    """A web server on loopback: `routes` by path; `requests` are (path, Range header)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.routes: dict[str, Route] = {}
        self.requests: list[tuple[str, str | None]] = []

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.requests]


@contextmanager
def web_server() -> Iterator[Web]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            web.requests.append((self.path, self.headers.get("Range")))
            route = web.routes.get(self.path)
            if route is None:
                self.send_error(404)
            else:
                route(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    web = Web(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sends(content: bytes, *, length: int | None = None, ranges: bool = False) -> Route:
    """Answers with a content; `length` lies about it, `ranges` understands Range."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        asked = handler.headers.get("Range") if ranges else None
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if asked and start >= len(content):
            handler.send_error(416)
            return
        handler.send_response(206 if asked else 200)
        body = content[start:]
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def drips(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, without end."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b".")
            time.sleep(0.02)
    except OSError:
        return


@contextmanager
def silent_server() -> Iterator[str]:
    """A server that takes the connection and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def closed_port() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def fashion_files(train: int = 30, test: int = 20) -> dict[str, bytes]:
    """The four files of Fashion-MNIST, unpacked, with few pictures."""
    rng = np.random.default_rng(5)
    files = {}
    for name, count in (("train", train), ("t10k", test)):
        pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        sizes = np.array([count, 28, 28], ">u4").tobytes()
        files[f"{name}-images-idx3-ubyte"] = b"\0\0\x08\x03" + sizes + pixels.tobytes()
        files[f"{name}-labels-idx1-ubyte"] = b"\0\0\x08\x01" + sizes[:4] + labels.tobytes()
    return files


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def packed(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{name}.gz": gzip.compress(data) for name, data in files.items()}
