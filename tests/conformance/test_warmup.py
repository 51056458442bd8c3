"""Warm-up requests, which run before a version is available."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance import graphs, models
from tests.conformance.api import (
    classify_request,
    example,
    inference_request,
    predict_request,
    regress_request,
)
from tests.conformance.cases import Text, agree, begins, contains, floats, matches
from tests.conformance.conftest import Launch
from tests.conformance.disk import WARMUP, Disk, log_of
from tests.conformance.programs import Server
from tests.integration.processes import wait_until

pytestmark = pytest.mark.integration

TWO = example(x=2.0)


def predict(*, signature: str = "", **inputs: Any) -> Any:
    """A record; the model's name in it is not looked at."""
    spec = {"signature": signature}
    return log_of("predict", predict_request("any", spec=spec, **inputs))


GOOD = predict(x=floats([1]))
EMPTY = type(GOOD)()
CLASSIFY = log_of("classify", classify_request("any", TWO, signature="classify"))
REGRESS = log_of("regress", regress_request("any", TWO, signature="regress"))
INFER = log_of(
    "multi_inference",
    inference_request([("regress", {"model": "any", "signature": "regress"})], TWO),
)


@dataclass(frozen=True)
class Row:
    """A warm-up file: what it holds, and the error that the load ends with; none if it is fine."""

    name: str
    records: Sequence[Any] | bytes
    code: int = 0
    text: Text = ""


INVALID, NOT_FOUND, PRECONDITION, UNIMPLEMENTED, DATA_LOSS = 3, 5, 9, 12, 15

WHOLE = b"\0" * 8 + b")\x03\x98\x07" + b"\xd8\xea\x82\xa2"
"""A TFRecord file with one empty record: its length, and the checksums of length and content."""

ROWS = [
    Row("one empty record", WHOLE),
    Row("no record", []),
    Row("predict", [GOOD]),
    Row("classify", [CLASSIFY]),
    Row("regress", [REGRESS]),
    Row("multi inference", [INFER]),
    Row("an empty log is skipped", [GOOD, EMPTY, GOOD]),
    Row("a thousand", [EMPTY] * 1000),
    Row("a thousand and one", [EMPTY] * 1001, INVALID,
        begins("Number of warmup records exceeds the maximum (1000) at ")),
    Row("one that fails", [GOOD, predict(z=floats([1]))], INVALID,
        contains("Signature input alias: x(feed name: x:0) not found in request")),
    Row("unknown signature", [predict(signature="s", x=floats([1]))], PRECONDITION,
        contains('Serving signature key "s" not found.')),
    Row("classify that fails", [log_of("classify", classify_request("any", TWO, signature="s"))],
        INVALID, contains("No signature was found with the name: s")),
    Row("streamed", [log_of("predict_streamed")], UNIMPLEMENTED, contains("Unsupported log_type")),
    Row("session run", [log_of("session_run")], UNIMPLEMENTED, contains("Unsupported log_type")),
    Row("not records", b"x" * 100, DATA_LOSS,
        contains("Please verify your warmup data is in TFRecord format.")),
    Row("cut off", WHOLE[:-3], DATA_LOSS,
        contains("Please verify your warmup data is in TFRecord format.")),
]  # fmt: skip


def model_of(row: Row) -> str:
    return row.name.replace(" ", "_")


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    return Disk(tmp_path_factory.mktemp("warmup"))


@pytest.fixture(scope="module")
def server(disk: Disk, launch: Launch) -> Iterator[Server]:
    """Each row's file as version 2 of a model of its own, whose version 1 has none; and `diary`."""
    names = [model_of(row) for row in ROWS]
    for name in names:
        disk.publish(name, 1)
    records = [predict(x=np.array([digit], np.int64)) for digit in (1, 2)]
    disk.publish("diary", 1, graphs.diary, warmup=records)
    config = disk.root / "models.config"
    entries = (models.entry(name, disk.base(name)) for name in [*names, "diary"])
    config.write_text(models.config(*entries))
    flags = ("--max_num_load_retries=0", "--num_request_iterations_for_warmup=2")
    with launch(f"--model_config_file={config}", *flags) as server:
        server.wait()
        for row in ROWS:
            disk.publish(model_of(row), 2, warmup=row.records)
        yield server


@pytest.mark.parametrize("row", ROWS, ids=model_of)
def test_warmup(server: Server, disk: Disk, row: Row) -> None:
    """A version whose file is fine replaces the one before; another ends with its error."""
    api, name = server.api, model_of(row)
    good = {2: "AVAILABLE", 1: "END"}
    expected = {2: "END", 1: "AVAILABLE"} if row.code else good
    wait_until(lambda: api.states(name) in (expected, good), name)
    code, text = api.errors(name)[2]
    assert (api.states(name), code) == (expected, row.code), text
    matches(text, row.text)


def test_the_text_names_the_file(server: Server, disk: Disk) -> None:
    api = server.api
    wait_until(lambda: 2 in api.errors("a_thousand_and_one"), "version 2")
    wait_until(lambda: api.states("a_thousand_and_one")[2] == "END", "the end")
    _, text = api.errors("a_thousand_and_one")[2]
    path: Path = disk.base("a_thousand_and_one") / "2" / WARMUP
    assert str(path) in text


def test_in_order_each_as_often_as_asked_for(server: Server) -> None:
    """--num_request_iterations_for_warmup=2: the first record twice, then the second twice."""
    request = predict_request("diary", x=np.array([0], np.int64), spec={"signature": "read"})
    answer = server.api.ask(request)
    agree(answer, "OK", "")
    assert list(answer.message.outputs["digits"].int64_val) == [1122]
