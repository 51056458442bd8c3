"""Heat maps: Grad-CAM's, of each picture for itself, and where the label comes from."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from contract.manifest import Explanation
from export import artifact, signatures
from export.artifact import export
from export.cut import cut
from export.errors import VerificationError
from export.explain import explain
from export.head import head
from export.verify import TOLERANCE
from tests.export.conftest import Exported
from tests.export.helpers import KERAS_AND_NUMPY, run_session
from training.networks.build import build
from training.recipes import find

pytestmark = [pytest.mark.heavy, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]


@dataclass(frozen=True)
class Answer:
    heatmap: np.ndarray
    probabilities: np.ndarray


def asked(function: Any, images: np.ndarray) -> Answer:
    found = function(images=tf.constant(images))
    assert set(found) == {"heatmap", "probabilities"}
    return Answer(found["heatmap"].numpy(), found["probabilities"].numpy())


def explained(model: keras.Model, images: np.ndarray) -> Answer:
    halves = cut(model, head(model))
    assert halves is not None
    spec = tf.TensorSpec([None, *images.shape[1:]], tf.uint8, name="images")
    return asked(explain(halves, spec), images)


def noise(count: int, side: int = 12) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, side, side, 1), dtype=np.uint8)


def small(head: str, kernel: np.ndarray) -> Any:
    """A convolution, the mean of each channel and a dense layer with these weights."""
    inputs = keras.Input((12, 12, 1), dtype="uint8")
    pixels = layers.Rescaling(1 / 255)(inputs)
    channels = layers.Conv2D(4, 3, activation="relu", name="map")(pixels)
    pooled = layers.GlobalAveragePooling2D(name="mean")(channels)
    dense = layers.Dense(kernel.shape[1], activation=head, name="dense")
    scores = dense(pooled)
    dense.kernel.assign(kernel)
    if head == "sigmoid":
        scores = layers.Concatenate()([1 - scores, scores])
    return keras.Model(inputs, scores)


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
def test_it_is_the_weighted_sum_of_the_channels(head: str) -> None:
    # With a mean and one dense layer above, Grad-CAM's weights are the dense layer's own.
    keras.utils.set_random_seed(4)
    kernel = np.random.default_rng(1).normal(size=(4, 3 if head == "softmax" else 1))
    model, images = small(head, kernel), noise(20)
    middle = (
        keras.Model(model.inputs[0], model.get_layer("mean").output)(images).numpy().mean(axis=0)
    )
    model.get_layer("dense").bias.assign(
        -middle @ kernel
    )  # no label is the most probable of all pictures
    got = explained(model, images)
    of_class = kernel if head == "softmax" else np.concatenate([-kernel, kernel], axis=1)
    channels = keras.Model(model.inputs[0], model.get_layer("map").output)(images).numpy()
    top = got.probabilities.argmax(axis=1)
    assert len(set(top)) > 1
    evidence = np.maximum(np.einsum("nhwk,kn->nhw", channels, of_class[:, top]), 0)
    largest = evidence.max(axis=(1, 2), keepdims=True)
    assert (largest > 0).all()
    np.testing.assert_allclose(got.heatmap, evidence / largest, atol=1e-5)
    np.testing.assert_allclose(got.probabilities, model(images), atol=1e-6)


def test_nothing_for_the_label_is_a_map_of_zeros() -> None:
    kernel = np.full((4, 3), -1.0) * [1, 2, 3]  # of all labels, the first has least against it
    got = explained(small("softmax", kernel), noise(5))
    assert not got.heatmap.any()
    assert got.probabilities.argmax(axis=1).tolist() == [0] * 5


def test_a_sure_label_is_explained_too() -> None:
    # Far where the softmax is flat, and its gradient 0: the logit's is not.
    got = explained(small("softmax", np.eye(4, 3) * 1e4 + 1e4), noise(5))
    assert (got.probabilities.max(axis=1) == 1).all()
    assert (got.heatmap.max(axis=(1, 2)) == 1).all()


def test_the_signature_answers_as_serving_default_does(exported: Exported) -> None:
    images = np.asarray(exported.run.test_set()[0])
    got = asked(exported.loaded.signatures["explain"], images)
    np.testing.assert_allclose(got.probabilities, exported.run.outputs(), atol=1e-6)
    assert got.heatmap.dtype == got.probabilities.dtype == np.float32
    assert got.heatmap.shape[0] == len(images)
    assert got.heatmap.min() >= 0
    assert set(got.heatmap.max(axis=(1, 2)).tolist()) <= {0.0, 1.0}


def test_a_map_does_not_depend_on_its_neighbours(exported: Exported) -> None:
    images = np.asarray(exported.run.test_set()[0])
    function = exported.loaded.signatures["explain"]
    together = asked(function, images)
    for number in range(5):
        alone = asked(function, images[number : number + 1])
        np.testing.assert_allclose(alone.heatmap[0], together.heatmap[number], atol=1e-4)
        np.testing.assert_allclose(
            alone.probabilities[0], together.probabilities[number], atol=TOLERANCE
        )


@pytest.mark.filterwarnings("ignore:.*deprecat.*:DeprecationWarning")  # the way is an old one
def test_a_session_answers_the_same(exported: Exported) -> None:
    images = np.asarray(exported.run.test_set()[0][:5])
    expected = asked(exported.loaded.signatures["explain"], images)
    got = run_session(exported.version.folder, "explain", "images", images)
    np.testing.assert_allclose(got["heatmap"], expected.heatmap, atol=1e-4)
    np.testing.assert_allclose(got["probabilities"], expected.probabilities, atol=1e-6)


@pytest.mark.filterwarnings("ignore:.*deprecat.*:DeprecationWarning")
def test_a_nested_backbone_is_saved_once_and_restored(tmp_path: Path) -> None:
    keras.utils.set_random_seed(6)
    pixels = keras.Input((12, 12, 1))
    channels = layers.Conv2D(4, 3, use_bias=False)(pixels)
    normalised = layers.ReLU()(layers.BatchNormalization()(channels))
    backbone = keras.Model(pixels, layers.MaxPooling2D()(normalised))
    inputs = keras.Input((12, 12, 1), dtype="uint8")
    features = layers.Flatten()(backbone(layers.Rescaling(1 / 255)(inputs), training=False))
    scores = layers.Dense(1, activation="sigmoid")(features)
    model = keras.Model(inputs, layers.Concatenate()([1 - scores, scores]))
    halves = cut(model, head(model))
    spec = tf.TensorSpec([None, 12, 12, 1], tf.uint8, name="images")
    assert halves is not None
    signatures.save(model, {"explain": explain(halves, spec)}, str(tmp_path))
    stored = dict(tf.train.list_variables(str(tmp_path / "variables" / "variables")))
    stored.pop("_CHECKPOINTABLE_OBJECT_GRAPH")
    assert sorted(map(tuple, stored.values())) == sorted(tuple(v.shape) for v in model.variables)
    images = noise(6)
    expected = explained(model, images)
    got = run_session(tmp_path, "explain", "images", images)
    np.testing.assert_allclose(got["heatmap"], expected.heatmap, atol=1e-4)
    np.testing.assert_allclose(got["probabilities"], model(images), atol=1e-6)


def test_the_manifest_says_of_which_layer(grey: Exported, colour: Exported) -> None:
    for exported, layer in ((grey, "conv2d_1"), (colour, "conv2d_2")):
        assert exported.version.manifest is not None
        assert exported.version.manifest.explanation == Explanation(layer=layer)


PATCH = 10
CORNERS = [(1, 1), (1, 17), (17, 1), (17, 17)]


def patches(count: int, seed: int, *, striped: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dark noise with a bright patch in one corner, plain or with stripes of two directions.

    Returns:
        images, the number of the corner, and whether the stripes lie (1) or stand (0).
    """
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (count, 28, 28, 1), dtype=np.uint8)
    corners, lying = rng.integers(0, 4, count), rng.integers(0, 2, count)
    for image, corner, lies in zip(images, corners, lying, strict=True):
        top, left = CORNERS[corner]
        patch = image[top : top + PATCH, left : left + PATCH]
        if striped:
            patch = (patch if lies else patch.swapaxes(0, 1))[::2]
        patch[...] = 220
    return images, corners, lying


