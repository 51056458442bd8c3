"""The pages and the files that they load."""

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

import server

FOLDER = Path(server.__file__).parent / "page"
FILES = sorted(FOLDER.iterdir())


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/docs", "text/html; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/style.css", "text/css; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
def test_files_have_their_types(http: FlaskClient, path: str, kind: str) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.content_type) == (200, kind)
    assert answer.data


def test_every_file_that_a_page_names_is_there(http: FlaskClient) -> None:
    for page in ("/", "/docs"):
        named = re.findall(r'(?:src|href)="(page/[^"]+)"', http.get(page).text)
        assert len(named) >= 3
        assert {http.get(f"/{path}").status_code for path in named} == {200}
    for file in FILES:
        for path in re.findall(r'from "\./([^"]+)"', file.read_text()):
            assert http.get(f"/page/{path}").status_code == 200, (file.name, path)


def test_a_file_that_the_caller_has_is_not_sent_again(http: FlaskClient) -> None:
    first = http.get("/page/page.js")
    again = http.get("/page/page.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    other = http.get("/page/page.js", headers={"If-None-Match": '"another"'})
    assert other.status_code == 200


@pytest.mark.parametrize(
    "path", ["/page/other.js", "/page/index.html", "/page/..%2fapp.py", "/page/", "/page/%00"]
)
def test_no_other_files(http: FlaskClient, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


def test_the_pages_hold_no_code_and_load_nothing_from_outside() -> None:
    for file in FILES:
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|//cdn|@import|\beval\(|innerHTML", text), file.name
        if file.suffix == ".html":
            assert not re.search(r"<style|\son\w+=|\sstyle=", text), file.name
            assert not re.search(r"<script(?![^>]*\ssrc=)", text), file.name


def test_both_languages_say_everything() -> None:
    text = (FOLDER / "strings.js").read_text()
    english, spanish = (_keys(_block(text, f"  {language}: {{")) for language in ("en", "es"))
    assert english == spanish
    assert len(english) > 60
    used = set(re.findall(r'data-say(?:-label)?="(\w+)"', (FOLDER / "index.html").read_text()))
    used |= set(re.findall(r'\bt\("(\w+)"', "".join(file.read_text() for file in FILES)))
    assert used <= english


def _block(text: str, start: str) -> str:
    begin = text.index(start)
    return text[begin : text.index("\n  },", begin)]


def _keys(block: str) -> set[str]:
    return set(re.findall(r'^    (?:  )?"?([\w-]+)"?:', block, re.MULTILINE))
