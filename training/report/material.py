"""All that a report tells, read from the run folder alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contract.errors import ManifestError, RunFolderError
from contract.manifest import Manifest
from contract.run_folder import RunFolder
from training.errors import RunError
from training.evaluation.report import Report, read_report
from training.report.history import History, read_history
from training.run import DataFacts, RunConfig, read_config, read_facts

_SOME = 12
#: Which test pictures are shown never changes from one report to the next.
SEED = 123


@dataclass(frozen=True, kw_only=True, eq=False)
class Material:
    """What there is to tell of a run.

    Attributes:
        config, facts, report: as their readers give them.
        history: of the fit; empty where nothing was fitted.
        kept: the epoch whose weights the model has; None where nobody knows.
        manifest: None as long as the run is not complete.
        inputs: uint8 [N, H, W, C]; float32 [N, 1] of a regression.
        targets: int64 [N]; float32 [N, 1] of a regression.
        outputs: float32 [N, …]: what the model says of the inputs.
        model: the Keras model; None where its file can't be read.
    """

    config: RunConfig
    facts: DataFacts
    report: Report
    history: History
    kept: int | None
    manifest: Manifest | None
    inputs: NDArray[Any]
    targets: NDArray[Any]
    outputs: NDArray[np.float32]
    model: Any

    @property
    def shows_pictures(self) -> bool:
        """Whether the test set has pictures."""
        return self.inputs.ndim == 4 and len(self.inputs) > 0

    def spread(self, most: int) -> list[int]:
        """Returns positions in the test set that are spread over the classes; always the same."""
        order = np.random.default_rng(SEED).permutation(len(self.inputs))
        if self.targets.ndim != 1:
            return [int(position) for position in order[:most]]
        classes = np.asarray(self.targets)[order]
        # How many of the same class come before a picture: all firsts, then all seconds.
        turn = np.zeros(len(order), dtype=int)
        for label in np.unique(classes):
            members = np.flatnonzero(classes == label)
            turn[members] = np.arange(len(members))
        chosen = order[np.argsort(turn, kind="stable")[:most]]
        return [int(position) for position in chosen]

    def picture(self) -> NDArray[Any]:
        """Returns the test picture that shows most: of some, the one that varies most [H, W, C]."""
        some = [np.asarray(self.inputs[position]) for position in self.spread(_SOME)]
        return max(some, key=lambda pixels: float(np.std(pixels)))


def gather(run: RunFolder, say: Callable[[str], None]) -> Material:
    """Reads a run.

    Raises:
        RunError: this is no run folder, or the run is not evaluated.
    """
    config, facts, report = read_config(run), read_facts(run), read_report(run)
    try:
        (inputs, targets), outputs = run.test_set(), run.outputs()
    except (OSError, ValueError) as error:
        raise RunError(f"{run.folder}: the test set can't be read: {error}") from error
    manifest = manifest_of(run)
    return Material(
        config=config,
        facts=facts,
        report=report,
        history=read_history(run.history),
        kept=kept_epoch(run, manifest),
        manifest=manifest,
        inputs=inputs,
        targets=targets,
        outputs=outputs,
        model=_model(run, say),
    )


def manifest_of(run: RunFolder) -> Manifest | None:
    """Returns the manifest; None as long as the run is not complete."""
    try:
        return run.manifest()
    except (RunFolderError, ManifestError):
        return None


def kept_epoch(run: RunFolder, manifest: Manifest | None) -> int | None:
    """Returns the epoch whose weights the model has; None where nobody knows."""
    if manifest is not None:
        return manifest.fit.epoch_kept or None
    names = [path.name.split(".")[0] for path in run.checkpoints.glob("*.weights.h5")]
    epochs = [name.rpartition("-")[2] for name in names]
    return max((int(epoch) for epoch in epochs if epoch.isdigit()), default=None)


def _model(run: RunFolder, say: Callable[[str], None]) -> Any:
    import keras

    try:
        return keras.models.load_model(run.inference_model, compile=False)
    except Exception as error:  # Keras raises what its readers of zip, JSON and HDF5 raise
        say(f"report: without the model's layers: {error}")
        return None
