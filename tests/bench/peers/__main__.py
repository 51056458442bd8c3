"""Installs the peers of the benchmark, each into an environment of its own.

python -m tests.bench.peers install [NAME…]
"""

import argparse
import subprocess

from tests.bench.peers.table import PEERS


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.peers", description=__doc__)
    parser.add_argument("what", choices=["install"])
    parser.add_argument("names", nargs="*", help="all unless given")
    options = parser.parse_args()
    known = {peer.name: peer for peer in PEERS}
    if unknown := sorted(set(options.names) - set(known)):
        parser.error(f"no peer {', '.join(unknown)}; there are {', '.join(known)}")
    for name in options.names or known:
        print(f"{name}: {known[name].environment}", flush=True)
        try:
            known[name].install()
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"{name} can't be installed: {error}") from error


if __name__ == "__main__":
    main()
