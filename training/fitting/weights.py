"""The weights in a run folder, and the model that they belong to."""

from __future__ import annotations

from pathlib import Path

import keras

from training.fitting.callbacks import states
from training.networks.build import Network
from training.recipes.recipe import Recipe


def trained(network: Network, recipe: Recipe, stage: int) -> keras.Model:
    """Returns the model that a stage fits: the head alone, where it learns from cached features.

    Args:
        stage: counted from 1; 0 is the network of a recipe that has none.
    """
    if network.head is None or stage == 0 or recipe.augmentation is not None:
        return network.fit
    return network.head if recipe.stages[stage - 1].unfreeze is None else network.fit


def load(network: Network, recipe: Recipe, path: Path) -> None:
    """Loads a checkpoint into the model that it belongs to, by its name.

    Raises:
        OSError, ValueError, KeyError, RuntimeError: h5py's, it can't be read.
    """
    ((stage, _, _),) = [found for found in states(path.parent) if found[2] == path]
    trained(network, recipe, stage).load_weights(path)
