"""Scores a folder from Python.

python examples/score_in_python.py FOLDER MODEL OUT [ADDRESS]
"""

import sys
from pathlib import Path

from client.gateway import Client, Retry
from client.scoring import Job, Parameters, score
from client.scoring.over_http import OverHttp


def main() -> None:
    folder, model, out, *address = sys.argv[1:]
    # The run has its own way to wait for a busy gateway: the client is not to hide it.
    client = Client(address[0] if address else "http://127.0.0.1:8000", retry=Retry(times=0))
    transport = OverHttp(client, model, top_k=3)
    try:
        parameters = Parameters(sources=(folder,), model=model, top_k=3)
        summary = score(Job(parameters=parameters, out=Path(out)), transport)
    finally:
        transport.close()
    print(f"{summary.rows} rows, {summary.errors} with an error, version {summary.version}")


if __name__ == "__main__":
    main()
