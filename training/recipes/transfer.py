"""Transfer learning: a pretrained backbone, and new layers on top of it."""

from __future__ import annotations

from contract.pixels import PixelSpec
from training.recipes.recipe import Backbone, Optimizer, Recipe, Stage


def _colour(side: int) -> PixelSpec:
    return PixelSpec(height=side, width=side, channels=3)


_INCEPTION = Backbone(name="InceptionV3", cut="mixed7")
_ADAM_3, _ADAM_5 = (Optimizer(name="adam", learning_rate=rate) for rate in (1e-3, 1e-5))
_VGG_HEAD = Stage(epochs=30, optimizer=Optimizer(name="rmsprop", learning_rate=2e-5))
_INCEPTION_HEAD = Stage(epochs=15, optimizer=Optimizer(name="rmsprop", learning_rate=1e-4))

RECIPES = (
    Recipe(
        name="inception-v3-transfer",
        document="B 3",
        data="cats-vs-dogs",
        classes=2,
        input=_colour(150),
        architecture="flatten_1024",
        backbone=_INCEPTION,
        head="auto",
        stages=(_INCEPTION_HEAD,),
        validation_share=0.1,
        test_share=0.1,
        parameters=47_512_481,
        headline="training rises, validation drifts away",
        expected="training rises, validation drifts away",
    ),
    Recipe(
        name="inception-v3-transfer-dropout",
        document="B 3.2",
        data="cats-vs-dogs",
        classes=2,
        input=_colour(150),
        architecture="flatten_1024_dropout",
        backbone=_INCEPTION,
        head="auto",
        stages=(_INCEPTION_HEAD,),
        validation_share=0.1,
        test_share=0.1,
        parameters=47_512_481,
        headline="validation follows training",
        expected="validation follows training",
    ),
    Recipe(
        name="vgg16-feature-extraction",
        document="E 11.2.2",
        data="cats-vs-dogs",
        classes=2,
        input=_colour(150),
        architecture="flatten_256",
        backbone=Backbone(name="VGG16"),
        head="auto",
        stages=(_VGG_HEAD,),
        validation_share=0.1,
        test_share=0.1,
        parameters=16_812_353,
        headline="beats the CNN from scratch",
        expected="beats cats-vs-dogs-cnn",
    ),
    Recipe(
        name="vgg16-fine-tuning",
        document="E 11.2.3",
        data="cats-vs-dogs",
        classes=2,
        input=_colour(150),
        architecture="flatten_256",
        backbone=Backbone(name="VGG16"),
        head="auto",
        stages=(
            _VGG_HEAD,
            Stage(
                epochs=10,
                optimizer=Optimizer(name="rmsprop", learning_rate=1e-5),
                unfreeze="block5_conv1",
            ),
        ),
        validation_share=0.1,
        test_share=0.1,
        parameters=16_812_353,
        headline="beats feature extraction",
        expected="beats vgg16-feature-extraction",
    ),
    Recipe(
        name="cifar10-resnet50",
        document="E 12.3.2",
        data="cifar10",
        classes=10,
        input=_colour(32),
        architecture="gap",
        backbone=Backbone(name="ResNet50", upsample=96),
        head="auto",
        stages=(
            Stage(epochs=10, optimizer=_ADAM_3),
            Stage(epochs=5, optimizer=_ADAM_5, unfreeze="conv5_block1_1_conv"),
        ),
        validation_share=0.1,
        parameters=23_608_202,
        expected="fine-tuning beats the frozen backbone",
    ),
    Recipe(
        name="cifar10-vgg19",
        document="E 12.3.3",
        data="cifar10",
        classes=10,
        input=_colour(32),
        architecture="gap",
        backbone=Backbone(name="VGG19"),
        head="auto",
        stages=(
            Stage(epochs=10, optimizer=_ADAM_3),
            Stage(epochs=5, optimizer=_ADAM_5, unfreeze="block5_conv1"),
        ),
        validation_share=0.1,
        parameters=20_029_514,
        expected="fine-tuning beats the frozen backbone",
    ),
    Recipe(
        name="mobilenet-v2-transfer",
        document="our own",
        data="flowers",
        classes=5,
        input=_colour(160),
        architecture="gap_dropout",
        backbone=Backbone(name="MobileNetV2"),
        head="auto",
        stages=(Stage(epochs=10, optimizer=_ADAM_3),),
        validation_share=0.1,
        test_share=0.1,
        parameters=2_264_389,
        expected="accuracy ≥ 0.80 on the flowers",
        least_accuracy=0.80,
    ),
    Recipe(
        name="efficientnet-v2-b0-transfer",
        document="our own",
        data="flowers",
        classes=5,
        input=_colour(224),
        architecture="gap_dropout",
        backbone=Backbone(name="EfficientNetV2B0"),
        head="auto",
        stages=(Stage(epochs=10, optimizer=_ADAM_3),),
        validation_share=0.1,
        test_share=0.1,
        parameters=5_925_717,
        expected="accuracy ≥ 0.80 on the flowers",
        least_accuracy=0.80,
    ),
)
