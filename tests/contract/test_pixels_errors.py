"""Pixel rule 1: bytes that give no pixels, whatever they are, and pictures that are too large."""

import io
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.errors import (
    BrokenImageError,
    ContractError,
    ImageError,
    ImageTooLargeError,
    NotAnImageError,
)
from contract.pixels import MOST_PIXELS, PixelSpec, decode, to_pixels
from tests.contract import pictures
from tests.contract.pictures import ANY_COLOUR, SMALL_COLOUR, SMALL_GREY, pattern, png, save

EVERY = pictures.every()

# Pillow warns of what is odd in a file; where the filter makes that an error, it would hide what a
# process without the filter does next.
as_in_production = pytest.mark.filterwarnings("ignore::Warning:PIL")


def pixels_or_image_error(data: bytes, spec: PixelSpec = SMALL_COLOUR) -> np.ndarray | None:
    try:
        result = decode(data, spec, max_pixels=200_000)
    except ImageError:
        return None
    height, width = spec.height or result.shape[0], spec.width or result.shape[1]
    assert result.shape == (height, width, spec.channels)
    assert 0 < result.size <= 200_000 * spec.channels
    assert result.dtype == np.uint8
    return result


# Not an image.


NOT_IMAGES = {
    "empty": b"",
    "zeros": bytes(1000),
    "text": b"Dear sir or madam, " * 20,
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "json": b'{"instances": []}',
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(100),
    "zip": b"PK\x03\x04" + bytes(100),
    "riff that is no webp": b"RIFF\x24\0\0\0WAVEfmt " + bytes(40),
    "pam": b"P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 255\nENDHDR\n\0",
    "xbm": b"#define a_width 8\n#define a_height 1\nstatic char a_bits[] = {\n0xff\n};\n",
} | {
    kind: save(Image.fromarray(pattern(16, 16, 3)), kind)
    for kind in ("EPS", "ICO", "TGA", "JPEG2000", "ICNS", "PCX", "SGI", "DDS", "PDF")
}


@pytest.mark.parametrize("name", NOT_IMAGES)
def test_not_an_image(name: str) -> None:
    with pytest.raises(NotAnImageError, match=r"empty file" if name == "empty" else r"known are"):
        decode(NOT_IMAGES[name], SMALL_COLOUR)


@pytest.mark.parametrize("header", [b"P5 0 0 255\n", b"P5 1 0 255\n", png(0, 1, 8, 0, b"")])
def test_no_pixels_is_an_error(header: bytes) -> None:
    with pytest.raises(ImageError):
        decode(header, ANY_COLOUR)


def test_one_error_class_catches_all() -> None:
    for kind in (NotAnImageError, BrokenImageError, ImageTooLargeError):
        assert issubclass(kind, ImageError)
    assert issubclass(ImageError, ContractError)


# Truncated and corrupt.


