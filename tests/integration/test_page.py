"""The page and the API page in a browser, before a real gateway."""

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, FilePayload, Page, expect

from tests.integration.browser import PHONE, chromium, opened
from tests.integration.processes import gateway, get
from tests.manifests import make_explainable, make_manifest
from tests.server.fake_model_server import FakeModelServer, running

pytestmark = pytest.mark.integration

KEY = "lince_" + "k" * 43


@dataclass(frozen=True)
class Site:
    """A gateway and the model server behind it."""

    url: str
    fake: FakeModelServer


def models() -> dict:
    matrix = ((30, 2, 1), (0, 31, 2), (5, 0, 29))
    newest = replace(
        make_explainable(), confusion_matrix=matrix, metrics={"accuracy": 0.9, "loss": 0.25}
    )
    return {"pets": {1: make_manifest(), 2: newest}, "birds": {1: make_manifest(("wren", "kite"))}}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    fake = FakeModelServer(models())
    scratch = tmp_path_factory.mktemp("page")
    with running(fake), gateway(["pets", "birds"], fake.address, scratch) as (_, url):
        yield Site(url, fake)


@pytest.fixture
def page(browser: Browser, site: Site) -> Iterator[Page]:
    with opened(browser, f"{site.url}/") as page:
        expect(page.locator("#card h2")).to_be_visible()
        yield page


def shade(brightness: int, name: str = "") -> FilePayload:
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), (brightness,) * 3).save(buffer, "PNG")
    return {
        "name": name or f"shade-{brightness}.png",
        "mimeType": "image/png",
        "buffer": buffer.getvalue(),
    }


DARK, MIDDLE, LIGHT = shade(10), shade(128), shade(250)
BROKEN: FilePayload = {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"no image"}


def hand_over(page: Page, kind: str, *files: FilePayload) -> None:
    """Drops files on the page or pastes them, as a browser would tell it."""
    sent = [
        {**file, "buffer": base64.b64encode(file["buffer"]).decode()}  # type: ignore[dict-item]
        for file in files
    ]
    page.evaluate(
        """([kind, files]) => {
            const transfer = new DataTransfer()
            for (const { name, mimeType, buffer } of files) {
                const bytes = Uint8Array.from(atob(buffer), (letter) => letter.charCodeAt(0))
                transfer.items.add(new File([bytes], name, { type: mimeType }))
            }
            const options = { bubbles: true, cancelable: true }
            const send = (event) => document.getElementById("zone").dispatchEvent(event)
            const pasted = { ...options, clipboardData: transfer }
            if (kind === "paste") send(new ClipboardEvent(kind, pasted))
            else send(new DragEvent(kind, { ...options, dataTransfer: transfer }))
        }""",
        [kind, sent],
    )


def labels(page: Page, count: int) -> list[str]:
    expect(page.locator(".best")).to_have_count(count)
    return page.locator(".best > span").all_inner_texts()


def test_choosing_shows_probabilities_model_version_and_times(page: Page) -> None:
    page.set_input_files("#files", LIGHT)
    assert labels(page, 1) == ["owl"]
    assert page.locator(".best strong").inner_text() == "90.0%"
    assert page.locator(".bars .label").all_inner_texts() == ["owl", "cat", "dog"]
    assert page.locator(".bars .value").all_inner_texts() == ["90.0%", "5.0%", "5.0%"]
    widths = page.locator(".track i").evaluate_all("all => all.map((one) => one.style.inlineSize)")
    assert [round(float(width.rstrip("%"))) for width in widths] == [90, 5, 5]
    expect(page.locator(".times")).to_contain_text("pets, version 2")
    expect(page.locator(".times")).to_contain_text("decode")
    expect(page.locator(".frame img")).to_have_js_property("naturalWidth", 60)
    expect(page.get_by_role("status")).to_have_text("shade-250.png: owl, 90.0%")


def test_dropping_several(page: Page) -> None:
    hand_over(page, "dragenter", DARK)
    expect(page.locator("body")).to_have_class("over")
    hand_over(page, "drop", DARK, MIDDLE, LIGHT)
    assert labels(page, 3) == ["cat", "dog", "owl"]
    expect(page.locator("body")).not_to_have_class("over")
    expect(page.locator("#count")).to_have_text("3 pictures")


def test_pasting(page: Page) -> None:
    hand_over(page, "paste", DARK)
    assert labels(page, 1) == ["cat"]


def test_an_error_is_the_pictures_own(page: Page) -> None:
    hand_over(page, "drop", DARK, BROKEN, LIGHT)
    assert labels(page, 2) == ["cat", "owl"]
    error = page.locator(".picture").nth(1)
    expect(error.locator(".error")).to_have_text("This is not an image that the server can read.")
    expect(error.locator(".blank")).to_have_text("no preview")
    expect(error).to_contain_text("broken.jpg")


