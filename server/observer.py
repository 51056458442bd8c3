"""What is looked at beyond figures when images were answered: drift, and the prediction log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from contract.settings import Settings
from server.classify import Classified, Row
from server.decoding import File, Source
from server.drift import Watch
from server.greenlets import Threads
from server.prediction_log import Prediction, PredictionLog
from server.problems import Problem

#: Labels in a record of the prediction log.
_TOP_K = 5


@dataclass(frozen=True)
class Observer:
    """The drift windows of this process and its prediction log, if there is one."""

    watch: Watch
    log: PredictionLog | None
    heavy: Threads

    def saw(self, images: Sequence[Source], classified: Classified, request_id: str) -> None:
        """Takes answered images into account.

        Args:
            images: as they came, in the order of the results.
        """
        self._compare(classified)
        if self.log is not None and self.log.chosen():
            answered = zip(images, classified.results, classified.files, strict=True)
            # To a disk, which may hang.
            self.heavy.run(
                self.log.write,
                [
                    _prediction(request_id, classified, image, row, file)
                    for image, row, file in answered
                    if isinstance(image, bytes) and file and not isinstance(row, Problem)
                ],
            )

    def _compare(self, classified: Classified) -> None:
        version = classified.version
        reference = version.manifest.reference_distribution if version.manifest else None
        pairs = [
            (row, pixels)
            for row, pixels in zip(classified.results, classified.pixels, strict=True)
            if pixels is not None and not isinstance(row, Problem)
        ]
        if reference is not None and pairs:
            self.watch.saw(version.model, version.number, reference, pairs)


def make_observer(settings: Settings, heavy: Threads) -> Observer:
    """Makes the observer of one process; `drift_window` is of all of them together."""
    log = None
    if settings.prediction_log is not None:
        log = PredictionLog(
            settings.prediction_log,
            settings.prediction_log_share,
            settings.prediction_log_images,
        )
    return Observer(Watch(-(-settings.drift_window // settings.workers)), log, heavy)


def _prediction(
    request_id: str, classified: Classified, image: bytes, row: Row, file: File
) -> Prediction:
    labels = classified.version.names(len(row))
    order = np.argsort(-row, kind="stable")[:_TOP_K].tolist()
    top_k = [(labels[place], float(row[place])) for place in order]
    return Prediction(
        request_id=request_id,
        model=classified.version.model,
        version=classified.version.number,
        image=image,
        format=file.format,
        width=file.width,
        height=file.height,
        label=top_k[0][0],
        probability=top_k[0][1],
        top_k=top_k,
    )
