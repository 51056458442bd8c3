"""Secrets and pictures stay out of the log, and nothing comes back where a browser would run it."""

import base64
import io
import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image, PngImagePlugin
from werkzeug.test import TestResponse

from contract.settings import Settings
from server.app import create_app
from server.logs import JsonLines
from tests.pictures import picture
from tests.server.security.helpers import keys_in, made

URL = "/v1/models/pets:classify"
# What a caller may send anywhere: it shows if it is repeated, whole, without its markup, as bytes
# or as base64.
WORD = "s3cr3tM4rk3r"
MARK = f"<script>{WORD}</script>"
TRACES = (WORD, base64.b64encode(WORD.encode()).decode().rstrip("="), WORD.encode().hex())
SECRET, KEY = made("shop")
PNG = picture("PNG")


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """All that the gateway writes into its log, in its own form."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.fixture
def guarded(settings: Settings, tmp_path: Path) -> FlaskClient:
    path = keys_in(tmp_path / "keys.json", KEY)
    return create_app(replace(settings, api_keys_file=path)).test_client()


def with_comment() -> bytes:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Comment", MARK)
    file = io.BytesIO()
    Image.new("RGB", (9, 9)).save(file, "PNG", pnginfo=notes)
    return file.getvalue()


def headers(**more: str) -> dict[str, str]:
    return {"X-API-Key": SECRET, **{name.replace("_", "-"): value for name, value in more.items()}}


def case(path: str = URL, method: str = "POST", **request: Any) -> dict[str, Any]:
    return {"path": path, "method": method, "headers": headers(), "data": PNG, **request}


def form(name: str = "image", file: str = "a.png", content: bytes = PNG, **fields: str) -> Any:
    parts = {name: [(io.BytesIO(content), file)], **fields}
    return case(data=parts, content_type="multipart/form-data")


ENCODED = base64.b64encode(f"\x89PNG {WORD}".encode()).decode()
CASES: dict[str, Any] = {
    "an unknown key": lambda: case(headers={"X-API-Key": MARK}),
    "an unknown bearer": lambda: case(headers={"Authorization": f"Bearer {MARK}"}),
    "a password": lambda: case(headers=headers(Authorization=f"Basic {MARK}")),
    "a cookie": lambda: case(headers=headers(Cookie=f"session={MARK}")),
    "an agent": lambda: case(headers=headers(User_Agent=MARK)),
    "a referrer": lambda: case(headers=headers(Referer=f"https://a.example/{MARK}")),
    "an origin": lambda: case(headers=headers(Origin=f"https://{WORD}.example")),
    "an id": lambda: case(headers=headers(X_Request_Id=MARK)),
    "a trace": lambda: case(headers=headers(traceparent=f"00-{MARK}-01", tracestate=MARK)),
    "a deadline": lambda: case(headers=headers(X_Request_Timeout=MARK)),
    "what is accepted": lambda: case(headers=headers(Accept=MARK, Accept_Language=MARK)),
    "an address": lambda: case(headers=headers(X_Forwarded_For=MARK, Host=WORD)),
    "an unknown header": lambda: case(headers=headers(X_Own=MARK)),
    "a type": lambda: case(content_type=f"text/{WORD}; charset={WORD}"),
    "a boundary": lambda: case(content_type=f"multipart/form-data; boundary={WORD}"),
    "a query": lambda: case(query_string={"top_k": MARK}),
    "an unknown parameter": lambda: case(query_string={MARK: MARK}),
    "a model": lambda: case(f"/v1/models/{MARK.replace('/', '')}:classify"),
    "a model's card": lambda: case(f"/v1/models/{WORD}", "GET", data=None),
    "a version": lambda: case(f"/v1/models/pets/versions/{WORD}:classify"),
    "a label": lambda: case(f"/v1/models/pets/labels/{WORD}:classify"),
    "a verb": lambda: case(f"/v1/models/pets:{WORD}"),
    "an address that is none": lambda: case(f"/{MARK}"),
    "another method": lambda: case(URL, WORD.upper()),
    "a file's name": lambda: form(file=f"{MARK}.png"),
    "a part's name": lambda: form(name=MARK),
    "a field": lambda: form(top_k=MARK),
    "an unknown field": lambda: form(**{WORD: MARK}),
    "text for a picture": lambda: case(data=MARK.encode()),
    "a broken picture": lambda: case(data=PNG[:40] + MARK.encode()),
    "a picture's comment": lambda: case(data=with_comment()),
    "a part that is no picture": lambda: form(content=MARK.encode()),
    "broken JSON": lambda: case(data=f'{{"{MARK}', content_type="application/json"),
    "JSON of another form": lambda: case(data=None, json={MARK: MARK}),
    "JSON with text": lambda: case(data=None, json={"image": MARK}),
    "JSON with base64 of no picture": lambda: case(data=None, json={"image": ENCODED}),
    "JSON with a parameter": lambda: case(data=None, json={"image": "", "top_k": MARK}),
    "instances": lambda: case(
        "/v1/models/pets:predict", data=None, json={"instances": [{"b64": ENCODED}, MARK]}
    ),
    "a tensor": lambda: case(
        "/v2/models/pets/infer", data=None, json={"inputs": [{"name": MARK, "data": [ENCODED]}]}
    ),
}


def shown(answer: TestResponse) -> str:
    return f"{answer.headers}\n{answer.get_data().decode('utf-8', 'replace')}"


@pytest.mark.parametrize("name", CASES)
def test_nothing_sent_is_in_the_log(
    guarded: FlaskClient, written: io.StringIO, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    answer = guarded.open(**CASES[name]())
    assert answer.status_code < 500
    lines = written.getvalue()
    assert lines.count("\n") >= 1
    for line in lines.splitlines():
        json.loads(line)
    printed = capfd.readouterr()
    everything = f"{lines}{printed.out}{printed.err}".lower()
    for trace in (*TRACES, SECRET, SECRET.removeprefix("lince_")):
        assert trace.lower() not in everything


@pytest.mark.parametrize("name", CASES)
def test_nothing_sent_comes_back_as_markup(guarded: FlaskClient, name: str) -> None:
    answer = guarded.open(**CASES[name]())
    assert SECRET not in shown(answer)
    assert WORD not in str(answer.headers)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    if WORD in answer.text:  # a problem may say which model or parameter is meant, as JSON alone
        assert answer.content_type in ("application/json", "application/problem+json")
        json.loads(answer.text)


HEADER_CASES = list(CASES)[: list(CASES).index("a type")]


@pytest.mark.parametrize("name", HEADER_CASES)
def test_no_header_comes_back(guarded: FlaskClient, name: str) -> None:
    assert WORD not in shown(guarded.open(**CASES[name]()))


def test_a_defect_is_logged_without_what_was_sent(
    guarded: FlaskClient, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("server.bodies.read", fail)
    answer = guarded.post(
        URL, data=MARK.encode(), query_string={"top_k": MARK}, headers=headers(X_Own=MARK)
    )
    assert answer.status_code == 500
    assert "a defect" in written.getvalue()
    assert "a defect" not in answer.text
    assert WORD not in written.getvalue()
    assert SECRET not in written.getvalue()
