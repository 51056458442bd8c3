"""Damaged pictures of every format against the real gateway: none may harm it."""

import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from PIL import Image

from tests.integration.processes import children, gateway, memory_mb
from tests.manifests import make_manifest
from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer, running
from tests.server.test_problems import bomb

pytestmark = pytest.mark.integration
URL = "/v1/models/pets:classify"
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")
IN_A_REQUEST = 50
#: What a worker may grow by while it sees ten times as many pictures.
MEMORY_MB = 25


def truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def flipped(data: bytes, chance: random.Random) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 2, 8, 64))):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def flipped_head(data: bytes, chance: random.Random) -> bytes:
    return flipped(data[:64], chance) + data[64:]


def other_head(data: bytes, chance: random.Random) -> bytes:
    return chance.choice(originals())[: chance.randrange(4, 40)] + data[chance.randrange(40) :]


def repeated(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    piece = data[start : start + chance.randrange(1, 200)]
    return data[:start] + piece * chance.randrange(2, 20) + data[start:]


def numbers(data: bytes, chance: random.Random) -> bytes:
    """Four bytes, a length or a dimension maybe, become an extreme number."""
    start = chance.randrange(max(1, len(data) - 4))
    extreme = chance.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f"))
    return data[:start] + extreme + data[start + 4 :]


def noise(data: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.randrange(2000))


def huge(data: bytes, chance: random.Random) -> bytes:
    return bomb()


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    truncated,
    flipped,
    flipped_head,
    other_head,
    repeated,
    numbers,
    noise,
    huge,
)
_ORIGINALS: list[bytes] = []


def originals() -> list[bytes]:
    if not _ORIGINALS:
        _ORIGINALS.extend(
            picture(kind, mode="L" if kind == "GIF" else "RGB", size=(60, 40)) for kind in FORMATS
        )
        for kind, mode in (("PNG", "RGBA"), ("PNG", "P"), ("PNG", "I;16"), ("TIFF", "CMYK")):
            buffer = io.BytesIO()
            Image.new(mode, (40, 30)).save(buffer, kind)
            _ORIGINALS.append(buffer.getvalue())
    return _ORIGINALS


def damaged(count: int) -> Iterator[bytes]:
    chance = random.Random(count)
    for number in range(count):
        original = originals()[number % len(originals())]
        yield DAMAGES[number // len(originals()) % len(DAMAGES)](original, chance)


@pytest.mark.parametrize(
    "count", [3_000, pytest.param(100_000, marks=pytest.mark.slow)], ids=["some", "100000"]
)
def test_damaged_pictures(tmp_path: Path, count: int) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    images = {"LINCE_MAX_IMAGES": str(IN_A_REQUEST)}
    with (
        running(fake),
        gateway(["pets"], fake.address, tmp_path, **images) as (process, url),
        httpx.Client(base_url=url, timeout=60) as client,
    ):
        (worker,) = children(process.process.pid)
        early, seen, batch = 0.0, 0, []
        outcomes: set[int] = set()
        for data in damaged(count):
            seen += 1
            if seen == count // 10:
                early = memory_mb(worker)
            if seen % 100 == 0:  # alone, too: its own status
                answer = client.post(URL, content=data)
                assert answer.status_code in (200, 400, 422), answer.text
                continue
            batch.append(("image", ("image", data)))
            if len(batch) == IN_A_REQUEST:
                outcomes |= statuses(client.post(URL, files=batch))
                batch = []
        assert outcomes == {200, 400}
        assert memory_mb(worker) - early < MEMORY_MB
        assert children(process.process.pid) == [worker], "the worker died"
        assert client.post(URL, content=picture()).status_code == 200


def statuses(answer: httpx.Response) -> set[int]:
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert len(results) == IN_A_REQUEST
    return {result.get("problem", {"status": 200})["status"] for result in results}
