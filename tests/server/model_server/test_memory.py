"""Requests that would need more memory than there is are refused, and others are not."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow.core.framework import step_stats_pb2

from server.model_server.config import ModelConfig
from server.model_server.errors import ServingError
from server.model_server.memory import Guard, common_rows, row_bytes
from tests.server.model_server.helpers import refusal, running, settled

MIB = 2**20


def resident() -> int:
    """Bytes that this process takes now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.heavy
def test_a_request_for_more_than_there_is(publish: Callable[..., Path]) -> None:
    base = publish("conv", "1").parent
    limit = resident() // MIB + 300
    with running(ModelConfig("m", str(base)), memory_limit_megabytes=limit) as (api, manager, _):
        settled(manager, "m", {1: "AVAILABLE"})
        few = np.zeros((1000, 8, 8, 3), np.uint8)
        assert api.predict(images=few).outputs
        many = np.zeros((500_000, 8, 8, 3), np.uint8)
        code, text = refusal(lambda: api.predict(images=many))
        assert code == "RESOURCE_EXHAUSTED"
        assert text.startswith("The request would need about ")
        assert api.predict(images=few).outputs


def test_what_is_promised_is_not_promised_again() -> None:
    guard = Guard(resident() + 1000 * MIB)
    with guard.admitted(700 * MIB):
        with pytest.raises(ServingError, match="would need about 700 MiB"):
            guard.admitted(700 * MIB).__enter__()
        with guard.admitted(100 * MIB):
            pass
    with guard.admitted(700 * MIB):
        pass


def test_an_error_gives_back_what_was_promised() -> None:
    guard = Guard(resident() + 1000 * MIB)
    with pytest.raises(KeyError), guard.admitted(700 * MIB):
        raise KeyError
    with guard.admitted(700 * MIB):
        pass


@pytest.mark.parametrize(
    ("feeds", "rows"),
    [
        ({"a": np.zeros((3, 2))}, 3),
        ({"a": np.zeros((3, 2)), "b": np.zeros(3)}, 3),
        ({"a": np.zeros((3, 2)), "b": np.zeros(2)}, 0),
        ({"a": np.zeros(())}, 0),
        ({}, 0),
    ],
)
def test_common_rows(feeds: dict[str, Any], rows: int) -> None:
    assert common_rows(feeds) == rows


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [([], 0), ([10], 10), ([10, 10, 10, 10, 10], 40), ([100, 1, 1], 102)],
)
def test_what_a_row_needs(sizes: list[int], expected: int) -> None:
    stats = step_stats_pb2.StepStats()
    for size in sizes:
        stats.dev_stats.add().node_stats.add().memory.add(peak_bytes=size)
    assert row_bytes(stats) == expected
