"""A long time under mixed load: memory stays, and the metrics are what the callers counted.

LINCE_TEST_SOAK_MINUTES says how long (3 unless given).
"""

import base64
import collections
import contextlib
import os
import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from contract.run_folder import RunFolder
from tests.integration.processes import children, gateway, get, model_server, own_memory_mb
from tests.pictures import picture

pytestmark = [pytest.mark.integration, pytest.mark.slow]
MODEL = "/v1/models/digits-cnn"
CALLERS = 6
#: The share that memory may grow by after the first third of the time, and what noise may add.
GROWTH, NOISE_MB = 0.1, 5.0

Counts = collections.Counter[tuple[str, int]]
Ask = Callable[[httpx.Client, random.Random], httpx.Response]


def asks(samples: list[bytes]) -> list[tuple[str, Ask]]:
    """The kinds of requests, each with the route that the metrics have it under."""
    classify = "/v1/models/<name>:classify"

    def sample(chance: random.Random) -> bytes:
        return chance.choice(samples)

    def instance(chance: random.Random) -> dict[str, str]:
        return {"b64": base64.b64encode(sample(chance)).decode()}

    return [
        (classify, lambda http, chance: http.post(f"{MODEL}:classify", content=sample(chance))),
        (classify, lambda http, chance: http.post(f"{MODEL}:classify", content=sample(chance))),
        (
            classify,
            lambda http, chance: http.post(
                f"{MODEL}:classify",
                files=[("image", ("a.png", sample(chance))) for _ in range(chance.randrange(1, 9))],
            ),
        ),
        (
            classify,
            lambda http, chance: http.post(
                f"{MODEL}:classify", content=chance.randbytes(chance.randrange(1, 3000))
            ),
        ),
        (
            classify,
            lambda http, chance: http.post(
                f"{MODEL}:classify",
                content=picture("JPEG", size=(600, 400), seed=chance.randrange(99)),
            ),
        ),
        (classify, lambda http, _: http.post("/v1/models/nobody:classify", content=samples[0])),
        (
            "/v1/models/<name>:predict",
            lambda http, chance: http.post(
                f"{MODEL}:predict", json={"instances": [instance(chance)]}
            ),
        ),
        (
            "/v1/models/<name>:explain",
            lambda http, chance: http.post(f"{MODEL}:explain", content=sample(chance)),
        ),
        ("/v1/models/<name>", lambda http, _: http.get(MODEL)),
    ]


def call(
    url: str, kinds: list[tuple[str, Ask]], number: int, end: threading.Event, counts: Counts
) -> None:
    chance = random.Random(number)
    while not end.is_set():
        with httpx.Client(base_url=url, timeout=60) as http:  # a new connection now and then
            for _ in range(chance.randrange(1, 200)):
                route, ask = chance.choice(kinds)
                counts[route, ask(http, chance).status_code] += 1
                if end.is_set():
                    break


def counted(url: str) -> Counts:
    counts: Counts = collections.Counter()
    line = re.compile(r'lince_http_requests_total{code="(\d+)",method="\w+",route="([^"]+)"} (\S+)')
    for code, route, number in line.findall(get(f"{url}/metrics").text):
        counts[route, int(code)] += int(float(number))
    return counts


def test_a_long_time_under_load(workshop: Path, digits_run: RunFolder, tmp_path: Path) -> None:
    seconds = 60 * float(os.environ.get("LINCE_TEST_SOAK_MINUTES", "3"))
    kinds = asks([sample.file.read_bytes() for sample in digits_run.samples()])
    with contextlib.ExitStack() as stack:
        server, address = stack.enter_context(
            model_server(workshop / "models", ["digits-cnn"], tmp_path, "--enable_batching")
        )
        process, url = stack.enter_context(
            gateway(["digits-cnn"], address, tmp_path, LINCE_WORKERS="2", LINCE_ACCESS_LOG="0")
        )
        workers = children(process.process.pid)
        parts = {"model server": children(server.process.pid), "gateway": workers}
        end = threading.Event()
        counts: list[Counts] = [collections.Counter() for _ in range(CALLERS)]
        callers = [
            threading.Thread(target=call, args=(url, kinds, number, end, counts[number]))
            for number in range(CALLERS)
        ]
        before = counted(url)
        for caller in callers:
            caller.start()
        stack.callback(end.set)
        time.sleep(seconds / 3)
        early = {name: sum(map(own_memory_mb, pids)) for name, pids in parts.items()}
        time.sleep(seconds * 2 / 3)
        late = {name: sum(map(own_memory_mb, pids)) for name, pids in parts.items()}
        end.set()
        for caller in callers:
            caller.join()
        answered = sum(counts, start=collections.Counter())
        seen = counted(url) - before
        print(f"{sum(answered.values())} requests; memory {early} → {late} MB; {dict(answered)}")
        routes = {route for route, _ in kinds}
        assert {key: n for key, n in seen.items() if key[0] in routes} == dict(answered)
        assert {code for _, code in answered} == {200, 400, 404}
        assert children(process.process.pid) == workers
        for name in parts:
            assert late[name] < early[name] * (1 + GROWTH) + NOISE_MB, name
