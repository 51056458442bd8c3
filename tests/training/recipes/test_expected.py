"""Every recipe keeps what the table promises of it: minutes of fitting, so only in test-all."""

import os
from pathlib import Path

import pytest

from tests.training.helpers import KERAS_AND_NUMPY
from training.errors import DataError
from training.evaluation.evaluate import evaluate
from training.fitting.fit import train
from training.fitting.options import FitOptions
from training.recipes import RECIPES
from training.recipes.recipe import Recipe

pytestmark = [
    pytest.mark.integration,
    pytest.mark.slow,
    pytest.mark.filterwarnings(KERAS_AND_NUMPY),
]
PROMISING = [recipe for recipe in RECIPES.values() if recipe.least_accuracy is not None]


@pytest.mark.parametrize("recipe", PROMISING, ids=lambda recipe: recipe.name)
def test_a_full_fit(recipe: Recipe, tmp_path: Path) -> None:
    photographs = os.environ.get("LINCE_TEST_PHOTOS") if recipe.data == "flowers" else None
    options = FitOptions(given=Path(photographs) if photographs else None)
    try:
        run = train(recipe, options, runs=tmp_path / "runs", cache=tmp_path / "cache", say=str)
    except DataError as error:
        pytest.skip(f"no data for {recipe.name} here (LINCE_TEST_PHOTOS may name flowers): {error}")
    assert run is not None
    manifest = evaluate(run, str)
    assert manifest.metrics["accuracy"] >= (recipe.least_accuracy or 0)
    assert manifest.fit.epochs <= recipe.epochs
    if recipe.stop_at_accuracy is not None:
        assert manifest.fit.epochs == 1
