"""Labels, a canary, batches that are too large, and artifacts without `describe`, with a model
server as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.integration.artifacts import publish_random
from tests.integration.processes import gateway, model_server
from tests.pictures import picture

pytestmark = pytest.mark.integration

SIDE = 12
FILES = [picture("PNG", size=(SIDE, SIDE), seed=seed) for seed in range(10)]


def write_foreign(folder: Path) -> keras.Model:
    """What Keras's own export writes: floats in, no `describe`, names of its own."""
    model = keras.Sequential(
        [
            keras.Input((SIDE, SIDE, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.export(folder, verbose=False)
    return model


@contextmanager
def served(models: Path, names: list[str], scratch: Path, **variables: str) -> Iterator[str]:
    """A gateway before a model server that takes four images in a call."""
    batching = scratch / "batching.txt"
    batching.write_text("max_batch_size { value: 4 }\nallowed_batch_sizes: 4\n")
    flags = ("--enable_batching", f"--batching_parameters_file={batching}")
    with (
        model_server(models, names, scratch, *flags) as (_, address),
        gateway(names, address, scratch, **variables) as (_, url),
    ):
        yield url


def ask(url: str, files: list[bytes], **headers: str) -> dict:
    answer = httpx.post(
        url,
        files=[("image", ("a", data)) for data in files],
        headers=headers,
        trust_env=False,
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_an_artifact_of_keras_s_own_export(tmp_path: Path) -> None:
    model = write_foreign(tmp_path / "models" / "foreign" / "1")
    pixels = np.stack([tf.io.decode_png(data).numpy() for data in FILES]).astype(np.float32)
    expected = model.predict(pixels, verbose=0)
    with served(tmp_path / "models", ["foreign"], tmp_path) as url:
        # Ten images are more than a call takes.
        found = ask(f"{url}/v1/models/foreign:classify?probabilities=true", FILES)
        assert (found["version"], found["labels"]) == ("1", ["0", "1", "2"])
        rows = [result["probabilities"] for result in found["results"]]
        np.testing.assert_allclose(rows, expected, atol=1e-5)
        card = httpx.get(f"{url}/v1/models/foreign", trust_env=False).json()
        assert (card["ready"], card["manifest"]) == (True, None)
        shape = httpx.get(f"{url}/v2/models/foreign", trust_env=False).json()["inputs"][0]["shape"]
        assert shape == [-1, SIDE, SIDE, 3]


def test_labels_and_a_canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for labels in (("a", "b"), ("c", "d")):
        publish_random(tmp_path / "models", "pets", labels, SIDE)
    config = f"""model_config_list {{ config {{
        name: "pets" base_path: "{tmp_path / "models" / "pets"}" model_platform: "tensorflow"
        model_version_policy {{ all {{}} }}
        version_labels {{ key: "canary" value: 2 }}
    }} }}"""
    monkeypatch.setattr("server.up.model_config", lambda *_: config)
    flag = "--allow_version_labels_for_unavailable_models"
    with (
        model_server(tmp_path / "models", ["pets"], tmp_path, flag) as (_, address),
        gateway(["pets"], address, tmp_path, LINCE_CANARY="pets=canary:50") as (_, url),
    ):
        by_label = ask(f"{url}/v1/models/pets/labels/canary:classify", FILES[:1])
        assert (by_label["version"], by_label["results"][0]["label"] in "cd") == ("2", True)
        missing = httpx.post(
            f"{url}/v1/models/pets/labels/other:classify", content=FILES[0], trust_env=False
        )
        assert (missing.status_code, missing.json()["type"]) == (
            404,
            "urn:lince:problem:unknown-label",
        )
        seen = set()
        for key in range(40):
            found = ask(f"{url}/v1/models/pets:classify", FILES[:1], **{"X-Canary-Key": str(key)})
            seen.add((found["track"], found["version"]))
            assert found["results"][0]["label"] in {"1": "ab", "2": "cd"}[found["version"]]
        assert seen == {("stable", "1"), ("canary", "2")}
