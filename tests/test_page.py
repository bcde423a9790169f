"""The tutorial as a page, in a real browser: it is whole, and asks for nothing."""

import base64
import io
import os
import re
import subprocess
import sys

import playwright.sync_api as api
import pytest
from fontTools.ttLib import TTFont
from loader import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder that `make page` fills."""
    folder = tmp_path_factory.mktemp("site")
    known = {name: value for name, value in os.environ.items() if "GITHUB" not in name}
    command = [sys.executable, ROOT / "page/build.py", folder]
    subprocess.run(command, check=True, env=known)
    return folder


@pytest.fixture
def open_page(browser, site):
    """Opens the page; nothing is logged, nothing asked for but what lies beside it."""
    logged, asked, pages = [], [], []

    def open_page(width=1280, name="index.html", scheme="light"):
        viewport = dict(width=width, height=800)
        pages.append(browser.new_page(viewport=viewport, color_scheme=scheme))
        page = pages[-1]
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / name).as_uri())
        return page

    yield open_page
    for page in pages:
        page.close()
    own = (site.as_uri(), "data:", "blob:")
    assert logged == [] and [url for url in asked if not url.startswith(own)] == []


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture
def prose(notebook):
    """All that is written, but for code in it."""
    cells = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    return re.sub(r"```.*?```|`[^`\n]*`", "", "\n\n".join(cells), flags=re.S)


def all_of(page, selector, read):
    """What a JavaScript expression reads from each element e that is selected."""
    return page.locator(selector).evaluate_all(f"all => all.map(e => {read})")


def test_every_link_and_every_section_is_there(site, page, prose):
    ids, sections = all_of(page, "[id]", "e.id"), all_of(page, "h3[id]", "e.id")
    assert sections == re.findall(r'<a id="(s\d+)"></a>', prose) and "s23" in sections
    assert all_of(page, "nav ul ul a", "e.hash") == [f"#{name}" for name in sections]
    assert len(ids) == len(set(ids)) and page.locator("h1").count() == 1
    for link in all_of(page, "[href], [src], [srcset]", "e.srcset || e.src || e.href"):
        if not link.startswith(("http", "data:")):
            file, _, name = link.removeprefix(f"{site.as_uri()}/").partition("#")
            assert name in ids if name else (site / file).is_file(), link


def test_published_by_github_it_links_to_colab_and_to_the_repository(tmp_path, site):
    links = [
        "https://colab.research.google.com/github/some/one/blob/main/VAE_MNIST.ipynb",
        "https://github.com/some/one",
    ]
    place = {"GITHUB_REPOSITORY": "some/one", "GITHUB_REF_NAME": "main"}
    command = [sys.executable, ROOT / "page/build.py", tmp_path]
    subprocess.run(command, check=True, env=os.environ | place)
    published, local = (
        (folder / "index.html").read_text("utf-8") for folder in (tmp_path, site)
    )
    for link in links:
        assert f'<li><a href="{link}">' in published and link not in local


def test_the_explorer_is_beside_it_and_leads_back(open_page):
    page = open_page(name="explorer.html")
    page.get_by_role("link", name="The tutorial").click()
    page.locator("nav").get_by_role("link", name="The latent plane, live").click()
    api.expect(page.locator("h1")).to_have_text("The latent plane, live")


def test_every_equation_is_typeset(page, prose):
    displayed = re.findall(r"\$\$.*?\$\$", prose, flags=re.S)
    inline = re.findall(r"\$[^$]+\$", re.sub(r"\$\$.*?\$\$", "", prose, flags=re.S))
    assert page.locator(".equation math[display=block]").count() == len(displayed) > 20
    assert page.locator(".formula:has(math)").count() == len(inline) > 300
    numbers = re.findall(r"\\tag\{(\d+)\}", prose)
    assert all_of(page, ".equation[id]", "e.id") == [f"eq-{n}" for n in numbers]
    assert page.locator("merror, annotation").count() == 0
    page.evaluate("document.querySelectorAll('pre, code').forEach(e => e.remove())")
    assert re.findall(r"\$|\\\w+", page.text_content("main")) == []


def test_the_font_has_every_letter_of_the_equations(page):
    found = re.search(r"data:font/woff;base64,([^\"]+)", page.content())
    font = TTFont(io.BytesIO(base64.b64decode(found[1])))
    letters = {ord(c) for text in all_of(page, "math", "e.textContent") for c in text}
    missing = letters - set(font.getBestCmap()) - {0x2061, 0xFE00}  # both unseen
    assert {chr(letter) for letter in missing} == set()
    assert {0x221A, 0x1D465, 0x1D703} < set(font.getBestCmap())  # root, slanted x and θ
    assert page.evaluate("document.fonts.check('16px \"Tutorial Math\"', 'x')")


def test_all_code_is_there_and_what_is_tagged_is_folded(page, code):
    folded = ["fold" in cell.metadata.get("tags", []) for cell in code]
    assert all_of(page, ".cell", "Boolean(e.closest('details.code'))") == folded
    shown = all_of(page, "summary:has(+ .cell), .cell", "e.textContent.trim()")
    written = "\n".join(cell.source.removeprefix("# @title ") for cell in code)
    assert "\n".join(shown).split() == written.split()
    switch = page.get_by_role("switch", name="Show all code")
    for count in (0, sum(folded), 0):
        assert page.locator("details.code[open]").count() == count
        switch.click()


def test_all_outputs_are_there_and_pictures_are_described(page, code):
    pictures = ["image/png" in o.get("data", {}) for cell in code for o in cell.outputs]
    assert page.locator(".output").count() == len(pictures)
    assert page.locator(".output img").count() == sum(pictures) > 20
    assert all(all_of(page, "img", "e.alt.length > 10 && e.naturalWidth > 0"))


SCREENS = pytest.mark.parametrize("width, scheme", [(360, "dark"), (1280, "light")])
FOLDS = (("main details", "true"), (".code", "false"))  # all opened, then code folded


def fold(page, selector, state):
    page.locator(selector).evaluate_all(f"all => all.map(e => (e.open = {state}))")


@SCREENS
def test_it_fits_and_begins_with_a_way_to_skip(open_page, width, scheme):
    page = open_page(width, scheme=scheme)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the tutorial"
    for selector, state in FOLDS:
        fold(page, selector, state)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@SCREENS
def test_it_is_accessible(axe, open_page, width, scheme):
    page = open_page(width, scheme=scheme)
    for selector, state in FOLDS:
        fold(page, selector, state)
    page.add_script_tag(content=axe)
    # The explorer has a test of its own; headings that are formulas axe takes for empty
    place = "{exclude: ['iframe', 'th:has(> .formula:only-child)']}"
    found = page.evaluate(f"axe.run({place}).then(found => found.violations)")
    assert [(rule["id"], rule["nodes"][0]["html"]) for rule in found] == []