def fitted(model: keras.Model, loss: str, images: np.ndarray, targets: np.ndarray) -> None:
    model.compile("adam", loss)
    model.fit(images, targets, epochs=5, batch_size=32, verbose=0)


def corner_of(maps: np.ndarray) -> np.ndarray:
    """The corner that each map's centre of mass lies in."""
    places = np.linspace(-1, 1, maps.shape[1])
    down, right = np.einsum("nhw,h->n", maps, places), np.einsum("nhw,w->n", maps, places)
    return 2 * (down > 0) + (right > 0)


def test_the_corner_that_decides_is_the_one_that_is_shown() -> None:
    keras.utils.set_random_seed(1)
    network = build(find("digits-cnn"), 4)
    images, corners, _ = patches(400, 1, striped=False)
    fitted(network.fit, "sparse_categorical_crossentropy", images, corners)
    images, corners, _ = patches(60, 2, striped=False)
    got = explained(network.inference, images)
    assert (got.probabilities.argmax(axis=1) == corners).mean() > 0.95
    shown = got.heatmap.any(axis=(1, 2))
    assert shown.mean() > 0.5  # a dense net above may find nothing but evidence against the others
    assert (corner_of(got.heatmap) == corners)[shown].mean() > 0.95


def test_the_patch_that_decides_is_shown_for_either_of_two_classes() -> None:
    keras.utils.set_random_seed(1)
    network = build(replace(find("digits-cnn"), head="auto"), 2)
    fitted(network.fit, "binary_crossentropy", *patches(400, 1, striped=True)[::2])
    images, corners, lying = patches(60, 2, striped=True)
    got = explained(network.inference, images)
    right = got.probabilities.argmax(axis=1) == lying
    assert right.mean() > 0.95
    for lies in (0, 1):
        assert (corner_of(got.heatmap) == corners)[right & (lying == lies)].mean() > 0.95


