"""The arithmetic of docs/scale.md is done, not claimed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from docs.scale import GATEWAY, MODEL_SERVER, Costs, Pod, pods, table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scale.md").read_text()


def test_the_example_is_what_the_command_prints() -> None:
    found = re.search(r"<!-- generated: python (.*?) -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)
    assert found
    command = [sys.executable, *found[1].split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == f"{found[2]}\n", "copy what it prints into docs/scale.md"


def test_pods() -> None:
    assert pods(1000, 4.0, GATEWAY) == 7  # 4 CPUs, of which a pod uses 0.65
    assert pods(1, 4.0, GATEWAY) == 2
    assert pods(1000, 4.0, MODEL_SERVER) == 4


def test_rows_agree() -> None:
    rows = [line.strip("| ").split(" | ") for line in table(Costs(8.0, 2.0), (5000,)).splitlines()]
    cells = {row[0]: row[1] for row in rows if len(row) == 2}
    gateways, servers = pods(5000, 8.0, GATEWAY), pods(5000, 2.0, MODEL_SERVER)
    assert cells["gateways"] == f"{gateways:,}"
    assert cells["connections between them"] == f"{gateways * servers:,}"


@pytest.mark.parametrize(("file", "pod"), [("gateway", GATEWAY), ("model-server", MODEL_SERVER)])
def test_the_pods_are_those_of_the_manifests(file: str, pod: Pod) -> None:
    manifest = (ROOT / "k8s" / "base" / f"{file}.yaml").read_text()
    assert f'requests: {{cpu: "{pod.cpus}"' in manifest
    assert f"averageUtilization: {pod.share * 100:.0f}" in manifest
