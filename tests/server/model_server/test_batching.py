"""Batching: requests share runs, and none can tell from its answer."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from server.model_server.batch_parameters import BatchParameters, check, read
from server.model_server.errors import ServingError
from server.model_server.monitoring import Metrics
from server.model_server.predict import predict
from server.model_server.servable import Servable, SessionSettings, load
from tests.server.model_server import zoo
from tests.server.model_server.helpers import request_for, until

pytestmark = pytest.mark.heavy

WAIT_MICROS = 100_000
"""Long enough for threads that start together to meet."""


class Rows(tf.Module):
    """What can and what can't be batched; `double` fails for a row with NaN."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def double(self, x: Any) -> Any:
        return {"y": tf.debugging.check_numerics(x, "no number") * 2.0}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, name="x")])
    def total(self, x: Any) -> Any:
        return {"y": tf.reduce_sum(x, axis=1)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 2], tf.float32, name="a"),
            tf.TensorSpec([None], tf.int64, name="b"),
        ]
    )
    def pair(self, a: Any, b: Any) -> Any:
        return {"a": a, "b": b + 1}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def mean(self, x: Any) -> Any:
        return {"y": tf.reduce_mean(x)}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def classes(self, x: Any) -> Any:
        return {"y": x, "names": tf.constant(["a", "b", "c"])}

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32, name="x")])
    def scalar(self, x: Any) -> Any:
        return {"y": x}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="x"),
            tf.TensorSpec([None], tf.string, name="path"),
        ]
    )
    def held(self, x: Any, path: Any) -> Any:
        """Runs until there is a file at each path + "0"."""

        def missing(i: Any) -> Any:
            names = tf.strings.join([path, tf.strings.as_string(i % 1)])
            return tf.less(tf.size(tf.io.matching_files(names)), tf.size(tf.unique(path)[0]))

        looks = tf.while_loop(missing, lambda i: (i + 1,), [tf.constant(1)])[0]
        with tf.control_dependencies([looks]):
            return {"y": tf.identity(x)}


@pytest.fixture(scope="module")
def saved_rows(tmp_path_factory: pytest.TempPathFactory) -> str:
    module, folder = Rows(), tmp_path_factory.mktemp("rows") / "1"
    names = ("double", "total", "pair", "mean", "classes", "scalar", "held")
    tf.saved_model.save(module, str(folder), signatures={n: getattr(module, n) for n in names})
    return str(folder)


class Batched:
    """A version with batching, called by signature and alias."""

    def __init__(self, path: str, parameters: BatchParameters) -> None:
        self.metrics = Metrics()
        self.servable: Servable = load(1, path, SessionSettings(), parameters, self.metrics.queued)

    def call(self, name: str, seconds: float | None = None, **inputs: Any) -> dict[str, Any]:
        signature = self.servable.signatures[name]
        feeds = {signature.inputs[alias].name: array for alias, array in inputs.items()}
        outputs = {alias: info.name for alias, info in signature.outputs.items()}
        values = self.servable.run(feeds, list(outputs.values()), seconds)
        return dict(zip(outputs, values, strict=True))

    def batches(self) -> int:
        return self.metrics.total("/tensorflow/serving/batching_session/wrapped_run_count")

    def refusal(self, name: str, seconds: float | None = None, **inputs: Any) -> str:
        with pytest.raises(ServingError) as caught:
            self.call(name, seconds, **inputs)
        return str(caught.value)


@pytest.fixture
def batched(saved_rows: str) -> Iterator[Callable[..., Batched]]:
    made: list[Batched] = []

    def make(**parameters: Any) -> Batched:
        defaults = {"max_batch_size": 32, "batch_timeout_micros": WAIT_MICROS}
        made.append(Batched(saved_rows, BatchParameters(**(defaults | parameters))))
        return made[-1]

    yield make
    for model in made:
        model.servable.close()


