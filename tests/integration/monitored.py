"""A gateway, a model server and a Prometheus that scrapes both by the repository's configuration.

Time runs faster for the rules: all durations in them are divided, so that what takes an hour in
production is seen in two minutes.
"""

import contextlib
import io
import itertools
import os
import random
import re
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml
from PIL import Image

from monitoring.api import Prometheus
from monitoring.queries import FOLDER, RULES
from server.ports import free_port
from tests.integration.processes import (
    LINCE,
    Running,
    answers,
    children,
    gateway,
    program_under_test,
    started,
    wait_until,
)
from tests.pictures import picture
from tests.programs import require

MODEL = "digits-cnn"
#: By how much faster time runs for the rules.
FASTER = 30
SCRAPE_SECONDS = 1
#: For `$__rate_interval`.
RATE = "10s"

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?P<before>\[|offset |for: )(?P<number>\d+)(?P<unit>[smhd])\b")


@dataclass
class Monitored:
    """The running system.

    Attributes:
        url: of the gateway.
        server: the model server, as it was last started.
        models: the folder of its models.
    """

    url: str
    prometheus: Prometheus
    server: Running
    models: Path
    _start: Callable[[], Running]

    def signal(self, number: int) -> None:
        """Sends a signal to the model server's process and to those that it started."""
        first = self.server.process.pid
        for process in (*children(first), first):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.server.process.wait()

    def restart(self) -> None:
        """Starts the model server anew, where it was."""
        self.server = self._start()

    def wait_for(self, *alerts: str) -> dict[str, dict[str, str]]:
        """Waits until all of these alerts fire; returns the annotations of all that do."""
        self._wait(lambda: set(alerts) <= set(self.prometheus.firing()), f"{alerts} to fire")
        return self.prometheus.firing()

    def wait_for_end(self, *alerts: str) -> None:
        self._wait(lambda: not set(alerts) & set(self.prometheus.firing()), f"{alerts} to end")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        try:
            wait_until(condition, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; firing: {set(self.prometheus.firing())}") from error


@contextmanager
def monitored(artifact: Path, scratch: Path) -> Iterator[Monitored]:
    """Serves an artifact as a stable version 1 and as a canary 2, which get requests."""
    models = scratch / "models"
    for version in ("1", "2"):
        shutil.copytree(artifact, models / MODEL / version)
    port, rest, own = free_port(), free_port(), free_port()
    command = _model_server(models, scratch, port, rest)
    variables = {
        "LINCE_METRICS_PORT": str(own),
        "LINCE_CANARY": f"{MODEL}=canary:30",
        "LINCE_WORKERS": "2",
        "LINCE_CACHE_ANSWERS": "16",
        "LINCE_ACCESS_LOG": "0",
        "LINCE_TIMEOUT_SECONDS": "3",
        "LINCE_PREDICTION_LOG": str(scratch / "predictions.jsonl"),
    }
    with contextlib.ExitStack() as stack:
        logs = itertools.count()

        def start() -> Running:
            log = scratch / f"model-server-{next(logs)}.log"
            running = stack.enter_context(started(command, log))
            ready = re.compile("Running gRPC ModelServer at")
            wait_until(lambda: ready.search(running.output()), "the model server", running)
            return running

        server = start()
        address = f"127.0.0.1:{port}"
        _, url = stack.enter_context(gateway([MODEL], address, scratch, **variables))
        targets = {"gateway": f"127.0.0.1:{own}", "model-server": f"127.0.0.1:{rest}"}
        api = stack.enter_context(_prometheus(scratch, targets))
        yield Monitored(url, Prometheus(api), server, models, start)


def _model_server(models: Path, scratch: Path, port: int, rest: int) -> list[str]:
    config = scratch / "models.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "{MODEL}" base_path: "{models / MODEL}" '
        'model_platform: "tensorflow" model_version_policy { all {} } '
        'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 2 } } }\n'
    )
    program = program_under_test()
    return [
        *((*LINCE, "model-server") if program == "embedded" else (program,)),
        f"--port={port}",
        f"--rest_api_port={rest}",
        f"--model_config_file={config}",
        f"--monitoring_config_file={FOLDER.parent / 'docker/model-server/monitoring.config'}",
        "--allow_version_labels_for_unavailable_models",
        "--enable_batching",
        "--max_num_load_retries=0",
        "--file_system_poll_wait_seconds=1",
    ]


@contextmanager
def _prometheus(scratch: Path, targets: dict[str, str]) -> Iterator[str]:
    folder = scratch / "prometheus"
    (folder / "rules").mkdir(parents=True)
    for path in RULES.glob("*.yml"):
        (folder / "rules" / path.name).write_text(faster(path.read_text()))
    config = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yml").read_text())
    scrape = f"{SCRAPE_SECONDS}s"
    config["global"] |= {
        "scrape_interval": scrape,
        "scrape_timeout": scrape,
        "evaluation_interval": scrape,
        "external_labels": {"runbooks": "https://docs.example/"},
    }
    for job in config["scrape_configs"]:
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        require("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with started(command, scratch / "prometheus.log") as running:
        api = f"http://127.0.0.1:{port}"
        wait_until(lambda: answers(f"{api}/-/ready"), "Prometheus", running)
        yield api


def faster(rules: str) -> str:
    """Divides all durations of a rules file by FASTER."""

    def shorter(found: re.Match[str]) -> str:
        seconds = int(found["number"]) * _SECONDS[found["unit"]] / FASTER
        return f"{found['before']}{max(1, round(seconds))}s"

    return _DURATION.sub(shorter, rules)


@contextmanager
def load(url: str, samples: list[bytes], callers: int = 2) -> Iterator[Counter[int]]:
    """Callers that send pictures and mistakes of all kinds; gives the statuses they got, 0 for
    no answer.
    """
    end, statuses = threading.Event(), Counter[int]()
    threads = [
        threading.Thread(target=_call, args=(url, samples, random.Random(seed), end, statuses))
        for seed in range(callers)
    ]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        end.set()
        for thread in threads:
            thread.join()


def _call(
    url: str,
    samples: list[bytes],
    chance: random.Random,
    end: threading.Event,
    statuses: Counter[int],
) -> None:
    turned = _turned()
    with httpx.Client(base_url=url, timeout=30) as http:
        while not end.wait(0.05):
            path, several = f"/v1/models/{MODEL}", [chance.choice(samples) for _ in range(32)]
            asks: list[tuple[str, dict[str, object]]] = [
                (f"{path}:classify", {"content": several[0]}),
                (f"{path}:classify", {"content": several[0]}),
                (f"{path}:classify", {"content": turned}),
                (f"{path}:classify", {"content": picture("JPEG", size=(800, 600))}),
                (f"{path}:classify", {"files": [("image", ("a.png", each)) for each in several]}),
                (f"{path}:explain", {"content": several[0]}),
                (f"{path}:classify", {"content": chance.randbytes(2000)}),
                ("/v1/models/nobody:classify", {"content": several[0]}),
            ]
            where, what = chance.choice(asks)
            try:
                statuses[http.post(where, **what).status_code] += 1  # type: ignore[arg-type]
            except httpx.TransportError:
                statuses[0] += 1


def _turned() -> bytes:
    """A picture with the EXIF orientation 6: turn it by 90 degrees."""
    image = Image.open(io.BytesIO(picture("PNG", size=(64, 48))))
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()
