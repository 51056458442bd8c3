"""Several runs side by side."""

import dataclasses
from pathlib import Path

import pytest

from contract.run_folder import RunFolder
from tests.training.report import made
from tests.training.report.reading import assert_self_contained
from training.errors import RunError
from training.recipes.recipe import Optimizer, Recipe, Stage
from training.report.compare import compare, table

pytestmark = pytest.mark.heavy

SGD = dataclasses.replace(
    made.RECIPE, stages=tuple(Stage(epochs=2, optimizer=Optimizer(name="sgd")) for _ in "12")
)


def run_of(folder: Path, recipe: Recipe = made.RECIPE, **options: object) -> RunFolder:
    run = made.classifier_run(folder, recipe=recipe, model=False, **options)
    return made.completed(run)


def test_the_numbers_of_a_run(tmp_path: Path) -> None:
    first, second = (run_of(tmp_path / name) for name in "ab")
    found = compare([first, second], tmp_path / "pages" / "page.html").runs[0]
    assert (found.training, found.validation, found.gap) == (0.75, 0.5, 0.25)
    assert found.accuracy == pytest.approx(2 / 3)
    assert (found.loss, found.calibration_error, found.seconds) == (1.25, 0.123, 7.0)
    assert (found.parameters, found.epochs, found.kept) == (1234, 3, 2)


def test_what_differs_names_the_runs(tmp_path: Path) -> None:
    one = dataclasses.replace(made.RECIPE, stages=(Stage(epochs=4),))
    other = dataclasses.replace(one, stages=(Stage(epochs=4, optimizer=Optimizer(name="sgd")),))
    runs = [run_of(tmp_path / "a", one), run_of(tmp_path / "b", other)]
    comparison = compare(runs, tmp_path / "page.html")
    assert [str(each) for each in comparison.differences] == ["optimizer adam / sgd"]
    assert [run.label for run in comparison.runs] == ["made-cnn adam", "made-cnn sgd"]
    assert "differs: optimizer adam / sgd" in list(table(comparison))


def test_settings_of_stages_and_numbers(tmp_path: Path) -> None:
    other = dataclasses.replace(SGD, batch=64, augmentation="flip", precision="mixed_bfloat16")
    runs = [run_of(tmp_path / "a"), run_of(tmp_path / "b", other)]
    comparison = compare(runs, tmp_path / "page.html")
    assert {str(each) for each in comparison.differences} == {
        "batch 32 / 64",
        "augmentation none / flip",
        "precision float32 / mixed_bfloat16",
        "stage 1 optimizer adam / sgd",
        "stage 2 optimizer adam / sgd",
    }
    assert [run.label for run in comparison.runs] == ["made-cnn #1", "made-cnn #2"]


def test_a_number_in_a_label_says_what_it_is(tmp_path: Path) -> None:
    recipes = [dataclasses.replace(made.RECIPE, batch=batch) for batch in (16, 32)]
    runs = [run_of(tmp_path / str(recipe.batch), recipe) for recipe in recipes]
    labels = [run.label for run in compare(runs, tmp_path / "page.html").runs]
    assert labels == ["made-cnn batch 16", "made-cnn batch 32"]


def test_equal_runs_have_unlike_labels_and_other_recipes_their_names(tmp_path: Path) -> None:
    mlp = dataclasses.replace(made.RECIPE, name="made-mlp")
    runs = [run_of(tmp_path / "a"), run_of(tmp_path / "b"), run_of(tmp_path / "c", mlp)]
    labels = [run.label for run in compare(runs, tmp_path / "page.html").runs]
    assert labels == ["made-cnn #1", "made-cnn #2", "made-mlp"]


def test_the_table_is_aligned(tmp_path: Path) -> None:
    runs = [run_of(tmp_path / "a"), run_of(tmp_path / "b", SGD)]
    heads, first, second, *_ = table(compare(runs, tmp_path / "page.html"))
    assert heads.split()[:4] == ["run", "data", "optimizer", "augmentation"]
    assert len(first) == len(second)
    assert "66.7%" in first


def test_the_page_is_self_contained(tmp_path: Path) -> None:
    hostile = dataclasses.replace(made.RECIPE, name="<img src=x onerror=alert(1)>")
    runs = [run_of(tmp_path / "a"), run_of(tmp_path / "b", hostile)]
    compare(runs, tmp_path / "page.html")
    page = assert_self_contained((tmp_path / "page.html").read_text())
    assert page.headings == [
        "2 runs side by side",
        "Test accuracy",
        "What differs",
        "Curves",
        "Numbers",
    ]
    assert "onerror" in page.text
    assert len([tag for tag, _ in page.tags if tag == "img"]) == 4


def test_without_validation_there_is_no_gap(tmp_path: Path) -> None:
    history = "epoch,accuracy,loss\n1,0.5,1.0\n2,0.75,nan\n"
    runs = [run_of(tmp_path / name, history=history) for name in "ab"]
    comparison = compare(runs, tmp_path / "page.html")
    assert (comparison.runs[0].gap, comparison.runs[0].seconds) == (None, None)
    assert "–" in list(table(comparison))[1]


def test_more_runs_than_colours(tmp_path: Path) -> None:
    runs = [run_of(tmp_path / str(number)) for number in range(9)]
    assert len({run.label for run in compare(runs, tmp_path / "page.html").runs}) == 9


def test_runs_that_are_not_complete_are_all_named(tmp_path: Path) -> None:
    good = run_of(tmp_path / "good")
    torn = made.classifier_run(tmp_path / "torn", model=False)
    with pytest.raises(RunError, match=r"torn(.|\n)*nowhere"):
        compare([good, torn, RunFolder(tmp_path / "nowhere")], tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


@pytest.mark.filterwarnings(made.KERAS_AND_NUMPY)
def test_only_classifications_can_be_compared(tmp_path: Path) -> None:
    runs = [run_of(tmp_path / "a"), made.completed(made.regression_run(tmp_path / "line"))]
    with pytest.raises(RunError, match=r"line: a run of regression"):
        compare(runs, tmp_path / "page.html")


def test_one_run_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="two"):
        compare([run_of(tmp_path / "a")], tmp_path / "page.html")
