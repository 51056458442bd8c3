"""Which version may follow another, by its test set and by its traffic."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import promql_parser
import pytest

from contract.manifest import Manifest
from export.rollout.errors import WorseError
from export.rollout.judge import Traffic, compare, compare_traffic, traffic
from server import metrics
from tests.export.rollout.polling import manifest
from tests.manifests import make_manifest


def regression(error: float) -> Manifest:
    return replace(make_manifest((), task="regression"), metrics={"mean_squared_error": error})


@pytest.mark.parametrize(
    ("stable", "new", "refused"),
    [
        (manifest(0.90), manifest(0.91), False),
        (manifest(0.90), manifest(0.90), False),
        (manifest(0.90), manifest(0.895), False),  # within the tolerance
        (manifest(0.90), manifest(0.88), True),
        (manifest(0.90), manifest(0.88, "other"), True),
        (manifest(0.90), replace(manifest(0.9), metrics={}), True),
        (replace(manifest(0.9), metrics={}), manifest(0.9), True),
        (None, manifest(0.9), True),
        (manifest(0.9), None, True),
        (manifest(0.9), regression(0.1), True),
        (regression(2.0), regression(2.01), False),
        (regression(2.0), regression(2.1), True),
        (regression(0.0), regression(0.1), True),
        (make_manifest((), task="features"), make_manifest((), task="features"), False),
    ],
)
def test_test_sets(stable: Manifest | None, new: Manifest | None, refused: bool) -> None:
    def judge() -> str:
        return "\n".join(compare(stable, new, 0.01))

    if refused:
        with pytest.raises(WorseError):
            judge()
    else:
        judge()


def test_what_is_not_alike_is_said() -> None:
    lines = list(compare(manifest(0.9), replace(manifest(0.95, "1"), labels=("a", "b", "c")), 0))
    assert [line.split(":")[0] for line in lines] == [
        "the two have other labels",
        "tested on other data",
        "accuracy 0.9500, of the stable version 0.9000",
    ]


@pytest.mark.parametrize(
    ("stable", "canary", "problem"),
    [
        (Traffic(1000, 0, 0.02), Traffic(100, 0, 0.02), None),
        (Traffic(1000, 0, 0.02), Traffic(100, 1, 0.029), None),
        (Traffic(0, 0, 0.0), Traffic(100, 0, 0.02), None),
        (Traffic(1000, 0, 0.02), Traffic(99, 0, 0.02), "99 requests"),
        (Traffic(1000, 10, 0.02), Traffic(1000, 30, 0.02), "3.00%"),
        (Traffic(1000, 0, 0.02), Traffic(1000, 0, 0.04), "2.0 times"),
    ],
)
def test_traffic(stable: Traffic, canary: Traffic, problem: str | None) -> None:
    if problem is None:
        assert len(list(compare_traffic(stable, canary))) == 2
    else:
        with pytest.raises(WorseError, match=problem):
            list(compare_traffic(stable, canary))


@contextmanager
def prometheus(values: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Answers each query with the value of the first part of it that it knows."""
    queries: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)["query"][0]
            queries.append(query)
            found = next((value for part, value in values.items() if part in query), None)
            result = [] if found is None else [{"metric": {}, "value": [1.5, found]}]
            body = json.dumps({"status": "success", "data": {"result": result}}).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", queries
        finally:
            server.shutdown()
            thread.join()


def test_a_prometheus_is_asked() -> None:
    values = {'code=~"5.."': "3", "_sum": "6.5", "_count": "130", "_total": "130.4"}
    with prometheus(values) as (url, queries):
        assert traffic(url, "flowers-cnn", "canary", "15m") == Traffic(130.4, 3.0, 0.05)
    known = {row.name: {*row.labels} for row in metrics.table()}
    for query in queries:
        promql_parser.parse(query)
        assert 'model="flowers-cnn",track="canary"' in query
        assert "[15m]" in query
        found = re.search(r"lince_[a-z_]+?(?=(_sum|_count)?\{)", query)
        assert found
        assert {"model", "track"} | ({"code"} & {*re.findall("code", query)}) <= known[found[0]]


@pytest.mark.parametrize("value", [None, "NaN", "+Inf"])
def test_nothing_counted_is_nothing(value: str | None) -> None:
    with prometheus({} if value is None else {"lince": value}) as (url, _):
        assert traffic(url, "m", "canary", "5m") == Traffic(0.0, 0.0, 0.0)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://127.0.0.1", "nowhere"])
def test_a_prometheus_that_is_away(url: str) -> None:
    with pytest.raises(WorseError, match=url):
        traffic(url, "m", "canary", "5m")
