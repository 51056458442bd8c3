from pathlib import Path

import pytest

from contract.run_folder import RunFolder
from tests.integration.processes import programs, run_all


@pytest.fixture(autouse=True, params=programs(), ids=lambda program: Path(program).name)
def model_server_program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each test runs against every model server that there is."""
    monkeypatch.setenv("LINCE_TEST_MODEL_SERVER", request.param)
    return str(request.param)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the command line has trained and exported digits-cnn: models/ and runs/."""
    folder = tmp_path_factory.mktemp("workshop")
    variables = {
        "LINCE_MODELS_DIR": str(folder / "models"),
        "LINCE_RUNS_DIR": str(folder / "runs"),
        "LINCE_CACHE_DIR": str(folder / "cache"),
    }
    commands = (("train", "digits-cnn", "--epochs", "3"), ("export", "digits-cnn"))
    done = run_all(commands, **variables)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def digits_run(workshop: Path) -> RunFolder:
    return RunFolder(next((workshop / "runs" / "digits-cnn").iterdir()))
