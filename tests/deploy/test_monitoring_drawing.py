"""Dashboards drawn without Grafana, from a Prometheus that answers over real HTTP."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image

from monitoring.api import Prometheus
from monitoring.draw import View, draw
from monitoring.queries import DASHBOARDS, panels

START, END = 1_000_000.0, 1_003_600.0
METRIC = {"__name__": "up", "le": "0.5", "model": "digits-cnn", "version": "1", "label": "7"}


class Answers(BaseHTTPRequestHandler):
    """One series for each query: it has a gap, and something that is no number."""

    asked: list[dict[str, list[str]]]

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        asked = parse_qs(url.query)
        self.asked.append(asked)
        if url.path.endswith("query_range"):
            start, step = float(asked["start"][0]), float(asked["step"][0])
            places = [*range(10, 50), *range(80, 110)]
            values = [[start + place * step, str(place)] for place in places] + [[END, "NaN"]]
            result: list[dict[str, Any]] = [{"metric": METRIC, "values": values}]
        else:
            result = [{"metric": METRIC, "value": [END, "12.5"]}]
        body = json.dumps({"status": "success", "data": {"result": result}})
        if "nonsense" in asked["query"][0]:
            body = json.dumps({"status": "error", "error": "parse error"})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def asked() -> list[dict[str, list[str]]]:
    return []


@pytest.fixture
def prometheus(asked: list[dict[str, list[str]]]) -> Iterator[Prometheus]:
    handler = type("Handler", (Answers,), {"asked": asked})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Prometheus(f"http://127.0.0.1:{server.server_port}/")
        server.shutdown()
        thread.join()


@pytest.mark.heavy
def test_every_panel_is_asked_for_and_drawn(
    prometheus: Prometheus, asked: list[dict[str, list[str]]], tmp_path: Path
) -> None:
    path, out = DASHBOARDS / "model-quality.json", tmp_path / "out.png"
    draw(path, View(prometheus, START, END, "1m"), out)
    assert len(asked) == sum(len(panel.targets) for panel in panels(path))
    assert not any("$" in each["query"][0] for each in asked)
    with Image.open(out) as whole:
        colours = whole.convert("RGB").getcolors(whole.width * whole.height)
        assert len(colours or ()) > 100
        draw(path, View(prometheus, START, END, "1m"), out, lines=8)
        with Image.open(out) as part:
            assert part.width == whole.width
            assert part.height < whole.height / 2


def test_a_series_keeps_its_gap(prometheus: Prometheus) -> None:
    view = View(prometheus, START, END, "1m")
    [target] = next(p for p in panels(DASHBOARDS / "model-quality.json") if p.targets).targets
    [(_, series)] = view.lines(target)
    values = view.gridded(series)
    assert [values[10], values[49], values[80]] == [10, 49, 80]
    assert all(value != value for value in [values[9], values[50], values[79], values[-1]])


def test_a_query_that_is_not_taken(prometheus: Prometheus) -> None:
    with pytest.raises(ValueError, match="nonsense: parse error"):
        prometheus.now("nonsense")
