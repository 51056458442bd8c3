"""What is looked at beyond figures when images were answered: drift, and the prediction log."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from contract.settings import Settings
from server import metrics
from server.classify import Classified, Row
from server.deadline import Deadline
from server.decoding import File, Source
from server.drift import Watch
from server.heavy import Heavy
from server.light import are_light_pixels
from server.prediction_log import Prediction, PredictionLog
from server.problems import Problem

#: Labels in a record of the prediction log.
_TOP_K = 5


@dataclass(frozen=True)
class Observer:
    """The drift windows of this process and its prediction log, if there is one.

    Attributes:
        writing: a thread for the log, whose disk may hang.
        heavy: for what would keep other requests waiting.
    """

    watch: Watch
    log: PredictionLog | None
    writing: Heavy
    heavy: Heavy

    def saw(
        self,
        images: Sequence[Source],
        classified: Classified,
        request_id: str,
        deadline: Deadline,
    ) -> None:
        """Takes answered images into account; what can't be in time isn't, and fails no request.

        Args:
            images: as they came, in the order of the results.
        """
        with suppress(Problem):
            spec = classified.version.pixels
            light = are_light_pixels(spec.width, spec.height, len(images))
            self.heavy.run_unless(light, deadline, self._compare, classified)
        if self.log is not None and self.log.chosen():
            answered = zip(images, classified.results, classified.files, strict=True)
            records = [
                _prediction(request_id, classified, image, row, file)
                for image, row, file in answered
                if isinstance(image, bytes) and file and not isinstance(row, Problem)
            ]
            try:
                self.writing.run(deadline, self.log.write, records)
            except Problem:
                metrics.prediction_logged(written=False)

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


def make_observer(settings: Settings, heavy: Heavy) -> Observer:
    """Makes the observer of one process; `drift_window` is of all of them together."""
    log = None
    if settings.prediction_log is not None:
        log = PredictionLog(
            settings.prediction_log,
            settings.prediction_log_share,
            settings.prediction_log_images,
        )
    return Observer(
        Watch(-(-settings.drift_window // settings.workers)), log, Heavy(1, "log"), heavy
    )


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
