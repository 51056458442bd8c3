"""The recipe table: every model that Lince trains, as data. Importing it loads no TensorFlow."""

from __future__ import annotations

from training.errors import RecipeError
from training.recipes import convolutional, dense, transfer
from training.recipes.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (*dense.RECIPES, *convolutional.RECIPES, *transfer.RECIPES)
}


def find(name: str) -> Recipe:
    """Returns the recipe of that name.

    Raises:
        RecipeError: there is none; the text lists those that there are.
    """
    if name not in RECIPES:
        raise RecipeError(f"no recipe {name!r}; there are {', '.join(sorted(RECIPES))}")
    return RECIPES[name]
