"""W3C Trace Context: what is taken over, and what is passed on.

The cases are those of https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3.
"""

import pytest

from server.trace_context import new, received

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


def test_a_caller_s_span() -> None:
    context = received(GOOD, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7")
    assert context is not None
    assert (context.trace_id, context.span_id, context.sampled) == (TRACE, SPAN, True)
    child = context.child()
    assert child.trace_id == TRACE
    assert child.span_id != SPAN
    assert child.headers() == (
        ("traceparent", f"00-{TRACE}-{child.span_id}-01"),
        ("tracestate", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"),
    )


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "garbage",
        GOOD.upper(),
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN[:-1]}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0g",
        f"{GOOD}-more",
        f"{GOOD},{GOOD}",
        f"{GOOD}\n",
        f"00-{TRACE}-{SPAN}",
        f"01-{TRACE}-{SPAN}-01.more",
        "00-" + "١" * 32 + f"-{SPAN}-01",
    ],
)
def test_wrong_ones_are_none(header: str | None) -> None:
    assert received(header, "congo=1") is None


@pytest.mark.parametrize(
    ("header", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),
        (f"  {GOOD}\t", True),
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what the future brings", True),
    ],
)
def test_flags_and_later_versions(header: str, sampled: bool) -> None:
    context = received(header, None)
    assert context is not None
    assert context.sampled is sampled
    assert context.traceparent == f"00-{TRACE}-{SPAN}-0{int(sampled)}"


@pytest.mark.parametrize(
    ("header", "passed_on"),
    [
        (None, ""),
        ("", ""),
        ("a=1", "a=1"),
        ("a=1 , b=2,,\tc=3", "a=1,b=2,c=3"),
        ("tenant@system=x", "tenant@system=x"),
        ("0a=value with spaces", "0a=value with spaces"),
        ("A=1", ""),
        ("a", ""),
        ("a=", ""),
        ("a=1=2", ""),
        ("a=1,a=2", ""),
        ("@system=1", ""),
        ("a@1=1", ""),
        ("a=\x07", ""),
        ("a=é", ""),
        ("a=" + "x" * 257, ""),
        (",".join(f"k{n}=1" for n in range(33)), ""),
        (",".join(f"k{n}=1" for n in range(32)), ",".join(f"k{n}=1" for n in range(32))),
    ],
)
def test_tracestate(header: str | None, passed_on: str) -> None:
    context = received(GOOD, header)
    assert context is not None
    assert context.state == passed_on


def test_what_is_too_long_loses_its_end() -> None:
    members = [f"k{number}={'x' * 200}" for number in range(5)]
    context = received(GOOD, ",".join(members))
    assert context is not None
    assert context.state == ",".join(members[:2])


def test_a_new_trace() -> None:
    context = new()
    assert received(context.traceparent, None) == context
    assert not context.sampled
    assert new().trace_id != context.trace_id
