"""What differs between the recipes of several runs."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.run import RunConfig

_NONE = "none"
#: What says what to expect of a recipe, and not how the model is made.
_WORDS = {"document", "headline", "expected", "least_accuracy", "parameters"}
_NAMES = {
    "data": "recipe's data",
    "batch": "batch",
    "loss": "loss",
    "augmentation": "augmentation",
    "name": "recipe",
}
#: A name that is longer than that, or of more settings, is a number instead.
_MOST_LETTERS, _MOST_SETTINGS = 28, 2


@dataclass(frozen=True)
class Difference:
    """A setting that is not the same in all runs, and its value in each."""

    setting: str
    values: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.setting} {' / '.join(self.values)}"


def differences(configs: Sequence[RunConfig]) -> list[Difference]:
    """Returns the settings in which runs differ, in the order of a recipe's fields."""
    flat = [_settings(config) for config in configs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    found = [Difference(name, tuple(each.get(name, _NONE) for each in flat)) for name in names]
    return [difference for difference in found if len(set(difference.values)) > 1]


def labels(configs: Sequence[RunConfig]) -> list[str]:
    """Returns a name for each run, short and unlike all others.

    It is the recipe's; runs of the same recipe get the values of the settings in which they differ
    where these are few, and else a number.
    """
    names = []
    for position, config in enumerate(configs):
        alike = [n for n, other in enumerate(configs) if other.recipe.name == config.recipe.name]
        name = config.recipe.name
        if len(alike) > 1:
            place = alike.index(position)
            name += " " + _telling([configs[n] for n in alike], place)
        names.append(name)
    return names


def _telling(configs: Sequence[RunConfig], place: int) -> str:
    found = differences(configs)
    texts = [", ".join(_bare(each, n) for each in found) for n in range(len(configs))]
    told = len(set(texts)) == len(configs) and len(found) <= _MOST_SETTINGS
    return texts[place] if told and max(map(len, texts)) <= _MOST_LETTERS else f"#{place + 1}"


def _bare(difference: Difference, place: int) -> str:
    """A name, adam say, speaks for itself, a number does not."""
    value = difference.values[place]
    if value == _NONE:
        return f"no {difference.setting}"
    named = all(each == _NONE or each[:1].isalpha() for each in difference.values)
    return value if named else f"{difference.setting} {value}"


def _settings(config: RunConfig) -> dict[str, str]:
    recipe = dataclasses.asdict(config.recipe)
    several = len(recipe["stages"]) > 1
    flat: dict[str, str] = {}
    for name, value in recipe.items():
        if name in _WORDS or name == "stages":
            continue
        flat |= _flat(_NAMES.get(name, name.replace("_", " ")), value)
    for number, stage in enumerate(recipe["stages"], 1):
        prefix = f"stage {number} " if several else ""
        for name, value in stage.items():
            # An optimiser's fields speak for themselves.
            for key, text in _flat(name, value).items():
                flat[prefix + _optimizer(key)] = text
    flat["data"] = config.data
    flat["data's fingerprint"] = config.fingerprint[:12]
    return flat


def _flat(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {f"{name} {key.replace('_', ' ')}": _text(part) for key, part in value.items()}
    return {name: _text(value)}


def _optimizer(name: str) -> str:
    return "optimizer" if name == "optimizer name" else name.removeprefix("optimizer ")


def _text(value: Any) -> str:
    if value is None:
        return _NONE
    return f"{value:g}" if isinstance(value, float) else str(value)
