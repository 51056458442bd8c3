"""How the flags and the session's configuration file make sessions."""

from pathlib import Path

import pytest

from server.model_server import servable
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


def test_threads_are_as_many_as_cores_unless_something_says_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servable, "cores", lambda: 6)
    file = tmp_path / "session.pbtxt"
    file.write_text("intra_op_parallelism_threads: 3")
    flags = {
        (): (6, 6),
        ("--tensorflow_session_parallelism=0",): (6, 6),
        ("--tensorflow_intra_op_parallelism=1",): (1, 6),
        ("--tensorflow_inter_op_parallelism=-1",): (6, -1),
        ("--tensorflow_session_parallelism=4",): (4, 4),
        (f"--tensorflow_session_config_file={file}",): (3, 6),
    }
    for given, expected in flags.items():
        config = SessionSettings.from_options(parse(given).options).proto()
        found = (config.intra_op_parallelism_threads, config.inter_op_parallelism_threads)
        assert found == expected, given


def test_bfloat16_is_a_rewriter_of_the_session() -> None:
    settings = SessionSettings.from_options(parse(["--mixed_precision=none"]).options)
    assert settings.mixed_precision == "none"
    for wanted in (False, True):
        rewriters = settings.proto(bfloat16=wanted).graph_options.rewrite_options
        turned_on = rewriters.auto_mixed_precision_onednn_bfloat16 == rewriters.ON
        assert turned_on is wanted


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
