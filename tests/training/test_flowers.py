"""The flowers: one archive from one source, unpacked into the cache."""

import io
import tarfile
from pathlib import Path

import pytest

from contract.pixels import PixelSpec
from tests.training import helpers
from tests.training.helpers import Web, sends
from training.data import flowers
from training.errors import DataError, SourceError

SPEC = PixelSpec(height=9, width=9, channels=3)


@pytest.fixture
def archive(tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch) -> bytes:
    photos = helpers.class_folders(tmp_path / "made", {"tulips": 2, "daisy": 3}, ".jpg")
    (photos / "LICENSE.txt").write_text("CC-BY")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(photos, "flower_photos")
    monkeypatch.setattr(flowers, "_URL", f"{web.url}/flower_photos.tgz")
    monkeypatch.setattr(flowers, "_SHA256", helpers.sha256(buffer.getvalue()))
    web.routes["/flower_photos.tgz"] = sends(buffer.getvalue(), ranges=True)
    return buffer.getvalue()


def test_the_archive_is_fetched_once(tmp_path: Path, web: Web, archive: bytes) -> None:
    said: list[str] = []
    data = flowers.load(SPEC, tmp_path / "cache", said.append)
    assert (data.name, data.labels) == ("flowers", ("daisy", "tulips"))
    assert data.targets.tolist() == [0, 0, 0, 1, 1]
    assert said == [f"flowers: from {web.url}/flower_photos.tgz"]
    said.clear()
    again = flowers.load(SPEC, tmp_path / "cache", said.append)
    assert again.fingerprint() == data.fingerprint()
    assert "from the cache" in said[0]
    assert web.paths == ["/flower_photos.tgz"]
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["decoded", "flowers"]


def test_what_was_fetched_before_a_kill_is_kept(tmp_path: Path, web: Web, archive: bytes) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "flower_photos.tgz.part").write_bytes(archive[:500])
    assert len(flowers.load(SPEC, tmp_path / "cache", str).targets) == 5
    assert web.requests == [("/flower_photos.tgz", "bytes=500-")]


@pytest.mark.parametrize(
    ("content", "text"), [(None, "Not Found"), (b"something else", "wrong checksum")]
)
def test_without_the_archive_the_error_says_what_to_do(
    tmp_path: Path, web: Web, archive: bytes, content: bytes | None, text: str
) -> None:
    del web.routes["/flower_photos.tgz"]
    if content is not None:
        web.routes["/flower_photos.tgz"] = sends(content)
    with pytest.raises(SourceError, match=f"(?s){text}.*--data DIR") as caught:
        flowers.load(SPEC, tmp_path / "cache", str)
    assert isinstance(caught.value, DataError)
    assert not list((tmp_path / "cache").iterdir())
