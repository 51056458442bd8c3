"""The table of data sets: each row well formed, and read by name."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from contract.pixels import PixelSpec
from training.data import catalog
from training.data.dataset import DataRequest
from training.data.sources import PARTS, SOURCES, Source, find
from training.errors import DataError
from training.recipes import RECIPES
from training.recipes.recipe import Recipe

rows = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


@rows
def test_a_row_is_well_formed(source: Source) -> None:
    assert re.fullmatch(r"[a-z0-9-]+", source.name)
    assert source.title
    assert source.license
    assert source.homepage == "" or source.homepage.startswith("https://")
    assert source.train > 0
    assert min(source.validation, source.test) >= 0
    assert len(set(source.classes)) == len(source.classes) != 1
    assert bool(source.files) == (source.layout != "built in")


@rows
def test_its_files_are_well_formed(source: Source) -> None:
    for file in source.files:
        assert re.fullmatch(r"https://[^\s?#]+/[\w.-]+", file.url)
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
        assert file.size > 0
        assert file.sha256_of == "file" or file.name.endswith(".gz")
    assert len({file.sha256 for file in source.files}) == len(source.files)


@rows
def test_class_folders_have_a_file_for_each_part_and_sorted_classes(source: Source) -> None:
    if source.layout == "class folders":
        assert source.classes == tuple(sorted(source.classes))
        there = [part for part in PARTS if getattr(source, part)]
        assert [file.part for file in source.files] == there


def test_rows_are_found_by_their_names() -> None:
    assert {name: source.name for name, source in SOURCES.items()} == {
        name: name for name in SOURCES
    }
    assert find("mnist") is SOURCES["mnist"]
    with pytest.raises(DataError, match="no data set 'nonsense'; there are cats-vs-dogs, cifar10"):
        find("nonsense")


def test_every_layout_has_its_reader() -> None:
    assert {source.layout for source in SOURCES.values()} == set(catalog._LOADERS)
    assert set(catalog._BUILT_IN) == {s.name for s in SOURCES.values() if s.layout == "built in"}


@pytest.mark.parametrize("name", [s.name for s in SOURCES.values() if s.layout == "built in"])
def test_the_counts_of_what_is_built_in_are_right(name: str, tmp_path: Path) -> None:
    source = SOURCES[name]
    spec = PixelSpec(height=8, width=8, channels=1) if source.classes else None
    said: list[str] = []
    data = catalog.load(DataRequest(name=name, spec=spec, cache=tmp_path), said.append)
    assert (len(data.targets) - data.own_test, data.own_test) == (source.train, source.test)
    assert data.labels == source.classes
    assert data.name == name


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_every_recipe_has_its_data(recipe: Recipe) -> None:
    source = find(recipe.data)
    assert bool(source.classes) == (recipe.input is not None)


def test_the_table_imports_nothing_heavy() -> None:
    code = (
        "import sys, training.data.sources\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'PIL', 'sklearn', 'tqdm'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
