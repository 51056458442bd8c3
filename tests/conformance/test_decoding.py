"""How a TensorProto is read, and how outputs of each dtype are written."""

import struct
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tests.conformance.api import Api, of_unknown_rank, predict_request, shaped
from tests.conformance.cases import INVALID, Case, floats, table
from tests.conformance.differences import REPEATED_VALUES
from tests.conformance.graphs import DTYPES

pytestmark = pytest.mark.integration

BFLOAT16 = tf.bfloat16.as_numpy_dtype


def read(dtype: str, proto: Any) -> Any:
    """Asks for a tensor of a dtype as it was read."""
    return predict_request("dtypes", x=proto, spec={"signature": dtype})


def row(name: str, dtype: str, proto: Any, expected: Any, kind: Any = None) -> Case:
    array = np.array(expected, kind or tf.dtypes.as_dtype(dtype).as_numpy_dtype)
    return Case(name, read(dtype, proto), outputs={"y": array})


def f32(*shape: int, **fields: Any) -> Any:
    return shaped("float32", *shape, **fields)


ONE = struct.pack("<f", 1.0)

READ = [
    row("content beats values", "float32", f32(1, float_val=[9], tensor_content=ONE), [1]),
    row("content", "float32", f32(2, tensor_content=ONE * 2), [1, 1]),
    row("last value repeats", "float32", f32(2, 2, float_val=[1, 2]), [[1, 2], [2, 2]]),
    row("one value for all", "float32", f32(3, float_val=[7]), [7, 7, 7]),
    row("no value gives zeros", "float32", f32(3), [0, 0, 0]),
    row("extra values are dropped", "float32", f32(2, float_val=[1, 2, 3]), [1, 2]),
    row("extra values of a scalar", "float32", f32(float_val=[1, 2, 3]), 1),
    row("values in the wrong field", "float32", f32(2, int_val=[1, 2]), [0, 0]),
    row("values in a wrong field beside the right one", "float32",
        f32(2, double_val=[5, 6], float_val=[1, 2]), [1, 2]),
    row("no shape is a scalar", "float32", f32(float_val=[4]), 4),
    row("unknown rank is a scalar", "float32", of_unknown_rank("float32", float_val=[4, 5]), 4),
    row("unknown rank without values", "float32", of_unknown_rank("float32"), 0),
    row("size 0 ignores values", "float32", f32(0, 4, float_val=[1, 2]), np.zeros((0, 4))),
    row("size 0 with an empty content", "float32", f32(2, 0, tensor_content=b""),
        np.zeros((2, 0))),
    row("int8 by int_val", "int8", shaped("int8", 2, int_val=[-128, 127]), [-128, 127]),
    row("int16 by int_val", "int16", shaped("int16", 2, int_val=[-5, 300]), [-5, 300]),
    row("uint8 by int_val", "uint8", shaped("uint8", 2, int_val=[0, 255]), [0, 255]),
    row("uint16 by int_val", "uint16", shaped("uint16", 1, int_val=[65535]), [65535]),
    row("int32 by int_val", "int32", shaped("int32", 1, int_val=[-(2**31)]), [-(2**31)]),
    row("uint8 out of range wraps", "uint8", shaped("uint8", 2, int_val=[300, -1]), [44, 255]),
    row("int8 out of range wraps", "int8", shaped("int8", 1, int_val=[200]), [-56]),
    row("int64 by int64_val", "int64", shaped("int64", 1, int64_val=[-(2**63)]), [-(2**63)]),
    row("uint32 by uint32_val", "uint32", shaped("uint32", 1, uint32_val=[2**32 - 1]),
        [2**32 - 1]),
    row("uint64 by uint64_val", "uint64", shaped("uint64", 1, uint64_val=[2**64 - 1]),
        [2**64 - 1]),
    row("half by half_val bits", "float16", shaped("float16", 2, half_val=[0x3C00, 0x4000]),
        [1, 2]),
    row("bfloat16 by half_val bits", "bfloat16", shaped("bfloat16", 1, half_val=[0x3F80]),
        [1], BFLOAT16),
    row("bool by bool_val", "bool", shaped("bool", 2, bool_val=[True, False]), [True, False]),
    row("double by double_val", "float64", shaped("float64", 1, double_val=[0.1]), [0.1]),
    row("complex in pairs", "complex64", shaped("complex64", 1, scomplex_val=[1, 2]), [1 + 2j]),
    row("wide complex in pairs", "complex128", shaped("complex128", 1, dcomplex_val=[1, 2]),
        [1 + 2j]),
    row("text by string_val", "string", shaped("string", 2, string_val=[b"a\0", b"\xff"]),
        [b"a\0", b"\xff"], object),
    row("last text repeats", "string", shaped("string", 3, string_val=[b"a", b"b"]),
        [b"a", b"b", b"b"], object),
    row("no text gives empty ones", "string", shaped("string", 2), [b"", b""], object),
    row("uint8 by content", "uint8", shaped("uint8", 2, tensor_content=b"\x01\xff"), [1, 255]),
    row("int64 by content", "int64", shaped("int64", 1, tensor_content=b"\1" + b"\0" * 7), [1]),
    row("half by content", "float16", shaped("float16", 1, tensor_content=b"\0\x3c"), [1]),
]  # fmt: skip

