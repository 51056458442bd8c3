"""Keras 3 and Keras 2 models, each by its own ways to save; Keras 2 is the package tf_keras."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tests.server.model_server.zoo_table import Call, Specimen, strings


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings that Keras causes while it saves; this repository's own ones stay."""
    with warnings.catch_warnings():
        # Keras asks TensorFlow's variables for an array in a way that NumPy 2 calls deprecated.
        warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
        yield


def drawn(seed: int, *shape: int) -> np.ndarray:
    """Weights or inputs, of a normal distribution."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def convolution(images: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """images [N, H, W, C] by kernel [h, w, C, K], without padding."""
    windows = np.lib.stride_tricks.sliding_window_view(images, kernel.shape[:2], (1, 2))
    return np.einsum("nxychw,hwck->nxyk", windows, kernel) + bias


# An image classifier, with what behaves another way in training than in inference.

IMAGES = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 3), np.uint8)
IMAGE_WEIGHTS = {
    "maps": (drawn(2, 3, 3, 3, 4), drawn(3, 4)),
    # Scale, shift, mean, variance.
    "normal": (drawn(4, 4), drawn(5, 4), drawn(6, 4), drawn(7, 4) ** 2 + 0.5),
    "probabilities": (drawn(8, 4, 2), drawn(9, 2)),
}
"""By layer; the random layers have only a seed, which stays as it is."""


def image_model(library: Any) -> Any:
    """uint8 [N, 8, 8, 3] → probabilities [N, 2]; the same layers in Keras 2 and 3."""
    layers = library.layers
    model = library.Sequential(
        [
            library.Input([8, 8, 3], dtype="uint8", name="images"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu", name="maps"),
            layers.BatchNormalization(epsilon=0.01, name="normal"),
            layers.Dropout(0.9),
            layers.GaussianNoise(1.0),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, activation="softmax", name="probabilities"),
        ]
    )
    for name, weights in IMAGE_WEIGHTS.items():
        model.get_layer(name).set_weights(list(weights))
    return model


def _probabilities(images: np.ndarray) -> np.ndarray:
    maps = relu(convolution(images / np.float32(255), *IMAGE_WEIGHTS["maps"]))
    scale, shift, mean, variance = IMAGE_WEIGHTS["normal"]
    normal = (maps - mean) / np.sqrt(variance + 0.01) * scale + shift
    kernel, bias = IMAGE_WEIGHTS["probabilities"]
    return softmax(normal.mean((1, 2)) @ kernel + bias)


def write_exported(folder: Path) -> None:
    """Keras 3: model.export."""
    with quiet():
        image_model(keras).export(folder, "tf_saved_model", verbose=False)


def write_saved(folder: Path) -> None:
    """Keras 3: tf.saved_model.save."""
    with quiet():
        tf.saved_model.save(image_model(keras), str(folder))


def write_keras2(folder: Path) -> None:
    """Keras 2: model.save in TensorFlow's format."""
    import tf_keras

    image_model(tf_keras).save(folder, save_format="tf")


# Two inputs, two outputs.

LEFT, RIGHT = drawn(20, 5, 3), drawn(21, 5, 2)
PAIR_WEIGHTS = (drawn(22, 5, 2), drawn(23, 2), drawn(24, 5, 1), drawn(25, 1))
_BOTH = np.concatenate([LEFT, RIGHT], 1)
PAIR_OUTPUTS = {
    "kind": softmax(_BOTH @ PAIR_WEIGHTS[0] + PAIR_WEIGHTS[1]),
    "risk": sigmoid(_BOTH @ PAIR_WEIGHTS[2] + PAIR_WEIGHTS[3]),
}


def pair_model(library: Any) -> Any:
    """left [N, 3], right [N, 2] → kind [N, 2], risk [N, 1]."""
    layers = library.layers
    left, right = library.Input([3], name="left"), library.Input([2], name="right")
    both = layers.Concatenate()([left, right])
    outputs = {
        "kind": layers.Dense(2, activation="softmax", name="kind")(both),
        "risk": layers.Dense(1, activation="sigmoid", name="risk")(both),
    }
    model = library.Model({"left": left, "right": right}, outputs)
    for name, weights in (("kind", PAIR_WEIGHTS[:2]), ("risk", PAIR_WEIGHTS[2:])):
        model.get_layer(name).set_weights(list(weights))
    return model


def write_pair(folder: Path) -> None:
    """Keras 3: a functional model with names for its inputs and outputs."""
    with quiet():
        pair_model(keras).export(folder, "tf_saved_model", verbose=False)


def write_keras2_pair(folder: Path) -> None:
    """Keras 2: the same."""
    import tf_keras

    tf.saved_model.save(pair_model(tf_keras), str(folder))


