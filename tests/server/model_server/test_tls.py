"""TLS: encrypted ports, certificates of clients, and files that are no good."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.protobuf import text_format
from tensorflow_serving.apis import predict_pb2

from server.model_server.errors import ServingError
from server.model_server.service import Method, build
from server.model_server.tls import credentials
from server.model_server.wire.files_pb2 import SSLConfig
from tests.certificates import Identity, identity
from tests.server.model_server.helpers import PATIENCE, refusal, request_for

AUTHORITY = identity("authority")
OTHER_AUTHORITY = identity("another authority")
SERVER = identity("server", AUTHORITY)
CLIENT = identity("client", AUTHORITY)
STRANGER = identity("stranger", OTHER_AUTHORITY)


def write(folder: Path, **fields: Any) -> str:
    """A file with the server's key and certificate, but for the fields given."""
    default = {"server_key": SERVER.key_pem(), "server_cert": SERVER.certificate_pem()}
    path = folder / "tls.txt"
    path.write_text(text_format.MessageToString(SSLConfig(**(default | fields))))
    return str(path)


@contextmanager
def serving(file: str, folder: Path) -> Iterator[list[str]]:
    """The addresses of a server with that file: TCP, then a Unix socket."""

    def answer(request: Any, seconds: float | None) -> Any:
        return predict_pb2.PredictResponse(model_spec=request.model_spec)

    table = {"a.Service": {"Call": Method(predict_pb2.PredictRequest.FromString, answer)}}
    unix = f"unix:{folder / 's'}"
    server = build(table, ["127.0.0.1:0", unix], 1, False, credentials=credentials(file))
    server.start()
    try:
        yield [f"127.0.0.1:{server.port}", unix]
    finally:
        server.grpc_server.stop(grace=0).wait()


def call(address: str, who: Identity | None = None, encrypted: bool = True) -> str:
    """Call, as someone or as nobody, and give back what was answered."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    if address.startswith("unix:"):
        options.append(("grpc.ssl_target_name_override", "localhost"))  # type: ignore[arg-type]
    if encrypted:
        pair = (who.key_pem().encode(), who.certificate_pem().encode()) if who else (None, None)
        secrets = grpc.ssl_channel_credentials(AUTHORITY.certificate_pem().encode(), *pair)
        opened = grpc.secure_channel(address, secrets, options)
    else:
        opened = grpc.insecure_channel(address, options)
    with opened as channel:
        method = channel.unary_unary(
            "/a.Service/Call",
            predict_pb2.PredictRequest.SerializeToString,
            predict_pb2.PredictResponse.FromString,
        )
        return str(method(request_for("m"), timeout=PATIENCE).model_spec.name)


def test_every_address_is_encrypted(tmp_path: Path) -> None:
    with serving(write(tmp_path), tmp_path) as addresses:
        for address in addresses:
            assert call(address) == "m"
            assert call(address, CLIENT) == "m"
            assert refusal(lambda: call(address, encrypted=False))[0] == "UNAVAILABLE"  # noqa: B023


def test_no_file_is_no_encryption(tmp_path: Path) -> None:
    assert credentials("") is None
    with serving("", tmp_path) as addresses:
        assert [call(address, encrypted=False) for address in addresses] == ["m", "m"]


def test_clients_show_a_certificate(tmp_path: Path) -> None:
    file = write(tmp_path, custom_ca=AUTHORITY.certificate_pem(), client_verify=True)
    with serving(file, tmp_path) as addresses:
        for address in addresses:
            assert call(address, CLIENT) == "m"
            for who in (None, STRANGER):
                assert refusal(lambda: call(address, who))[0] == "UNAVAILABLE"  # noqa: B023


def test_a_chain_and_another_kind_of_key(tmp_path: Path) -> None:
    own = identity("server", AUTHORITY, rsa.generate_private_key(65537, 2048))
    chain = own.certificate_pem() + AUTHORITY.certificate_pem()
    file = write(tmp_path, server_key=own.key_pem(), server_cert=chain)
    with serving(file, tmp_path) as addresses:
        assert call(addresses[0]) == "m"


RSA_KEY = Identity(rsa.generate_private_key(65537, 2048), SERVER.certificate)
NOT_ITS_KEY = "server_key is not the private key of server_cert, as PEM without a password"
SPOILT = SERVER.certificate_pem().replace("M", "N", 1)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"server_key": ""}, NOT_ITS_KEY),
        ({"server_key": "/path/key.pem"}, NOT_ITS_KEY),
        ({"server_key": SERVER.certificate_pem()}, NOT_ITS_KEY),
        ({"server_key": SERVER.key_pem(b"word")}, NOT_ITS_KEY),
        ({"server_key": "-" * 200_000}, NOT_ITS_KEY),
        ({"server_key": CLIENT.key_pem()}, NOT_ITS_KEY),
        ({"server_key": RSA_KEY.key_pem()}, NOT_ITS_KEY),
        ({"server_cert": ""}, "server_cert holds no PEM certificate"),
        ({"server_cert": "/path/cert.pem"}, "server_cert holds no PEM certificate"),
        ({"server_cert": "né"}, "server_cert holds no PEM certificate"),
        ({"server_cert": SERVER.key_pem()}, "server_cert holds no PEM certificate"),
        ({"server_cert": SPOILT}, "server_cert holds no PEM certificate"),
        ({"server_cert": SERVER.certificate_pem() + SPOILT}, "server_cert holds no PEM"),
        ({"custom_ca": "ca.pem"}, "custom_ca holds no PEM certificate"),
        ({"custom_ca": SPOILT, "client_verify": True}, "custom_ca holds no PEM certificate"),
        ({"client_verify": True}, "custom_ca is empty, with client_verify"),
    ],
)
def test_refused(
    fields: dict[str, Any], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, **fields)
    with pytest.raises(ServingError) as caught:
        credentials(file)
    text = str(caught.value)
    assert text.startswith(f"INVALID_ARGUMENT: Invalid SSL configuration in '{file}': {expected}")
    output = capsys.readouterr()
    assert output.out + output.err == ""


def test_not_a_text_proto(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "key.pem"
    path.write_text(SERVER.key_pem())
    with pytest.raises(ServingError) as caught:
        credentials(str(path))
    assert str(caught.value) == f"INVALID_ARGUMENT: Invalid protobuf file: '{path}'"
    said = capsys.readouterr().err
    assert said == "Error parsing text-format tensorflow.serving.SSLConfig: 1:1\n"
