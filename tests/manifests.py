"""Manifests for tests."""

from dataclasses import replace

from contract.manifest import Counts, Data, Explanation, Fit, Manifest
from contract.pixels import PixelSpec

DEFAULT_LABELS = ("cat", "dog", "owl")


def make_manifest(
    labels: tuple[str, ...] = DEFAULT_LABELS,
    *,
    side: int = 8,
    channels: int = 3,
    task: str = "classification",
) -> Manifest:
    """A manifest that is valid and otherwise of no interest."""
    return Manifest(
        recipe="test-cnn",
        document="our own",
        task=task,
        labels=labels,
        classes=len(labels),
        input=None
        if task == "regression"
        else PixelSpec(height=side, width=side, channels=channels),
        parameters=1,
        metrics={"accuracy": 1.0},
        data=Data(
            name="made",
            source="made",
            counts=Counts(train=1, validation=0, test=1),
            fingerprint="0",
        ),
        fit=Fit(
            epochs=1,
            epochs_asked=1,
            epoch_kept=1,
            batch=1,
            seed=1,
            validation_share=0.0,
            device="none",
        ),
        versions={},
        created="2026-01-01T00:00:00+00:00",
        source_revision="unknown",
        run="made",
    )


def make_explainable(*, side: int = 8, explains: bool = True) -> Manifest:
    """The manifest of a model with a signature `explain`, or of the same without."""
    explanation = Explanation(layer="convolution") if explains else None
    return replace(make_manifest(side=side), explanation=explanation)
