"""Model folders: version numbers, and publication that is whole or not at all."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contract import manifest as manifests
from export import versions
from export.errors import ExportError, ModelNameError
from export.versions import find, list_versions, newest_of_each, publish
from tests.manifests import make_manifest


def write(folder: Path) -> None:
    """A version with a manifest, as small as can be."""
    (folder / "variables").mkdir()
    (folder / "variables" / "data").write_bytes(b"weights")
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / manifests.FILE).parent.mkdir()
    (folder / manifests.FILE).write_bytes(manifests.encode(make_manifest()))


def visible(folder: Path) -> list[str]:
    """What a model server would load: the sub-folders whose names are numbers."""
    return sorted(path.name for path in folder.iterdir() if path.name.isdecimal())


def test_numbers_count_up(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        version = publish(tmp_path / "models", "m", write)
        assert (version.name, version.number) == ("m", number)
        assert version.folder == tmp_path / "models" / "m" / str(number)
        assert version.manifest == make_manifest()
        assert (version.folder / "variables" / "data").read_bytes() == b"weights"
    assert publish(tmp_path / "models", "other", write).number == 1
    assert visible(tmp_path / "models" / "m") == ["1", "2", "3"]


@pytest.mark.parametrize("deleted", [[3], [2], [1, 2, 3]])
def test_a_number_is_never_used_twice(tmp_path: Path, deleted: list[int]) -> None:
    for _ in range(3):
        publish(tmp_path, "m", write)
    for number in deleted:
        shutil.rmtree(tmp_path / "m" / str(number))
    assert publish(tmp_path, "m", write).number == 4


@pytest.mark.parametrize("content", [None, b"", b"x", b"2\n"])
def test_numbers_go_on_from_the_folders_where_the_record_is_lost(
    tmp_path: Path, content: bytes | None
) -> None:
    for _ in range(5):
        publish(tmp_path, "m", write)
    (tmp_path / "m" / ".last").unlink()
    if content is not None:
        (tmp_path / "m" / ".last").write_bytes(content)
    assert publish(tmp_path, "m", write).number == 6


class Stopped(BaseException):
    """Nothing that `except Exception` catches."""


@pytest.mark.parametrize("error", [Stopped, OSError, KeyboardInterrupt])
def test_what_fails_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        assert visible(tmp_path / "m") == ["1"]
        raise error

    publish(tmp_path, "m", write)
    with pytest.raises(error):
        publish(tmp_path, "m", fail)
    assert visible(tmp_path / "m") == ["1"]
    assert not (tmp_path / "m" / ".publishing").exists()
    assert publish(tmp_path, "m", write).number == 2


def test_a_model_whose_first_version_fails_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        publish(tmp_path, "m", lambda folder: (folder / "no" / "where").write_text(""))
    assert list_versions(tmp_path) == []
    assert publish(tmp_path, "m", write).number == 1


PUBLISH = """
import sys
from pathlib import Path
from export.versions import publish

def write(folder):
    (folder / "saved_model.pb").write_bytes(b"graph")
    {middle}

for _ in range({times}):
    print(publish(Path(sys.argv[1]), "m", write).number, flush=True)
