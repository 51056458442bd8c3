"""Candidates and the file that they make: what a model server can read and use."""

from pathlib import Path

import pytest

from server.model_server import batch_parameters
from server.tuning.candidate import FILE, Candidate, grid, with_other_threads


@pytest.mark.parametrize("callers", [2, 3, 8, 32, 512])
@pytest.mark.parametrize("largest_call", [1, 32, 4096])
def test_a_model_server_can_use_every_candidate(
    tmp_path: Path, callers: int, largest_call: int
) -> None:
    for candidate in [*grid(callers), *with_other_threads(grid(callers)[0])]:
        (tmp_path / FILE).write_text(candidate.text(largest_call))
        common = batch_parameters.BatchParameters()
        parameters = batch_parameters.of_version(str(tmp_path), common)
        assert parameters is not None
        batch_parameters.check(parameters)
        assert parameters.most_rows == candidate.rows <= callers
        assert parameters.batch_timeout_micros == candidate.wait_micros
        assert parameters.num_batch_threads == candidate.threads >= 1
        # A gateway's largest call is taken, and several of them can wait.
        assert parameters.max_batch_size >= largest_call
        waiting = parameters.max_enqueued_batches * parameters.most_rows
        assert waiting >= 4 * largest_call


def test_candidates_differ() -> None:
    for callers in (2, 32, 512):
        candidates = grid(callers)
        assert len(set(candidates)) == len(candidates)
    assert with_other_threads(Candidate(0, 8, 1)) == [Candidate(0, 8, 2)]
    assert with_other_threads(Candidate(0, 8, 4)) == [Candidate(0, 8, 2), Candidate(0, 8, 8)]
