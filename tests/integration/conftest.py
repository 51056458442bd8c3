from pathlib import Path

import pytest

from contract.run_folder import RunFolder
from tests.integration.processes import run


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the command line has trained and exported digits-cnn: models/ and runs/."""
    folder = tmp_path_factory.mktemp("workshop")
    variables = {
        "LINCE_MODELS_DIR": str(folder / "models"),
        "LINCE_RUNS_DIR": str(folder / "runs"),
        "LINCE_CACHE_DIR": str(folder / "cache"),
    }
    for arguments in (("train", "digits-cnn", "--epochs", "3"), ("export", "digits-cnn")):
        done = run(*arguments, **variables)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def digits_run(workshop: Path) -> RunFolder:
    return RunFolder(next((workshop / "runs" / "digits-cnn").iterdir()))
