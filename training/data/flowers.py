"""TensorFlow's flowers (document D; CC-BY): 3,670 photographs of five classes."""

from __future__ import annotations

import tarfile
from pathlib import Path

from contract.pixels import PixelSpec
from training.data import folder
from training.data.cache import complete_folder
from training.data.dataset import DataSet, Say
from training.data.download import download
from training.errors import SourceError

_URL = "https://storage.googleapis.com/download.tensorflow.org/example_images/flower_photos.tgz"
_SHA256 = "4c54ace7911aaffe13a365c34f650e71dd5bf1be0a58b464e5a7183e3e595d9c"


def load(spec: PixelSpec, cache: Path, say: Say) -> DataSet:
    """Returns the data set, from the cache or the document's own download.

    Raises:
        SourceError: it could not be had.
    """
    photos = cache / "flowers" / "flower_photos"
    if photos.is_dir():
        say(f"flowers: from the cache {photos}")
    else:
        _fetch(photos.parent, say)
    return folder.load(photos, spec, cache, say, name="flowers")


def _fetch(target: Path, say: Say) -> None:
    try:
        archive = download(_URL, target.parent / "flower_photos.tgz", _SHA256)
        with complete_folder(target) as scratch, tarfile.open(archive) as tar:
            # What Python 3.11.4 and newer ask for; the checksum has told that the content is good.
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(scratch)  # noqa: S202
    except (SourceError, tarfile.TarError) as error:
        raise SourceError(
            f"flowers can't be had: {error}\nGive a folder of class folders instead: --data DIR"
        ) from error
    archive.unlink()
    say(f"flowers: from {_URL}")
