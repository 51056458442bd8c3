"""The examples of the guide run as they stand."""

import functools
import re
import sys
from pathlib import Path
from types import ModuleType

import httpx
import pytest

import client.gateway
from tests.client.gateways import CAT, OK, parts
from tests.pictures import picture

PAGE = (Path(__file__).parents[2] / "docs" / "client.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
CARD = {"name": "fashion-cnn", "ready": True, "version": "3", "manifest": {"labels": ["cat"]}}


def gateway(request: httpx.Request) -> httpx.Response:
    if request.method == "GET":
        whole = request.url.path == "/v1/models"
        return httpx.Response(200, json={"models": [CARD]} if whole else CARD)
    item = {**CAT, "heatmap": [[0.0, 1.0]], "overlay": "AAAA"}
    results = [item] * len(parts(request))
    return httpx.Response(200, json={**OK, "results": results})


@pytest.mark.parametrize("example", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example(example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("lince_client")
    vars(package).update(vars(client.gateway))
    for name in ("Client", "AsyncClient"):
        transport = httpx.MockTransport(gateway)
        connected = functools.partial(getattr(client.gateway, name), transport=transport)
        setattr(package, name, connected)
    monkeypatch.setitem(sys.modules, "lince_client", package)
    monkeypatch.chdir(tmp_path)
    for name in ("boot.png", "coat.png", "photographs/a.png", "photographs/b.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(picture())
    exec(compile(example, "client.md", "exec"), {"__name__": "example"})


def test_the_errors_and_options_of_the_guide_exist() -> None:
    for name in re.findall(r"`([A-Z][A-Za-z]+)`", PAGE):
        assert name in (*client.gateway.__all__, "PathLike", "OSError", "ProblemErrors"), name
    options = client.gateway.ClassifyOptions.__annotations__
    assert set(re.findall(r"^\| `([a-z_]+)=", PAGE, re.MULTILINE)) == set(options)
