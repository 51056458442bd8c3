"""Channels to the model server: addresses, and TLS."""

import pytest

from contract.wire.channel import target


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1:8500", "ipv4:127.0.0.1:8500"),
        ("127.0.0.1:8500, 127.0.0.1:8501", "ipv4:127.0.0.1:8500,127.0.0.1:8501"),
        ("[::1]:8500", "ipv6:[::1]:8500"),
        ("[::1]:8500,[::1]:8501", "ipv6:[::1]:8500,[::1]:8501"),
        ("model-server:8500", "model-server:8500"),
        ("dns:///model-server:8500", "dns:///model-server:8500"),
        ("unix:///tmp/socket", "unix:///tmp/socket"),
    ],
)
def test_addresses_of_model_servers(address: str, expected: str) -> None:
    assert target(address) == expected
