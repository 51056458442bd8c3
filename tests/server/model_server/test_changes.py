"""Versions come and go under load: every answer is right, and nothing is left behind."""

import itertools
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, model_management_pb2

from tests.server.model_server.helpers import PATIENCE, Api, channel_to, request_for, until
from tests.server.model_server.process import Process, started

CLIENTS = 16
FACTORS = 5
KEPT = 2
"""Versions that are served at the same time."""

pytestmark = pytest.mark.integration


def factor(version: int) -> float:
    """What the version multiplies by: its neighbours multiply by something else."""
    return float(version % FACTORS + 1)


def save(folder: Path, scale: float) -> None:
    """y = x × scale, after a convolution whose weights, 4 MB, would show if they stayed."""

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = tf.Variable(scale)
            self.weights = tf.Variable(tf.zeros([1000, 1000]))

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="x")])
        def predict(self, x: Any) -> Any:
            nothing = tf.reduce_sum(self.weights[:4], axis=1)
            return {"y": x * self.scale + nothing}

    module = Model()
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.predict})


@dataclass
class Load:
    """Clients that ask without a pause, and what was wrong with the answers."""

    address: str
    wrong: list[str] = field(default_factory=list)
    answers: int = 0
    labels: dict[str, set[int]] = field(default_factory=dict)
    """The versions that a label may stand for; two while it is moved."""
    ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.ended.set()
            for thread in threads:
                thread.join()

    def _ask(self, seed: int) -> None:
        chance = random.Random(seed)
        with channel_to(self.address) as channel:
            api = Api(channel)
            while not self.ended.is_set():
                label = chance.choice(["", "", "stable"])
                allowed = self.labels.get(label, set())
                x = np.full((1, 4), chance.randint(1, 1000), np.float32)
                try:
                    response = api.prediction.Predict(
                        request_for(label=label, x=x), timeout=PATIENCE
                    )
                except grpc.RpcError as error:
                    self.wrong.append(f"{label}: {error.code()} {error.details()}")
                    continue
                version = response.model_spec.version.value
                if list(response.outputs["y"].float_val) != [x[0, 0] * factor(version)] * 4:
                    self.wrong.append(f"version {version} gave {response.outputs['y'].float_val}")
                if label and version not in allowed | self.labels[label]:
                    self.wrong.append(f"label {label}: {version}, not one of {allowed}")
                self.answers += 1


class Versions:
    """The versions on the disk, and the calls that change what is served."""

    def __init__(self, base: Path, saved: list[Path], load: Load) -> None:
        self._base = base
        self._saved = saved
        self._load = load
        self.good: list[int] = []

    def add(self, number: int) -> None:
        beside = self._base.parent / f"beside-{number}"
        shutil.copytree(self._saved[int(factor(number)) - 1], beside)
        beside.rename(self._base / str(number))
        self.good.append(number)

    def add_bad(self, number: int) -> None:
        beside = self._base.parent / f"beside-{number}"
        beside.mkdir()
        (beside / "saved_model.pb").write_bytes(b"this is none")
        beside.rename(self._base / str(number))

    def remove(self, number: int) -> None:
        gone = self._base.parent / f"gone-{number}"
        (self._base / str(number)).rename(gone)
        shutil.rmtree(gone)
        self.good = [version for version in self.good if version != number]

    def configure(self, api: Api, versions: list[int], stable: int) -> None:
        """Serve these, and let the label stand for one of them, as an operator would by call."""
        self._load.labels["stable"] = self._load.labels.get("stable", set()) | {stable}
        request = model_management_pb2.ReloadConfigRequest()
        entry = request.config.model_config_list.config.add(
            name="m", base_path=str(self._base), model_platform="tensorflow"
        )
        entry.model_version_policy.specific.versions.extend(versions)
        entry.version_labels["stable"] = stable
        api.model.HandleReloadConfigRequest(request, timeout=PATIENCE)
        self._load.labels["stable"] = {stable}


def states(api: Api) -> dict[int, str]:
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "m"
    response = api.model.GetModelStatus(request, timeout=PATIENCE)
    name = get_model_status_pb2.ModelVersionStatus.State.Name
    return {v.version: name(v.state) for v in response.model_version_status}


def change(api: Api, versions: Versions, number: int) -> None:
    """One version more and one less, the label moved in between; each fifth version is bad."""
    if number % 5 == 0:
        versions.add_bad(number)
        keep = versions.good[-1]
        versions.configure(api, [*versions.good, number], keep)
        until(lambda: states(api).get(number) == "END", f"the end of bad version {number}")
        versions.configure(api, versions.good, keep)
        versions.remove(number)
        return
    versions.add(number)
    old = versions.good[-2]
    versions.configure(api, versions.good, old)
    until(lambda: states(api).get(number) == "AVAILABLE", f"version {number}")
    versions.configure(api, versions.good, number)
    if len(versions.good) > KEPT:
        gone = versions.good[0]
        versions.configure(api, versions.good[1:], number)
        until(lambda: states(api)[gone] == "END", f"the end of version {gone}")
        versions.remove(gone)


@dataclass(frozen=True)
class Footprint:
    """What a process holds."""

    megabytes: float
    threads: int

    @staticmethod
    def of(pid: int) -> "Footprint":
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines)
        return Footprint(int(fields["VmRSS"].split()[0]) / 1024, int(fields["Threads"]))


def run_changes(root: Path, changes: int, *flags: str) -> dict[int, Footprint]:
    """Make so many changes under load; the footprint after each, all of it settled."""
    saved = [root / f"saved-{n}" for n in range(FACTORS)]
    for number, folder in enumerate(saved):
        save(folder, float(number + 1))
    base = root / "m"
    base.mkdir()
    shutil.copytree(saved[int(factor(1)) - 1], base / "1")
    common = ("--port=0", f"--model_base_path={base}", "--model_name=m")
    with started(*common, "--max_num_load_retries=0", *flags) as process:
        address = f"127.0.0.1:{process.port()}"
        load = Load(address)
        versions = Versions(base, saved, load)
        versions.good.append(1)
        prints = {}
        with channel_to(address) as channel:
            api = Api(channel)
            versions.configure(api, [1], 1)
            with load.running():
                for number in itertools.islice(itertools.count(2), changes):
                    change(api, versions, number)
                    prints[number - 1] = Footprint.of(process.server())
                    assert load.wrong == []
        assert load.answers > changes
        _assert_drains(process)
    return prints


def _assert_drains(process: Process) -> None:
    process.popen.terminate()
    assert process.end() == 0


@pytest.mark.parametrize("flags", [(), ("--enable_batching",)], ids=["alone", "batched"])
def test_a_dozen_changes(tmp_path: Path, flags: tuple[str, ...]) -> None:
    prints = run_changes(tmp_path, 12, *flags)
    assert len(prints) == 12


@pytest.mark.slow
@pytest.mark.parametrize("flags", [(), ("--enable_batching",)], ids=["alone", "batched"])
def test_two_hundred_changes_leave_nothing_behind(tmp_path: Path, flags: tuple[str, ...]) -> None:
    began = time.monotonic()
    prints = run_changes(tmp_path, 200, *flags)
    early, late = prints[50], prints[200]
    print(f"{time.monotonic() - began:.0f} s; after 50 changes {early}, after 200 {late}")
    assert 0.9 < late.megabytes / early.megabytes < 1.1
    # gRPC's own threads come and go by one or two.
    most = max(footprint.threads for change, footprint in prints.items() if 40 < change <= 50)
    assert min(footprint.threads for change, footprint in prints.items() if change > 190) <= most
