"""From images to probabilities, all by one version of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server import timing
from server.answer_cache import AnswerCache, Key, key_of
from server.batches import Batches
from server.catalog import Catalog, Choice, Found
from server.deadline import Deadline
from server.decoding import Decoder, File, Picture, Source
from server.light import are_light_pixels
from server.one_version import by_one_version
from server.problems import Problem
from server.served import ServedVersion

Row = NDArray[np.float32]


@dataclass(frozen=True)
class Classified:
    """The version that answered and what it answered.

    Attributes:
        found: the version, and the canary's track that it is on.
        results: for each image its probabilities [K] or its problem.
        files: for each image what its file was; None where it was no file, or none that is sound.
        pixels: for each image what the model was given, uint8 [H, W, C]; None for none.
    """

    found: Found
    results: list[Row | Problem]
    files: list[File | None]
    pixels: list[NDArray[np.uint8] | None]

    @property
    def version(self) -> ServedVersion:
        """The version that answered."""
        return self.found.version


@dataclass(frozen=True)
class Classifier:
    """Makes pixels, calls the model server, and keeps both on the same version."""

    catalog: Catalog
    batches: Batches
    cache: AnswerCache
    decoder: Decoder

    def classify(
        self,
        images: Sequence[Source],
        choice: Choice,
        found: Found,
        deadline: Deadline,
        *,
        all_or_nothing: bool = False,
    ) -> Classified:
        """Classifies images by the version that is meant.

        Pixels, probabilities and labels all belong to the version in the answer: if it is gone
        when the call arrives, the pixels are made again for the one that took its place.

        Args:
            found: what the catalog has for the choice.
            all_or_nothing: an image's problem is the whole request's, and names the image.

        Raises:
            Problem: of the whole request; an image's own problem is in its result.
        """
        made: dict[str, list[Picture | Problem]] = {}

        def call(found: Found) -> Classified:
            spec = found.version.pixels
            if spec.fingerprint not in made:
                made[spec.fingerprint] = self.decoder.decode(images, spec, deadline)
            pictures = made[spec.fingerprint]
            if all_or_nothing:
                _raise_first(pictures)
            results = self._results(pictures, found.version, deadline)
            files = [None if isinstance(each, Problem) else each.file for each in pictures]
            pixels = [None if isinstance(each, Problem) else each.pixels for each in pictures]
            return Classified(found, results, files, pixels)

        return by_one_version(self.catalog, choice, found, deadline, call)

    def _results(
        self, pictures: Sequence[Picture | Problem], version: ServedVersion, deadline: Deadline
    ) -> list[Row | Problem]:
        sound = [each.pixels for each in pictures if not isinstance(each, Problem)]
        predict = self._cached if self.cache.keeps else self._predicted
        rows = iter(predict(version, sound, deadline) if sound else ())
        return [each if isinstance(each, Problem) else next(rows) for each in pictures]

    def _predicted(
        self, version: ServedVersion, pixels: Sequence[NDArray[np.uint8]], deadline: Deadline
    ) -> Sequence[Row]:
        with timing.stage("predict"):
            return self.batches.predict(version, pixels, deadline)

    def _cached(
        self, version: ServedVersion, pixels: Sequence[NDArray[np.uint8]], deadline: Deadline
    ) -> Sequence[Row]:
        spec = version.pixels
        light = are_light_pixels(spec.width, spec.height, len(pixels))
        keys = self.decoder.heavy.run_unless(light, deadline, _keys, version, pixels)
        rows = {key: row for key in keys if (row := self.cache.get(key)) is not None}
        missing = {key: each for key, each in zip(keys, pixels, strict=True) if key not in rows}
        if missing:
            predicted = self._predicted(version, list(missing.values()), deadline)
            for key, row in zip(missing, predicted, strict=True):
                rows[key] = row
                self.cache.put(key, row)
        return [rows[key] for key in keys]


def _keys(version: ServedVersion, pixels: Sequence[NDArray[np.uint8]]) -> list[Key]:
    return [key_of(version, each) for each in pixels]


def _raise_first(pictures: Sequence[Picture | Problem]) -> None:
    for place, each in enumerate(pictures):
        if isinstance(each, Problem):
            raise Problem(each.kind, f"image {place}: {each.detail}")