@pytest.mark.parametrize(
    "name", ["jpeg", "jpeg grey", "png", "webp", "gif", "bmp", "tiff", "tiff lzw, turned", "ppm"]
)
def test_half_a_picture_is_broken(name: str) -> None:
    data = EVERY[name]
    with pytest.raises(BrokenImageError, match=r"(truncated or|header is) corrupt"):
        decode(data[: len(data) * 6 // 10], SMALL_COLOUR)


@as_in_production
@pytest.mark.parametrize("name", EVERY)
def test_cut_anywhere(name: str) -> None:
    data = EVERY[name]
    for end in sorted({*range(40), *range(40, len(data), max(1, len(data) // 50)), len(data) - 1}):
        pixels_or_image_error(data[:end])


def test_an_opened_image_that_is_cut() -> None:
    image = Image.open(io.BytesIO(EVERY["png"][:200]))
    with pytest.raises(BrokenImageError):
        to_pixels(image, SMALL_COLOUR)


@as_in_production
@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    name=st.sampled_from(sorted(EVERY)),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), max_size=8),
    header=st.booleans(),
    spec=st.sampled_from([SMALL_COLOUR, SMALL_GREY, ANY_COLOUR]),
)
def test_flipped_bits(
    name: str, flips: list[tuple[float, int]], header: bool, spec: PixelSpec
) -> None:
    data = bytearray(EVERY[name])
    reach = min(len(data), 200) if header else len(data)
    for where, bits in flips:
        data[int(where * reach)] ^= bits
    result = pixels_or_image_error(bytes(data), spec)
    assert flips or result is not None


@as_in_production
@settings(max_examples=300, deadline=None, derandomize=True)
@given(head=st.sampled_from(["", *sorted(EVERY)]), keep=st.integers(2, 60), tail=st.binary())
def test_any_bytes(head: str, keep: int, tail: bytes) -> None:
    pixels_or_image_error(EVERY.get(head, b"")[:keep] + tail)


# Too large: refused by the header.


def tiff_header(width: int, height: int) -> bytes:
    tags = [(256, width), (257, height), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1)]
    tags += [(278, height), (279, width * height)]
    packed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + packed + bytes(4)


def patched(name: str, offset: int, layout: str, *values: int) -> bytes:
    data = bytearray(EVERY[name])
    struct.pack_into(layout, data, offset, *values)
    return bytes(data)


def webp_canvas(width: int, height: int) -> bytes:
    data = bytearray(EVERY["webp animation"])
    assert data[12:16] == b"VP8X"
    data[24:30] = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return bytes(data)


BOMBS = {
    "png": png(20_000, 20_000, 8, 2, b""),
    "png 1 bit": png(20_000, 20_000, 1, 0, bytes(2501) * 100),
    "png below Pillow's error": png(12_000, 8_000, 8, 2, b""),
    "jpeg": patched("jpeg", EVERY["jpeg"].index(b"\xff\xc0") + 5, ">HH", 20_000, 20_000),
    "gif": patched("gif", 6, "<HH", 20_000, 20_000),
    "bmp": patched("bmp", 18, "<ii", 20_000, 20_000),
    "tiff": tiff_header(20_000, 20_000),
    "ppm": b"P6 20000 20000 255\n" + bytes(100),
    "webp": webp_canvas(16_000, 16_000),
    "avif": patched("avif", EVERY["avif"].index(b"ispe") + 8, ">II", 20_000, 20_000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bomb(name: str) -> None:
    # AVIF's library compares the header's size with its own limit before Pillow does.
    error = ImageError if name == "avif" else ImageTooLargeError
    with pytest.raises(error):
        decode(BOMBS[name], SMALL_COLOUR)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")  # as in production
@pytest.mark.parametrize("width", [12_000, 14_000])
def test_between_pillows_warning_and_its_error(width: int) -> None:
    with pytest.raises(ImageTooLargeError, match=rf"{width}×8000 = .* more than the 89,478,485"):
        decode(png(width, 8_000, 8, 2, b""), SMALL_COLOUR)


MEASURE = """
import resource, sys, warnings
from pathlib import Path
from contract.errors import ImageError
from contract.pixels import PixelSpec, decode
warnings.simplefilter("ignore")
spec = PixelSpec(height=9, width=7, channels=3)
files = sorted(Path(sys.argv[1]).iterdir())
for file in files:  # the first time loads Pillow's plugins
    if file.name.startswith("small"):
        decode(file, spec)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for file in files:
    if file.name.startswith("bomb"):
        try:
            decode(file, spec)
        except ImageError:
            continue
        sys.exit(f"{file} was decoded")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_bombs_take_no_memory(tmp_path: Path) -> None:
    for name, data in EVERY.items():
        (tmp_path / f"small {name}").write_bytes(data)
    for name, data in BOMBS.items():
        (tmp_path / f"bomb {name}").write_bytes(data)
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 16 * 2**20  # one plane of a bomb is 95 MB and more


@pytest.mark.parametrize("name", EVERY)
def test_the_limit_is_the_callers(name: str) -> None:
    decode(EVERY[name], SMALL_COLOUR, max_pixels=31 * 23)
    with pytest.raises(ImageTooLargeError, match="= 713 pixels, more than the 712 allowed"):
        decode(EVERY[name], SMALL_COLOUR, max_pixels=31 * 23 - 1)


def test_the_default_limit_is_pillows() -> None:
    assert Image.MAX_IMAGE_PIXELS == MOST_PIXELS


# Paths.


def test_a_path_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        decode(tmp_path, SMALL_COLOUR)
    with pytest.raises(FileNotFoundError):
        decode(tmp_path / "none.png", SMALL_COLOUR)


# Threads.


def test_threads_see_what_one_sees() -> None:
    names = sorted(EVERY)
    specs = [SMALL_COLOUR, SMALL_GREY, ANY_COLOUR]
    alone = {name: [decode(EVERY[name], spec).tobytes() for spec in specs] for name in names}

    def work(start: int) -> list[str]:
        turned = names[start:] + names[:start]
        return [
            name
            for name in turned
            if [decode(EVERY[name], spec).tobytes() for spec in specs] != alone[name]
        ]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(0, 32, 4))) == [[]] * 8


FIRST_USE = """
import sys, threading
from pathlib import Path
from contract.pixels import PixelSpec, decode
files = sorted(Path(sys.argv[1]).iterdir())
gate, wrong = threading.Barrier(len(files)), []
def work(file):
    gate.wait()
    try:
        decode(file, PixelSpec(height=9, width=7, channels=3))
    except Exception as error:
        wrong.append(f"{file.name}: {error!r}")
threads = [threading.Thread(target=work, args=[file]) for file in files]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit("\\n".join(wrong) or None)
"""


def test_the_first_pictures_of_a_process_may_come_at_once(tmp_path: Path) -> None:
    for name, data in EVERY.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-W", "error", "-c", FIRST_USE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
