"""A picture over HTTP gets the very probabilities that evaluation in training gave it."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from client import Client
from contract.run_folder import RunFolder
from tests.integration.processes import run_all, system

pytestmark = pytest.mark.integration
TOLERANCE = 1e-5


def probabilities(client: Client, images: list[Path | bytes], run: RunFolder) -> np.ndarray:
    """The full vectors over HTTP, in the order of the run's labels."""
    manifest = run.manifest()
    rows = []
    for image in images:
        answer = client.classify(image, manifest.recipe, top_k=manifest.classes)
        by_label = {entry.label: entry.probability for entry in answer.top_k}
        rows.append([by_label[label] for label in manifest.labels])
    return np.array(rows)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels.squeeze()).save(buffer, "PNG")
    return buffer.getvalue()


def test_digits_over_the_whole_test_set(
    workshop: Path, digits_run: RunFolder, tmp_path: Path
) -> None:
    images, _ = digits_run.test_set()
    with (
        system(workshop / "models", ["digits-cnn"], tmp_path) as (_, url),
        Client(url) as client,
    ):
        got = probabilities(client, [png(image) for image in images], digits_run)
    assert np.abs(got - digits_run.outputs()).max() <= TOLERANCE


def made_photographs(folder: Path) -> Path:
    """scikit-learn's two photographs, cut into pieces, in every mode and format that fits."""
    forms = [
        ("RGB", "JPEG", {"quality": 90}),
        ("L", "JPEG", {}),
        ("CMYK", "JPEG", {}),
        ("RGB", "PNG", {}),
        ("RGBA", "PNG", {}),
        ("LA", "PNG", {}),
        ("P", "PNG", {}),
        ("1", "PNG", {}),
        ("I;16", "PNG", {}),
        ("P", "GIF", {}),
        ("RGB", "WEBP", {}),
        ("RGBA", "WEBP", {}),
        ("RGB", "BMP", {}),
        ("YCbCr", "TIFF", {}),
        ("LAB", "TIFF", {}),
        ("F", "TIFF", {}),
        ("I", "TIFF", {}),
        ("RGB", "AVIF", {}),
    ]
    for photograph, name in zip(load_sample_images().images, ("china", "flower"), strict=True):
        (folder / name).mkdir(parents=True)
        for number, (mode, kind, options) in enumerate(forms):
            left, top = 20 * number, 10 * number
            piece = Image.fromarray(photograph).crop((left, top, left + 233, top + 157))
            exif = Image.Exif()
            exif[0x0112] = number % 8 + 1
            options = options | ({"exif": exif} if kind in ("JPEG", "PNG", "WEBP") else {})
            converted = converted_to(piece, mode)
            converted.save(
                folder / name / f"{number:02}-{mode.replace(';', '')}.{kind.lower()}",
                kind,
                **options,
            )
    return folder


def converted_to(image: Image.Image, mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    if mode == "LAB":
        from PIL import ImageCms

        lab = ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), lab, outputMode="LAB"
        )
    if mode in ("RGBA", "LA"):
        with_alpha = image.convert(mode)
        with_alpha.putalpha(Image.linear_gradient("L").resize(image.size))
        return with_alpha
    return image.convert(mode)


# Logits of a CNN, a single sigmoid output, and a deep backbone, whose rounding adds up.
RECIPES = [
    ("flowers-cnn", TOLERANCE, ()),
    pytest.param("cats-vs-dogs-tema3", TOLERANCE, (), marks=pytest.mark.slow),
    pytest.param(
        *("mobilenet-v2-transfer", 1e-4, ("--weights", "none", "--alpha", "0.35")),
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("recipe", "tolerance", "options"), RECIPES)
def test_photographs_in_every_mode(
    tmp_path: Path, recipe: str, tolerance: float, options: tuple[str, ...]
) -> None:
    folder = made_photographs(tmp_path / "photographs")
    check_photographs(folder, tmp_path, recipe, tolerance, "--tiny", *options)


@pytest.mark.skipif(
    "LINCE_TEST_PHOTOS" not in os.environ, reason="LINCE_TEST_PHOTOS names no folder of photographs"
)
def test_photographs_of_the_user(tmp_path: Path) -> None:
    folder = Path(os.environ["LINCE_TEST_PHOTOS"])
    check_photographs(folder, tmp_path, "flowers-cnn", TOLERANCE)


def check_photographs(
    folder: Path, scratch: Path, recipe: str, tolerance: float, *options: str
) -> None:
    """Trains a recipe on a folder and sends the files of its test set over HTTP."""
    variables = {
        "LINCE_MODELS_DIR": str(scratch / "models"),
        "LINCE_RUNS_DIR": str(scratch / "runs"),
        "LINCE_CACHE_DIR": str(scratch / "cache"),
    }
    train = ("train", recipe, "--data", str(folder), "--epochs", "1", *options)
    done = run_all((train, ("export", recipe)), **variables)
    assert done.returncode == 0, done.stderr
    trained = RunFolder(next((scratch / "runs" / recipe).iterdir()))
    files = trained.test_files()
    assert files
    with (
        system(scratch / "models", [recipe], scratch) as (_, url),
        Client(url) as client,
    ):
        got = probabilities(client, files, trained)
    assert np.abs(got - trained.outputs()).max() <= tolerance
