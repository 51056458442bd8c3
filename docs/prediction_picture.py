"""Draws docs/predictions.png: test pictures and what a running gateway answers about them.

lince run                                     (in another terminal)
python docs/prediction_picture.py fashion-cnn runs/fashion-cnn/RUN
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from client import Client, Result
from contract.run_folder import RunFolder, Sample

COLUMNS, ROWS = 6, 2
SIDE, BARS, CELL = 140, 64, (172, 256)
RIGHT, WRONG, GREY = (22, 128, 60), (190, 30, 45), (120, 120, 120)


def main() -> None:
    model, run = sys.argv[1], RunFolder(Path(sys.argv[2]))
    labels = run.manifest().labels
    canvas = Image.new("RGB", (COLUMNS * CELL[0], ROWS * CELL[1]), "white")
    draw = ImageDraw.Draw(canvas)
    with Client("http://127.0.0.1:8000") as client:
        for number, sample in enumerate(run.samples()[: COLUMNS * ROWS]):
            result = client.classify(sample.file, model, top_k=len(labels))
            left = number % COLUMNS * CELL[0] + (CELL[0] - SIDE) // 2
            top = number // COLUMNS * CELL[1] + 10
            picture = Image.open(sample.file).convert("RGB").resize((SIDE, SIDE), Image.NEAREST)
            canvas.paste(picture, (left, top))
            caption(draw, left, top + SIDE, sample, result)
            by_label = {entry.label: entry.probability for entry in result.top_k}
            bars(draw, left, top + SIDE + BARS + 30, [by_label[name] for name in labels], result)
    canvas.save(Path(__file__).parent / "predictions.png", optimize=True)


def caption(draw: ImageDraw.ImageDraw, left: int, top: int, sample: Sample, result: Result) -> None:
    font = ImageFont.load_default(15)
    colour = RIGHT if result.label == sample.label else WRONG
    draw.text((left, top + 4), f"{result.label} {result.probability:.0%}", colour, font)
    true = "" if result.label == sample.label else f"is {sample.label}"
    draw.text((left, top + 22), true, GREY, ImageFont.load_default(13))


def bars(
    draw: ImageDraw.ImageDraw, left: int, bottom: int, values: list[float], result: Result
) -> None:
    width = SIDE / len(values)
    draw.line([(left, bottom), (left + SIDE, bottom)], (200, 200, 200))
    for number, value in enumerate(values):
        colour = (60, 110, 180) if value == result.probability else (170, 190, 215)
        box = [
            left + number * width + 1,
            bottom - value * (BARS - 16),
            left + (number + 1) * width - 1,
            bottom,
        ]
        draw.rectangle(box, colour)


if __name__ == "__main__":
    main()
