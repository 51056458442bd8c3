"""What a recipe is: how a model is made and what to expect of it, as data without TensorFlow.

A run keeps its recipe, with what the user changed, in run.json: evaluation and resumption read it
from there and never look into the table again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from contract.pixels import PixelSpec

BackboneName = Literal[
    "InceptionV3", "VGG16", "VGG19", "ResNet50", "MobileNetV2", "EfficientNetV2B0"
]
Precision = Literal["float32", "mixed_float16", "mixed_bfloat16"]
#: What `Backbone.weights` says besides the path of a file.
IMAGENET, NO_WEIGHTS = "imagenet", "none"


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """A Keras optimiser.

    Attributes:
        name: Keras's name.
        learning_rate: None is Keras's default for it.
        decay: factor on the learning rate after each epoch; 1 keeps it.
    """

    name: Literal["sgd", "adam", "rmsprop"] = "adam"
    learning_rate: float | None = None
    decay: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the fit; a stage begins with the best weights of the one before.

    Attributes:
        epochs: the most that it may take.
        optimizer: starts anew with the stage.
        unfreeze: the backbone's layers from the one of this name on are trained too; None: frozen.
    """

    epochs: int
    optimizer: Optimizer = Optimizer()
    unfreeze: str | None = None


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A network of keras.applications without its top.

    Attributes:
        name: Keras's name.
        cut: name of the layer whose output are the features; None is the last.
        alpha: width multiplier, MobileNetV2's alone.
        upsample: side in pixels to which the pictures are enlarged inside the model.
        weights: "imagenet" (downloaded by Keras), "none" (random), or the path of a weights file.
    """

    name: BackboneName
    cut: str | None = None
    alpha: float = 1.0
    upsample: int | None = None
    weights: str = IMAGENET


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a model is made, and what is to be expected of it.

    Attributes:
        name: what the command line calls it.
        document: where it is printed.
        task: classification, features (nothing to fit) or regression (no images).
        data: name of its data set in `training.data.sources`.
        classes: number of classes of that data set; any other number works too.
        input: the pixels that the model sees; null sides: any; None: no images.
        architecture: name of its layers in `training.networks.layers`.
        backbone: the pretrained network below these layers.
        head: the last layer of a classification: "softmax" and "logits" have an output per class,
            "auto" has one sigmoid output for two classes and is "softmax" for more.
        loss: the form of the labels of a head with an output per class; both are the same loss.
        stages: of the fit, one after the other.
        batch, seed: of the fit; the seed also decides the split.
        validation_share: share of the pictures held out to choose the best epoch; 0: the last
            epoch is kept.
        test_share: share of the pictures held out for the test set, where the data set has none
            of its own.
        augmentation: name in `training.networks.augmentation`.
        stop_at_accuracy: training ends after the first epoch whose training accuracy is that high.
        patience: epochs without a better validation after which a stage ends; None: never.
        class_weights: rare classes count more, so that all count alike.
        precision: Keras's dtype policy of the fit; export and evaluation are always float32.
        parameters: number of weights with `classes` classes, as its document prints it or computed
            from the layers; None where nobody has counted.
        headline: what its document reports; empty where it reports nothing.
        expected: what to expect of it here, in words.
        least_accuracy: on the test set, for tests: what a sound fit never falls below; None where
            there is no data to try it.
    """

    name: str
    document: str
    task: Literal["classification", "features", "regression"] = "classification"
    data: str
    classes: int
    input: PixelSpec | None
    architecture: str
    backbone: Backbone | None = None
    head: Literal["softmax", "logits", "auto"] = "softmax"
    loss: Literal["sparse_categorical_crossentropy", "categorical_crossentropy"] = (
        "sparse_categorical_crossentropy"
    )
    stages: tuple[Stage, ...]
    batch: int = 32
    seed: int = 123
    validation_share: float = 0.0
    test_share: float = 0.0
    augmentation: str | None = None
    stop_at_accuracy: float | None = None
    patience: int | None = None
    class_weights: bool = False
    precision: Precision = "float32"
    parameters: int | None
    headline: str = ""
    expected: str
    least_accuracy: float | None = None

    @property
    def epochs(self) -> int:
        """The most epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)


def without_weights(recipe: Recipe) -> Recipe:
    """Returns the recipe with a backbone of random weights: to be looked at, or filled later."""
    if recipe.backbone is None:
        return recipe
    return replace(recipe, backbone=replace(recipe.backbone, weights=NO_WEIGHTS))
