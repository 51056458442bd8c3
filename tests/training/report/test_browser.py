"""The pages in a browser as narrow as a phone."""

import html
import re
import subprocess
from pathlib import Path

import pytest

from tests.programs import require
from tests.training.report import made
from training.report.compare import compare
from training.report.page import write_report

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings(made.KERAS_AND_NUMPY),
]

PHONE = 360
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: A browser's window is at least 500 pixels wide, a frame in it may be narrower.
FRAME = """<!doctype html><title>waiting</title>
<iframe style="width: {width}px; height: 800px; border: 0" srcdoc="{page}"></iframe>
<script>
onload = () => {{
  const root = document.querySelector("iframe").contentDocument.documentElement
  const images = [...root.querySelectorAll("img")]
  const shown = images.filter(image => image.naturalWidth).length
  document.title = `wide ${{root.scrollWidth}} images ${{shown}}`
}}
</script>
"""


def measured(page: Path, scratch: Path) -> tuple[int, int]:
    """Returns how wide a page is in a window of 360 pixels, and how many images it shows."""
    framed = scratch / "frame.html"
    framed.write_text(FRAME.format(width=PHONE, page=html.escape(page.read_text())))
    command = [require("chromium"), *FLAGS, f"--user-data-dir={scratch / 'browser'}", "--dump-dom"]
    done = subprocess.run(
        [*command, framed.as_uri()], capture_output=True, text=True, timeout=60, check=True
    )
    found = re.search(r"wide (\d+) images (\d+)", done.stdout)
    assert found, done.stdout[:300]
    return int(found[1]), int(found[2])


def test_a_report_fits_a_phone(tmp_path: Path) -> None:
    labels = ["W" * 60, "a class with a name of many words", "x"]
    run = made.classifier_run(tmp_path / ("run-" + "7" * 60), labels=labels)
    write_report(run, print)
    width, images = measured(run.page, tmp_path)
    assert width <= PHONE
    assert images == 10


def test_a_comparison_fits_a_phone(tmp_path: Path) -> None:
    runs = [
        made.completed(made.classifier_run(tmp_path / name, model=False)) for name in ("a", "b")
    ]
    compare(runs, tmp_path / "page.html")
    width, images = measured(tmp_path / "page.html", tmp_path)
    assert width <= PHONE
    assert images == 4
