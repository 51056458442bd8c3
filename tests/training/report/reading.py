"""Reading pages as a browser would, as far as the tests need it."""

from __future__ import annotations

from html.parser import HTMLParser


class Page(HTMLParser):
    """Tags with their attributes, the headings, and the text."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("h1", "h2", "h3") and data.strip():
            self.headings.append(data.strip())
        if not self._open or self._open[-1] != "style":
            self.text += data

    def values(self, *attributes: str) -> list[str]:
        """All values of these attributes."""
        return [found[name] or "" for _, found in self.tags for name in attributes if name in found]


def assert_self_contained(content: str) -> Page:
    """Nothing is fetched from anywhere, and no script runs."""
    page = Page(content)
    assert "script" not in [tag for tag, _ in page.tags]
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    targets = page.values("src", "href", "srcset")
    assert all(target.startswith(("data:", "#")) for target in targets)
    assert "url(" not in content.split("</style>")[0]
    assert "@import" not in content
    images = [found for tag, found in page.tags if tag == "img"]
    assert all(found.get("alt") for found in images)
    return page
