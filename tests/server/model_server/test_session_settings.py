"""How the flags and the session's configuration file make sessions."""

from pathlib import Path

import pytest

from server.model_server.errors import ServingError
from server.model_server.flags import Options, parse
from server.model_server.servable import SessionSettings


def test_file_and_flags(tmp_path: Path) -> None:
    file = tmp_path / "session.pbtxt"
    file.write_text("intra_op_parallelism_threads: 3 inter_op_parallelism_threads: 5")
    options = Options(tensorflow_session_config_file=str(file), tensorflow_inter_op_parallelism=7)
    config = SessionSettings.from_options(options).proto()
    assert config.intra_op_parallelism_threads == 3
    assert config.inter_op_parallelism_threads == 7
    assert config.gpu_options.allow_growth


def test_flags_alone() -> None:
    options = Options(tensorflow_session_parallelism=2, per_process_gpu_memory_fraction=0.5)
    config = SessionSettings.from_options(options).proto()
    assert config.intra_op_parallelism_threads == config.inter_op_parallelism_threads == 2
    assert config.gpu_options.per_process_gpu_memory_fraction == 0.5
    assert not config.gpu_options.allow_growth


def test_file_that_is_no_good(tmp_path: Path) -> None:
    file = tmp_path / "session.pbtxt"
    with pytest.raises(ServingError, match="NOT_FOUND"):
        SessionSettings.from_options(Options(tensorflow_session_config_file=str(file)))
    file.write_text("no such field")
    with pytest.raises(ServingError, match="Invalid protobuf file"):
        SessionSettings.from_options(Options(tensorflow_session_config_file=str(file)))


def test_operations_in_the_callers_thread() -> None:
    options = parse(["--tensorflow_inter_op_parallelism=-1"]).options
    assert SessionSettings.from_options(options).proto().inter_op_parallelism_threads == -1
