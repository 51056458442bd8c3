"""--grpc_channel_arguments: how they are read, and that they reach gRPC."""

from collections.abc import Iterator
from typing import Any

import pytest
from tensorflow_serving.apis import predict_pb2

from server.model_server.channel_arguments import channel_arguments
from server.model_server.errors import ServingError
from server.model_server.service import Method, build
from tests.server.model_server.helpers import PATIENCE, channel_to, refusal, request_for


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("a=1", [("a", 1)]),
        ("grpc.x=-5,b=text,c=", [("grpc.x", -5), ("b", "text"), ("c", "")]),
        ("a= +7 ,a=8", [("a", 7), ("a", 8)]),
        ("a=2147483647,b=-2147483648", [("a", 2**31 - 1), ("b", -(2**31))]),
        ("a=2147483648,b=1.5,c=0x1,d=1_0", [("a", "2147483648"), ("b", "1.5"), ("c", "0x1"),
                                            ("d", "1_0")]),
        (f"a={'9' * 5000}", [("a", "9" * 5000)]),
        ("a=b=c", [("a", "b=c")]),
    ],
)  # fmt: skip
def test_read(text: str, expected: list[tuple[str, int | str]]) -> None:
    read = channel_arguments(text)
    assert read == expected
    assert [type(value) for _, value in read] == [type(value) for _, value in expected]


@pytest.mark.parametrize(("text", "part"), [("a", "a"), ("a=1,", ""), ("=1", "=1"), ("a=1,b", "b")])
def test_refused(text: str, part: str) -> None:
    with pytest.raises(ServingError) as caught:
        channel_arguments(text)
    expected = f"INVALID_ARGUMENT: Invalid gRPC channel argument: '{part}' is not key=value"
    assert str(caught.value) == expected


@pytest.fixture(params=["", "grpc.max_receive_message_length=1000,grpc.unheard_of=x"])
def limited(request: Any) -> Iterator[tuple[Any, bool]]:
    """A call that a server with these arguments answers, and whether they forbid long requests."""

    def answer(request: Any, seconds: float | None) -> Any:
        return predict_pb2.PredictResponse(model_spec=request.model_spec)

    table = {"a.Service": {"Call": Method(predict_pb2.PredictRequest.FromString, answer)}}
    arguments = channel_arguments(request.param)
    server = build(table, ["127.0.0.1:0"], 1, False, channel_arguments=arguments)
    server.start()
    with channel_to(f"127.0.0.1:{server.port}") as channel:
        yield (
            channel.unary_unary(
                "/a.Service/Call",
                predict_pb2.PredictRequest.SerializeToString,
                predict_pb2.PredictResponse.FromString,
            ),
            bool(arguments),
        )
    server.grpc_server.stop(grace=0).wait()


def test_they_beat_our_own(limited: tuple[Any, bool]) -> None:
    call, forbidden = limited
    assert call(request_for("m"), timeout=PATIENCE).model_spec.name == "m"
    name = "m" * 5_000_000
    if not forbidden:
        assert call(request_for(name), timeout=PATIENCE).model_spec.name == name
        return
    code, text = refusal(lambda: call(request_for(name), timeout=PATIENCE))
    assert code == "RESOURCE_EXHAUSTED"
    assert "1000" in text
