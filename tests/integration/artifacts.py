"""Small artifacts with random weights, for what does not need a fit."""

from pathlib import Path

import keras

from contract import manifest as manifests
from contract.files import write_whole
from export import signatures
from export.versions import Version, publish
from tests.manifests import make_manifest


def publish_random(models: Path, name: str, labels: tuple[str, ...], side: int) -> Version:
    """Publishes a CNN that sorts pictures at random."""
    manifest = make_manifest(labels, side=side)
    model = keras.Sequential(
        [
            keras.Input((side, side, 3), dtype="uint8"),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, strides=4, activation="relu"),
            # Depends on the size: pixels of another version fail or give nonsense.
            keras.layers.Flatten(),
            keras.layers.Dense(len(labels), activation="softmax"),
        ]
    )

    def write(folder: Path) -> None:
        functions = {
            "serving_default": signatures.serving_default(model, signatures.ports(manifest)),
            "describe": signatures.describe(manifest),
        }
        signatures.save(model, functions, str(folder))
        write_whole_in(folder, manifests.encode(manifest))

    return publish(models, name, write)


def write_whole_in(folder: Path, content: bytes) -> None:
    path = folder / manifests.FILE
    path.parent.mkdir(exist_ok=True)
    write_whole(path, content)
