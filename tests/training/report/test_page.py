"""The report of a run."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from contract.run_folder import RunFolder
from tests.training.pictures.seen import HOSTILE
from tests.training.report import made
from tests.training.report.reading import Page, assert_self_contained
from training.errors import RunError
from training.report.page import write_report
from training.run import Copy, DataFacts

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings(made.KERAS_AND_NUMPY),
]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with its report; not to be changed."""
    facts = DataFacts(
        classes=tuple(map(made.counted, ("ant", "bee", "cat"))),
        skipped=("ant/broken.jpg: is truncated",),
        duplicates=(
            (
                Copy(picture="ant/1.jpg", part="train", label="ant"),
                Copy(picture="bee/2.jpg", part="test", label="bee"),
            ),
        ),
    )
    recipe = dataclasses.replace(made.RECIPE, augmentation="flip")
    run = made.classifier_run(tmp_path_factory.mktemp("r") / "run-7", recipe=recipe, facts=facts)
    assert reported(run) == [f"report: {run.page}"]
    return run


def reported(run: RunFolder) -> list[str]:
    said: list[str] = []
    assert write_report(run, said.append) == run.page
    return said


def page_of(run: RunFolder) -> Page:
    return assert_self_contained(run.page.read_text())


def test_all_sections_of_a_classifier(whole: RunFolder) -> None:
    page = page_of(whole)
    assert page.headings == [
        "made-cnn",
        "Data",
        "Curves",
        "Predictions",
        "Of every class",
        "The worst mistakes",
        "Classes",
        "Calibration",
        "Inside the model",
        "Filters",
        "Feature maps",
        "Model",
        "How it was made",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "validation of about 0.60",
        "66.7%",  # accuracy
        "1.250",  # loss
        "0.123",  # calibration error
        "lince train made-cnn --seed 5",
        "ant/broken.jpg: is truncated",
        "bee/2.jpg (bee, test)",
        "a gap of 25.0 points",
        "CPU, 2 cores",
        "3 of 4 ran, in 7.0 s",
        "GlobalAveragePooling2D",
    ],
)
def test_what_the_page_says(whole: RunFolder, text: str) -> None:
    assert text in page_of(whole).text


def test_the_best_of_three_says_nothing_of_three_classes(whole: RunFolder) -> None:
    assert "top-3" not in page_of(whole).text


def test_pictures_lie_in_the_run_folder_for_both_themes(whole: RunFolder) -> None:
    names = {path.name for path in whole.pictures.glob("*.png")}
    assert names == {
        f"{name}.png"
        for name in (
            "augmentation",
            "confusion",
            "counts",
            "curve_accuracy",
            "curve_learning_rate",
            "curve_loss",
            "feature_maps",
            "filters",
            "mistakes",
            "predictions",
            "reliability",
        )
    }
    for name in names:
        light, dark = (
            Image.open(folder / name) for folder in (whole.pictures, whole.pictures / "dark")
        )
        assert light.size == dark.size
        assert sum(light.convert("RGB").getpixel((0, 0))) > sum(
            dark.convert("RGB").getpixel((0, 0))
        )


def test_a_dark_page_has_dark_pictures(whole: RunFolder) -> None:
    page = page_of(whole)
    sources = [found for tag, found in page.tags if tag == "source"]
    assert {found["media"] for found in sources} == {"(prefers-color-scheme: dark)"}
    assert len(sources) == len([tag for tag, _ in page.tags if tag == "img"])


def test_every_link_leads_to_a_section(whole: RunFolder) -> None:
    page = page_of(whole)
    links = [target for target in page.values("href") if target.startswith("#")]
    assert links
    assert {link.removeprefix("#") for link in links} <= set(page.values("id"))


def test_a_report_is_the_same_each_time(tmp_path: Path) -> None:
    run = made.classifier_run(tmp_path / "run", model=False)
    pages = []
    for _ in range(2):
        reported(run)
        pages.append(run.page.read_bytes())
    assert pages[0] == pages[1]


def test_a_complete_run_says_its_versions(tmp_path: Path) -> None:
    run = made.completed(made.classifier_run(tmp_path / "run", model=False), kept=3)
    reported(run)
    assert "keras 9.8.7" in page_of(run).text
    assert "Epoch 3 was kept" in page_of(run).text


