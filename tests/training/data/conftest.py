"""Loads folders of pictures for the tests, with an eye on what is decoded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contract.pixels import PixelSpec, decode
from training.data import folder
from training.data.dataset import DataRequest, DataSet

SPEC = PixelSpec(height=12, width=10, channels=3)


class Loader:
    """Loads folders with one cache, and keeps what was said and which files were decoded."""

    def __init__(self, cache: Path, patch: pytest.MonkeyPatch) -> None:
        self.cache = cache
        self.said: list[str] = []
        self.decoded: list[str] = []
        self.before: Callable[[Path], None] = lambda _: None

        def counting(path: Path, spec: PixelSpec) -> np.ndarray:
            self.before(path)
            self.decoded.append(path.name)
            return decode(path, spec)

        patch.setattr(folder, "decode", counting)

    def __call__(self, root: Path, spec: PixelSpec = SPEC, **asked: Any) -> DataSet:
        self.said.clear()
        self.decoded.clear()
        request = DataRequest(name="flowers", spec=spec, cache=self.cache, **asked)
        return folder.load(root, request, self.said.append)

    @property
    def cached(self) -> list[str]:
        """What lies in the cache, half-written things too."""
        return sorted(path.name for path in (self.cache / "decoded").iterdir())


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loader:
    return Loader(tmp_path / "cache", monkeypatch)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "photos"
