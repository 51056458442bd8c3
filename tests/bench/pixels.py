"""What a JPEG costs to become pixels, by rule 1 and by rule 2: processor time per picture.

python -m tests.bench.pixels [--side N] [--rounds N] [--pictures DIR]

The photographs are scikit-learn's two, enlarged with a grain like a camera's; with --pictures, the
folder's JPEGs as they are. The least of the rounds tells: what else the machine does only adds.
"""

import argparse
import io
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from contract.pixels import PixelSpec, decode

LONGEST_SIDES = (320, 500, 800, 1280, 1920, 2560, 4032)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--side", type=int, default=180, help="of the model's input, in pixels")
    parser.add_argument("--rounds", type=int, default=7, help="of which the least is taken")
    parser.add_argument("--pictures", type=Path, help="a folder with JPEGs")
    options = parser.parse_args()
    rule_1 = PixelSpec(height=options.side, width=options.side, channels=3)
    rule_2 = replace(rule_1, pixel_rule=2)
    print("| picture | JPEG, kB | rule 1, ms | rule 2, ms | rule 1 / rule 2 | mean difference |")
    print("|---|---|---|---|---|---|")
    for name, files in pictures(options.pictures):
        first, second = (milliseconds(files, spec, options.rounds) for spec in (rule_1, rule_2))
        size = sum(map(len, files)) / len(files) / 1000
        print(
            f"| {name} | {size:,.0f} | {first:.2f} | {second:.2f} | {first / second:.2f}"
            f" | {difference(files, rule_1, rule_2):.2f} |"
        )


def pictures(folder: Path | None) -> list[tuple[str, list[bytes]]]:
    """Returns groups of JPEGs: what they are, and their bytes."""
    if folder is not None:
        found = sorted(
            path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg")
        )
        return [(f"{len(found)} of {folder.name}", [path.read_bytes() for path in found])]
    groups = []
    for longest in LONGEST_SIDES:
        files = [jpeg(photograph, longest) for photograph in load_sample_images().images]
        width, height = Image.open(io.BytesIO(files[0])).size
        groups.append((f"{width}×{height}", files))
    return groups


def jpeg(photograph: np.ndarray, longest: int) -> bytes:
    """Returns a photograph, uint8 [H, W, 3], of another size as a JPEG of a camera's quality."""
    image = Image.fromarray(photograph)
    size = (longest, round(image.height * longest / image.width))
    levels = np.asarray(image.resize(size, Image.Resampling.BICUBIC), np.float32)
    grain = np.random.default_rng(longest).normal(0, 4, (*levels.shape[:2], 1))
    buffer = io.BytesIO()
    grained = np.clip(np.rint(levels + grain), 0, 255).astype(np.uint8)
    Image.fromarray(grained).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def milliseconds(files: Sequence[bytes], spec: PixelSpec, rounds: int) -> float:
    """Returns the processor time that a picture takes."""
    least = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for file in files:
            decode(file, spec)
        least = min(least, time.process_time() - start)
    return 1000 * least / len(files)


def difference(files: Sequence[bytes], *specs: PixelSpec) -> float:
    """Returns the mean absolute difference of two specs' levels, of 255."""
    means = []
    for file in files:
        first, second = (decode(file, spec).astype(int) for spec in specs)
        means.append(np.abs(first - second).mean())
    return float(np.mean(means))


if __name__ == "__main__":
    main()
