"""The manifest: what is written can be read, and what breaks the schema is refused by name."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from contract import manifest as manifests
from contract.distribution import Distribution
from contract.errors import ManifestError
from contract.manifest import (
    Change,
    Counts,
    Data,
    EncodedDeviation,
    Explanation,
    Fit,
    Manifest,
    Optimisation,
    ReferenceDistribution,
    encode,
    json_schema,
    parse,
)
from contract.pixels import PixelSpec

SCHEMA = json.loads(Path(manifests.__file__).with_name("manifest.schema.json").read_bytes())


def made(**changes: Any) -> Manifest:
    values: dict[str, Any] = {
        "recipe": "pets_cnn",
        "document": "Convolutional networks",
        "task": "classification",
        "labels": ("cat", "dog", "ñandú"),
        "classes": 3,
        "input": PixelSpec(height=28, width=32, channels=3),
        "parameters": 12345,
        "metrics": {"accuracy": 0.91, "loss": 0.3},
        "data": Data(
            name="pets",
            source="a folder",
            counts=Counts(train=80, validation=10, test=10),
            fingerprint="ab" * 32,
        ),
        "fit": Fit(
            epochs=3,
            epochs_asked=5,
            epoch_kept=2,
            batch=32,
            seed=-1,
            validation_share=0.1,
            device="CPU",
        ),
        "versions": {"tensorflow": "2.21.0"},
        "created": "2026-01-02T03:04:05Z",
        "source_revision": "unknown",
        "run": "2026-01-02-030405",
    }
    return Manifest(**(values | changes))


CHANGE = Change(accuracy=0.9, changed_labels=1, mean_probability=0.001, max_probability=0.01)


def full() -> Manifest:
    return made(
        encoded=EncodedDeviation(
            images=10, mean_probability=0.001, max_probability=0.02, changed_labels=0
        ),
        confusion_matrix=((3, 0, 0), (0, 3, 1), (1, 0, 2)),
        explanation=Explanation(layer="conv2d"),
        reference_distribution=ReferenceDistribution(
            test=Distribution(
                images=10,
                confidence=(0, 0, 0, 0, 0, 0, 1, 1, 2, 6),
                predictions=(4, 3, 3),
                brightness=(0, 0, 1, 2, 4, 2, 1, 0, 0, 0),
                contrast=(0, 2, 5, 3, 0, 0, 0, 0, 0, 0),
            )
        ),
        optimisation=Optimisation(
            examples=10, accuracy=0.9, max_change=0.02, float32=CHANGE, bfloat16=CHANGE
        ),
    )


def document() -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(encode(full()))
    return parsed


VALID = {
    "least": made(),
    "full": full(),
    "features without a size": made(
        task="features",
        labels=(),
        classes=0,
        input=PixelSpec(height=None, width=None, channels=3),
    ),
    "regression": made(task="regression", labels=(), classes=0, input=None),
    "grey": made(input=PixelSpec(height=1, width=16384, channels=1)),
}


@pytest.mark.parametrize("name", VALID)
def test_round_trip(name: str) -> None:
    text = encode(VALID[name])
    assert parse(text) == VALID[name]
    assert parse(text.decode()) == VALID[name]
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(text))


def test_document_is_for_people_too() -> None:
    text = encode(full()).decode()
    assert text.endswith("}\n")
    assert '\n  "recipe": "pets_cnn",\n' in text
    assert "ñandú" in text


def test_schema_file_is_generated() -> None:
    assert json_schema() == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_field_is_described() -> None:
    kinds = (Manifest, Data, Fit, EncodedDeviation, Explanation, PixelSpec, Change, Optimisation)
    for kind in (*kinds, ReferenceDistribution, Distribution):
        for field in dataclasses.fields(kind):
            assert f" {field.name}: " in (kind.__doc__ or ""), f"{kind.__name__}.{field.name}"


def test_frozen() -> None:
    manifest = full()
    for owner in (manifest, manifest.data, manifest.data.counts, manifest.fit, manifest.input):
        assert owner is not None
        with pytest.raises(dataclasses.FrozenInstanceError):
            owner.name = "other"  # type: ignore[union-attr]
    assert isinstance(parse(encode(manifest)).labels, tuple)
    assert isinstance(parse(encode(manifest)).confusion_matrix[0], tuple)  # type: ignore[index]


def test_unknown_fields_are_ignored() -> None:
    newer = document() | {"licence": "CC0", "nested": {"deep": [1]}}
    newer["data"]["origin"] = "elsewhere"
    newer["input"]["mean"] = [0, 0, 0]
    newer["fit"]["rate"] = 0.1
    assert parse(json.dumps(newer)) == full()
    jsonschema.Draft202012Validator(SCHEMA).validate(newer)


def test_optional_blocks_may_be_missing_or_null() -> None:
    optional = [
        "encoded",
        "explanation",
        "confusion_matrix",
        "reference_distribution",
        "optimisation",
    ]
    missing = {key: value for key, value in document().items() if key not in optional}
    assert parse(json.dumps(missing)) == made()
    assert parse(json.dumps(missing | dict.fromkeys(optional))) == made()


def test_a_reference_counts_its_images_and_the_models_labels() -> None:
    changed = document()
    test = changed["reference_distribution"]["test"]
    test["predictions"] = [4, 6]
    with pytest.raises(ManifestError, match=r"manifest: reference_distribution: .* 2 labels of 3"):
        parse(json.dumps(changed))
    test["predictions"] = [4, 3, 4]
    with pytest.raises(
        ManifestError, match=r"reference_distribution\.test: predictions: counts 11 images of 10"
    ):
        parse(json.dumps(changed))


MISSING = object()

# (path, a wrong value, whether the schema can say so)
BROKEN: list[tuple[str, Any, bool]] = [
    ("schema", 2, True),
    ("schema", "1", True),
    ("recipe", "", True),
    ("recipe", 7, True),
    ("recipe", MISSING, True),
    ("document", None, True),
    ("task", "segmentation", True),
    ("labels", "cat", True),
    ("labels[1]", "", True),
    ("labels[2]", None, True),
    ("labels", ["cat", "dog"], False),
    ("labels", ["cat", "dog", "cat"], False),
    ("classes", -1, True),
    ("classes", 3.5, True),
    ("classes", True, True),
    ("classes", "3", True),
    ("input", None, False),
    ("input", [28, 28, 3], True),
    ("input.height", 0, True),
    ("input.height", 16385, True),
    ("input.height", "28", True),
    ("input.width", -4, True),
    ("input.channels", 2, True),
    ("input.channels", 4, True),
    ("input.channels", MISSING, True),
    ("input.pixel_rule", 3, True),
    ("input", {"height": None, "width": 5, "channels": 3}, False),
    ("parameters", -1, True),
    ("metrics", [0.5], True),
    ("metrics[...]", {"accuracy": "high"}, True),
    ("metrics[...]", {"loss": None}, True),
    ("data", None, True),
    ("data.name", "", True),
    ("data.counts.train", -1, True),
    ("data.counts.test", 0.5, True),
    ("data.counts.validation", MISSING, True),
    ("data.fingerprint", 5, True),
    ("fit.validation_share", 1, True),
    ("fit.validation_share", -0.1, True),
    ("fit.seed", "x", True),
    ("fit.epochs", -1, True),
    ("versions[...]", {"python": 3.11}, True),
    ("created", "", True),
    ("source_revision", MISSING, True),
    ("run", 5, True),
    ("encoded.images", -1, True),
    ("encoded.max_probability", "0", True),
    ("confusion_matrix", [[1, 2], [3, 4]], False),
    ("confusion_matrix", [[1, 0, 0], [0, 1, 0], [0, 0]], False),
    ("confusion_matrix", [], False),
    ("confusion_matrix[1][2]", -1, True),
    ("explanation.method", "guess", True),
    ("explanation.layer", "", True),
    ("reference_distribution", [], True),
    ("reference_distribution", {}, True),
    ("reference_distribution.test.images", 1.5, True),
    ("reference_distribution.test.confidence", [10] + [0] * 8, True),
    ("reference_distribution.test.brightness", [10] + [0] * 10, True),
    ("reference_distribution.test.contrast[3]", -1, True),
    ("reference_distribution.test.predictions", MISSING, True),
    ("optimisation", "float16", True),
    ("optimisation.float32", None, True),
    ("optimisation.bfloat16.accuracy", 1.1, True),
]


def with_value(path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(document())
    owner: Any = changed
    keys = path.replace("[...]", "").replace("[", ".").replace("]", "").split(".")
    *way, last = [int(key) if key.isdigit() else key for key in keys]
    for key in way:
        owner = owner[key]
    if value is MISSING:
        del owner[last]
    else:
        owner[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "in_schema"),
    BROKEN,
    ids=[f"{path} {'missing' if value is MISSING else value!r}" for path, value, _ in BROKEN],
)
def test_broken_document(path: str, value: Any, in_schema: bool) -> None:
    changed = with_value(path, value)
    with pytest.raises(ManifestError) as caught:
        parse(json.dumps(changed))
    text = str(caught.value)
    if value is MISSING:  # the owner's path, then the name
        owner, _, name = path.rpartition(".")
        assert f"`{name}`" in text
        assert text.startswith(f"manifest: {owner}: " if owner else "manifest: ")
    else:
        assert text.startswith(f"manifest: {path}: ")
    assert jsonschema.Draft202012Validator(SCHEMA).is_valid(changed) is not in_schema


@pytest.mark.parametrize("field", ["schema", *SCHEMA["$defs"]["Manifest"]["required"]])
def test_required_fields_are_those_of_the_schema(field: str) -> None:
    changed = with_value(field, MISSING)
    if field == "schema":  # it has a default: only a wrong number is refused
        assert parse(json.dumps(changed)) == full()
        return
    with pytest.raises(ManifestError, match=f"`{field}`"):
        parse(json.dumps(changed))


@pytest.mark.parametrize(
    ("task", "value", "good"),
    [
        ("classification", None, False),
        ("features", None, False),
        ("regression", None, True),
        ("regression", {"height": 2, "width": 2, "channels": 1}, False),
        ("features", {"height": None, "width": None, "channels": 3}, True),
        ("classification", {"height": None, "width": None, "channels": 1}, True),
    ],
)
def test_null_input_is_for_regression_alone(task: str, value: Any, good: bool) -> None:
    changed = document() | {"task": task, "input": value}
    if good:
        assert parse(json.dumps(changed)).task == task
    else:
        with pytest.raises(ManifestError, match=f"manifest: input: wrong for the task {task}"):
            parse(json.dumps(changed))


@pytest.mark.parametrize("labels", [[], ["cat"]])
def test_classification_has_two_classes(labels: list[str]) -> None:
    small = document() | {"labels": labels, "classes": len(labels), "confusion_matrix": None}
    with pytest.raises(ManifestError, match=r"manifest: classes: .* at least 2"):
        parse(json.dumps(small))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b"\xff\xfe",
        b'{"recipe": "\xff"}',
        '{"recipe": "\ud800"}',
        b'{"unknown": ' + b"[" * 100_000,
        b'{"reference_distribution": {"a": ' + b"[" * 100_000,
    ],
    ids=range(10),
)
def test_no_manifest_at_all(data: bytes | str) -> None:
    with pytest.raises(ManifestError, match=r"^manifest: "):
        parse(data)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metrics": {"loss": float("nan")}}, "metrics"),
        ({"metrics": {"loss": float("inf")}}, "metrics"),
        ({"recipe": ""}, "recipe"),
        ({"parameters": -5}, "parameters"),
        ({"input": PixelSpec(height=0, width=0, channels=3)}, "input.height"),
    ],
)
def test_nothing_is_written_that_cannot_be_read(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(ManifestError, match=f"manifest: {field}"):
        encode(made(**changes))
