"""The dashboards' files are such that Grafana takes them and shows each panel where it should."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from monitoring.queries import DASHBOARDS, FOLDER, panels

PATHS = sorted(DASHBOARDS.glob("*.json"))
#: Grafana's own panels, without those that newer ones replaced (graph, singlestat, table-old).
TYPES = {"barchart", "bargauge", "heatmap", "row", "stat", "state-timeline", "table", "timeseries"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


@pytest.fixture
def board(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def test_there_are_three_and_each_has_its_own_address() -> None:
    assert [path.stem for path in PATHS] == ["gateway", "model-quality", "model-server"]
    boards = [json.loads(path.read_text()) for path in PATHS]
    assert len({board["uid"] for board in boards}) == len({b["title"] for b in boards}) == 3


def test_the_file_is_written_as_differences_are_read_best(
    path: Path, board: dict[str, Any]
) -> None:
    assert (
        path.read_text() == json.dumps(board, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    )


def test_the_data_source_is_the_readers_choice(board: dict[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    asking = [panel for panel in board["panels"] if panel["type"] != "row"]
    asking += [v for v in variables.values() if v["name"] != "datasource"]
    asking += board["annotations"]["list"]
    assert all(each["datasource"] == SOURCE for each in asking)


def test_panels_are_of_known_types_and_ask_something(path: Path) -> None:
    for panel in panels(path):
        assert panel.type in TYPES, panel.title
        assert bool(panel.targets) == (panel.type != "row"), panel.title


def test_identifiers_are_unique(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(titles)) == len(titles)
    for panel in board["panels"]:
        references = [target["refId"] for target in panel.get("targets", ())]
        assert len(set(references)) == len(references), panel["title"]


def test_panels_lie_beside_each_other(path: Path) -> None:
    placed = panels(path)
    for panel in placed:
        x, _, width, _ = panel.place
        assert x >= 0
        assert x + width <= 24, panel.title
    for one, other in itertools.combinations(placed, 2):
        assert not _overlap(one.place, other.place), (one.title, other.title)


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return all(
        one[axis] < other[axis] + other[axis + 2] and other[axis] < one[axis] + one[axis + 2]
        for axis in (0, 1)
    )


def test_grafana_finds_them(compose: dict[str, Any]) -> None:
    provisioning = FOLDER / "grafana" / "provisioning"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "lince.yml").read_text())[
        "providers"
    ]
    volumes = [str(volume) for volume in compose["services"]["grafana"]["volumes"]]
    folder = provider["options"]["path"]
    assert f"./monitoring/grafana/dashboards:{folder}:ro" in volumes
    sources = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())
    [source] = sources["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"]
