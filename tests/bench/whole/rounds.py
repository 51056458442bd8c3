"""One workload: each system alone first, then all of them in turn, round by round.

While one has its turn, the processes of the others are stopped.
"""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from tests.bench.peers.table import PEERS
from tests.bench.whole.limit import Limit, limit
from tests.bench.whole.models import Model
from tests.bench.whole.results import LIMIT, Alone, Sample, Stages, Workload
from tests.bench.whole.systems import Running, System, Usage, all_cores, running

#: Two ways to compute the same in float32 differ by less.
TOLERANCE = 1e-4
_LOADED_CLIENTS = 32
_WARM_SECONDS = 2
_AWAKE_SECONDS = 1
_STAGE_REQUESTS = 200
_PEERS = frozenset(peer.name for peer in PEERS)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is measured.

    Attributes:
        systems: Lince first; each with the model that it serves.
        others: systems that may answer otherwise than the model (an optimised one): their
            deviation is told and not judged.
        seconds: of each measurement.
        stages: whether one request is looked into.
    """

    name: str
    model: Model
    pictures: Sequence[Path]
    systems: Sequence[tuple[System, Model]]
    others: frozenset[str] = frozenset()
    clients: Sequence[int] = (1, 8, 32)
    rounds: int
    seconds: int
    stages: bool = True


def measured(plan: Plan, scratch: Path) -> Workload:
    """Measures a workload.

    Ends the benchmark if a system doesn't answer all pictures as the model does.
    """
    with limit(plan.model, plan.pictures, all_cores()) as machine:
        parts = machine.parts()
        truths = {str(plan.model.version): machine.answers()}
        alone, stages = [], None
        for number, (system, model) in enumerate(plan.systems):
            truth = truths.get(str(model.version)) or _truth(model, plan.pictures)
            truths[str(model.version)] = truth
            with running(system, plan.pictures, scratch) as started:
                alone.append(_alone(plan, started, model, truth))
                if plan.stages and not number:
                    stages = _stages(started, parts.model_alone)
        samples = _in_turn(plan, machine, scratch)
    sides = [max(Image.open(file).size) for file in plan.pictures]
    spec, manifest = plan.model.pixels, plan.model.manifest
    return Workload(
        name=plan.name,
        model=plan.model.name,
        parameters=manifest.parameters,
        input=f"{spec.height}×{spec.width}×{spec.channels}, rule {spec.pixel_rule}",
        pictures=len(plan.pictures),
        sides=(min(sides), max(sides)),
        picture_bytes=round(np.mean([file.stat().st_size for file in plan.pictures])),
        limit_batch=machine.batch,
        decode_ms=parts.decode,
        model_ms=(parts.model_alone, parts.model_in_batch),
        alone=alone,
        samples=samples,
        stages=stages,
    )


def sample(name: str, clients: int, number: int, used: Usage) -> Sample:
    """A measurement as the results keep it."""
    seen = used.load
    return Sample(
        system=name,
        clients=clients,
        round=number,
        rate=seen.answered / seen.seconds,
        cpu_ms=used.cpu_ms,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        refused=seen.refused / max(seen.answered + seen.refused, 1),
        wrk_cpu_ms=seen.cpu_seconds * 1000 / max(seen.answered, 1),
    )


def _truth(model: Model, pictures: Sequence[Path]) -> list[list[float]]:
    with limit(model, pictures, all_cores()[:1]) as machine:
        return machine.answers()


def _alone(plan: Plan, started: Running, model: Model, truth: list[list[float]]) -> Alone:
    name = started.system.name
    answers, right = np.array(started.answers(model.manifest.labels)), np.array(truth)
    if len(right) > 1 and np.ptp(right, axis=0).max() < 10 * TOLERANCE:
        sys.exit(f"{model.version} answers all pictures alike: nothing can be checked with it")
    deviation = float(np.abs(answers - right).max())
    if deviation > TOLERANCE and name not in plan.others:
        sys.exit(f"{name} answers otherwise than the model: by {deviation:.2g}")
    rest = started.memory()
    started.load(_LOADED_CLIENTS, seconds=max(_WARM_SECONDS, plan.seconds // 2))
    _say(f"{plan.name}: {name} is ready after {started.ready_seconds:.1f} s, answers alike")
    return Alone(
        system=name,
        ready_seconds=started.ready_seconds,
        deviation=deviation,
        same_labels=int((answers.argmax(1) == right.argmax(1)).sum()),
        rest_mb=rest,
        loaded_mb=started.memory(),
    )


def _stages(started: Running, model_ms: float) -> Stages:
    timings = started.timings(_STAGE_REQUESTS)[_STAGE_REQUESTS // 10 :]
    names = ("client", "total", "read", "queue", "decode", "predict")
    middle = {name: median(timing.get(name, 0.0) for timing in timings) for name in names}
    return Stages(**middle, model=model_ms)


def _in_turn(plan: Plan, machine: Limit, scratch: Path) -> list[Sample]:
    samples = []
    with ExitStack() as stack:
        there = [
            stack.enter_context(running(system, plan.pictures, scratch))
            for system, _ in plan.systems
        ]
        for one in there:
            stack.callback(one.wake)  # or it would not end
            one.load(_LOADED_CLIENTS, seconds=_WARM_SECONDS)
            one.pause()
        for number in range(plan.rounds):
            allowed = machine.rate(plan.seconds)
            samples.append(
                Sample(
                    system=LIMIT,
                    clients=0,
                    round=number,
                    rate=allowed.images,
                    cpu_ms={LIMIT: allowed.cpu_ms},
                )
            )
            # Each round begins with another one: what heats or slows the machine hits all alike.
            first = number % len(there)
            order = [*there[first:], *there[:first]]
            for clients in plan.clients:
                for one in order:
                    one.go_on()
                    one.load(clients, seconds=_AWAKE_SECONDS, may_refuse=True)
                    # A peer that gives some up is the slower for it; Lince is not to.
                    may_refuse = one.system.name in _PEERS
                    used = one.load(clients, seconds=plan.seconds, may_refuse=may_refuse)
                    one.pause()
                    samples.append(sample(one.system.name, clients, number, used))
            _say(f"{plan.name}: round {number + 1} of {plan.rounds}")
    return samples


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
