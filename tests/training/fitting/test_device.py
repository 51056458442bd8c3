"""Which devices a fit runs on, as far as it is decided without starting any."""

import pytest
import tensorflow as tf

from training.errors import DeviceError
from training.fitting import device


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    monkeypatch.setattr(device.shutil, "which", lambda _: None)
    listed = tf.config.list_physical_devices
    monkeypatch.setattr(
        tf.config, "list_physical_devices", lambda kind: [] if kind == "GPU" else listed(kind)
    )


def test_no_gpu_is_a_note() -> None:
    found = device.choose()
    assert found.name.startswith("CPU: ")
    assert found.notes == ("no GPU: this machine shows none",)
    assert (found.chief, found.several_machines) == (True, False)


def test_the_processor_that_was_asked_for_needs_no_note() -> None:
    assert device.choose("cpu").notes == ()


def test_a_gpu_that_was_asked_for_has_to_be_there() -> None:
    with pytest.raises(DeviceError, match="--device gpu: TensorFlow finds no GPU"):
        device.choose("gpu")


def test_a_gpu_that_tensorflow_cant_use_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_gpus_of_the_machine", lambda: "GPU 0: a fine card")
    (note,) = device.choose().notes
    assert "This machine has GPU 0: a fine card, but TensorFlow can't use it" in note


def test_replicas_are_of_the_processor() -> None:
    with pytest.raises(DeviceError, match="it goes with --device cpu"):
        device.choose("auto", 2)


WRONG = [
    "no JSON",
    "[]",
    "{}",
    '{"cluster": {"worker": ["a:1", "b:1"]}}',
    '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 2}}',
    '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": "x"}}',
]


@pytest.mark.parametrize("config", WRONG)
def test_a_wrong_tf_config_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(DeviceError, match="TF_CONFIG: not of the form"):
        device.choose("cpu")


@pytest.mark.parametrize(
    "config", ["", '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}']
)
def test_a_single_machine_is_none_of_several(monkeypatch: pytest.MonkeyPatch, config: str) -> None:
    monkeypatch.setenv("TF_CONFIG", config)
    assert not device.choose("cpu").several_machines
