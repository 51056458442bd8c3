"""Spans by OpenTelemetry, which the extra `otel` installs.

All of OpenTelemetry's own variables apply: OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER,
OTEL_SERVICE_NAME and the others.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar, Token

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.span import TraceFlags, TraceState

from server.trace_context import TraceContext

SERVICE = "lince-gateway"

_Begun = tuple[Span, Token[context.Context]]
_begun: ContextVar[_Begun | None] = ContextVar("span", default=None)


def exporting() -> OpenTelemetry:
    """Returns a recorder that exports over HTTP, as the environment says."""
    resource = Resource({"service.name": SERVICE}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return OpenTelemetry(provider)


class OpenTelemetry:
    """The recorder of `server.tracing`."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("lince")

    def begin(self, caller: TraceContext | None, name: str, method: str, route: str) -> None:
        span = self._tracer.start_span(
            name,
            context=_context(caller),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
        )
        _begun.set((span, context.attach(trace.set_span_in_context(span))))

    def end(self, code: int, request_id: str) -> None:
        begun = _begun.get()
        if begun is None:
            return
        _begun.set(None)
        span, token = begun
        span.set_attributes({"http.response.status_code": code, "lince.request_id": request_id})
        if code >= 500:
            span.set_status(StatusCode.ERROR)
        span.end()
        context.detach(token)

    def span(self, name: str) -> AbstractContextManager[object]:
        return self._tracer.start_as_current_span(name)

    def current(self) -> TraceContext:
        mine = trace.get_current_span().get_span_context()
        return TraceContext(
            trace.format_trace_id(mine.trace_id),
            trace.format_span_id(mine.span_id),
            mine.trace_flags.sampled,
            mine.trace_state.to_header(),
        )

    def close(self) -> None:
        self._provider.shutdown()


def _context(caller: TraceContext | None) -> context.Context:
    if caller is None:
        return context.Context()
    parent = SpanContext(
        int(caller.trace_id, 16),
        int(caller.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(caller.sampled)),
        trace_state=TraceState.from_header([caller.state]) if caller.state else None,
    )
    return trace.set_span_in_context(NonRecordingSpan(parent), context.Context())
