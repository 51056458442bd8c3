"""What a request costs Lince in CPU time, as a ratio to what its picture costs without a server.

python -m tests.bench.cost [--recipe NAME] [--requests N] [--rounds N] [--clients N] [--work FOLDER]

For regressions: a busy machine makes everything slower, and CPU time hardly dearer; and of each
round it is the ratio to the limit's CPU time (decode, resize and the model in a batch), taken a
moment before, that counts. The number of requests is fixed, and wrk's own CPU is told.
"""

import argparse

from tests.bench.whole.beside import add_options, beside_the_limit
from tests.bench.whole.lince_up import GATEWAY, MODEL_SERVER
from tests.bench.whole.results import in_words

_LIMIT_SECONDS = 3.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="tests.bench.cost", description=__doc__)
    add_options(parser)
    parser.add_argument("--requests", type=int, default=1000, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=32)
    options = parser.parse_args()
    with beside_the_limit(options) as both:
        machine, started = both.machine, both.lince
        started.load(options.clients, requests=options.requests // 2)
        found: dict[str, list[float]] = {}
        for _ in range(options.rounds):
            unit = machine.rate(_LIMIT_SECONDS).cpu_ms
            used = started.load(options.clients, requests=options.requests)
            wrk = used.load.cpu_seconds * 1000 / used.load.answered
            costs = {role: used.cpu_ms[role] for role in (GATEWAY, MODEL_SERVER)}
            for name, ms in {"whole": sum(costs.values()), **costs, "wrk": wrk}.items():
                found.setdefault(name, []).append(ms / unit)
            found.setdefault("ms", []).append(unit)
    limit_ms = in_words(found.pop("ms"))
    print(f"{options.recipe}, {options.clients} clients, {options.requests} requests a round")
    print(f"CPU of a request, of a picture's at the limit ({limit_ms} ms):")
    for name, ratios in found.items():
        print(f"  {name:13} {in_words(ratios)}")


if __name__ == "__main__":
    main()
