"""The container images, built and run by scripts/images with buildah and bubblewrap."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.integration.processes import environment
from tests.programs import require

pytestmark = [pytest.mark.integration, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def test_a_picture_is_classified_from_image_to_image(workshop: Path, tmp_path: Path) -> None:
    for program in ("buildah", "debootstrap", "bwrap", "nsenter", "ip"):
        require(program)
    if os.geteuid() != 0:
        pytest.skip("needs root, to unpack a system")
    done = subprocess.run(
        [str(ROOT / "scripts" / "images"), "--models", str(workshop / "models")],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    sizes = dict(
        re.findall(r"^lince-([a-z-]+): (\d+) MB above the base; \d+ packages", done.stdout, re.M)
    )
    assert set(sizes) == {"gateway", "model-server", "client"}
    assert int(sizes["gateway"]) < 150
    assert '"label"' in done.stdout
    assert done.stdout.count("exit code 0") == 2
