"""In which precision a version is loaded: flag, manifest, CPU, and that the session does it."""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from contract import manifest as manifests
from contract.files import write_whole
from contract.manifest import Change, Optimisation
from contract.processor import bfloat16_instructions
from server.model_server import precision
from server.model_server.precision import in_bfloat16
from server.model_server.servable import SessionSettings, load
from tests.manifests import make_manifest

CHANGE = Change(accuracy=0.9, changed_labels=0, mean_probability=0.001, max_probability=0.002)
PERMITS = replace(
    make_manifest(),
    optimisation=Optimisation(
        examples=9, accuracy=0.9, max_change=0.01, float32=CHANGE, bfloat16=CHANGE
    ),
)
MANIFESTS = {
    "permits": manifests.encode(PERMITS),
    "not measured": manifests.encode(
        replace(PERMITS, optimisation=replace(PERMITS.optimisation, bfloat16=None))
    ),
    "plain": manifests.encode(make_manifest()),
    "broken": b"{",
    "of another maker": None,
}
CHOICES = [
    # (flag, manifest, CPU, in bfloat16, what the log says)
    ("", "permits", "amx_bf16", True, "in bfloat16, by amx_bf16: its manifest permits it"),
    (
        "",
        "permits",
        None,
        False,
        "in float32: its manifest permits bfloat16, which this CPU has no",
    ),
    ("", "not measured", "amx_bf16", False, None),
    ("", "plain", "amx_bf16", False, None),
    ("", "broken", "amx_bf16", False, None),
    ("", "of another maker", "amx_bf16", False, None),
    ("none", "permits", "amx_bf16", False, None),
    ("bfloat16", "plain", "avx512_bf16", True, "by avx512_bf16: --mixed_precision says so"),
    ("bfloat16", "of another maker", None, True, "which this CPU has no instructions for"),
]


def version(root: Path, content: bytes | None) -> Path:
    folder = root / "1"
    (folder / "assets.extra").mkdir(parents=True)
    if content is not None:
        write_whole(folder / manifests.FILE, content)
    return folder


@pytest.mark.parametrize(("flag", "manifest", "cpu", "expected", "said"), CHOICES)
def test_choice(
    flag: str,
    manifest: str,
    cpu: str | None,
    expected: bool,
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(precision, "bfloat16_instructions", lambda: cpu)
    folder = version(tmp_path, MANIFESTS[manifest])
    with caplog.at_level(logging.INFO):
        assert in_bfloat16(flag, folder) is expected
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == (said is not None)
    assert all(str(folder) in line and (said or "") in line for line in lines)


@pytest.mark.skipif(bfloat16_instructions() is None, reason="this CPU can't multiply bfloat16")
@pytest.mark.parametrize(("flag", "rounded"), [("", True), ("none", False), ("bfloat16", True)])
def test_a_session_multiplies_so(flag: str, rounded: bool, tmp_path: Path) -> None:
    weights = np.random.default_rng(3).normal(size=(64, 8)).astype(np.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, 64], tf.float32, name="x")])
    def call(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.matmul(x, tf.constant(weights))}

    folder = version(tmp_path, None)
    tf.saved_model.save(tf.Module(), str(folder), signatures={"serving_default": call})
    write_whole(folder / manifests.FILE, MANIFESTS["permits"])
    served = load(1, str(folder), SessionSettings(mixed_precision=flag))
    try:
        signature = served.signatures["serving_default"]
        rows = np.random.default_rng(4).normal(size=(5, 64)).astype(np.float32)
        feeds = {signature.inputs["x"].name: rows}
        (got,) = served.run(feeds, [signature.outputs["y"].name])
    finally:
        served.close()
    difference = np.abs(got - rows @ weights).max()
    assert difference < 0.5
    assert bool(difference > 1e-3) is rounded
