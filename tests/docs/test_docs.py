"""What the documentation says is what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

import lince
from client import API_KEY_VARIABLE
from contract.settings import Settings
from docs.generate import TABLES, with_table
from server.app import create_app
from server.problems import KINDS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize(("file", "name"), TABLES)
def test_generated_tables_are_fresh(file: str, name: str) -> None:
    page = (ROOT / "docs" / file).read_text()
    fresh = with_table(page, name, TABLES[file, name]())
    assert page == fresh, "run python -m docs.generate"


def test_every_option_of_train_is_explained() -> None:
    page = (ROOT / "docs" / "training.md").read_text() + (ROOT / "docs/datasets.md").read_text()
    options = [name for option in lince.cli.commands["train"].params for name in option.opts]
    for name in options:
        if name.startswith("--") and name not in ("--tiny", "--loss"):
            assert name in page, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_verbs_and_variables_exist(page: Path) -> None:
    text = page.read_text()
    for verb in re.findall(r"(?:^|[`/] ?)lince ([a-z][a-z-]+)", text, re.MULTILINE):
        assert verb in lince.cli.commands, verb
    known = {f"LINCE_{name.upper()}" for name in Settings.__dataclass_fields__} | {API_KEY_VARIABLE}
    for variable in re.findall(r"\bLINCE_[A-Z_]*[A-Z]", text):
        assert variable in known, variable


def test_every_problem_is_documented() -> None:
    page = (ROOT / "docs" / "http-api.md").read_text()
    documented = dict(re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", page, re.MULTILINE))
    assert documented == {kind.name: str(kind.status) for kind in KINDS}


def test_every_route_is_documented() -> None:
    page = (ROOT / "docs" / "http-api.md").read_text()
    app = create_app(Settings(models=("m",), model_server="127.0.0.1:1"))
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:[^<>]*:)?([a-z]+)>", r"{\1}", rule.rule)
        assert f" {path}`" in page, path


def test_every_metric_is_documented() -> None:
    from server import metrics

    page = (ROOT / "docs" / "observability.md").read_text()
    documented = dict(re.findall(r"^\| `(lince_[a-z_]+)` \| ([^|]*) ?\|", page, re.MULTILINE))
    expected = {row.name: ", ".join(row.labels) for row in metrics.table()}
    assert {name: labels.strip() for name, labels in documented.items()} == expected


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = set(project["dependencies"])
    for extra in ("gateway", "client", "score", "train", "model-server"):
        wanted |= set(extras[extra])
    names = {re.split(r"[><=\[]", requirement)[0] for requirement in wanted}
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert set(re.findall(r"^\| ([a-z0-9-]+) \| [^|]+ \|$", page, re.MULTILINE)) >= names


def test_constraints_hold_names_and_versions_alone() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line), line
