"""The edit of a model configuration file leaves all else as it is."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from export.rollout.config_file import edit, read
from export.rollout.errors import ConfigFileError
from export.rollout.plan import Serving
from tests.export.rollout.polling import CONFIG, MODEL

ROOT = Path(__file__).resolve().parents[3]
BOTH = Serving((1, 2), {"stable": 1, "canary": 2})

EDITED = """\
# What we serve.
model_config_list {
  config { name: "digits-cnn" base_path: "/models/digits-cnn" model_platform: "tensorflow" }
  config {
    name: "flowers-cnn"  # the one that changes
    base_path: "/models/flowers-cnn"
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 1 versions: 2 } }
    version_labels { key: "canary" value: 2 }
    version_labels { key: "stable" value: 1 }
  }
}
"""


def test_an_entry_is_edited() -> None:
    assert read(CONFIG, MODEL) == Serving()
    assert edit(CONFIG, MODEL, BOTH) == EDITED
    assert edit(EDITED, MODEL, BOTH) == EDITED
    assert edit(EDITED, MODEL, Serving()) == CONFIG
    assert read(EDITED, MODEL) == BOTH


#: Forms that text protos may have, each with an entry m that is to be edited.
FORMS = {
    "on a line": 'model_config_list { config { name: "m" model_platform: "tensorflow" } }',
    "angles": 'model_config_list < config < name: "m" > >',
    "a colon": 'model_config_list: { config: { name: "m" }, config { name: "n" }; }',
    "single quotes": "model_config_list { config { name: 'm' base_path: '/a } b' } }",
    "escapes": 'model_config_list { config { name: "\\x6d" base_path: "/\\"{" } }',
    "joined strings": 'model_config_list { config { name: "" "m" } }',
    "a brace in a comment": 'model_config_list { # }\n config { # }\n name: "m" # }\n }\n }',
    "a comment at the end": 'model_config_list { config { name: "m"\n# last\n } }',
    "a list": 'model_config_list { config: [ { name: "n" }, { name: "m" } ] }',
    "unknown fields": 'model_config_list { config { name: "m" logging_config { sampling_config { '
    'sampling_rate: 0.1 } } config { name: "not this" } } }',
    "has some": 'model_config_list { config { version_labels { key: "stable" value: 7 } name: "m" '
    'model_version_policy: { latest < num_versions: 2 > }, version_labels: { key: "x", value: 8; '
    "}\n # why\n } }",
    "line ends of Windows": 'model_config_list {\r\n  config {\r\n    name: "m"\r\n  }\r\n}\r\n',
}


@pytest.mark.parametrize("form", FORMS)
def test_forms(form: str) -> None:
    text = FORMS[form]
    edited = edit(text, "m", BOTH)
    assert read(edited, "m") == BOTH
    for kept in ("# why", "# last", "sampling_rate: 0.1", "/a } b", '"not this"', '/\\"{'):
        assert (kept in edited) == (kept in text)
    assert edit(edited, "m", BOTH) == edited


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("model_config_list {", "no model configuration"),
        ("hello", "no model configuration"),
        ("", "there are none"),
        ('model_config_list { config { name: "n" } }', "there are n"),
        ('model_config_list { config { name: "m" } config { name: "m" } }', "there are m, m"),
        ('model_config_list { config { name: "m" version_labels: [ {} ] } }', "with braces"),
    ],
)
def test_what_cannot_be_edited_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigFileError, match=problem):
        edit(text, "m", BOTH)


_LABELS = st.dictionaries(st.from_regex(r"[A-Za-z0-9_]{1,5}", fullmatch=True), st.integers(0, 9))


@settings(deadline=None, max_examples=25)
@given(_LABELS, st.sets(st.integers(0, 2**62), min_size=1), _LABELS)
def test_any_state_is_read_back(
    first: dict[str, int], versions: set[int], second: dict[str, int]
) -> None:
    text = edit(CONFIG, MODEL, Serving((1,), first))
    wanted = Serving(tuple(sorted(versions)), second)
    assert read(edit(text, MODEL, wanted), MODEL) == wanted
    assert edit(edit(text, MODEL, wanted), MODEL, Serving()) == CONFIG


def test_tensorflow_serving_reads_it_alike() -> None:
    from tensorflow_serving.config.model_server_config_pb2 import ModelServerConfig

    theirs = text_format.Parse(EDITED, ModelServerConfig()).model_config_list.config[1]
    assert list(theirs.model_version_policy.specific.versions) == [1, 2]
    assert dict(theirs.version_labels) == BOTH.labels
