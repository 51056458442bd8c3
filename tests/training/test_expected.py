"""Every recipe keeps what the table promises of it: minutes of fitting, so only in test-all."""

import os
from pathlib import Path

import pytest

from tests.training.helpers import KERAS_AND_NUMPY
from training.errors import DataError
from training.evaluate import evaluate
from training.fit import FitOptions, train
from training.recipes import RECIPES, Recipe

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.filterwarnings(KERAS_AND_NUMPY),
]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_full_fit(recipe: Recipe, tmp_path: Path) -> None:
    photographs = os.environ.get("LINCE_TEST_PHOTOS") if recipe.data == "flowers" else None
    options = FitOptions(folder=Path(photographs) if photographs else None)
    try:
        run = train(recipe, options, runs=tmp_path / "runs", cache=tmp_path / "cache", say=str)
    except DataError as error:
        pytest.skip(f"no data for {recipe.name} here (LINCE_TEST_PHOTOS may name flowers): {error}")
    manifest = evaluate(run, str)
    assert manifest.metrics["accuracy"] >= recipe.least_accuracy
    assert manifest.fit.epochs == recipe.epochs
