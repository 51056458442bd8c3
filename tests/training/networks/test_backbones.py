"""Backbones: preprocessing, freezing, batch normalisation's mode, weights from a file."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.training.helpers import KERAS_AND_NUMPY
from training.errors import DataError, RecipeError, WeightsError
from training.networks import backbones
from training.networks.build import build
from training.recipes import find
from training.recipes.recipe import NO_WEIGHTS, Backbone

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings(KERAS_AND_NUMPY)]

PREPROCESSING = {
    "InceptionV3": keras.applications.inception_v3,
    "VGG16": keras.applications.vgg16,
    "VGG19": keras.applications.vgg19,
    "ResNet50": keras.applications.resnet50,
    "MobileNetV2": keras.applications.mobilenet_v2,
    "EfficientNetV2B0": keras.applications.efficientnet_v2,
}
RECIPES = {
    "InceptionV3": "inception-v3-transfer",
    "VGG16": "vgg16-fine-tuning",
    "VGG19": "cifar10-vgg19",
    "ResNet50": "cifar10-resnet50",
    "MobileNetV2": "mobilenet-v2-transfer",
    "EfficientNetV2B0": "efficientnet-v2-b0-transfer",
}
PIXELS = np.random.default_rng(3).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", PREPROCESSING)
def test_each_backbone_keeps_its_own_preprocessing(name: str, tmp_path: Path) -> None:
    pixels = keras.Input((32, 32, 3), dtype="uint8")
    model = keras.Model(pixels, backbones.preprocessed(Backbone(name=name), pixels))
    model.save(tmp_path / "m.keras")  # of stock layers: it needs none of our code
    loaded = keras.models.load_model(tmp_path / "m.keras")
    wanted = PREPROCESSING[name].preprocess_input(PIXELS.astype(np.float32))
    np.testing.assert_allclose(loaded.predict(PIXELS, verbose=0), wanted, atol=1e-6)


def test_pictures_are_enlarged_inside_the_model() -> None:
    pixels = keras.Input((32, 32, 3), dtype="uint8")
    wanted = Backbone(name="VGG19", upsample=96)
    assert backbones.preprocessed(wanted, pixels).shape == (None, 96, 96, 3)
    odd = Backbone(name="VGG19", upsample=100)
    with pytest.raises(RecipeError, match="32×32 can't be enlarged to 100×100"):
        backbones.preprocessed(odd, pixels)


@pytest.mark.parametrize("name", RECIPES)
def test_fine_tuning_unfreezes_the_last_block_without_batch_normalisation(name: str) -> None:
    recipe = find(RECIPES[name])
    assert recipe.backbone is not None
    recipe = replace(recipe, backbone=replace(recipe.backbone, weights=NO_WEIGHTS))
    network = build(recipe, 3)
    backbone = network.backbone
    backbones.unfreeze(backbone, backbones.last_block(recipe.backbone))
    thawed = [layer for layer in backbone.layers if layer.trainable_weights]
    assert thawed
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in thawed)
    trained = sum(int(np.prod(weight.shape)) for weight in backbone.trainable_weights)
    share = trained / backbone.count_params()
    assert 0.01 < share < 0.75
    backbones.unfreeze(backbone, None)
    assert not backbone.trainable_weights


QUICK = ("MobileNetV2", "VGG16")
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in RECIPES if name not in QUICK]


@pytest.mark.parametrize("name", [*QUICK, *SLOW])
def test_a_fine_tuning_step_moves_the_unfrozen_layers_alone(name: str) -> None:
    recipe = find(RECIPES[name])
    assert recipe.backbone is not None
    backbone = replace(recipe.backbone, weights=NO_WEIGHTS)
    length = 80 if name == "InceptionV3" else 32  # which takes none smaller than 75
    side = replace(recipe.input, height=length, width=length)
    pixels = np.resize(PIXELS, (4, length, length, 3))
    network = build(replace(recipe, backbone=backbone, input=side), 3)
    backbones.unfreeze(network.backbone, backbones.last_block(backbone))
    model = network.fit
    model.compile("adam", "sparse_categorical_crossentropy")
    before = {weight.path: weight.numpy() for weight in network.backbone.weights}
    model.fit(pixels, np.array([0, 1, 2, 0]), verbose=0)
    moved = {
        weight.path
        for weight in network.backbone.weights
        if not np.array_equal(weight.numpy(), before[weight.path])
    }
    # Statistics of batch normalisation included: they stay those of the backbone's own training.
    trained = {weight.path for weight in network.backbone.trainable_weights}
    assert moved
    assert moved <= trained


def test_the_backbone_answers_the_same_in_training(tmp_path: Path) -> None:
    recipe = find("mobilenet-v2-transfer")
    assert recipe.backbone is not None
    backbone = replace(recipe.backbone, weights=NO_WEIGHTS, alpha=0.35)
    side = replace(recipe.input, height=32, width=32)
    network = build(replace(recipe, backbone=backbone, input=side, architecture="gap"), 3)
    # As the backbone itself would with statistics of its own.
    backbones.unfreeze(network.backbone, backbones.last_block(backbone))
    calm, fitting = (network.fit(PIXELS, training=training) for training in (False, True))
    np.testing.assert_array_equal(calm, fitting)


def test_weights_come_from_a_file(tmp_path: Path) -> None:
    original = keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.35
    )
    file = tmp_path / "mine.weights.h5"
    original.save_weights(file)
    loaded = backbones.load(Backbone(name="MobileNetV2", alpha=0.35, weights=str(file)), (32, 32))
    for one, other in zip(original.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    with pytest.raises(WeightsError, match=r"mine\.weights\.h5: is no file of weights of VGG16"):
        backbones.load(Backbone(name="VGG16", weights=str(file)), (32, 32))
    with pytest.raises(WeightsError, match=r"MobileNetV2 with alpha 1\.0 without its top"):
        backbones.load(Backbone(name="MobileNetV2", weights=str(file)), (32, 32))


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all", b"\x89HDF\r\n\x1a\n" + bytes(5000)])
def test_a_file_that_holds_no_weights_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "torn.weights.h5"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"torn\.weights\.h5: is no file of weights of VGG16"):
        backbones.load(Backbone(name="VGG16", weights=str(file)), (32, 32))
    with pytest.raises(WeightsError, match="no such file, nor one of 'imagenet' and 'none'"):
        backbones.load(Backbone(name="VGG16", weights="nowhere.h5"), (32, 32))


def test_weights_that_cant_be_downloaded_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError("URL fetch failure: refused")

    module = "keras.src.applications.vgg16.file_utils.get_file"
    monkeypatch.setattr(module, refused)
    with pytest.raises(
        WeightsError, match=r"(?s)imagenet weights can't be had.*--weights"
    ) as error:
        backbones.load(Backbone(name="VGG16"), (32, 32))
    assert isinstance(error.value, DataError)


def test_a_layer_that_is_not_there_is_named_with_some_that_are() -> None:
    with pytest.raises(RecipeError, match=r"vgg16 has no layer 'mixed7'; .*block5_conv3"):
        backbones.load(Backbone(name="VGG16", weights=NO_WEIGHTS, cut="mixed7"), (32, 32))
