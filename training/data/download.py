"""One file from the internet: verified, resumed, and given up when it hangs."""

from __future__ import annotations

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from training.data.cache import DISK_FULL, lacking_space
from training.errors import SourceError

#: Seconds without a connection or a byte after which a download is given up.
TIMEOUT_SECONDS = 10.0
#: A download slower than this for a whole patience is given up too: it would never end.
_LEAST_BYTES_PER_SECOND = 2_000
_PATIENCE_SECONDS = 30.0
_BLOCK = 1 << 18


def download(url: str, target: Path, sha256: str | None = None, *, size: int | None = None) -> Path:
    """Downloads a file with a progress bar; what an earlier try got is not fetched again.

    Args:
        url: http or https.
        target: where the file goes, whole or not at all.
        sha256: of the file's bytes; None: the caller verifies what is in it.
        size: bytes of the file, where they are known before the server tells.

    Raises:
        SourceError: no connection, a stall, a broken transfer, a wrong checksum or a full disk.
    """
    if not target.exists():
        part = target.with_name(target.name + ".part")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            if size is not None:
                _check_space(part, size)
            _fetch(url, part)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                raise SourceError(f"{url}: no space left on the disk for {part}") from error
            reason = getattr(error, "reason", None) or error
            raise SourceError(f"{url}: {reason}") from error
        if sha256 and sha256_of(part) != sha256:
            part.unlink()
            raise SourceError(f"{url}: wrong checksum, thrown away")
        part.rename(target)
    return target


def _had(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _check_space(part: Path, size: int) -> None:
    lacks = lacking_space(part.parent, max(0, size - _had(part)))
    if lacks:
        raise SourceError(f"{part.stem}: {lacks}")


def _fetch(url: str, part: Path) -> None:
    had = _had(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={had}-"} if had else {})  # noqa: S310
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS)  # noqa: S310
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is there already
        raise
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            had = 0
        left = response.headers.get("Content-Length", "")
        total = had + int(left) if left.isdecimal() else None
        if total is not None:
            _check_space(part, total)
        with (
            part.open("r+b" if had else "wb") as file,
            tqdm(
                total=total,
                initial=had,
                unit="B",
                unit_scale=True,
                desc=part.stem,
                leave=False,
                disable=None,
            ) as bar,
        ):
            file.seek(had)
            _copy(response, file, bar)
        if total is not None and part.stat().st_size != total:
            raise http.client.IncompleteRead(b"", total - part.stat().st_size)


def _copy(response: http.client.HTTPResponse, file, bar: tqdm) -> None:  # type: ignore[no-untyped-def]
    since, got = time.monotonic(), 0
    while block := response.read1(_BLOCK):
        file.write(block)
        bar.update(len(block))
        got += len(block)
        elapsed = time.monotonic() - since
        if elapsed > _PATIENCE_SECONDS:
            if got < _LEAST_BYTES_PER_SECOND * elapsed:
                raise TimeoutError(f"only {got / elapsed:.0f} bytes a second")
            since, got = time.monotonic(), 0


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
