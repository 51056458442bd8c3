"""Rows of the tables: a request, and what every server must answer it with."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.conformance.api import OK, Answer, Api, arrays
from tests.conformance.differences import Difference

INVALID, PRECONDITION, NOT_FOUND = "INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"
UNIMPLEMENTED = "UNIMPLEMENTED"

Check = Callable[[Any], None]
Text = str | re.Pattern[str]


@dataclass(frozen=True)
class Case:
    """One gRPC call.

    Attributes:
        name: What it shows.
        request: The message; its type says which method is called.
        code: The status expected.
        text: The text expected with it: equal, or a pattern that matches all of it.
        outputs: For Predict, every output: dtype, shape and values.
        check: Looks at the response.
        difference: The row only holds for Lince's own server, for this reason.
    """

    name: str
    request: Any
    code: str = OK
    text: Text = ""
    outputs: Mapping[str, np.ndarray] | None = None
    check: Check | None = None
    difference: Difference | None = None

    def hold(self, api: Api) -> None:
        answer = api.ask(self.request)
        agree(answer, self.code, self.text)
        if self.outputs is not None:
            same_arrays(arrays(answer.message), self.outputs)
        if self.check is not None:
            self.check(answer.message)


@dataclass(frozen=True)
class RestCase:
    """One REST request.

    Attributes:
        name: What it shows.
        path: Where it goes; the method is POST with a body, else GET.
        body: JSON, or bytes to send as they are.
        status: The HTTP status expected.
        content: The JSON expected, in full.
        error: The text of the error expected: equal, or a pattern that matches all of it.
        difference: Why Lince's own server answers otherwise than TensorFlow Serving.
        reference: What TensorFlow Serving answers then; None if it must not be asked.
    """

    name: str
    path: str
    body: Any = None
    status: int = 200
    content: Any = None
    error: Text | None = None
    method: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    difference: Difference | None = None
    reference: tuple[int, Any] | None = None

    def hold(self, api: Api, embedded: bool | None) -> None:
        method = self.method or ("GET" if self.body is None else "POST")
        reply = api.call(method, self.path, self.body, self.headers)
        got = (reply.status, reply.body[:500])
        if self.difference is not None and embedded is not True:
            if (reply.status, reply.content) == self.reference:
                return
            assert embedded is None, f"expected {self.reference}, got {got}"
        assert reply.status == self.status, got
        if self.error is not None:
            assert list(reply.content) == ["error"], got
            matches(reply.content["error"], self.error)
        if self.content is not None:
            assert reply.content == self.content, got


def agree(answer: Answer, code: str, text: Text) -> None:
    """Assert a status and its text."""
    assert answer.code == code, f"{answer.code}: {answer.text}"
    matches(answer.text, text)


def matches(got: str, text: Text) -> None:
    if isinstance(text, str):
        assert got == text
    else:
        assert text.fullmatch(got), f"{got!r} is not {text.pattern!r}"


def same_arrays(got: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    assert sorted(got) == sorted(expected)
    for alias, array in expected.items():
        assert got[alias].dtype == array.dtype, alias
        assert got[alias].shape == array.shape, alias
        np.testing.assert_array_equal(got[alias], array)


def begins(text: str) -> re.Pattern[str]:
    """Matches what begins with a text."""
    return re.compile(re.escape(text) + ".*", re.DOTALL)


def contains(text: str) -> re.Pattern[str]:
    return re.compile(".*" + re.escape(text) + ".*", re.DOTALL)


def spaced(text: str) -> re.Pattern[str]:
    """Matches the text with any white space anywhere: how JSON in it is laid out is left open."""
    letters = [re.escape(letter) for letter in text if not letter.isspace()]
    return re.compile(r"\s*".join(letters) + r"\s*")


def table(rows: Sequence[Any]) -> Any:
    """Parametrise a test with rows, called by their names."""
    names = [row.name for row in rows]
    repeated = {name for name in names if names.count(name) > 1}
    assert not repeated, f"two rows have the same name: {repeated}"
    return pytest.mark.parametrize("row", rows, ids=[name.replace(" ", "-") for name in names])


def floats(value: Any) -> np.ndarray:
    return np.array(value, np.float32)
