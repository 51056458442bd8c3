"""TLS: --ssl_config_file, with and without certificates of clients. REST stays in the clear."""

from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest

from tests.certificates import Identity, identity
from tests.conformance.api import Answer, Api, predict_request
from tests.conformance.cases import agree, floats
from tests.conformance.conftest import Launch
from tests.conformance.disk import Disk
from tests.conformance.programs import Server
from tests.integration.processes import wait_until

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class World:
    """A server that asks for certificates, and who knows whom."""

    server: Server
    strict: bool
    authority: Identity
    client: Identity
    stranger: Identity

    def ask(self, who: Identity | None, authority: Identity | None = None) -> Answer:
        """Predict over TLS, as somebody or nobody, trusting an authority."""
        trusted = authority or self.authority
        pair = (who.key_pem().encode(), who.certificate_pem().encode()) if who else (None, None)
        credentials = grpc.ssl_channel_credentials(trusted.certificate_pem().encode(), *pair)
        options = [("grpc.use_local_subchannel_pool", 1)]
        address = f"localhost:{self.server.port}"
        with grpc.secure_channel(address, credentials, options) as channel:
            return Api(channel).ask(predict_request("default", x=floats([1])), timeout=20)


def quoted(pem: str) -> str:
    return '"' + pem.replace("\n", "\\n") + '"'


@pytest.fixture(scope="module", params=[False, True], ids=["any-client", "known-clients"])
def world(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, launch: Launch
) -> Iterator[World]:
    disk = Disk(tmp_path_factory.mktemp("tls"))
    disk.publish("one", 1)
    authority = identity("authority")
    own = identity("server", authority)
    fields = {
        "server_key": quoted(own.key_pem()),
        "server_cert": quoted(own.certificate_pem()),
        "custom_ca": quoted(authority.certificate_pem()),
        "client_verify": str(request.param).lower(),
    }
    file = disk.root / "ssl.config"
    file.write_text("\n".join(f"{name}: {value}" for name, value in fields.items()))
    with launch(f"--model_base_path={disk.base('one')}", f"--ssl_config_file={file}") as server:
        wait_until(server.api.rest_answers, "the server", server.running)
        client, stranger = identity("client", authority), identity("other", identity("another"))
        yield World(server, request.param, authority, client, stranger)


def test_known_clients_are_served(world: World) -> None:
    agree(world.ask(world.client), "OK", "")


def test_clients_without_a_certificate(world: World) -> None:
    """Served, unless certificates are asked for."""
    assert world.ask(None).code == ("UNAVAILABLE" if world.strict else "OK")


def test_clients_with_a_certificate_of_somebody_else(world: World) -> None:
    assert world.ask(world.stranger).code == ("UNAVAILABLE" if world.strict else "OK")


def test_the_server_proves_who_it_is(world: World) -> None:
    assert world.ask(world.client, world.stranger).code == "UNAVAILABLE"


def test_in_the_clear_nobody_is_served(world: World) -> None:
    answer = world.server.api.ask(predict_request("default", x=floats([1])), timeout=20)
    assert answer.code == "UNAVAILABLE"


def test_rest_is_in_the_clear(world: World) -> None:
    reply = world.server.api.call("POST", "/v1/models/default:predict", {"instances": [1.0]})
    assert (reply.status, reply.content) == (200, {"predictions": [1.0]})
