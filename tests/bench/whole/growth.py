"""How Lince's cost grows: with clients, with the pictures, with the model, with cores."""

from collections.abc import Iterator
from pathlib import Path

from tests.bench.whole import pictures
from tests.bench.whole.limit import limit
from tests.bench.whole.lince_up import lince
from tests.bench.whole.models import Model, made
from tests.bench.whole.results import Growth, Sample
from tests.bench.whole.rounds import sample
from tests.bench.whole.systems import all_cores, running

CLIENTS = (1, 2, 4, 8, 16, 32, 64)
SIDES = (256, 512, 1024, 2048, pictures.CAMERA[0])
#: Recipes from small to large, with options of `lince train`.
MODELS = (
    ("fashion-mlp-128", ()),
    ("flowers-cnn", ()),
    ("mobilenet-v2-transfer", ("--weights", "none")),
)
_CLIENTS = 8
_MANY = 32
_WARM_SECONDS = 2


def with_clients(model: Model, files: list[Path], seconds: int, scratch: Path) -> Iterator[Growth]:
    """One system, more and more clients; beyond those that it admits, it refuses some."""
    with running(lince(model, scratch), files, scratch) as started:
        started.load(_MANY, seconds=_WARM_SECONDS)
        for clients in CLIENTS:
            used = started.load(clients, seconds=seconds, may_refuse=True)
            found = sample(started.system.name, clients, 0, used)
            yield Growth(of="clients", value=str(clients), sample=found)


def with_pictures(model: Model, seconds: int, scratch: Path) -> Iterator[Growth]:
    """The same model, larger and larger pictures."""
    for side in SIDES:
        file = pictures.sized(scratch / "sized", side)
        found = _at(model, [file], _CLIENTS, seconds, scratch)
        yield Growth(of="pictures", value=f"{side}×{side * 3 // 4}", sample=found)


def with_models(files: list[Path], seconds: int, folder: Path, scratch: Path) -> Iterator[Growth]:
    """The same pictures, larger and larger models."""
    for recipe, options in MODELS:
        model = made(recipe, folder, *options)
        found = _at(model, files, _CLIENTS, seconds, scratch)
        name = f"{recipe}, {model.manifest.parameters:,} parameters"
        yield Growth(of="model", value=name, sample=found)


def with_cores(
    model: Model, files: list[Path], seconds: int, rounds: int, scratch: Path
) -> Iterator[Growth]:
    """One core, and two: the servers on them, and the limit; wrk runs on the last core there is.

    With two cores of two, wrk and the servers share it, as everywhere else here.
    """
    there = all_cores()
    if len(there) == 1:
        return
    for number in range(rounds):
        for count in (1, 2):
            cores = there[:count]
            with limit(model, files, cores) as machine:
                allowed = machine.rate(seconds).images
            with running(lince(model, scratch), files, scratch, cores) as started:
                started.load(_MANY, seconds=_WARM_SECONDS)
                used = started.load(_MANY, seconds=seconds, cores=str(there[-1]))
            found = sample(started.system.name, _MANY, number, used)
            yield Growth(of="cores", value=str(count), sample=found, limit=allowed)


def _at(model: Model, files: list[Path], clients: int, seconds: int, scratch: Path) -> Sample:
    with running(lince(model, scratch), files, scratch) as started:
        started.load(clients, seconds=_WARM_SECONDS)
        return sample(started.system.name, clients, 0, started.load(clients, seconds=seconds))
