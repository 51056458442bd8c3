"""The trace of a request: its headers, its spans."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from contract.errors import SettingsError
from server import tracing
from server.spans import OpenTelemetry
from tests.server.test_trace_context import GOOD, SPAN, TRACE


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.record_with(OpenTelemetry(provider))
    yield exporter
    tracing.end()


def a_request(code: int = 200, traceparent: str | None = GOOD) -> dict[str, str]:
    """Goes through a request; returns what the model server is told."""
    tracing.begin_request(traceparent, "congo=1", "POST", "/classify")
    with tracing.span("decode"):
        pass
    with tracing.span("predict"):
        told = dict(tracing.metadata())
    tracing.end_request(code, "r-1")
    return told


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def test_the_trace_goes_on_without_recording() -> None:
    mine = tracing.begin_request(GOOD, "congo=1", "POST", "/classify")
    assert dict(tracing.metadata()) == {"traceparent": mine.traceparent, "tracestate": "congo=1"}
    assert mine.trace_id == TRACE
    assert mine.span_id != SPAN
    tracing.end_request(200, "r-1")
    assert tracing.metadata() == ()


def test_a_request_without_a_trace_begins_one() -> None:
    told = a_request(traceparent="nonsense")
    assert TRACE not in told["traceparent"]
    assert told["traceparent"].endswith("-00")
    assert "tracestate" not in told


def test_spans(exporter: InMemorySpanExporter) -> None:
    told = a_request()
    spans = by_name(exporter)
    assert set(spans) == {"POST /classify", "decode", "predict"}
    request, predict = spans["POST /classify"], spans["predict"]
    assert all(format_trace_id(span.context.trace_id) == TRACE for span in spans.values())
    assert request.parent is not None
    assert format_span_id(request.parent.span_id) == SPAN
    for name in ("decode", "predict"):
        parent = spans[name].parent
        assert parent is not None
        assert parent.span_id == request.context.span_id
    assert told["traceparent"] == f"00-{TRACE}-{format_span_id(predict.context.span_id)}-01"
    assert told["tracestate"] == "congo=1"
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/classify",
        "http.response.status_code": 200,
        "lince.request_id": "r-1",
    }
    assert request.status.status_code is StatusCode.UNSET


def test_a_failure_is_an_error(exporter: InMemorySpanExporter) -> None:
    a_request(503)
    assert by_name(exporter)["POST /classify"].status.status_code is StatusCode.ERROR


def test_requests_are_traces_of_their_own(exporter: InMemorySpanExporter) -> None:
    for _ in range(2):
        a_request(traceparent=None)
    traces = {span.context.trace_id for span in exporter.get_finished_spans()}
    assert len(traces) == 2


def test_who_does_not_sample_is_not_recorded(exporter: InMemorySpanExporter) -> None:
    told = a_request(traceparent=f"00-{TRACE}-{SPAN}-00")
    assert not exporter.get_finished_spans()
    assert told["traceparent"].startswith(f"00-{TRACE}-")
    assert told["traceparent"].endswith("-00")


def test_outside_a_request_nothing_is_recorded(exporter: InMemorySpanExporter) -> None:
    with tracing.span("decode"):
        assert tracing.metadata() == ()
    tracing.end_request(200, "none")
    assert not exporter.get_finished_spans()


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"}, False),
    ],
)
def test_recording_is_asked_for_by_the_endpoint(environment: dict[str, str], wanted: bool) -> None:
    assert tracing.wanted(environment) is wanted


def test_the_extra_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "find_spec", lambda _name: None)
    with pytest.raises(SettingsError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT.*lince\[otel\]"):
        tracing.wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
