"""Decoded pictures are kept apart by the rule that made them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from contract.pixels import PixelSpec, decode
from tests.training.helpers import class_folders
from training.data.catalog import load
from training.data.dataset import DataRequest


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_each_rule_has_its_own_pixels_in_the_cache(tmp_path: Path, suffix: str) -> None:
    root = class_folders(tmp_path / "pictures", {"blue": 3, "red": 3}, suffix)
    first = DataRequest(
        name="flowers",
        spec=PixelSpec(height=5, width=5, channels=3),
        given=root,
        cache=tmp_path / "cache",
    )
    second = replace(first, spec=PixelSpec(height=5, width=5, channels=3, pixel_rule=2))
    by_rule = {}
    for request in (first, second, first, second):  # the last two from the cache
        data = load(request, str)
        assert data.files is not None
        expected = np.stack([decode(file, request.pixels) for file in data.files])
        assert np.array_equal(data.inputs, expected)
        by_rule[request] = data.fingerprint()
    assert len(set(by_rule.values())) == 2