def test_names_are_text_and_never_code(page: Page) -> None:
    hand_over(page, "drop", shade(10, "<img src=x onerror=alert(1)>.png"))
    assert labels(page, 1) == ["cat"]
    expect(page.locator(".name")).to_have_text("<img src=x onerror=alert(1)>.png")
    expect(page.locator(".name img")).to_have_count(0)


def test_another_model_and_version_are_asked_again(page: Page, site: Site) -> None:
    page.set_input_files("#files", DARK)
    labels(page, 1)
    page.select_option("#version", "1")
    expect(page.locator(".times")).to_contain_text("pets, version 1")
    page.select_option("#model", "birds")
    expect(page.locator(".best > span")).to_have_text("wren")
    expect(page.locator(".times")).to_contain_text("birds, version 1")
    expect(page.locator("#card .labels li")).to_have_count(2)


def test_the_card_says_what_the_manifest_says(page: Page) -> None:
    card = page.locator("#card")
    expect(card.locator(".big")).to_contain_text("90.0%")
    expect(card).to_contain_text("made")
    expect(card).to_contain_text("0.25")
    expect(card).to_contain_text("8 × 8, colour")
    expect(card.locator(".errors li").first).to_have_text("owl taken for cat5")
    expect(card.locator(".heat tbody tr")).to_have_count(3)
    assert card.locator(".heat tbody tr").first.locator("td").all_inner_texts() == ["30", "2", "1"]


def test_explaining_shows_the_heat_map_and_the_picture_again(page: Page) -> None:
    page.set_input_files("#files", LIGHT)
    labels(page, 1)
    button = page.get_by_role("button", name="Explain shade-250.png")
    before = page.locator(".frame img").get_attribute("src")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    shown = page.locator(".frame img")
    expect(shown).to_have_attribute("alt", "What spoke for “owl”: bright counted most")
    expect(shown).to_have_js_property("naturalWidth", 60)
    assert shown.get_attribute("src") != before
    button.click()
    expect(page.locator(".frame img")).to_have_attribute("src", before or "")


def test_a_version_that_cannot_explain_says_so(page: Page) -> None:
    page.select_option("#version", "1")
    page.set_input_files("#files", LIGHT)
    labels(page, 1)
    page.get_by_role("button", name="Explain shade-250.png").click()
    expect(page.locator(".extra")).to_have_text("This model can't show what it looked at.")
    page.select_option("#model", "birds")  # its newest version has none, so there is no button
    expect(page.locator(".times")).to_contain_text("birds")
    expect(page.locator(".explain")).to_have_count(0)


def test_with_the_keyboard_alone(page: Page) -> None:
    def focused() -> str:
        return page.evaluate("document.activeElement.id || document.activeElement.className")

    def tab_to(name: str) -> None:
        for _ in range(40):
            if name in focused():
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"Tab never reaches {name}")

    # The browser is told early that choosers are ours; told just before, it may open its own.
    page.on("filechooser", lambda _chooser: None)
    page.keyboard.press("Tab")
    assert focused() == "skip"
    tab_to("model")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#model")).to_have_value("birds")
    expect(page.locator("#card")).to_contain_text("Of version 1")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#card")).to_contain_text("Of version 2")
    tab_to("choose")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([DARK, LIGHT])
    assert labels(page, 2) == ["cat", "owl"]
    tab_to("explain")
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert page.evaluate(outline) == "solid"
    page.keyboard.press("Space")
    expect(page.locator(".explain").first).to_have_attribute("aria-pressed", "true")
    page.locator(".remove").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".picture")).to_have_count(1)
    assert "remove" in focused()
    page.keyboard.press("Enter")
    expect(page.locator(".picture")).to_have_count(0)
    assert focused() == "choose"


def test_spanish_by_the_browser_and_a_switch(browser: Browser, site: Site) -> None:
    with opened(browser, f"{site.url}/", locale="es-CO") as page:
        expect(page.locator("html")).to_have_attribute("lang", "es")
        expect(page.locator("h1")).to_contain_text("¿Qué ve")
        expect(page.locator("#card h2")).to_have_text("Ficha del modelo")
        hand_over(page, "drop", LIGHT, BROKEN)
        assert labels(page, 1) == ["owl"]
        expect(page.locator(".best strong")).to_have_text("90,0 %")
        expect(page.locator(".error")).to_have_text("No es una imagen que el servidor pueda leer.")
        page.get_by_role("button", name="English").click()
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.locator("#card h2")).to_have_text("Model card")
        expect(page.locator(".best strong")).to_have_text("90.0%")
        expect(page.locator(".error")).to_have_text(
            "This is not an image that the server can read."
        )
        page.reload()
        expect(page.locator("html")).to_have_attribute("lang", "en")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("phone", [False, True])
