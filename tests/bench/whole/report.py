"""Writes the tables and pictures of docs/performance.md from docs/performance.json.

python -m tests.bench.whole.report
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median

from contract.files import write_whole
from tests.bench.peers.table import PEERS
from tests.bench.whole import figures
from tests.bench.whole.lince_up import GATEWAY, MODEL_SERVER, UP
from tests.bench.whole.results import (
    LIMIT,
    Results,
    Sample,
    Workload,
    best_peer,
    cpu_of,
    in_words,
    ratios,
    read,
)

DOCS = Path(__file__).parents[3] / "docs"
_PEERS = [peer.name for peer in PEERS]
_LINCE = "Lince"
_IN_PROCESS = "fastapi"
#: Of a core, that a server in operation is asked to use at most.
_BUSY = 0.7
_AIMS = (1_000, 10_000)


def main() -> None:
    write(read(DOCS / "performance.json"), DOCS)


def write(results: Results, docs: Path) -> None:
    """Puts the tables between their marks, and draws the pictures."""
    page = (docs / "performance.md").read_text()
    for name, table in TABLES.items():
        page = _with_table(page, name, table(results))
    write_whole(docs / "performance.md", page.encode())
    figures.draw(results, docs)


def in_short(results: Results) -> str:
    """The ratios, as the terminal gets them."""
    return "\n\n".join((run(results), rates(results), answers(results)))


def run(results: Results) -> str:
    """On what, and how often."""
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    return (
        f"{results.cores} cores, {results.machine}; {results.rounds} rounds of"
        f" {results.seconds} s for each figure; {versions}."
    )


def answers(results: Results) -> str:
    """What is asked for, line by line."""
    rows = [row for workload in results.workloads for row in _of_workload(workload)]
    rows += _of_run(results)
    return _table(("what", "figure", "median (least–greatest) of the rounds"), rows)


def _of_workload(workload: Workload) -> Iterable[tuple[str, str, str]]:
    allowed = workload.of(LIMIT)
    for system in (name for name in workload.systems if name.startswith(_LINCE)):
        for clients in (32, 8, 1):
            ours = workload.of(system, clients)
            what = f"{system}, {workload.name}, {clients} client{'s' * (clients > 1)}"
            yield what, "of the limit", in_words(ratios(ours, allowed))
            if peer := best_peer(workload, clients, _PEERS):
                against = in_words(ratios(ours, workload.of(peer, clients)))
                yield what, f"of the best peer ({peer})", against
        if in_process := workload.of(_IN_PROCESS, 1):
            against = in_words(ratios(workload.of(system, 1), in_process))
            what = f"{system}, {workload.name}, 1 client"
            yield what, "of the SavedModel in process behind FastAPI", against
        tails = [each.p99_ms / each.p50_ms for each in workload.of(system, 8) if each.p50_ms]
        yield f"{system}, {workload.name}, 8 clients", "p99 / p50", in_words(tails)
    if workload.of(_LINCE, 32):
        seen = [sample.rate for sample in workload.of(_LINCE, 32)]
        yield f"Lince, {workload.name}, 32 clients", "requests per second", in_words(seen, 0)


def _of_run(results: Results) -> Iterable[tuple[str, str, str]]:
    if results.workloads:
        alone = results.workloads[0].alone[0]
        for when, found in (("at rest", alone.rest_mb), ("under load", alone.loaded_mb)):
            workers = found.get(GATEWAY, [])
            # The first is the one that only watches.
            yield "gateway worker", f"PSS {when}, MB", in_words(workers[1:] or workers, 0)
            yield "all processes", f"PSS {when}, MB", f"{sum(map(sum, found.values())):.0f}"
        yield "lince up", "ready, s", f"{alone.ready_seconds:.1f}"
    if results.gateway_ready_seconds:
        yield "gateway", "ready, s", in_words(results.gateway_ready_seconds)
    both = _on_cores(results)
    if both:
        cpu = [cpu_of([two]) / cpu_of([one]) for one, two in both]
        rate = [two.rate / one.rate for one, two in both]
        yield "two cores", "CPU per request, of that with one core", in_words(cpu)
        yield "two cores", "requests per second, of those with one core", in_words(rate)
    if results.epochs:
        of = [ours / bare for ours, bare in results.epochs]
        yield "training, flowers-cnn", "epoch, of the bare model's on memory", in_words(of)


def _on_cores(results: Results) -> list[tuple[Sample, Sample]]:
    found = [each for each in results.growth if each.of == "cores"]
    one, two = ([g.sample for g in found if g.value == count] for count in ("1", "2"))
    return list(zip(one, two, strict=True))


def rates(results: Results) -> str:
    """Requests per second, CPU per request and waiting, of all systems."""
    return "\n\n".join(_rates(workload) for workload in results.workloads)


def _rates(workload: Workload) -> str:
    least, most = workload.sides
    sides = f"{least} px" if least == most else f"{least} to {most} px"
    text = (
        f"**{workload.name}**: {workload.model} ({workload.parameters:,} parameters, input"
        f" {workload.input}), pictures of {sides} and {workload.picture_bytes / 1000:.1f} kB."
        f" The limit is at batch {workload.limit_batch}:"
        f" {in_words([s.rate for s in workload.of(LIMIT)], 0)} a second,"
        f" {cpu_of(workload.of(LIMIT)):.2f} ms of CPU each."
    )
    rows = []
    for system in workload.systems:
        for clients in sorted({s.clients for s in workload.samples if s.system == system}):
            seen = workload.of(system, clients)
            rows.append(
                (
                    system,
                    str(clients),
                    in_words([s.rate for s in seen], 1),
                    in_words(ratios(seen, workload.of(LIMIT))),
                    f"{median(s.p50_ms for s in seen):.1f} / {median(s.p99_ms for s in seen):.1f}",
                    _by_role(seen),
                    f"{median(s.wrk_cpu_ms for s in seen):.2f}",
                )
            )
    heads = ("system", "clients", "requests/s", "of the limit", "p50 / p99 ms")
    return f"{text}\n\n{_table((*heads, 'CPU ms per request', 'wrk CPU ms'), rows)}"


def _by_role(samples: Sequence[Sample]) -> str:
    roles = [role for role in (GATEWAY, MODEL_SERVER, "server") if role in samples[0].cpu_ms]
    if len(roles) == 1:
        return f"{cpu_of(samples):.2f}"
    each = " + ".join(f"{cpu_of(samples, role):.2f} {role}" for role in roles)
    return f"{cpu_of(samples):.2f} = {each}"


def starts(results: Results) -> str:
    """Start-up, memory and agreement of each system, alone."""
    rows = [
        (
            workload.name,
            each.system,
            f"{each.ready_seconds:.1f}",
            _memory(each.rest_mb),
            _memory(each.loaded_mb),
            f"{each.same_labels} of {workload.pictures}, {each.deviation:.1e}",
        )
        for workload in results.workloads
        for each in workload.alone
    ]
    heads = ("pictures", "system", "first answer after, s", "PSS at rest, MB", "under load, MB")
    return _table((*heads, "same label, largest deviation"), rows)


def _memory(by_role: dict[str, list[float]]) -> str:
    total = sum(map(sum, by_role.values()))
    if len(by_role) == 1:
        return f"{total:.0f}"
    order = [role for role in (GATEWAY, MODEL_SERVER, UP) if role in by_role]
    each = "; ".join(f"{role} {' + '.join(f'{mb:.0f}' for mb in by_role[role])}" for role in order)
    return f"{total:.0f} ({each})"


def stages(results: Results) -> str:
    """Milliseconds of one request."""
    heads = ("pictures", *figures.STAGES)
    rows = [
        (workload.name, *(f"{ms:.2f}" for ms in figures.parts_of(workload)))
        for workload in results.workloads
        if workload.stages
    ]
    return _table(heads, rows)


def grows(results: Results) -> str:
    """How the cost grows."""
    if not results.growth:
        return "Not measured in this run (`--growth`)."
    rows = [
        (
            each.of,
            each.value,
            str(each.sample.clients),
            f"{each.sample.rate:.1f}",
            f"{each.limit:.0f}" if each.limit else "–",
            f"{each.sample.p50_ms:.1f} / {each.sample.p99_ms:.1f}",
            _by_role([each.sample]),
            f"{each.sample.refused:.0%}",
        )
        for each in results.growth
    ]
    heads = (
        "with",
        "value",
        "clients",
        "requests/s",
        "limit",
        "p50 / p99 ms",
        "CPU ms per request",
    )
    return _table((*heads, "refused"), rows)


def thousands(results: Results) -> str:
    """Cores for a thousand and for ten thousand requests a second."""
    rows = []
    for workload in results.workloads:
        seen = workload.of(_LINCE, 32)
        for aim in _AIMS if seen else ():
            cores = {
                role: aim * cpu_of(seen, role) / 1000 / _BUSY for role in (GATEWAY, MODEL_SERVER)
            }
            least = aim * cpu_of(workload.of(LIMIT)) / 1000 / _BUSY
            megabits = aim * workload.picture_bytes * 8 / 1e6
            numbers = (*cores.values(), sum(cores.values()), least)
            rows.append(
                (workload.name, f"{aim:,}", *(f"{n:,.1f}" for n in numbers), f"{megabits:,.0f}")
            )
    heads = ("pictures", "requests/s", "gateway cores", "model server cores", "together")
    return _table((*heads, "at the limit's cost", "Mbit/s in"), rows)


TABLES: dict[str, Callable[[Results], str]] = {
    "run": run,
    "answers": answers,
    "stages": stages,
    "rates": rates,
    "starts": starts,
    "growth": grows,
    "thousands": thousands,
}


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _with_table(page: str, name: str, table: str) -> str:
    begin, end = f"<!-- measured: {name} -->\n", "<!-- end -->"
    before, found, rest = page.partition(begin)
    if not found:
        raise ValueError(f"docs/performance.md has no place for the table {name}")
    return f"{before}{begin}{table}\n{end}" + rest.partition(end)[2]


if __name__ == "__main__":
    main()
