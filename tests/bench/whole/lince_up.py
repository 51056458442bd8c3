"""Lince as `lince up` starts it, with what the benchmark changes of its defaults, if anything."""

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.bench.whole.models import Model
from tests.bench.whole.systems import System

#: Settings of the gateway other than the defaults: variables LINCE_*.
VARIABLES: dict[str, str] = {}
#: The same for a gateway with a process for each core: Python's own work in one fills one at most.
OF_ALL_CORES = {"LINCE_WORKERS": str(os.cpu_count() or 1)}
#: Flags of the model server other than those that `lince up` gives.
MODEL_SERVER_FLAGS: tuple[str, ...] = ()

GATEWAY, MODEL_SERVER, UP = "gateway", "model server", "lince up"


def lince(
    model: Model,
    scratch: Path,
    name: str = "Lince",
    more: Mapping[str, str] = MappingProxyType({}),
) -> System:
    """`lince up` on one model; `more` are variables of this one alone."""

    def variables(port: int) -> dict[str, str]:
        own = {"LINCE_MODELS_DIR": str(model.models.absolute()), "LINCE_PORT": str(port)}
        program = {}
        if MODEL_SERVER_FLAGS:
            program = {"LINCE_MODEL_SERVER_PROGRAM": _with_flags(scratch)}
        return {**own, **program, **VARIABLES, **more}

    return System(
        name=name,
        command=lambda _: (sys.executable, "-m", "lince", "up", model.name),
        variables=variables,
        path=f"/v1/models/{model.name}:classify",
        content_type="image/jpeg",
        probabilities=_probabilities,
        role=_role,
    )


def _probabilities(answer: Any, labels: Sequence[str]) -> list[float]:
    (result,) = answer["results"]
    by_label = {entry["label"]: entry["probability"] for entry in result["top_k"]}
    return [by_label[label] for label in labels]


def _role(commands: list[str]) -> str:
    # Whoever is below lince up is told by what it started: workers don't carry the verb's name.
    for line in commands[1:]:
        for word, role in (("lince gateway", GATEWAY), ("model_config_file", MODEL_SERVER)):
            if word in line:
                return role
    return UP


def _with_flags(scratch: Path) -> str:
    """A program that is the embedded model server with more flags."""
    program = scratch / "model-server"
    words = shlex.join([sys.executable, "-m", "lince", "model-server"])
    flags = shlex.join(MODEL_SERVER_FLAGS)
    program.write_text(f'#!/bin/sh\nexec {words} "$@" {flags}\n')
    program.chmod(0o755)
    return str(program.absolute())
