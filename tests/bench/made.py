"""What benchmarks need where the user gives nothing: photographs, pieces of scikit-learn's two,
and a model.
"""

import os
import subprocess
import sys
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_sample_images


def class_folders(root: Path, pictures: int) -> Path:
    """Writes class folders with so many JPEGs of 256×192 in all, every one another piece."""
    for number in range(pictures):
        photograph = load_sample_images().images[number % 2]
        height, width, _ = photograph.shape
        top, left = 37 * number % (height - 192), 101 * number % (width - 256)
        folder = root / ("china", "flower")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        piece = Image.fromarray(photograph[top : top + 192, left : left + 256])
        piece.save(folder / f"{number:05}.jpg", quality=90)
    return root


def flowers_cnn(scratch: Path) -> Path:
    """Train flowers-cnn for a few steps and export it; what it has learned doesn't matter."""
    pictures = class_folders(scratch / "pictures", 60)
    environment = {**os.environ, "LINCE_CACHE_DIR": str(scratch / "cache")}
    for words in (("train", "flowers-cnn", "--data", str(pictures), "--tiny"),
                  ("export", "flowers-cnn")):  # fmt: skip
        command = [sys.executable, "-m", "lince", *words]
        subprocess.run(command, cwd=scratch, env=environment, check=True, capture_output=True)
    return scratch / "models" / "flowers-cnn" / "1"
