"""--model_config_file while the server looks at it again and again, and version labels."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance import models
from tests.conformance.api import Api, predict_request
from tests.conformance.cases import floats
from tests.conformance.conftest import Launch
from tests.conformance.disk import Disk
from tests.conformance.programs import Server, stays
from tests.integration.processes import wait_until

pytestmark = pytest.mark.integration


class ConfigFile:
    """A configuration file that a server looks at every second."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.disk = disk

    def write(self, text: str) -> None:
        beside = self.path.with_suffix(".new")
        beside.write_text(text)
        beside.rename(self.path)

    def of(self, *names: str, more: str = "") -> str:
        return models.config(*(models.entry(n, self.disk.base(n), more) for n in names))

    def labelled(self, **labels: int) -> str:
        pairs = [f'version_labels {{ key: "{k}" value: {v} }}' for k, v in labels.items()]
        return self.of("labelled", more=" ".join([models.ALL_VERSIONS, *pairs]))


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> ConfigFile:
    disk = Disk(tmp_path_factory.mktemp("config"))
    for version in (1, 2):
        disk.publish("labelled", version)
    disk.publish("two", 2)
    config = ConfigFile(disk.root / "polled.config", disk)
    config.write(config.labelled(early=9))
    return config


@pytest.fixture(scope="module")
def polling(config: ConfigFile, launch: Launch) -> Iterator[Server]:
    flags = (
        f"--model_config_file={config.path}",
        "--model_config_file_poll_wait_seconds=1",
        "--allow_version_labels_for_unavailable_models",
        "--max_num_load_retries=0",
    )
    with launch(*flags) as server:
        server.wait()
        yield server


def answers(api: Api, model: str, **spec: Any) -> Any:
    """What the model makes of 1, or the text of the error."""
    answer = api.ask(predict_request(model, x=floats([1]), spec=spec))
    return answer.message.outputs["y"].float_val[0] if answer.message else answer.text


UNKNOWN = "Unrecognized servable version label: "
AWAY = "Servable not found for request: Specific(labelled, 9)"


def test_new_labels_may_point_nowhere(polling: Server, config: ConfigFile) -> None:
    """With the flag even at the start, and later, when the file is looked at again."""
    api = polling.api
    wait_until(lambda: api.states("labelled").get(1) == "AVAILABLE", "version 1")
    assert answers(api, "labelled", label="early") == AWAY
    config.write(config.labelled(early=9, live=1))
    wait_until(lambda: answers(api, "labelled", label="live") == 1.0, "the label")
    assert answers(api, "labelled", label="early") == AWAY


def test_labels_may_not_be_moved_nowhere(polling: Server, config: ConfigFile) -> None:
    """The whole reload fails, and what was stays; a good one is taken up."""
    api = polling.api
    config.write(config.labelled(live=1))
    wait_until(lambda: answers(api, "labelled", label="live") == 1.0, "the label")
    config.write(config.labelled(live=9))
    stays(lambda: answers(api, "labelled", label="live") == 1.0, 2.5)
    config.write(config.labelled(live=2))
    wait_until(lambda: answers(api, "labelled", label="live") == 2.0, "the label")
    config.write(config.labelled())
    gone = UNKNOWN + "live"
    wait_until(lambda: answers(api, "labelled", label="live") == gone, "no label")


def test_the_file_is_looked_at(polling: Server, config: ConfigFile) -> None:
    """Models come and go; a file that is no good is logged, and the server goes on."""
    api = polling.api
    config.write(config.of("two"))
    wait_until(lambda: answers(api, "two") == 2.0, "the new model")
    wait_until(lambda: set(api.states("labelled").values()) == {"END"}, "the end of the old one")
    config.write("nonsense {")
    parsing = "Error parsing text-format tensorflow.serving.ModelServerConfig: "
    wait_until(lambda: parsing in polling.running.output(), "a complaint")
    assert answers(api, "two") == 2.0
    config.write(config.of("two", "labelled"))
    wait_until(lambda: answers(api, "labelled") == 2.0, "the old model, anew")
    assert answers(api, "two") == 2.0


def test_a_model_that_fails_is_logged(polling: Server, config: ConfigFile) -> None:
    api = polling.api
    if not config.disk.base("hopeless").exists():
        config.disk.broken("hopeless", 1)
    config.write(config.of("two", "hopeless"))
    wait_until(lambda: api.states("hopeless") == {1: "END"}, "the bad model")
    wait_until(lambda: answers(api, "two") == 2.0, "the good one")
    config.write(config.of("two"))
