"""Writes the tables of docs/*.md from the code and docs/results.json; a test compares them.

python -m docs.generate
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean

from contract.settings import Settings, describe
from docs.measure import Result, read
from training.data.sources import SOURCES
from training.recipes import RECIPES
from training.recipes.recipe import Recipe
from training.show import optimizer, size

HERE = Path(__file__).parent


def recipes() -> str:
    heads = ("recipe", "doc", "data", "input", "fit", "parameters", "the document says", "measured")
    rows = []
    for recipe in RECIPES.values():
        count = f"{recipe.parameters:,}"
        cells = (recipe.name, recipe.document, recipe.data, size(recipe.input), _fit(recipe))
        rows.append((*cells, count, recipe.headline or "–", _measured(recipe)))
    return _table(heads, rows)


def _fit(recipe: Recipe) -> str:
    stages = [f"{stage.epochs} × {optimizer(stage.optimizer)}" for stage in recipe.stages]
    return ", then ".join(stages) or "nothing to fit"


def _measured(recipe: Recipe) -> str:
    found = [result for result in read() if result.recipe == recipe.name]
    plain = [result for result in found if result.name == recipe.name]
    if not found:
        return "–"
    if not plain:
        return "below"
    what = "error" if recipe.task == "regression" else "test"
    return f"{what} {mean(result.test for result in plain):.4f}"


def results() -> str:
    heads = (
        "what",
        "seeds",
        "epochs",
        "training",
        "validation",
        "training at the end",
        "validation at the end",
        "test",
        "test of each seed",
    )
    names = list(dict.fromkeys(result.name for result in read()))
    order = list(RECIPES)
    found = {name: [each for each in read() if each.name == name] for name in names}
    names.sort(key=lambda name: order.index(found[name][0].recipe))
    rows = []
    for name in names:
        runs = found[name]
        columns = ("training", "validation", "last_training", "last_validation", "test")
        means = (_mean(getattr(run, column) for run in runs) for column in columns)
        each = " · ".join(f"{run.test:.4f}" for run in runs)
        rows.append((name, len(runs), _epochs(runs), *means, each))
    return _table(heads, rows)


def _mean(values: Iterable[float | None]) -> str:
    numbers = [value for value in values if value is not None]
    return f"{mean(numbers):.4f}" if numbers else "–"


def _epochs(runs: Sequence[Result]) -> str:
    counts = sorted({run.epochs for run in runs})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]}–{counts[-1]}"


def datasets() -> str:
    heads = ("data set", "what", "classes", "training", "validation", "test", "license", "files")
    rows = []
    for source in SOURCES.values():
        counts = (
            f"{count:,}" if count else "–"
            for count in (source.train, source.validation, source.test)
        )
        name = f"[{source.name}]({source.homepage})" if source.homepage else source.name
        files = "<br>".join(f"{file.name}, `{file.sha256[:16]}…`" for file in source.files)
        classes = ", ".join(source.classes) or "–"
        rows.append((name, source.title, classes, *counts, source.license, files or "–"))
    return _table(heads, rows)


def settings() -> str:
    rows = []
    for variable, value, text in describe(Settings()):
        rows.append((f"`{variable}`", f"`{value}`" if value else "", text))
    return _table(("variable", "default", "what"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows:
        lines.append("| " + " | ".join(str(cell) for cell in row) + " |")
    return "\n".join(lines)


#: Page and name of the place in it → what stands there.
TABLES = {
    ("recipes.md", "recipes"): recipes,
    ("recipes.md", "results"): results,
    ("datasets.md", "datasets"): datasets,
    ("settings.md", "settings"): settings,
}


def with_table(page: str, name: str, table: str) -> str:
    """Puts a table between its marks.

    Raises:
        ValueError: the page does not have them.
    """
    start, end = f"<!-- generated: python -m docs.generate ({name}) -->", "<!-- end -->"
    before, _, rest = page.partition(start)
    if not rest:
        raise ValueError(f"no place for {name}")
    _, _, after = rest.partition(end)
    return f"{before}{start}\n{table}\n{end}{after}"


if __name__ == "__main__":
    for (file, name), table in TABLES.items():
        path = HERE / file
        path.write_text(with_table(path.read_text(), name, table()))
