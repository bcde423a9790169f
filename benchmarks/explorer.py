"""How fast the explorer's page is: its first paint, a move of the point, a look.

    python benchmarks/explorer.py

Opens Results/latent_explorer.html in Chromium (tests/requirements.txt has what drives
it) and prints milliseconds, of moves and looks the median; writes nothing. A look is
what follows a stroke on the pad: the drawing centred, its posterior on the rough grid.
"""

import sys
from statistics import median

from report import FOLDER

sys.path.insert(0, str(FOLDER.parent / "tests"))
PAGE = FOLDER.parent / "Results" / "latent_explorer.html"
FRAME = "new Promise(done => requestAnimationFrame(() => done(1)))"
PAINTS = "performance.getEntriesByType('paint').map(entry => entry.startTime)"
MOVES = """() => Array.from({length: 200}, (_, k) => {
    explorer.move(3 * Math.sin(k), 3 * Math.cos(k));
    return explorer.times().move; })"""


def measure(browser):
    """Milliseconds of the first paint, of a move and of a look."""
    page, looks = browser.new_page(), []
    page.goto(PAGE.as_uri())
    page.locator("#row0 td", has_text="±").first.wait_for()
    found = {"first paint": max(page.evaluate(PAINTS))}
    found["move"] = median(page.evaluate(MOVES))
    page.click("#wipe")
    page.locator("#tools label:has-text('Pen')").click()
    box = page.locator("#pad").bounding_box()
    for k in range(9):  # strokes from left to right, one below the other
        y = box["y"] + (k + 1) / 10 * box["height"]
        page.mouse.move(box["x"] + 0.2 * box["width"], y)
        page.mouse.down()
        page.mouse.move(box["x"] + 0.8 * box["width"], y)
        page.mouse.up()
        for _ in range(2):
            page.evaluate(FRAME)
        looks.append(page.evaluate("explorer.times().look"))
    page.close()
    return found | {"look": median(looks)}


def main():
    """Print them."""
    from conftest import launch
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = launch(playwright)
        for name, milliseconds in measure(browser).items():
            print(f"{name}: {milliseconds:.1f} ms")
        browser.close()


if __name__ == "__main__":
    main()
