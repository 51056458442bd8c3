"""W3C Trace Context (https://www.w3.org/TR/trace-context/): whose request this is a part of."""

from __future__ import annotations

import re
from dataclasses import dataclass

from server.ids import hexadecimal

# Of a version after 00 only what 00 has is read; it may have more behind another dash.
_PARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)
_KEY = r"[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13}"
_MEMBER = re.compile(
    rf"({_KEY})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{{0,255}}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MOST_MEMBERS = 32
# What everybody has to pass on; more of it might not fit in a gRPC call's head.
_MOST_STATE = 512
_SAMPLED = 1


@dataclass(frozen=True)
class TraceContext:
    """A span and the trace that it belongs to.

    Attributes:
        trace_id: 32 hexadecimal digits.
        span_id: 16 hexadecimal digits.
        sampled: whether who began the trace may have recorded it.
        state: the header tracestate, as other systems want it passed on.
    """

    trace_id: str
    span_id: str
    sampled: bool = False
    state: str = ""

    @property
    def traceparent(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{int(self.sampled):02x}"

    def headers(self) -> tuple[tuple[str, str], ...]:
        """Returns what the next one is told: HTTP headers or gRPC metadata."""
        state = (("tracestate", self.state),) if self.state else ()
        return (("traceparent", self.traceparent), *state)

    def child(self) -> TraceContext:
        """Returns a new span of the same trace."""
        return TraceContext(self.trace_id, hexadecimal(16), self.sampled, self.state)


def new() -> TraceContext:
    """Returns the first span of a trace that nobody records."""
    return TraceContext(hexadecimal(32), hexadecimal(16))


def received(traceparent: str | None, tracestate: str | None) -> TraceContext | None:
    """Returns the caller's span; None if there is none, or it is not as the standard wants it."""
    found = _PARENT.fullmatch(traceparent.strip(" \t")) if traceparent else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    if not int(found["trace"], 16) or not int(found["span"], 16):
        return None
    sampled = bool(int(found["flags"], 16) & _SAMPLED)
    return TraceContext(found["trace"], found["span"], sampled, _state(tracestate))


def _state(header: str | None) -> str:
    """What is passed on of the header; nothing of one that breaks the standard."""
    members = [part.strip(" \t") for part in (header or "").split(",")]
    members = [member for member in members if member]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > _MOST_MEMBERS or len(keys) < len(members):
        return ""
    if not all(_MEMBER.fullmatch(member) for member in members):
        return ""
    while len(state := ",".join(members)) > _MOST_STATE:
        members.pop()  # the oldest
    return state
