"""What Lince itself exports: an image classifier, with its warm-up requests."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from contract import manifest as manifests
from contract.files import write_whole
from export import signatures, warmup
from tests.manifests import make_manifest
from tests.server.model_server.zoo_keras import drawn, quiet, sigmoid, softmax
from tests.server.model_server.zoo_table import Call, Specimen, strings
from training.networks.build import build
from training.recipes import find

IMAGES = np.random.default_rng(50).integers(0, 256, (3, 28, 28, 1), np.uint8)
WEIGHTS = (drawn(51, 784, 10) / 9, drawn(52, 10), drawn(53, 10, 10), drawn(54, 10))
MANIFEST = make_manifest(tuple("0123456789"), side=28, channels=1)


def write(folder: Path) -> None:
    """mnist-mlp, as `export` writes it for a run."""
    with quiet():
        model = build(find("mnist-mlp"), 10).inference
        model.set_weights(list(WEIGHTS))
        ports = signatures.ports(MANIFEST)
        size = signatures.sides(MANIFEST)
        assert size is not None
        by_pixels = signatures.serving_default(model, ports)
        functions = {
            "serving_default": by_pixels,
            "encoded": signatures.encoded(by_pixels, size),
            "describe": signatures.describe(MANIFEST),
        }
        signatures.save(model, functions, str(folder))
    warmup.write(folder, "lince", ports.input.name, IMAGES)
    write_whole(folder / manifests.FILE, manifests.encode(MANIFEST))


def _probabilities() -> np.ndarray:
    first, first_bias, second, second_bias = WEIGHTS
    pixels = IMAGES.reshape(3, 784) / np.float32(255)
    return softmax(sigmoid(pixels @ first + first_bias) @ second + second_bias)


def _files() -> np.ndarray:
    files = []
    for pixels in IMAGES[..., 0]:
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return strings(*files)


DESCRIPTION = manifests.encode(MANIFEST)
ANSWER = {"probabilities": _probabilities()}

SPECIMENS = (
    Specimen(
        "lince",
        write,
        (
            Call({"images": IMAGES}, ANSWER),
            Call({"images": _files()}, ANSWER, "encoded"),
            Call(
                {"query": strings(b"", b"?")},
                {"manifest": strings(DESCRIPTION, DESCRIPTION)},
                "describe",
            ),
        ),
    ),
)