"""


def publisher(models: Path, middle: str, times: int = 1) -> subprocess.Popen[str]:
    code = PUBLISH.format(middle=middle, times=times)
    return subprocess.Popen(
        [sys.executable, "-c", code, str(models)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.integration
def test_killed_it_leaves_nothing_that_a_model_server_loads(tmp_path: Path) -> None:
    publish(tmp_path, "m", write)
    stuck = "print('writing', flush=True); import time; time.sleep(60)"
    with publisher(tmp_path, stuck) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    assert visible(tmp_path / "m") == ["1"]
    assert (tmp_path / "m" / ".publishing" / "saved_model.pb").exists()
    assert [version.number for version in list_versions(tmp_path)] == [1]
    assert publish(tmp_path, "m", write).number == 2
    assert visible(tmp_path / "m") == ["1", "2"]
    assert not (tmp_path / "m" / ".publishing").exists()
    assert sorted(path.name for path in (tmp_path / "m" / "2").iterdir()) == [
        "assets.extra",
        "saved_model.pb",
        "variables",
    ]


@pytest.mark.integration
def test_two_at_once_take_turns(tmp_path: Path) -> None:
    slow = "import time; time.sleep(0.01)"
    processes = [publisher(tmp_path, slow, times=8) for _ in range(3)]
    given = [int(line) for each in processes for line in each.communicate(timeout=60)[0].split()]
    assert [each.returncode for each in processes] == [0, 0, 0]
    assert sorted(given) == list(range(1, 25))
    assert [version.number for version in list_versions(tmp_path)] == list(range(24, 0, -1))


GOOD_NAMES = ["m", "fashion-cnn", "a.b_c-D", "9lives", "x" * 100]
BAD_NAMES = ["", ".", "..", ".m", "-m", "_m", "a/b", "../m", "a b", "ñ", "a\n", "m\0", "x" * 101]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_that_may_be_used(tmp_path: Path, name: str) -> None:
    assert publish(tmp_path, name, write).folder == tmp_path / name / "1"


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_may_not(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelNameError, match=re.escape(f"model name {name!r}: ")):
        publish(tmp_path / "models", name, write)
    assert not (tmp_path / "models").exists()


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """beta 1, 2, 10; alpha 1; beside them what others may leave there."""
    root = tmp_path / "models"
    for number in (1, 2, 10):
        write(made(root / "beta" / str(number)))
    write(made(root / "alpha" / "1"))
    (root / "README.md").write_text("text")
    (root / "alpha" / "2").write_text("a file")
    made(root / "alpha" / "latest")
    made(root / "alpha" / "-1")
    made(root / ".hidden" / "1")
    made(root / "empty")
    return root


def made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def named(found: list[versions.Version]) -> list[str]:
    return [f"{version.name}/{version.number}" for version in found]


def test_versions_are_listed_by_name_and_then_newest_first(models: Path) -> None:
    assert named(list_versions(models)) == ["alpha/1", "beta/10", "beta/2", "beta/1"]
    assert all(version.manifest == make_manifest() for version in list_versions(models))


def test_the_newest_of_each_is_listed_by_name(models: Path) -> None:
    assert named(newest_of_each(models)) == ["alpha/1", "beta/10"]


@pytest.mark.parametrize("name", ["models", "nowhere"])
def test_where_there_are_no_models_none_are_listed(tmp_path: Path, name: str) -> None:
    (tmp_path / "models").mkdir()
    assert list_versions(tmp_path / name) == newest_of_each(tmp_path / name) == []


def no_file(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def no_json(path: Path) -> None:
    path.write_bytes(b"\xff\x00")


def another_schema(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"schema": 1', b'"schema": 2'))


def a_field_missing(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"labels"', b'"names"'))


def not_readable(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


@pytest.mark.parametrize(
    "harm",
    [no_file, a_folder, no_json, another_schema, a_field_missing, not_readable],
    ids=lambda harm: harm.__name__,
)
def test_a_version_without_a_manifest_is_listed_too(
    models: Path, harm: Callable[[Path], None]
) -> None:
    harm(models / "beta" / "2" / manifests.FILE)
    found = list_versions(models)
    assert named(found) == ["alpha/1", "beta/10", "beta/2", "beta/1"]
    assert [version.manifest is None for version in found] == [False, False, True, False]


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [("beta", None, "beta/10"), ("beta", 2, "beta/2"), ("alpha", None, "alpha/1")],
)
def test_a_version_is_found(models: Path, name: str, number: int | None, expected: str) -> None:
    assert named([find(models, name, number)]) == [expected]


@pytest.mark.parametrize(
    ("name", "number", "text"),
    [
        ("gamma", None, "no model gamma in"),
        ("beta", 3, "no model beta/3 in"),
        ("alpha", 2, "no model alpha/2 in"),
        ("empty", None, "no model empty in"),
    ],
)
def test_a_version_that_is_not_there_is_an_error_that_lists_those_that_are(
    models: Path, name: str, number: int | None, text: str
) -> None:
    with pytest.raises(ExportError, match=f"{text} .*there are alpha/1, beta/10, beta/2, beta/1"):
        find(models, name, number)
    with pytest.raises(ExportError, match="there are none"):
        find(models / "empty", name, number)