PARSING = "tensor parsing error: x"

REFUSED = [
    Case("dtype 0", read("float32", shaped(0, 1)), INVALID, PARSING),
    Case("a ref dtype", read("float32", shaped(101, 1)), INVALID, PARSING),
    Case("a dtype that there is not", read("float32", shaped(99, 1)), INVALID, PARSING),
    Case("negative dimension", read("float32", f32(-1)), INVALID, PARSING),
    Case("negative dimension beside 0", read("float32", f32(0, -2)), INVALID, PARSING),
    Case("content too short", read("float32", f32(2, tensor_content=ONE)), INVALID, PARSING),
    Case("content too long", read("float32", f32(1, tensor_content=ONE * 2)), INVALID, PARSING),
    Case("content for a size of 0", read("float32", f32(0, tensor_content=ONE)), INVALID, PARSING),
    Case("content cut in a value", read("float32", f32(1, tensor_content=b"123")), INVALID,
         PARSING),
    Case("an alias of its own", predict_request("images", images=shaped(0, 1)), INVALID,
         "tensor parsing error: images"),
]  # fmt: skip

HUGE = Case(
    "one value, a huge shape",
    read("float32", f32(1 << 40, 4, float_val=[1])),
    INVALID,
    PARSING,
    difference=REPEATED_VALUES,
)


@table(READ)
def test_read(api: Api, row: Case) -> None:
    row.hold(api)


@table(REFUSED)
def test_refused(api: Api, row: Case) -> None:
    row.hold(api)


def test_only_here(api: Api, embedded: bool | None) -> None:
    if not embedded:
        pytest.skip(f"TensorFlow Serving {REPEATED_VALUES.reference}")
    HUGE.hold(api)


WRITTEN: dict[str, tuple[str, list[Any], list[Any]]] = {
    "float32": ("float_val", [0.5, -1.0], [0.5, -1.0]),
    "float64": ("double_val", [0.1, -1.0], [0.1, -1.0]),
    "float16": ("half_val", [1.0, 2.0], [0x3C00, 0x4000]),
    "bfloat16": ("half_val", [1.0, 2.0], [0x3F80, 0x4000]),
    "int8": ("int_val", [-128, 127], [-128, 127]),
    "int16": ("int_val", [-5, 300], [-5, 300]),
    "int32": ("int_val", [-5, 300], [-5, 300]),
    "int64": ("int64_val", [-5, 2**62], [-5, 2**62]),
    "uint8": ("int_val", [0, 255], [0, 255]),
    "uint16": ("int_val", [0, 65535], [0, 65535]),
    "uint32": ("uint32_val", [0, 2**32 - 1], [0, 2**32 - 1]),
    "uint64": ("uint64_val", [0, 2**64 - 1], [0, 2**64 - 1]),
    "bool": ("bool_val", [True, False], [True, False]),
    "string": ("string_val", [b"a", b""], [b"a", b""]),
    "complex64": ("scomplex_val", [1 + 2j, 3j], [1.0, 2.0, 0.0, 3.0]),
    "complex128": ("dcomplex_val", [1 + 2j, 3j], [1.0, 2.0, 0.0, 3.0]),
}
"""For each dtype the field of a response, what is sent, and what the field holds."""


@pytest.mark.parametrize("dtype", WRITTEN)
def test_written(api: Api, dtype: str) -> None:
    """Full lists in the dtype's own field, none of them left out for being equal."""
    field, sent, expected = WRITTEN[dtype]
    values = np.array(sent, tf.dtypes.as_dtype(dtype).as_numpy_dtype)
    output = api.ask(read(dtype, tf.make_tensor_proto(values))).message.outputs["y"]
    assert {f.name for f, _ in output.ListFields()} == {"dtype", "tensor_shape", field}
    assert output.dtype == tf.dtypes.as_dtype(dtype).as_datatype_enum
    assert [dim.size for dim in output.tensor_shape.dim] == [2]
    assert list(getattr(output, field)) == expected


def test_every_dtype_is_there() -> None:
    assert sorted(WRITTEN) == sorted(dtype.name for dtype in DTYPES)


def test_a_scalar_has_an_empty_shape(api: Api) -> None:
    output = api.ask(read("float32", tf.make_tensor_proto(floats(1)))).message.outputs["y"]
    assert output.HasField("tensor_shape")
    assert not output.tensor_shape.dim
    assert not output.tensor_shape.unknown_rank