def test_it_can_be_read_and_fits(browser: Browser, site: Site, scheme: str, phone: bool) -> None:
    context = {"color_scheme": scheme, **(PHONE if phone else {})}
    with opened(browser, f"{site.url}/", **context) as page:
        hand_over(page, "drop", shade(250, "a name " * 30 + ".png"), BROKEN)
        labels(page, 1)
        expect(page.locator(".error")).to_be_visible()
        fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert page.evaluate(fits)
        assert page.locator("#take").is_visible() == phone
        for selector in (
            "h1",
            ".note",
            ".best",
            ".error",
            ".times",
            ".rows dt",
            "#model",
            ".key label",
        ):
            for text, ground in page.evaluate(COLOURS, selector):
                assert contrast(text, ground) >= 4.5, (selector, text, ground)
        (body,) = page.evaluate(COLOURS, "body")
        assert (luminance(body[1]) < 0.05) == (scheme == "dark")


#: The colour of each element's text and of what is behind it.
COLOURS = """(selector) => [...document.querySelectorAll(selector)].map((element) => {
    let behind = element
    const ground = (node) => getComputedStyle(node).backgroundColor
    const clear = "rgba(0, 0, 0, 0)"
    while (behind.parentElement && ground(behind) === clear) behind = behind.parentElement
    const numbers = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number)
    return [numbers(getComputedStyle(element).color), numbers(ground(behind))]
})"""


def luminance(colour: list[float]) -> float:
    """Relative luminance of sRGB, as WCAG 2 has it."""
    parts = [level / 255 for level in colour]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: list[float], other: list[float]) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_a_model_that_is_away_comes_back(browser: Browser, tmp_path: Path) -> None:
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    with running(fake), gateway(["pets"], fake.address, tmp_path) as (_, url):
        found = fake.models.pop("pets")
        with opened(browser, f"{url}/") as page:
            expect(page.locator("#trouble")).to_have_text(
                "pets has no version that is ready. Trying again."
            )
            page.set_input_files("#files", LIGHT)
            expect(page.locator(".pending")).to_have_text("waiting")
            fake.models["pets"] = found
            assert labels(page, 1) == ["owl"]
            expect(page.locator("#trouble")).to_be_hidden()


def test_a_key_is_asked_for_and_stays_in_the_tab(browser: Browser, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    entry = {"name": "page", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}
    keys.write_text(json.dumps({"keys": [{**entry, "created": "2026-01-01T00:00:00Z"}]}))
    fake = FakeModelServer({"pets": {1: make_manifest()}})
    with (
        running(fake),
        gateway(["pets"], fake.address, tmp_path, LINCE_API_KEYS_FILE=str(keys)) as (_, url),
        opened(browser, f"{url}/") as page,
    ):
        expect(page.locator("#key")).to_be_visible()
        expect(page.locator("#key-text")).to_be_focused()
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#trouble")).to_have_text("The gateway does not take this key.")
        page.fill("#key-text", KEY)
        page.keyboard.press("Enter")
        expect(page.locator("#card h2")).to_be_visible()
        expect(page.locator("#key")).to_be_hidden()
        page.set_input_files("#files", LIGHT)
        assert labels(page, 1) == ["owl"]
        assert page.evaluate("Object.values(sessionStorage)") == [KEY]
        assert KEY not in page.evaluate("JSON.stringify(localStorage) + document.cookie")


def test_the_api_page(browser: Browser, site: Site) -> None:
    with opened(browser, f"{site.url}/docs") as page:
        paths = get(f"{site.url}/openapi.json").json()["paths"]
        shown = page.locator(".operation > summary code")
        expect(shown).to_have_count(len(paths))
        assert set(shown.all_inner_texts()) == set(paths)
        classify = page.locator("#classify")
        classify.locator("summary").first.click()
        expect(classify).to_contain_text("top_k")
        expect(classify.locator("pre").first).to_contain_text(f"{site.url}/v1/models/pets:classify")
        classify.locator("input[type=file]").set_input_files(LIGHT)
        classify.get_by_role("button", name="Send").click()
        expect(classify.locator(".answer")).to_contain_text('"label": "owl"')
        models = page.locator("#models")
        models.locator("summary").first.click()
        models.get_by_role("button", name="Send").click()
        expect(models.locator(".answer")).to_contain_text('"birds"')


def test_the_api_page_opens_what_is_linked(browser: Browser, site: Site) -> None:
    with opened(browser, f"{site.url}/docs#v2Infer", **PHONE) as page:
        expect(page.locator("#v2Infer .inside")).to_contain_text("datatype")
        fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        assert page.evaluate(fits)
