"""The data sets by name, and what the user gives instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from training.data import archive, builtin, cifar10, fashion_mnist, folder, npz, sources
from training.data.dataset import DataRequest, DataSet, Say
from training.data.download import download, sha256_of
from training.data.sources import Source
from training.errors import DataError, SourceError

_BUILT_IN = {
    "digits": builtin.digits,
    "photographs": builtin.photographs,
    "line": builtin.line,
}


def load(request: DataRequest, say: Say) -> DataSet:
    """Returns a data set in a model's pixels.

    Tried in this order, with a line that says which was taken: what the user gave, the cache, the
    data set's own sources.

    Raises:
        DataError: it could not be had or used; the text says why and what to do.
    """
    if request.given is not None:
        return _given(request.given, request, say)
    source = sources.find(request.name)
    if source.classes:
        _check_pictures(request)  # before anything is downloaded
    return _LOADERS[source.layout](source, request, say)


def _given(given: Path, request: DataRequest, say: Say) -> DataSet:
    _check_pictures(request)
    if given.suffix.lower() == ".npz" and not given.is_dir():
        if not given.is_file():
            raise DataError(f"{given}: no such file")
        say(f"data: the file {given}")
        return npz.load(given, request, say)
    if given.is_file():
        raise DataError(f"{given}: no such folder; it is a file, and not an .npz")
    say(f"data: the folder {given}")
    return folder.load(given, request, say)


def _check_pictures(request: DataRequest) -> None:
    if request.spec is None:
        raise DataError(f"{request.given or request.name}: the model learns from numbers")


def _npz(source: Source, request: DataRequest, say: Say) -> DataSet:
    file = source.files[0]
    path = request.cache / source.name / file.name
    if path.exists() and sha256_of(path) != file.sha256:
        path.unlink()
    where = f"the cache {path}" if path.exists() else file.url
    try:
        download(file.url, path, file.sha256, size=file.size)
    except SourceError as error:
        raise archive.unavailable(source, error) from error
    say(f"{source.name}: from {where}")
    return npz.load(path, request, say, name=source.name, source=source.homepage, key=file.sha256)


def _fashion_mnist(_source: Source, request: DataRequest, say: Say) -> DataSet:
    return fashion_mnist.load(request, say)


def _built_in(source: Source, request: DataRequest, say: Say) -> DataSet:
    return _BUILT_IN[source.name](source, request, say)


_LOADERS: dict[str, Callable[[Source, DataRequest, Say], DataSet]] = {
    "class folders": archive.class_folders,
    "npz": _npz,
    "idx": _fashion_mnist,
    "pickles": cifar10.load,
    "built in": _built_in,
}
