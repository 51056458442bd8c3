"""Fashion-MNIST (Zalando, MIT license): 60,000 training and 10,000 test pictures, 28×28, grey."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.data import arrays
from training.data.arrays import ArrayPart
from training.data.cache import complete_folder
from training.data.dataset import DataRequest, DataSet, Say
from training.data.download import TIMEOUT_SECONDS, download
from training.data.sources import SOURCES, Part
from training.errors import SourceError

_SOURCE = SOURCES["fashion-mnist"]
# SHA-256 of the unpacked files: each distributor has compressed them anew.
_FILES = {file.name.removesuffix(".gz"): file.sha256 for file in _SOURCE.files}
#: Where Keras's own `keras.datasets.fashion_mnist` downloads from.
_KERAS = _SOURCE.files[0].url.rpartition("/")[0]
_DEBIAN_PACKAGE = "dataset-fashion-mnist"
_DEBIAN_FOLDER = Path("usr/share/datasets/fashion-mnist")
_APT_SECONDS = 120
_IMAGES_HEADER, _LABELS_HEADER = 16, 8


def load(request: DataRequest, say: Say) -> DataSet:
    """Returns the data set, from the first source that has it; the last 10,000 are the test set.

    Raises:
        SourceError: no source had it; the text says what each one answered.
        DataError: as `arrays.load`.
    """
    folder = request.cache / "fashion-mnist"
    source = _find(folder, say)
    return arrays.load(
        [
            _part(folder, "train", "train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
            _part(folder, "test", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
        ],
        request,
        say,
        name="fashion-mnist",
        source=source,
        labels=_SOURCE.classes,
        key="\0".join(_FILES.values()),
    )


def _part(folder: Path, part: Part, images: str, labels: str) -> ArrayPart:
    return ArrayPart(
        part=part,
        targets=np.fromfile(folder / labels, np.uint8, offset=_LABELS_HEADER).astype(np.int64),
        read=lambda: [_images(folder / images)],
    )


def _images(path: Path) -> NDArray[np.uint8]:
    return np.fromfile(path, np.uint8, offset=_IMAGES_HEADER).reshape(-1, 28, 28)


def _find(folder: Path, say: Say) -> str:
    if _is_sound(folder):
        say(f"fashion-mnist: from the cache {folder}")
        return "cache"
    shutil.rmtree(folder, ignore_errors=True)
    sources: dict[str, Callable[[str, Path], bytes]] = {
        "Keras's download": _from_keras,
        f"Debian's package {_DEBIAN_PACKAGE}, installed": _from_installed_package,
        f"Debian's package {_DEBIAN_PACKAGE}, fetched with apt-get": _from_fetched_package,
    }
    answers = []
    for name, read in sources.items():
        try:
            with complete_folder(folder) as target, tempfile.TemporaryDirectory() as scratch:
                for file, digest in _FILES.items():
                    (target / file).write_bytes(_verified(file, read(file, Path(scratch)), digest))
        except (SourceError, OSError) as error:  # a full disk, say
            say(f"fashion-mnist: not from {name}: {error}")
            answers.append(f"{name}: {error}")
        else:
            say(f"fashion-mnist: from {name}")
            return name
    raise SourceError(
        "fashion-mnist can't be had from any source (give a folder of class folders with --data"
        " instead, or train digits-cnn, which needs no download):\n" + "\n".join(answers)
    )


def _is_sound(folder: Path) -> bool:
    try:
        return all(_digest((folder / name).read_bytes()) == known for name, known in _FILES.items())
    except OSError:
        return False


def _verified(name: str, packed: bytes, digest: str) -> bytes:
    try:
        data = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{name}.gz is broken: {error}") from error
    if _digest(data) != digest:
        raise SourceError(f"{name}.gz has a wrong checksum")
    return data


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _from_keras(name: str, scratch: Path) -> bytes:
    return download(f"{_KERAS}/{name}.gz", scratch / f"{name}.gz").read_bytes()


def _from_installed_package(name: str, _scratch: Path, root: Path = Path("/")) -> bytes:
    path = root / _DEBIAN_FOLDER / f"{name}.gz"
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path} is not there") from error


def _from_fetched_package(name: str, scratch: Path) -> bytes:
    root = scratch / "package"
    if not root.exists():
        _fetch_package(scratch, root)
    return _from_installed_package(name, scratch, root)


def _fetch_package(scratch: Path, root: Path) -> None:
    """Downloads and unpacks the Debian package without root and without installing it."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise SourceError("this is no Debian")
    # Package lists of our own: the system's may be missing, and only root may renew them.
    lists, archives = scratch / "lists", scratch / "archives"
    for folder in (lists / "partial", archives / "partial"):
        folder.mkdir(parents=True)
    apt = ["apt-get", "-qq", f"-oAcquire::http::Timeout={TIMEOUT_SECONDS:.0f}"]
    apt += [f"-oAcquire::https::Timeout={TIMEOUT_SECONDS:.0f}", "-oAcquire::Retries=0"]
    own = [*apt, f"-oDir::State::Lists={lists}", f"-oDir::Cache={archives}"]
    fetch = ["-oAPT::Sandbox::User=root", "download", _DEBIAN_PACKAGE]
    try:
        _run([*apt, *fetch], scratch)
    except SourceError:
        _run([*own, "update"], scratch)
        _run([*own, *fetch], scratch)
    packages = sorted(scratch.glob(f"{_DEBIAN_PACKAGE}_*.deb"))
    if not packages:
        raise SourceError("apt-get brought no package")
    _run(["dpkg-deb", "-x", str(packages[-1]), str(root)], scratch)


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_APT_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise SourceError(f"{command[0]} took longer than {_APT_SECONDS} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise SourceError(f"{command[0]}: {lines[-1]}")