def together(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """The results, or the errors, of calls made at the same time."""
    results: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def work(number: int) -> None:
        start.wait()
        try:
            results[number] = calls[number]()
        except ServingError as error:
            results[number] = error

    threads = [threading.Thread(target=work, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def x(*values: float) -> np.ndarray:
    """Rows of two equal numbers."""
    return np.array([[v, v] for v in values], np.float32)


def test_requests_share_runs_and_keep_their_rows(batched: Callable[..., Batched]) -> None:
    model = batched()
    rows = [np.arange(n * 10, n * 10 + 1 + n % 3, dtype=np.float32) for n in range(12)]
    for _ in range(3):
        calls = [lambda r=r: model.call("double", x=x(*r))["y"] for r in rows]  # type: ignore[misc]
        for sent, got in zip(rows, together(calls), strict=True):
            np.testing.assert_array_equal(got, 2 * x(*sent))
    assert 3 <= model.batches() < 36


def test_all_inputs_of_a_request_stay_together(batched: Callable[..., Batched]) -> None:
    model = batched()

    def call(n: int) -> Any:
        return model.call("pair", a=x(n, n), b=np.array([n, n]))

    for n, got in enumerate(together([lambda n=n: call(n) for n in range(8)])):  # type: ignore[misc]
        np.testing.assert_array_equal(got["a"], x(n, n))
        np.testing.assert_array_equal(got["b"], [n + 1, n + 1])
    assert model.batches() < 8


def test_a_neighbours_error_is_its_own(batched: Callable[..., Batched]) -> None:
    model = batched()
    good = [lambda n=n: model.call("double", x=x(n))["y"] for n in range(4)]  # type: ignore[misc]
    *answers, error = together([*good, lambda: model.call("double", x=x(np.nan))])
    for n, answer in enumerate(answers):
        np.testing.assert_array_equal(answer, 2 * x(n))
    assert "INVALID_ARGUMENT" in str(error)
    assert "no number" in str(error)


def test_a_neighbours_deadline_is_its_own(batched: Callable[..., Batched]) -> None:
    model = batched(batch_timeout_micros=400_000)
    late, patient = together(
        [
            lambda: model.call("double", 0.05, x=x(1)),
            lambda: model.call("double", 60.0, x=x(2))["y"],
        ]
    )
    assert str(late) == (
        "RESOURCE_EXHAUSTED: Run() timeout exceeded while waiting in batching queue"
    )
    np.testing.assert_array_equal(patient, 2 * x(2))


def test_rows_of_other_shapes_are_never_mixed(batched: Callable[..., Batched]) -> None:
    model = batched()
    lengths = [1, 2, 3, 4, 5, 6, 7, 8] * 2  # more than there are queues

    def call(length: int) -> Any:
        return model.call("total", x=np.full((2, length), 1.5, np.float32))["y"]

    answers = together([lambda n=n: call(n) for n in lengths])  # type: ignore[misc]
    for length, answer in zip(lengths, answers, strict=True):
        np.testing.assert_array_equal(answer, [1.5 * length] * 2)


@pytest.mark.parametrize(
    ("signature", "inputs", "text"),
    [
        ("double", {"x": x(*range(33))},
         "INVALID_ARGUMENT: Task size 33 is larger than maximum input batch size 32"),
        ("scalar", {"x": np.float32(1)},
         "INVALID_ARGUMENT: Batching Run() input tensors must have at least one dimension"),
        ("pair", {"a": x(1), "b": np.array([1, 2])},
         "INVALID_ARGUMENT: Batching Run() input tensors must have equal 0th-dimension size"),
        ("mean", {"x": x(1)},
         "FAILED_PRECONDITION: Batched output tensor has 0 dimensions"),
        ("classes", {"x": x(1)},
         "FAILED_PRECONDITION: Batched output tensor's 0th dimension does not equal the sum of the "
         "0th dimension sizes of the input tensors"),
    ],
)  # fmt: skip
def test_refused(
    batched: Callable[..., Batched], signature: str, inputs: dict[str, Any], text: str
) -> None:
    assert batched().refusal(signature, **{k: np.asarray(v) for k, v in inputs.items()}) == text


def test_other_ranks_and_no_rows_run_alone(batched: Callable[..., Batched]) -> None:
    model = batched()
    np.testing.assert_array_equal(
        model.call("double", x=np.array([1, 2, 3], np.float32))["y"], [2, 4, 6]
    )
    assert model.call("double", x=np.zeros((0, 2), np.float32))["y"].shape == (0, 2)
    assert model.batches() == 0


def test_a_full_queue_refuses(batched: Callable[..., Batched], tmp_path: Path) -> None:
    model = batched(
        max_batch_size=1, max_enqueued_batches=1, num_batch_threads=1, batch_timeout_micros=0
    )
    path = np.array([f"{tmp_path}/go"], object)
    answers: list[Any] = []

    def call() -> None:
        try:
            answers.append(model.call("held", x=np.ones(1, np.float32), path=path)["y"])
        except ServingError as error:
            answers.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) >= 2, "two refusals")  # one runs, one waits
    (tmp_path / "go0").touch()
    for thread in threads:
        thread.join()
    refused = {str(answer) for answer in answers if isinstance(answer, ServingError)}
    assert refused == {
        "UNAVAILABLE: The batch scheduling queue to which this task was submitted is full; "
        "currently 1 batches enqueued and max_enqueued_batches is 1"
    }
    assert len([a for a in answers if not isinstance(a, ServingError)]) == 2


def test_padding_to_allowed_sizes_adds_no_rows(batched: Callable[..., Batched]) -> None:
    model = batched(allowed_batch_sizes=(8, 32))
    np.testing.assert_array_equal(model.call("double", x=x(1, 2, 3))["y"], 2 * x(1, 2, 3))
    assert model.batches() == 1


def test_large_requests_are_split(batched: Callable[..., Batched]) -> None:
    model = batched(large_batch_splitting=True, max_execution_batch_size=4)
    np.testing.assert_array_equal(model.call("double", x=x(*range(10)))["y"], 2 * x(*range(10)))


@pytest.mark.parametrize("name", zoo.SPECIMENS)
def test_models_of_every_make(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    specimen = zoo.SPECIMENS[name]
    path = zoo.written(tmp_path_factory.getbasetemp() / "zoo-in-batches", specimen)
    settings = SessionSettings(tags=tuple(specimen.tags.split(",")))
    parameters = BatchParameters(max_batch_size=64, batch_timeout_micros=20_000)
    servable = load(1, str(path), settings, parameters)
    try:
        for call in specimen.calls:
            if not call.row_wise:  # It may change what those after it answer.
                with suppress(ServingError):
                    predict(servable, request_for("m", call.signature, **call.inputs))
                continue
            whole = request_for("m", call.signature, **call.inputs)
            first = request_for("m", call.signature, **zoo.first_row(call.inputs))
            pair = [partial(predict, servable, whole), partial(predict, servable, first)]
            for number, answer in enumerate(together(pair * 3)):
                expected = zoo.first_row(call.outputs) if number % 2 else call.outputs
                zoo.assert_outputs(answer, expected)
    finally:
        servable.close()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", BatchParameters(num_batch_threads=0)),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [2, 8]",
         BatchParameters(8, allowed_batch_sizes=(2, 8), num_batch_threads=0)),
        ("batch_timeout_micros { value: 5 } max_enqueued_batches { value: 6 } "
         "num_batch_threads { value: 7 } thread_pool_name { value: 'p' } "
         "pad_variable_length_inputs: true",
         BatchParameters(1000, 5, 6, 7)),
        ("max_execution_batch_size { value: 4 }", BatchParameters(num_batch_threads=0)),
        ("enable_large_batch_splitting { value: true } max_execution_batch_size { value: 4 }",
         BatchParameters(
             num_batch_threads=0, large_batch_splitting=True, max_execution_batch_size=4)),
    ],
)  # fmt: skip
def test_files(tmp_path: Path, text: str, expected: BatchParameters) -> None:
    path = tmp_path / "parameters.pbtxt"
    path.write_text(text)
    found = read(str(path))
    assert found.num_batch_threads >= 1
    threads = expected.num_batch_threads or found.num_batch_threads
    assert found == BatchParameters(**(vars(expected) | {"num_batch_threads": threads}))
    check(found)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        (BatchParameters(8, allowed_batch_sizes=(2, 4)),
         "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; "
         "expected 8"),
        (BatchParameters(8, allowed_batch_sizes=(4, 2, 8)),
         "allowed_batch_sizes entries must be monotonically increasing"),
        (BatchParameters(8, large_batch_splitting=True, max_execution_batch_size=9),
         "max_execution_batch_size must be between 1 and max_batch_size (8); was 9"),
        (BatchParameters(0), "max_batch_size must be at least 1; was 0"),
        (BatchParameters(num_batch_threads=-1), "num_batch_threads must be at least 1; was -1"),
    ],
)  # fmt: skip
def test_parameters_that_contradict_each_other(parameters: BatchParameters, text: str) -> None:
    with pytest.raises(ServingError) as caught:
        check(parameters)
    assert str(caught.value) == f"INVALID_ARGUMENT: {text}"
