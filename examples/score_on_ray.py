"""Scores on a Ray cluster, straight by the model server: every core of it reads and decodes.

RAY_ADDRESS=auto python examples/score_on_ray.py SOURCE MODEL OUT [HOST:PORT]

Without RAY_ADDRESS, Ray starts a cluster of this machine's cores. Stopped at any moment, the same
command continues.
"""

import sys
from functools import partial
from pathlib import Path

from client.scoring import Job, Parameters, on_ray
from client.scoring.over_grpc import OverGrpc


def main() -> None:
    source, model, out, *address = sys.argv[1:]
    transport = partial(OverGrpc, address[0] if address else "127.0.0.1:8500", model, top_k=3)
    parameters = Parameters(sources=(source,), transport="grpc", model=model, top_k=3)
    summary = on_ray.score(Job(parameters=parameters, out=Path(out)), transport)
    print(f"{summary.rows} rows, {summary.errors} with an error, version {summary.version}")


if __name__ == "__main__":
    main()
