"""Draws the dashboards of a system under load, in which the model server is killed once.

    python -m tests.integration.draw_dashboards ARTIFACT FOLDER

ARTIFACT is a version of digits-cnn, as in models/digits-cnn/1 (`lince run` makes one). Writes a PNG
file for each dashboard, and `dashboard.png`, the first lines of the gateway's, for the docs.
"""

import io
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from monitoring.draw import View, draw
from monitoring.queries import DASHBOARDS
from tests.integration.monitored import RATE, load, monitored

SECONDS = 45
#: Down to where the docs' picture goes, in lines of Grafana's grid.
LINES_IN_DOCS = 19


def main() -> None:
    artifact, out = Path(sys.argv[1]), Path(sys.argv[2])
    with tempfile.TemporaryDirectory() as scratch, monitored(artifact, Path(scratch)) as system:
        start = time.time()
        with load(system.url, digits()):
            time.sleep(SECONDS)
            system.kill()
            system.wait_for("LinceModelServerDown")
            system.restart()
            time.sleep(SECONDS)
        view = View(system.prometheus, start, time.time(), RATE)
        for path in sorted(DASHBOARDS.glob("*.json")):
            draw(path, view, out / f"{path.stem}.png")
        draw(DASHBOARDS / "gateway.json", view, out / "dashboard.png", lines=LINES_IN_DOCS)


def digits() -> list[bytes]:
    """Handwritten digits as PNG files."""
    files = []
    for pixels in load_digits().images[:200]:
        buffer = io.BytesIO()
        Image.fromarray((pixels * 255 / 16).astype(np.uint8)).save(buffer, "PNG")
        files.append(buffer.getvalue())
    return files


if __name__ == "__main__":
    main()
