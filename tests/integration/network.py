"""A small cluster on one machine: each process has a network namespace and an address of its own,
and a DNS server answers for the headless service. Needs root.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import pytest
from dnslib import QTYPE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSServer

from tests.programs import require

DNS_PORT = 5353
_TTL_SECONDS = 1


@dataclass(frozen=True)
class Pod:
    """A network namespace; `command` is put before that of a process which is to live in it."""

    namespace: str
    address: str

    @property
    def command(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.namespace)


@dataclass
class Names(BaseResolver):
    """A DNS server's answers: name → addresses, which may change at any time."""

    records: dict[str, list[str]] = field(default_factory=dict)

    def resolve(self, request: DNSRecord, _handler: object) -> DNSRecord:
        reply = request.reply()
        name = str(request.q.qname).rstrip(".")
        if name not in self.records:
            reply.header.rcode = 3  # NXDOMAIN
        elif request.q.qtype == QTYPE.A:
            for address in self.records[name]:
                reply.add_answer(RR(name, QTYPE.A, rdata=A(address), ttl=_TTL_SECONDS))
        return reply


@dataclass
class Network:
    """A bridge with this machine at one address and pods at others."""

    prefix: str
    subnet: str
    names: Names = field(default_factory=Names)
    made: int = 0

    @property
    def own_address(self) -> str:
        return f"{self.subnet}.1"

    @contextmanager
    def pod(self) -> Iterator[Pod]:
        """A namespace with an address of its own, as long as it is needed."""
        self.made += 1
        name = f"{self.prefix}-{self.made}"
        pod = Pod(name, f"{self.subnet}.{9 + self.made}")
        _ip("netns", "add", name)
        try:
            _ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", name, "master", self.prefix, "up")
            inside = ("-netns", name)
            _ip(*inside, "address", "add", f"{pod.address}/24", "dev", "eth0")
            _ip(*inside, "link", "set", "eth0", "up")
            _ip(*inside, "link", "set", "lo", "up")
            yield pod
        finally:
            subprocess.run(["ip", "link", "delete", name], check=False)
            _ip("netns", "delete", name)


@contextmanager
def network() -> Iterator[Network]:
    """A bridge and a DNS server on it; skips by name where that is not allowed."""
    require("ip")
    if os.geteuid() != 0:
        pytest.skip("needs root, for network namespaces")
    number = os.getpid() % 250
    made = Network(f"lince{number}", f"198.18.{number}")  # a range for tests (RFC 2544)
    probe = subprocess.run(
        ["ip", "link", "add", made.prefix, "type", "bridge"], capture_output=True, text=True
    )
    if probe.returncode:
        pytest.skip(f"needs the right to make network bridges: {probe.stderr.strip()}")
    with ExitStack() as stack:
        stack.callback(_ip, "link", "delete", made.prefix)
        _ip("address", "add", f"{made.own_address}/24", "dev", made.prefix)
        _ip("link", "set", made.prefix, "up")
        server = DNSServer(made.names, address=made.own_address, port=DNS_PORT, logger=_Silent())
        server.start_thread()
        stack.callback(_stop, server)
        yield made


class _Silent:
    """A logger of dnslib's that says nothing."""

    def __getattr__(self, name: str) -> object:
        return lambda *_: None


def _stop(server: DNSServer) -> None:
    server.stop()
    server.server.server_close()
    server.thread.join()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
