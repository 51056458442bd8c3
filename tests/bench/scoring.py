"""What batch scoring reaches of what decoding and the model allow, on the same cores.

python -m tests.bench.scoring [--model VERSION_FOLDER] [--pictures N] [--rounds N] [--seconds S]

The limit: photographs are decoded with all cores, and the model (flowers-cnn, unless given) runs
with all of them at its best batch size; one after the other, since both want the same cores. Then
`lince score` goes through the photographs, over gRPC and over HTTP, with the servers on this
machine. All of it takes turns; the median of the rounds' ratios tells.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from contract import manifest as manifests
from contract.pixels import PixelSpec, decode
from tests.bench.made import class_folders, flowers_cnn
from tests.bench.serving import BATCHES, Direct, server
from tests.integration.processes import gateway

CORES = os.cpu_count() or 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a version's folder; made here unless given")
    parser.add_argument("--pictures", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of measuring the limit")
    options = parser.parse_args()
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lince-bench-")))
        version = options.model or flowers_cnn(scratch)
        listed = photographs(scratch, options.pictures)
        running = stack.enter_context(server(version, scratch / "server.log"))
        many = {"LINCE_WORKERS": str(CORES)}
        _, url = stack.enter_context(gateway(["m"], running.address, scratch, **many))
        direct, spec = Direct(version), pixels_of(version)
        files = [Path(line) for line in listed.read_text().splitlines()][:200]
        found: dict[str, list[float]] = {"gRPC": [], "HTTP": []}
        for _ in range(options.rounds):
            allowed = limit(direct, files, spec, options.seconds)
            for name, address in (("gRPC", f"grpc://{running.address}"), ("HTTP", url)):
                found[name].append(scored(listed, address, scratch) / allowed)
    for name, ratios in found.items():
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{name}: {statistics.median(ratios):.2f} of the limit ({spread})")


def photographs(scratch: Path, count: int) -> Path:
    """A list of so many photographs, over a thousand files."""
    folder = class_folders(scratch / "photographs", min(count, 1000))
    files = sorted(folder.rglob("*.jpg"))
    listed = scratch / "list.txt"
    listed.write_text("".join(f"{files[n % len(files)]}\n" for n in range(count)))
    return listed


def pixels_of(version: Path) -> PixelSpec:
    spec = manifests.parse((version / manifests.FILE).read_bytes()).input
    assert spec is not None
    return spec


def limit(direct: Direct, files: list[Path], spec: PixelSpec, seconds: float) -> float:
    """Pictures per second that decoding and the model together can reach."""
    with ThreadPoolExecutor(CORES) as pool:
        began, count = time.monotonic(), 0
        while (spent := time.monotonic() - began) < seconds:
            count += len(list(pool.map(lambda file: decode(file, spec), files)))
    model = max(direct.rate(batch, seconds / len(BATCHES))[0] for batch in BATCHES)
    return 1 / (spent / count + 1 / model)


def scored(listed: Path, address: str, scratch: Path) -> float:
    """Pictures per second of a whole run, as its summary says."""
    words = ["score", str(listed), "--out", str(scratch / "out.jsonl"), "--overwrite", "--json"]
    words += ["--model", "m", "--gateway", address]
    done = subprocess.run([sys.executable, "-m", "lince", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    summary = json.loads(done.stdout)
    return float(summary["rows"] / summary["seconds"])


if __name__ == "__main__":
    main()
