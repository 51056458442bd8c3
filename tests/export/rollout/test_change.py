"""A change on three replicas that follow a file: what they serve in the end, and on the way."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from export.rollout import plan
from export.rollout.change import Options, change, in_file
from export.rollout.errors import ConfigFileError, NotLiveError, RolloutError, WorseError
from export.rollout.plan import Serving
from tests.export.rollout.polling import CONFIG, MODEL, PollingServer, manifest, polling_servers

pytestmark = pytest.mark.heavy

Servers = list[PollingServer]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "models.config"


@pytest.fixture
def servers(config: Path) -> Iterator[Servers]:
    disk = {1: manifest(0.9), 2: manifest(0.95), 3: manifest(0.7)}
    with polling_servers(config, disk) as made:
        yield made
        assert not [gap for server in made for gap in server.gaps]


@pytest.fixture
def options(servers: Servers) -> Options:
    addresses = tuple(server.address for server in servers)
    return Options(addresses, None, 20.0, 0.0, poll_seconds=0.02)


def promote(config: Path, options: Options, version: int | None) -> Serving:
    store = in_file(config)
    return change(MODEL, lambda now: plan.promoted(now, version), store, options, print)


def canary(config: Path, options: Options, version: int) -> Serving:
    return change(MODEL, lambda now: plan.tried(now, version), in_file(config), options, print)


def roll_back(config: Path, options: Options) -> Serving:
    options = replace(options, undo=False)
    return change(MODEL, plan.rolled_back, in_file(config), options, print)


def served(servers: Servers) -> list[tuple[set[int], dict[str, int]]]:
    return [(set(server.models[MODEL]), server.labels[MODEL]) for server in servers]


def test_from_the_first_version_to_the_second_and_back(
    config: Path, options: Options, servers: Servers
) -> None:
    promote(config, options, 1)
    assert served(servers) == [({1}, {"stable": 1})] * 3
    canary(config, options, 2)
    assert served(servers) == [({1, 2}, {"stable": 1, "canary": 2})] * 3
    promote(config, options, None)
    assert served(servers) == [({1, 2}, {"stable": 2, "previous": 1})] * 3
    roll_back(config, options)
    assert served(servers) == [({1}, {"stable": 1})] * 3
    text = config.read_text()
    assert text.startswith("# What we serve.\n")
    assert CONFIG.splitlines()[2] in text


def test_a_canary_is_taken_away(config: Path, options: Options, servers: Servers) -> None:
    promote(config, options, 1)
    before = config.read_text()
    canary(config, options, 2)
    roll_back(config, options)
    assert served(servers) == [({1}, {"stable": 1})] * 3
    assert config.read_text() == before


def test_again_is_nothing_new(config: Path, options: Options, servers: Servers) -> None:
    promote(config, options, 1)
    promote(config, options, 2)
    before = config.read_text()
    promote(config, options, 2)
    assert config.read_text() == before


def test_a_worse_version_is_refused(config: Path, options: Options, servers: Servers) -> None:
    promote(config, options, 1)
    before = config.read_text()
    for attempt in (canary, promote):
        with pytest.raises(WorseError, match=r"accuracy is 0\.7000 instead of 0\.9000"):
            attempt(config, options, 3)
        assert config.read_text() == before
    promote(config, replace(options, force=True), 3)
    assert served(servers) == [({1, 3}, {"stable": 3, "previous": 1})] * 3
    roll_back(config, options)  # asks nobody how good it is
    assert served(servers) == [({1}, {"stable": 1})] * 3


def test_a_version_that_cannot_be_loaded(config: Path, options: Options, servers: Servers) -> None:
    promote(config, options, 1)
    before = config.read_text()
    servers[1].bad = {2}
    began = time.monotonic()
    with pytest.raises(NotLiveError, match=rf"{servers[1].port}.*version 2.*no saved_model\.pb"):
        promote(config, options, 2)
    assert time.monotonic() - began < options.wait_seconds  # it didn't wait for what can't come
    assert config.read_text() == before
    for server in servers:
        server.poll()
    assert served(servers) == [({1}, {"stable": 1})] * 3


def test_a_version_that_is_nowhere(config: Path, options: Options, servers: Servers) -> None:
    promote(config, options, 1)
    before = config.read_text()
    with pytest.raises(NotLiveError, match=r"not live on 3 of 3 .* 0\.1 s: .* version 9"):
        promote(config, replace(options, wait_seconds=0.1), 9)
    assert config.read_text() == before


def test_a_replica_that_is_away_stops_a_promotion_but_no_rollback(
    config: Path, options: Options, servers: Servers
) -> None:
    promote(config, options, 1)
    promote(config, options, 2)
    before = config.read_text()
    servers[2].fail = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(NotLiveError, match=str(servers[2].port)):
        promote(config, options, 3)
    assert config.read_text() == before
    with pytest.raises(NotLiveError, match="not live on 1 of 3"):
        roll_back(config, replace(options, wait_seconds=0.1))
    assert [labels for _, labels in served(servers[:2])] == [{"stable": 1}] * 2
    servers[2].fail = None
    roll_back(config, options)  # the rest of it: version 2 leaves
    assert served(servers) == [({1}, {"stable": 1})] * 3


def test_a_stop_in_the_middle_changes_nothing(
    config: Path, options: Options, servers: Servers
) -> None:
    promote(config, options, 1)
    before = config.read_text()
    steps = []

    def say(line: str) -> None:
        steps.append(line)
        if line.startswith("move the labels"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        change(MODEL, lambda now: plan.promoted(now, 2), in_file(config), options, say)
    assert config.read_text() == before
    assert steps[0] == "load: version 1 (stable), version 2"
    assert steps[-1] == "the configuration is as it was before"


def test_a_change_by_somebody_else_stays(config: Path, options: Options, servers: Servers) -> None:
    promote(config, options, 1)
    theirs = config.read_text() + "# theirs\n"

    def say(line: str) -> None:
        if line.startswith("live on"):
            config.write_text(theirs)

    with pytest.raises(ConfigFileError, match="somebody else"):
        change(MODEL, lambda now: plan.promoted(now, 2), in_file(config), options, say)
    assert config.read_text() == theirs


def test_the_file_stays_readable_and_a_link_a_link(tmp_path: Path) -> None:
    file, link = tmp_path / "real", tmp_path / "link"
    file.write_text("a")
    file.chmod(0o644)
    link.symlink_to(file)
    store = in_file(link)
    store.write("b")
    assert (link.is_symlink(), store.read(), file.stat().st_mode & 0o777) == (True, "b", 0o644)


def test_a_name_stands_for_all_that_it_resolves_to(
    config: Path, options: Options, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        assert (host, port) == ("model-server-headless", 8500)
        return [(2, 1, 6, "", ("127.0.0.1", server.port)) for server in [*servers, servers[0]]]

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    promote(config, replace(options, addresses=("dns:///model-server-headless:8500",)), 1)
    assert served(servers) == [({1}, {"stable": 1})] * 3


def test_a_rollback_is_written_though_nobody_can_be_asked(
    config: Path, options: Options, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(*_: object, **__: object) -> None:
        raise OSError(-2, "Name or service not known")

    promote(config, options, 1)
    promote(config, options, 2)
    monkeypatch.setattr("socket.getaddrinfo", resolve)
    with pytest.raises(NotLiveError, match="not known"):
        roll_back(config, replace(options, addresses=("model-server-headless:8500",)))
    for server in servers:
        server.poll()
    assert [labels for _, labels in served(servers)] == [{"stable": 1}] * 3


@pytest.mark.parametrize("address", ["nowhere", "host:port", "dns://1.2.3.4/name:8500", ":8500"])
def test_addresses_that_are_none(config: Path, address: str) -> None:
    config.write_text(CONFIG)
    with pytest.raises(RolloutError, match="is not host:port"):
        promote(config, Options((address,), None, 1.0, 0.0), 1)


def test_versions_are_in_use_while_they_are_dropped(
    config: Path, options: Options, servers: Servers
) -> None:
    """The gateways have the time to ask for the label again before its old version leaves."""
    promote(config, options, 1)
    promote(config, options, 2)
    seen = []
    thread = threading.Thread(target=roll_back, args=(config, replace(options, settle_seconds=1.0)))
    thread.start()
    while thread.is_alive():
        seen.append((servers[0].labels[MODEL]["stable"], 2 in servers[0].models[MODEL]))
        time.sleep(0.05)
    thread.join()
    assert (1, True) in seen
    assert (2, False) not in seen
