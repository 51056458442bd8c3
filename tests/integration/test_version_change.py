"""A new version with other pixels and other labels, while clients go on asking."""

import itertools
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from client import Client
from tests.integration.artifacts import publish_random
from tests.integration.processes import gateway, model_server, wait_until
from tests.pictures import picture

pytestmark = pytest.mark.integration
CLIENTS = 8
OLD, NEW = ("ant", "bee", "cow"), ("one", "two", "six", "ten")
LABELS = {"1": set(OLD), "2": set(NEW)}


def ask(url: str, stop: threading.Event, seen: list[tuple[str, set[str]]], failures: list) -> None:
    images = itertools.cycle([picture("JPEG", size=(200, 150), seed=n) for n in range(3)])
    with Client(url, timeout=60) as client:
        while not stop.is_set():
            try:
                answer = client.classify(next(images), "model", top_k=9)
            except Exception as error:
                failures.append(error)
                return
            labels = {entry.label for entry in answer.top_k}
            seen.append((answer.version, labels))


@pytest.mark.parametrize("servers", [1, 2])
def test_no_request_fails_and_every_answer_is_of_one_version(tmp_path: Path, servers: int) -> None:
    models = [tmp_path / f"models-{number}" for number in range(servers)]
    for folder in models:
        publish_random(folder, "model", OLD, 180)
    stop, seen, failures = threading.Event(), [], []
    with ExitStack() as stack:
        addresses = []
        for folder in models:
            scratch = folder.with_suffix(".scratch")
            scratch.mkdir()
            _, address = stack.enter_context(model_server(folder, ["model"], scratch))
            addresses.append(address)
        running, url = stack.enter_context(gateway(["model"], ",".join(addresses), tmp_path))
        clients = [
            threading.Thread(target=ask, args=(url, stop, seen, failures)) for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        stack.callback(stop.set)

        def enough(version: str, count: int) -> bool:
            return bool(failures) or sum(answer[0] == version for answer in seen) >= count

        wait_until(lambda: enough("1", 50), "answers of version 1", running)
        for folder in models:
            publish_random(folder, "model", NEW, 160)
        wait_until(lambda: enough("2", 50), "answers of version 2", running)
        # With two servers both are in use: once the last has changed, the old one is gone.
        wait_until(
            lambda: failures or {version for version, _ in seen[-200:]} == {"2"},
            "the end of version 1",
            running,
        )
        stop.set()
        for client in clients:
            client.join()
    assert not failures
    for version, labels in seen:
        assert labels == LABELS[version]
