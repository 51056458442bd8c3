"""Histograms of pictures and answers, and how far two are apart."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from contract import distribution
from contract.distribution import (
    BRIGHTNESS_EDGES,
    CONFIDENCE_EDGES,
    CONTRAST_EDGES,
    Distribution,
    add,
    brightness_and_contrast,
    count_confidence,
    count_predictions,
    measure,
    population_stability_index,
)


def flat(level: int, channels: int = 1) -> np.ndarray:
    return np.full((4, 6, channels), level, np.uint8)


def checkered(dark: int, light: int) -> np.ndarray:
    picture = flat(dark)
    picture[::2, ::2] = picture[1::2, 1::2] = light
    return picture


PROBABILITIES = np.array(
    [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0], [0.4, 0.4, 0.2], [0.1, 0.31, 0.59]], np.float32
)
PIXELS = np.stack([flat(0), flat(255), checkered(0, 255), checkered(100, 130)])
MEASURED = Distribution(
    images=4,
    confidence=(0, 0, 0, 0, 1, 2, 0, 0, 0, 1),
    predictions=(2, 1, 1),
    brightness=(1, 0, 0, 0, 1, 1, 0, 0, 0, 1),
    contrast=(2, 1, 0, 0, 0, 0, 0, 0, 0, 1),
)


def test_every_histogram_counts_every_picture_once() -> None:
    assert measure(PROBABILITIES, PIXELS) == MEASURED


def test_edges_are_even() -> None:
    np.testing.assert_allclose(CONFIDENCE_EDGES, np.linspace(0, 1, 11))
    assert CONFIDENCE_EDGES == BRIGHTNESS_EDGES
    np.testing.assert_allclose(CONTRAST_EDGES, np.linspace(0, 0.5, 11))


@pytest.mark.parametrize(
    ("value", "place"),
    [
        (0.0, 0),
        (0.0999, 0),
        (0.1, 1),
        (0.3, 3),
        (0.7, 7),
        (0.9, 9),
        (1.0, 9),
        (1.0 + 1e-6, 9),
        (-1e-6, 0),
        (math.inf, 9),
        (math.nan, 0),
    ],
)
def test_a_bin_has_its_lower_edge_and_the_last_one_both(value: float, place: int) -> None:
    counts = count_confidence(np.array([[value]]))
    assert counts.tolist() == np.eye(10, dtype=int)[place].tolist()


def test_the_first_of_equal_probabilities_is_the_label() -> None:
    assert count_predictions(np.full((3, 4), 0.25)).tolist() == [3, 0, 0, 0]


@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_and_contrast(channels: int) -> None:
    picture = np.repeat(checkered(51, 153), channels, axis=2)
    brightness, contrast = brightness_and_contrast(picture[np.newaxis])
    np.testing.assert_allclose([brightness[0], contrast[0]], [0.4, 0.2])


def test_colours_of_one_brightness_are_no_contrast() -> None:
    picture = np.zeros((1, 2, 2, 3), np.uint8)
    picture[0, 0, :, 0] = picture[0, 1, :, 2] = 255  # red above blue
    brightness, contrast = brightness_and_contrast(picture)
    assert brightness[0] == pytest.approx(1 / 3)
    assert contrast[0] == 0


def test_a_large_white_picture_does_not_overflow() -> None:
    brightness, contrast = brightness_and_contrast(np.full((1, 1500, 4000, 3), 255, np.uint8))
    assert (brightness[0], contrast[0]) == (1.0, 0.0)


PICTURES = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 4), st.just(3), st.just(5), st.sampled_from([1, 3]))
)


@given(PICTURES)
def test_a_picture_counts_the_same_among_others(pixels: np.ndarray) -> None:
    grey = pixels.astype(np.float64).mean(axis=3) / 255
    brightness, contrast = brightness_and_contrast(pixels)
    np.testing.assert_allclose(brightness, grey.mean(axis=(1, 2)), atol=1e-12)
    np.testing.assert_allclose(contrast, grey.std(axis=(1, 2)), atol=1e-7)
    alone = [brightness_and_contrast(picture[np.newaxis]) for picture in pixels]
    assert [(b[0], c[0]) for b, c in alone] == list(zip(brightness, contrast, strict=True))


def test_parts_add_up() -> None:
    parts = [measure(PROBABILITIES[rows], PIXELS[rows]) for rows in (slice(0, 3), slice(3, 4))]
    assert add(*parts) == MEASURED


def test_no_pictures_are_a_distribution_too() -> None:
    none = measure(PROBABILITIES[:0], PIXELS[:0])
    assert none.images == 0
    assert none.predictions == (0, 0, 0)
    assert add(none, MEASURED) == MEASURED
    assert math.isnan(population_stability_index(MEASURED.brightness, none.brightness))


def test_distributions_of_other_labels_do_not_add_up() -> None:
    with pytest.raises(ValueError, match="zip"):
        add(MEASURED, measure(PROBABILITIES[:, :2], PIXELS))


@pytest.mark.parametrize("name", distribution.HISTOGRAMS)
def test_a_histogram_counts_all_images(name: str) -> None:
    values = {field: getattr(MEASURED, field) for field in ("images", *distribution.HISTOGRAMS)}
    values[name] = (*values[name][:-1], values[name][-1] + 1)
    with pytest.raises(ValueError, match=f"{name}: counts 5 images of 4"):
        Distribution(**values)


def test_the_index_is_the_formulas() -> None:
    before, after = [30.5 / 101, 70.5 / 101], [60.5 / 101, 40.5 / 101]
    expected = sum((a - e) * math.log(a / e) for e, a in zip(before, after, strict=True))
    assert population_stability_index([30, 70], [60, 40]) == pytest.approx(expected)
    assert expected == pytest.approx(0.37, abs=0.01)  # by custom a large drift


COUNTS = st.integers(0, 10**6)


@given(st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=12))
def test_the_index_is_a_finite_symmetric_distance(pairs: list[tuple[int, int]]) -> None:
    one, other = zip(*pairs, strict=True)
    there = population_stability_index(one, other)
    if not sum(one) or not sum(other):
        assert math.isnan(there)
        return
    assert math.isfinite(there)
    assert there >= 0
    assert there == pytest.approx(population_stability_index(other, one))
    assert population_stability_index(one, one) == 0


def test_the_index_knows_shares_and_not_sizes() -> None:
    assert population_stability_index([100, 200, 700], [1000, 2000, 7000]) < 1e-4
    assert population_stability_index([10, 0, 0], [0, 0, 10]) > 1


def test_the_index_is_of_the_same_bins() -> None:
    with pytest.raises(ValueError, match="2 and 3 bins"):
        population_stability_index([1, 2], [1, 2, 3])


def indexes(reference: Distribution, seen: Distribution) -> dict[str, float]:
    return {
        name: population_stability_index(getattr(reference, name), getattr(seen, name))
        for name in distribution.HISTOGRAMS
    }


def test_drift_is_told_by_what_has_drifted() -> None:
    rng = np.random.default_rng(5)
    probabilities = rng.dirichlet([0.2] * 4, 2000)
    pixels = rng.integers(0, 256, (2000, 4, 4, 1), dtype=np.uint8)
    reference = measure(probabilities[:1000], pixels[:1000])
    same = indexes(reference, measure(probabilities[1000:], pixels[1000:]))
    assert max(same.values()) < 0.1
    darker = indexes(reference, measure(probabilities[1000:], pixels[1000:] // 4))
    assert min(darker["brightness"], darker["contrast"]) > 1
    assert {**darker, "brightness": 0, "contrast": 0} == {**same, "brightness": 0, "contrast": 0}
    surer = np.eye(4)[np.zeros(1000, int)]
    changed = indexes(reference, measure(surer, pixels[1000:]))
    assert min(changed["confidence"], changed["predictions"]) > 0.25
    assert {**changed, "confidence": 0, "predictions": 0} == {
        **same,
        "confidence": 0,
        "predictions": 0,
    }
