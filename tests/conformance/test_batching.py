"""Batching: which requests share a run, which are refused, and that nobody gets another's rows.

How many rows ran together is what the model itself says, in its output `size`. Batches that are
full run at once; those that are not wait for PATIENT, longer than any test.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from tests.conformance import graphs, models
from tests.conformance.api import (
    Answer,
    Api,
    answer_of,
    classify_request,
    example,
    predict_request,
    regress_request,
)
from tests.conformance.cases import (
    INVALID,
    PRECONDITION,
    Case,
    Text,
    agree,
    begins,
    floats,
    matches,
    table,
)
from tests.conformance.conftest import Launch
from tests.conformance.differences import BATCH_ERRORS, VARIABLE_LENGTH
from tests.conformance.disk import Disk
from tests.conformance.programs import Server
from tests.integration.processes import wait_until

pytestmark = pytest.mark.integration

PATIENT = 300_000_000
"""Microseconds that a batch waits in which nobody should have to wait."""


def parameters(**values: Any) -> str:
    """A BatchingParameters in text form; numbers and booleans are wrapped, lists and text not."""
    lines = []
    for name, value in values.items():
        if isinstance(value, list):
            lines += [f"{name}: {entry}" for entry in value]
        elif isinstance(value, str):
            lines.append(f'{name} {{ value: "{value}" }}')
        else:
            shown = str(value).lower() if isinstance(value, bool) else value
            plain = name == "pad_variable_length_inputs"
            lines.append(f"{name}: {shown}" if plain else f"{name} {{ value: {shown} }}")
    return "\n".join(lines) + "\n"


FULL = {"max_batch_size": 4, "batch_timeout_micros": PATIENT}
QUICK = {"max_batch_size": 4, "batch_timeout_micros": 0}

MODELS: dict[str, dict[str, Any] | None] = {
    "full": FULL,
    "quick": QUICK,
    "named": {**QUICK, "thread_pool_name": "pool", "num_batch_threads": 2},
    "padded": {**QUICK, "allowed_batch_sizes": [3, 4]},
    "split": {
        **QUICK,
        "max_batch_size": 8,
        "enable_large_batch_splitting": True,
        "max_execution_batch_size": 2,
    },
    "tiny": {
        "max_batch_size": 1,
        "batch_timeout_micros": 0,
        "max_enqueued_batches": 1,
        "num_batch_threads": 1,
    },
    "late": {"max_batch_size": 4, "batch_timeout_micros": 1_500_000},
    "variable": {
        "max_batch_size": 2,
        "batch_timeout_micros": 100_000,
        "pad_variable_length_inputs": True,
    },
    "plain": None,
}
"""The models of the first server and their own parameters; `plain` has none."""

BAD: dict[str, tuple[dict[str, Any], Text]] = {
    "sizes that fall": (
        {**QUICK, "allowed_batch_sizes": [3, 2, 4]},
        begins("allowed_batch_sizes entries must be monotonically increasing"),
    ),
    "sizes without the largest": (
        {**QUICK, "allowed_batch_sizes": [1, 2]},
        begins("Last entry in allowed_batch_sizes must match max_batch_size; last entry was 2; "),
    ),
    "execution beyond the largest": (
        {**QUICK, "enable_large_batch_splitting": True, "max_execution_batch_size": 8},
        begins(""),
    ),
}
"""Parameters whose model fails to load, and how the error begins."""


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Disk:
    return Disk(tmp_path_factory.mktemp("batching"))


@pytest.fixture(scope="module")
def server(disk: Disk, launch: Launch) -> Iterator[Server]:
    """A server where each model has its own parameters."""
    for name, values in MODELS.items():
        files = {} if values is None else {"batching_params.pbtxt": parameters(**values).encode()}
        disk.publish(name, 1, graphs.batches, files)
    for name in BAD:
        disk.publish(named(name), 1, graphs.batches)
    config = disk.root / "models.config"
    names = [*MODELS, *map(named, BAD)]
    config.write_text(models.config(*(models.entry(n, disk.base(n)) for n in names)))
    flags = (
        f"--model_config_file={config}",
        "--enable_batching",
        "--enable_per_model_batching_parameters",
        "--rest_api_timeout_in_ms=500",
        "--max_num_load_retries=0",
    )
    with launch(*flags) as server:
        server.wait()
        yield server


@pytest.fixture
def api(server: Server) -> Api:
    return server.api


def named(text: str) -> str:
    return text.replace(" ", "_")


def rows(*values: float) -> np.ndarray:
    return floats([[value] for value in values])


def asked(model: str, signature: str = "", output_filter: Sequence[str] = (), **inputs: Any) -> Any:
    return predict_request(model, output_filter, {"signature": signature}, **inputs)


def together(api: Api, *requests: Any) -> list[Answer]:
    """The answers to requests that are sent at the same time, in their order."""
    return [answer_of(call) for call in [api.start(request) for request in requests]]


def holds(answer: Answer, values: Sequence[float], size: int | None = None) -> None:
    """Assert that an answer has twice these values, and how many rows ran together."""
    agree(answer, "OK", "")
    outputs = answer.message.outputs
    assert list(outputs["y"].float_val) == [2 * value for value in values]
    assert [dim.size for dim in outputs["y"].tensor_shape.dim] == [len(values), 1]
    if size is not None:
        assert list(outputs["size"].int_val) == [size] * len(values)


@pytest.mark.parametrize("counts", [(1, 1, 1, 1), (2, 2), (1, 3), (3, 1), (4,)], ids=str)
def test_requests_share_a_run(api: Api, counts: tuple[int, ...]) -> None:
    """Each gets its own rows, in order."""
    first = 0.0
    sent = []
    for count in counts:
        sent.append([first + number for number in range(count)])
        first += count
    answers = together(api, *(asked("full", x=rows(*values)) for values in sent))
    for answer, values in zip(answers, sent, strict=True):
        holds(answer, values, 4)


def test_many_requests_keep_their_rows(api: Api) -> None:
    sent = [[float(number), float(-number)] for number in range(200)]
    answers = together(api, *(asked("full", x=rows(*values)) for values in sent))
    for answer, values in zip(answers, sent, strict=True):
        holds(answer, values, 4)


def test_without_waiting_a_lone_request_runs_alone(api: Api) -> None:
    holds(api.ask(asked("quick", x=rows(1, 2))), [1, 2], 2)
    holds(api.ask(asked("named", x=rows(1))), [1], 1)


def test_batches_are_padded_to_an_allowed_size(api: Api) -> None:
    """With copies of the first row, which nobody sees."""
    holds(api.ask(asked("padded", x=rows(1))), [1], 3)
    holds(api.ask(asked("padded", x=rows(1, 2, 3))), [1, 2, 3], 3)
    holds(api.ask(asked("padded", x=rows(1, 2, 3, 4))), [1, 2, 3, 4], 4)


def test_large_requests_are_split(api: Api) -> None:
    values = [float(number) for number in range(6)]
    holds(api.ask(asked("split", x=rows(*values))), values, 2)


def test_each_set_of_tensors_has_its_own_queue(api: Api) -> None:
    """Another signature, or other outputs of the same, never share a run."""
    pair = asked("full", "pair", a=floats([1]), b=floats([2]))
    other = api.start(pair)
    answers = together(api, *(asked("full", x=rows(n)) for n in range(4)))
    for number, answer in enumerate(answers):
        holds(answer, [number], 4)
    assert not other.done()
    calls = [api.start(pair) for _ in range(3)]
    for answer in map(answer_of, [other, *calls]):
        agree(answer, "OK", "")
        assert list(answer.message.outputs["sum"].float_val) == [3.0]


def test_each_model_has_its_own_queue(api: Api) -> None:
    waiting = api.start(asked("full", x=rows(9)))
    holds(api.ask(asked("quick", x=rows(1))), [1], 1)
    assert not waiting.done()
    together(api, *(asked("full", x=rows(n)) for n in range(3)))
    holds(answer_of(waiting), [9], 4)


REFUSED = [
    Case("more rows than a batch holds", asked("quick", x=rows(1, 2, 3, 4, 5)), INVALID,
         "Task size 5 is larger than maximum input batch size 4"),
    Case("more rows than may be split", asked("split", x=rows(*range(9))), INVALID,
         "Task size 9 is larger than maximum input batch size 8"),
    Case("a scalar", asked("quick", x=floats(1)), INVALID,
         "Batching Run() input tensors must have at least one dimension"),
    Case("different numbers of rows", asked("quick", "pair", a=floats([1, 2]), b=floats([1])),
         INVALID, "Batching Run() input tensors must have equal 0th-dimension size"),
    Case("an output without rows", asked("quick", "whole", x=rows(1, 2)), PRECONDITION,
         begins("Batched output tensor has 0 dimensions")),
    Case("an output with too few rows", asked("quick", "first", x=rows(1, 2)), PRECONDITION,
         begins("Batched output tensor's 0th dimension does not equal the sum of the 0th "
                "dimension sizes of the input tensors")),
    Case("a kernel's error", asked("quick", "positive", x=rows(1, -1)), INVALID,
         begins("assertion failed")),
    Case("names before rows", asked("quick", z=rows(1, 2, 3, 4, 5)), INVALID,
         begins("Signature input alias: x(feed name: x:0) not found in request")),
    Case("dtype of a batch", asked("quick", x=np.ones((1, 1), np.int32)), INVALID,
         "Expects arg[0] to be float but int32 is provided"),
]  # fmt: skip


@table(REFUSED)
def test_refused(api: Api, row: Case) -> None:
    row.hold(api)


def test_an_error_of_a_shared_run(api: Api, embedded: bool) -> None:
    """See differences.BATCH_ERRORS."""
    values = (1.0, 2.0, -3.0, 4.0)
    answers = together(api, *(asked("full", "positive", x=rows(v)) for v in values))
    for value, answer in zip(values, answers, strict=True):
        if value < 0 or not embedded:
            agree(answer, INVALID, begins("assertion failed"))
        else:
            agree(answer, "OK", "")
            assert list(answer.message.outputs["y"].float_val) == [value], BATCH_ERRORS


def test_rows_of_different_length(api: Api, embedded: bool) -> None:
    """See differences.VARIABLE_LENGTH: what was sent is computed, whatever stands behind it."""
    short, long = asked("variable", x=floats([[1, 2]])), asked("variable", x=floats([[3, 4, 5]]))
    for answer, expected in zip(together(api, short, long), ([2, 4], [6, 8, 10]), strict=True):
        agree(answer, "OK", "")
        output = answer.message.outputs["y"]
        assert list(output.float_val)[: len(expected)] == expected
        if embedded:
            assert len(output.float_val) == len(expected), VARIABLE_LENGTH


def test_a_full_queue_is_unavailable(api: Api, disk: Disk) -> None:
    """One request runs, one waits, more are refused; over REST that is 503."""
    path = disk.root / "full"
    request = asked("tiny", "wait", path=np.array([bytes(path)], object))
    calls: list[Any] = []
    left: list[list[Any]] = []
    # The queue is full once the same two are left while one after the other is refused.
    while len(left) < 4:
        calls.append(api.start(request))
        wait_until(lambda: sum(not call.done() for call in calls) <= 2, "refusals")
        now = [call for call in calls if not call.done()]
        left = [*left, now] if len(now) == 2 and left[-1:] in ([], [now]) else []
    text = (
        "The batch scheduling queue to which this task was submitted is full; currently 1 "
        "batches enqueued and max_enqueued_batches is 1"
    )
    for call in calls:
        if call.done():
            agree(answer_of(call), "UNAVAILABLE", text)
    body = {"signature_name": "wait", "instances": [str(path)]}
    reply = api.call("POST", "/v1/models/tiny:predict", body)
    assert (reply.status, reply.content) == (503, {"error": text})
    path.with_name("full0").touch()
    for call in left[-1]:
        agree(answer_of(call), "OK", "")


def test_waiting_for_too_long(api: Api) -> None:
    """REST's time is over long before the batch's; RESOURCE_EXHAUSTED is 429."""
    reply = api.call("POST", "/v1/models/late:predict", {"instances": [[1.0]]})
    error = "Run() timeout exceeded while waiting in batching queue"
    assert (reply.status, reply.content) == (429, {"error": error})


def test_a_model_without_parameters_is_not_batched(api: Api) -> None:
    """With parameters for each model; it takes any number of rows, and none."""
    holds(api.ask(asked("plain", x=rows(*range(5)))), list(range(5)), 5)
    agree(api.ask(asked("plain", "whole", x=rows(1, 2))), "OK", "")


def test_parameters_that_contradict_each_other(api: Api, disk: Disk) -> None:
    """The load fails; the version before serves on."""
    for name, (values, _) in BAD.items():
        files = {"batching_params.pbtxt": parameters(**values).encode()}
        disk.publish(named(name), 2, graphs.batches, files)
    expected = {2: "END", 1: "AVAILABLE"}
    for name, (_, text) in BAD.items():
        model = named(name)
        wait_until(lambda m=model: api.states(m) == expected, name)
        code, said = api.errors(model)[2]
        assert code == 3
        matches(said, text)


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory, launch: Launch) -> Iterator[Server]:
    """A server with the same parameters for all models: `numbers` and `one`."""
    disk = Disk(tmp_path_factory.mktemp("common"))
    disk.publish("numbers", 1, graphs.batches)
    disk.publish("one", 1)
    file = disk.root / "batching.config"
    file.write_text(parameters(max_batch_size=4, num_batch_threads=2, thread_pool_name="pool"))
    (disk.root / "monitoring.config").write_text(models.MONITORING)
    config = disk.root / "models.config"
    config.write_text(models.config(*(models.entry(n, disk.base(n)) for n in ("numbers", "one"))))
    flags = (
        f"--model_config_file={config}",
        "--enable_batching=true",
        f"--batching_parameters_file={file}",
        f"--monitoring_config_file={disk.root / 'monitoring.config'}",
    )
    with launch(*flags) as server:
        server.wait()
        yield server


def test_common_parameters(common: Server) -> None:
    holds(common.api.ask(asked("numbers", x=rows(1, 2, 3, 4))), [1, 2, 3, 4], 4)
    text = "Task size 5 is larger than maximum input batch size 4"
    agree(common.api.ask(asked("numbers", x=rows(*range(5)))), INVALID, text)
    reply = common.api.call("POST", "/v1/models/numbers:predict", {"inputs": [[1.0]] * 5})
    assert (reply.status, reply.content) == (400, {"error": text})


def test_classify_and_regress_are_batched(common: Server) -> None:
    five = [example(x=float(number)) for number in range(5)]
    answer = common.api.ask(regress_request("one", *five[:4], signature="regress"))
    assert [r.value for r in answer.message.result.regressions] == [0.0, 1.0, 2.0, 3.0]
    text = "Task size 5 is larger than maximum input batch size 4"
    for build, signature in ((classify_request, "classify"), (regress_request, "regress")):
        agree(common.api.ask(build("one", *five, signature=signature)), INVALID, text)


def test_other_outputs_of_a_signature(common: Server) -> None:
    answer = common.api.ask(asked("numbers", output_filter=["y"], x=rows(1, 2)))
    agree(answer, "OK", "")
    assert list(answer.message.outputs) == ["y"]


def test_batches_are_counted(common: Server) -> None:
    """Each request's time in the queue, and each run."""
    names = [f":tensorflow:serving:batching_session:{name}" for name in (
        "queuing_latency_count", "wrapped_run_count")]  # fmt: skip

    def counts() -> list[float]:
        page = common.api.call("GET", "/monitoring/prometheus/metrics").body.decode()
        lines = [line for line in page.splitlines() if not line.startswith("#")]
        return [
            sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{name}{{"))
            for name in names
        ]

    before = counts()
    holds(common.api.ask(asked("numbers", x=rows(1))), [1], 1)
    assert [after - b for after, b in zip(counts(), before, strict=True)] == [1, 1]