def test_without_a_model_its_sections_are_left_out(tmp_path: Path) -> None:
    run = made.classifier_run(tmp_path / "run", model=False)
    assert "without the model" in reported(run)[0]
    assert "Inside the model" not in page_of(run).headings


def test_features(tmp_path: Path) -> None:
    run = made.features_run(tmp_path / "run")
    assert len(reported(run)) == 1
    page = page_of(run)
    assert page.headings[1:] == [
        "Inside the model",
        "Filters",
        "Feature maps",
        "Model",
        "How it was made",
    ]
    assert "18×28×5" in page.text
    assert "any×any×3" in page.text


def test_regression(tmp_path: Path) -> None:
    run = made.regression_run(tmp_path / "run")
    assert len(reported(run)) == 1
    page = page_of(run)
    assert page.headings[1:] == ["Curves", "Predictions", "Model", "How it was made"]
    assert "0.5000" in page.text
    assert {path.name for path in run.pictures.glob("*.png")} == {
        "curve_loss.png",
        "regression.png",
    }


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    targets = list(range(len(HOSTILE)))
    run = made.classifier_run(tmp_path / "run", labels=HOSTILE, targets=targets)
    assert len(reported(run)) == 1
    page = page_of(run)
    assert HOSTILE[0] in page.text
    assert "猫 🐈" in page.text


@pytest.mark.parametrize(
    "history",
    [
        None,
        "",
        "epoch,loss\n",
        "epoch,accuracy,loss\n1,0.5,1.0\n",
        "epoch,accuracy,loss,val_accuracy\n1,NA,nan,inf\n2,,x,0.5\n",
        "epoch,accuracy,loss\n1,0.5,1.0\n2,0.6",
    ],
    ids=["missing", "empty", "heads alone", "one epoch", "no numbers", "half a row"],
)
def test_odd_histories(tmp_path: Path, history: str | None) -> None:
    run = made.classifier_run(tmp_path / "run", history=history, model=False)
    assert len(reported(run)) == 2
    assert ("Curves" in page_of(run).headings) == bool(history and history.count("\n") > 1)


@pytest.mark.parametrize(
    ("shape", "classes"),
    [((28, 28, 1), 3), ((1000, 1500, 3), 2), ((5, 5, 3), 100)],
    ids=["grey", "large", "100 classes"],
)
def test_odd_data(tmp_path: Path, shape: tuple[int, int, int], classes: int) -> None:
    labels = [f"class {number}" for number in range(classes)]
    targets = [0, 1, 1, 0]  # a class above 1 has no test picture
    run = made.classifier_run(tmp_path / "run", labels=labels, shape=shape, targets=targets)
    assert len(reported(run)) == 1
    assert "Feature maps" in page_of(run).headings


def test_a_picture_that_can_t_be_drawn_is_left_out_and_said(tmp_path: Path) -> None:
    run = made.classifier_run(tmp_path / "run", model=False)
    run.save_outputs(np.load(run.folder / "test_outputs.npy")[:, :0])
    said = reported(run)
    assert any("without the picture predictions" in line for line in said)
    assert "Curves" in page_of(run).headings


def test_pictures_of_a_report_before_are_gone(tmp_path: Path) -> None:
    run = made.classifier_run(tmp_path / "run", model=False)
    reported(run)
    run.history.unlink()
    reported(run)
    assert not (run.pictures / "curve_loss.png").exists()
    assert not (run.pictures / "dark" / "curve_loss.png").exists()


@pytest.mark.parametrize("file", ["run.json", "data.json", "report.json", "test_outputs.npy"])
def test_a_run_that_is_not_evaluated(tmp_path: Path, whole: RunFolder, file: str) -> None:
    shutil.copytree(whole.folder, tmp_path / "run")
    (tmp_path / "run" / file).unlink()
    with pytest.raises(RunError, match="run"):
        write_report(RunFolder(tmp_path / "run"), print)


def test_parameters_that_a_recipe_does_not_have_are_said(tmp_path: Path) -> None:
    recipe = dataclasses.replace(made.RECIPE, parameters=99)
    run = made.classifier_run(tmp_path / "run", recipe=recipe)
    reported(run)
    assert "99 in the recipe's own form" in page_of(run).text