# Preprocessing in the model.

VOCABULARY = ("cat", "dog", "owl")
NUMBERS = drawn(30, 3, 2)
WORDS = strings(b"owl", b"cow", b"cat")
TEXTS = strings(b"The CAT, the dog!", b"owl", b"cow owl cat dog")


def preprocessing_model(library: Any) -> Any:
    """number [N, 2], word [N, 1], text [N, 1] → the three, as numbers."""
    layers = library.layers
    number = library.Input([2], name="number")
    word = library.Input([1], dtype="string", name="word")
    text = library.Input([1], dtype="string", name="text")
    outputs = {
        "normal": layers.Normalization(mean=[1.0, -2.0], variance=[4.0, 9.0], name="normal")(
            number
        ),
        "id": layers.StringLookup(vocabulary=list(VOCABULARY), name="id")(word),
        "tokens": layers.TextVectorization(
            vocabulary=list(VOCABULARY), output_sequence_length=3, name="tokens"
        )(text),
    }
    return library.Model({"number": number, "word": word, "text": text}, outputs)


PREPROCESSED = {
    "normal": (NUMBERS - np.float32([1, -2])) / np.float32([2, 3]),
    "id": np.array([[3], [0], [1]]),
    # 0 is the padding, 1 the unknown word.
    "tokens": np.array([[1, 2, 1], [4, 0, 0], [1, 4, 2]]),
}
PREPROCESSING = Call(
    {"number": NUMBERS, "word": WORDS[:, np.newaxis], "text": TEXTS[:, np.newaxis]}, PREPROCESSED
)


def write_preprocessing(folder: Path) -> None:
    """Keras 3: lookup tables, and strings split into ragged tensors on the way."""
    with quiet():
        preprocessing_model(keras).export(folder, "tf_saved_model", verbose=False)


def write_keras2_preprocessing(folder: Path) -> None:
    """Keras 2: the same."""
    import tf_keras

    preprocessing_model(tf_keras).save(folder, save_format="tf")


# A recurrent network.

SEQUENCES = drawn(40, 3, 6, 2)
LSTM_WEIGHTS = (drawn(41, 2, 12), drawn(42, 3, 12), drawn(43, 12))


def recurrent_model(library: Any) -> Any:
    """sequence [N, T, 2] → state [N, 3]."""
    sequence = library.Input([None, 2], name="sequence")
    model = library.Model(sequence, library.layers.LSTM(3, name="state")(sequence))
    model.set_weights(list(LSTM_WEIGHTS))
    return model


def _lstm(sequences: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    kernel, recurrent, bias = weights
    state = memory = np.zeros((len(sequences), 3), np.float32)
    for step in sequences.swapaxes(0, 1):
        into, forget, candidate, out = np.split(step @ kernel + state @ recurrent + bias, 4, 1)
        memory = sigmoid(forget) * memory + sigmoid(into) * np.tanh(candidate)
        state = sigmoid(out) * np.tanh(memory)
    return state


def write_recurrent(folder: Path) -> None:
    """Keras 3: a loop over time."""
    with quiet():
        recurrent_model(keras).export(folder, "tf_saved_model", verbose=False)


def write_keras2_recurrent(folder: Path) -> None:
    """Keras 2: the same, with the functions that let cuDNN take over."""
    import tf_keras

    recurrent_model(tf_keras).save(folder, save_format="tf")


STATE = _lstm(SEQUENCES, LSTM_WEIGHTS)
ANSWER = _probabilities(IMAGES)

SPECIMENS = (
    Specimen("keras3-exported", write_exported, (Call({"images": IMAGES}, {"output_0": ANSWER}),)),
    Specimen("keras3-pair", write_pair, (Call({"left": LEFT, "right": RIGHT}, PAIR_OUTPUTS),)),
    Specimen("keras3-preprocessing", write_preprocessing, (PREPROCESSING,)),
    Specimen(
        "keras3-recurrent",
        write_recurrent,
        (Call({"sequence": SEQUENCES}, {"output_0": STATE}),),
    ),
    Specimen("keras2-saved", write_keras2, (Call({"images": IMAGES}, {"probabilities": ANSWER}),)),
    Specimen(
        "keras2-pair", write_keras2_pair, (Call({"left": LEFT, "right": RIGHT}, PAIR_OUTPUTS),)
    ),
    Specimen("keras2-preprocessing", write_keras2_preprocessing, (PREPROCESSING,)),
    Specimen(
        "keras2-recurrent",
        write_keras2_recurrent,
        (Call({"sequence": SEQUENCES}, {"state": STATE}),),
    ),
)
