"""The gRPC channel to the model server: all its replicas, found again soon after they were away."""

from __future__ import annotations

import ipaddress
import json

import grpc

from contract.wire.stubs import CHANNEL_OPTIONS
from contract.wire.tls import Tls

# All replicas take part. Repeats are not gRPC's own, which nothing counts: each caller has its own.
_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
_OPTIONS: tuple[tuple[str, int | str], ...] = (
    *CHANNEL_OPTIONS,
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.enable_retries", 0),
    # A model server that comes back is found again within a second, not within two minutes.
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    # A new replica is found within seconds; a model server is never behind a proxy for the web.
    ("grpc.dns_min_time_between_resolutions_ms", 5000),
    ("grpc.enable_http_proxy", 0),
    # What is known of an address is this channel's: else a port that was closed a moment ago, and
    # is another server's now, begins with the old one's waiting time.
    ("grpc.use_local_subchannel_pool", 1),
)


def open_channel(address: str, tls: Tls | None) -> grpc.Channel:
    """Opens a channel. Do it in the process that uses it: channels do not survive a fork.

    Args:
        address: as the setting LINCE_MODEL_SERVER has it.
        tls: None calls the model server in the clear.
    """
    where = target(address)
    if tls is None:
        return grpc.insecure_channel(where, options=_OPTIONS)
    credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
    options = _OPTIONS
    if tls.name:
        options += (("grpc.ssl_target_name_override", tls.name),)
    return grpc.secure_channel(where, credentials, options=options)


def target(address: str) -> str:
    """Returns gRPC's name of an address as the setting LINCE_MODEL_SERVER has it."""
    parts = [part.strip() for part in address.split(",")]
    hosts = [part.rpartition(":")[0].strip("[]") for part in parts]
    if len(parts) == 1 and not _is_ip(hosts[0]):
        return address
    family = "ipv6" if any(":" in host for host in hosts) else "ipv4"
    return f"{family}:{','.join(parts)}"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
