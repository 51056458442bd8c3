"""What every request gets: its id, its trace, its figures, its line in the log."""

import logging
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.pictures import picture
from tests.server.fake_model_server import FakeModelServer
from tests.server.figures import Growth
from tests.server.records import records_of
from tests.server.test_trace_context import GOOD, SPAN, TRACE

URL = "/v1/models/pets:classify"


def access_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [entry.fields for entry in records_of(caplog, "lince.access")]


def test_the_trace_goes_to_the_model_server_and_back(
    http: FlaskClient, fake: FakeModelServer
) -> None:
    headers = {"traceparent": GOOD, "tracestate": "congo=1"}
    answer = http.post(URL, data=picture(), headers=headers)
    version, trace_id, mine, flags = answer.headers["traceresponse"].split("-")
    assert (version, trace_id, flags) == ("00", TRACE, "01")
    assert mine != SPAN
    told = fake.metadata[-1]
    assert told["traceparent"] == answer.headers["traceresponse"]
    assert told["tracestate"] == "congo=1"


def test_work_in_the_background_belongs_to_no_trace(
    http: FlaskClient, fake: FakeModelServer
) -> None:
    assert "traceparent" not in fake.metadata[0]
    http.post(URL, data=picture())
    assert "traceparent" in fake.metadata[-1]


def test_the_access_line(http: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        http.post(URL + "?secret=1", data=picture())
    (line,) = access_lines(caplog)
    milliseconds = line.pop("milliseconds")
    assert milliseconds > 0
    assert line == {
        "method": "POST",
        "route": "/v1/models/<name>:classify",
        "status": 200,
        "model": "pets",
        "version": 1,
        "images": 1,
    }


def test_a_request_s_thread_forgets_it(http: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    from server import logs, tracing

    http.post(URL, data=picture())
    assert tracing.metadata() == ()
    entry = logging.LogRecord("x", logging.INFO, "x.py", 1, "m", (), None)
    assert "request_id" not in logs.JsonLines().format(entry)


@pytest.mark.parametrize("headers", [{"X-Request-Timeout": "never"}, {}])
def test_nothing_stays_in_progress(http: FlaskClient, headers: dict[str, str]) -> None:
    progress = Growth("lince_http_requests_in_progress")
    http.post(URL, data=picture(), headers=headers)
    assert progress() == 0


def test_stages_are_counted(http: FlaskClient) -> None:
    stages = ("read", "decode", "resize", "predict", "encode")
    counts = [Growth("lince_stage_duration_seconds_count", stage=stage) for stage in stages]
    answer = http.post(URL, data=picture())
    assert [count() for count in counts] == [1] * 5
    shown = [part.partition(";")[0] for part in answer.headers["Server-Timing"].split(", ")]
    assert shown == ["read", "decode", "predict", "total"]


def test_a_file_is_counted(http: FlaskClient) -> None:
    formats = Growth("lince_image_formats_total", format="JPEG", mode="L")
    sizes, pixels = Growth("lince_image_bytes_sum"), Growth("lince_image_pixels_sum")
    data = picture("JPEG", mode="L", size=(30, 20))
    http.post(URL, data=data)
    assert (formats(), sizes(), pixels()) == (1, len(data), 600)


def test_a_refusal_is_counted(http: FlaskClient) -> None:
    refused = Growth("lince_rejected_total", reason="unsupported-media-type")
    http.post(URL, data=b"{}", content_type="text/plain")
    assert refused() == 1


def test_a_version_that_is_gone_is_a_retry(http: FlaskClient, fake: FakeModelServer) -> None:
    assert http.post(URL, data=picture()).status_code == 200
    retries = Growth("lince_backend_retries_total", model="pets", reason="version-gone")
    fake.models["pets"] = {2: fake.models["pets"][1]}
    assert http.post(URL, data=picture()).json["version"] == "2"
    assert retries() == 1
