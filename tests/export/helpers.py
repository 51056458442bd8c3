"""What the tests of export share: run folders with untrained networks."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_sample_images

from contract.pixels import PixelSpec, to_pixels
from contract.run_folder import RunFolder
from tests.manifests import make_manifest
from training.networks.build import build
from training.recipes import find

#: Keras asks TensorFlow's variables for an array in a way that NumPy 2 calls deprecated.
KERAS_AND_NUMPY = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"


def photographs(count: int) -> list[Image.Image]:
    """Cuttings of scikit-learn's two photographs, each another one."""
    rng = np.random.default_rng(11)
    sources = load_sample_images().images
    cuttings = []
    for number in range(count):
        source = sources[number % 2]
        top, left = rng.integers(0, 200), rng.integers(0, 400)
        cuttings.append(Image.fromarray(source[top : top + 220, left : left + 200]))
    return cuttings


def file_of(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def run_session(folder: Path, signature: str, alias: str, value: Any) -> dict[str, np.ndarray]:
    """Runs a signature as TensorFlow Serving does: restored into the session of a graph."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        chosen = graph.signature_def[signature]
        fetches = {name: info.name for name, info in chosen.outputs.items()}
        return session.run(fetches, {chosen.inputs[alias].name: value})


def make_run(
    folder: Path,
    recipe_name: str,
    pictures: list[Image.Image],
    labels: tuple[str, ...],
    *,
    seed: int = 1,
    kind: str = "PNG",
) -> RunFolder:
    """A complete run of a recipe whose network was never fitted."""
    recipe = find(recipe_name)
    spec: PixelSpec = recipe.input
    keras.utils.set_random_seed(seed)
    network = build(recipe, len(labels))
    # As after a fit: the answers of fresh weights hardly depend on the picture.
    head = network.fit.layers[-1]
    head.kernel.assign(head.kernel * 8)
    model = network.inference
    run = RunFolder(folder)
    folder.mkdir(parents=True)
    run.config.write_text("{}")
    images = np.stack([to_pixels(picture, spec) for picture in pictures])
    targets = np.arange(len(pictures)) % len(labels)
    samples = [
        (f"{number:02}.{kind.lower()}", file_of(picture, kind), labels[targets[number]])
        for number, picture in enumerate(pictures[:24])
    ]
    run.save_test_set(images, targets, None, samples)
    model.save(run.inference_model)
    run.save_outputs(model.predict(images, verbose=0))
    manifest = make_manifest(labels, side=spec.height, channels=spec.channels)
    run.complete(
        replace(
            manifest,
            recipe=recipe.name,
            run=folder.name,
            parameters=model.count_params(),
        )
    )
    return run
