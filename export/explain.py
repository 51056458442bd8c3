"""Signature `explain`: where in a picture its label comes from, by Grad-CAM.

Selvaraju et al. 2017, "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", https://arxiv.org/abs/1610.02391: the channels of the last convolution's output,
each weighted with the mean gradient of the label's logit, added up; what speaks against the label
is left out.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import tensorflow as tf

from export.cut import Cut
from export.signatures import Weights


def explain(cut: Cut, images: tf.TensorSpec, weights: Weights = nullcontext) -> Any:
    """uint8 `images` [N, H, W, C] → float32 `heatmap` [N, h, w] and `probabilities` [N, K].

    A heat map is that of the picture's top label. Its largest value is 1, the top row is the
    picture's; it is all zero where nothing speaks for the label. A map does not depend on the
    other pictures of a batch: logits add up, and no layer mixes pictures outside of a fit.

    Args:
        cut: the classifier.
        images: what it takes.
        weights: in which it is traced.
    """

    @tf.function(input_signature=[images])
    def call(images: tf.Tensor) -> dict[str, tf.Tensor]:
        with weights():
            return _answer(cut, images)

    return call


def _answer(cut: Cut, images: Any) -> dict[str, Any]:
    features = cut.below(images)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(features)
        logits = cut.above(features)
        # Of equals the first, as everywhere; a maximum's gradient goes to all of them.
        top = tf.one_hot(tf.argmax(logits, axis=1), tf.shape(logits)[1], dtype=logits.dtype)
        score = tf.reduce_sum(logits * top)
    gradient = tape.gradient(score, features)
    weights = tf.reduce_mean(gradient, axis=(1, 2), keepdims=True)
    evidence = tf.nn.relu(tf.reduce_sum(weights * features, axis=3))
    largest = tf.reduce_max(evidence, axis=(1, 2), keepdims=True)
    return {
        "heatmap": tf.math.divide_no_nan(evidence, largest),
        "probabilities": tf.cast(tf.nn.softmax(logits), tf.float32),
    }