def wrong(change: Any) -> Any:
    """`explain` with its answer changed."""

    def made(halves: Any, spec: Any, weights: Any) -> Any:
        true = explain(halves, spec, weights)

        @tf.function(input_signature=[spec])
        def call(images: tf.Tensor) -> dict[str, tf.Tensor]:
            return true(images) | change(true(images))

        return call

    return made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: {"heatmap": found["heatmap"] * np.nan}, "not within 0..1"),
        (lambda found: {"heatmap": found["heatmap"] * 1.5}, "not within 0..1"),
        (lambda found: {"heatmap": found["heatmap"][:, :, 0]}, r"of the shape \(32, 11\)"),
        (lambda found: {"heatmap": found["heatmap"][:1]}, r"of the shape \(1, 11, 11\)"),
        (lambda found: {"probabilities": found["probabilities"][:, ::-1]}, "a probability of"),
    ],
    ids=["not a number", "too large", "no height", "one for all", "other probabilities"],
)
def test_a_wrong_explanation_is_not_published(
    grey: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Any, message: str
) -> None:
    monkeypatch.setattr(artifact, "explain", wrong(change))
    with pytest.raises(VerificationError, match=f"`?explain`?.*{message}|{message}.*`explain`"):
        export(grey.run, tmp_path / "models")
    assert not list((tmp_path / "models" / "digits-cnn").glob("[0-9]*"))


def test_an_explanation_that_the_manifest_does_not_know_is_told(
    grey: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "Explanation", lambda **_: None)
    with pytest.raises(VerificationError, match="manifest and signatures differ about `explain`"):
        export(grey.run, tmp_path / "models")
