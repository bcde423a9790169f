"""The explorer page in a real browser: what it shows is what TensorFlow says, and it answers to every hand.

A small random decoder stands in for a trained one: the page is built from any.
"""

import base64
import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

api = pytest.importorskip("playwright.sync_api", reason="the explorer is tested with Playwright")

SIZE = (9, 7)  # neither square nor 28×28
CLASSES = np.arange(12)  # more than there are colours


def launch(playwright):
    """Headless Chromium, Playwright's own or an installed one; skips where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    for path in (playwright.chromium.executable_path, *map(shutil.which, names)):
        if path and os.path.exists(path):
            return playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
    pytest.skip("no Chromium here: python -m playwright install --with-deps chromium")


@pytest.fixture(scope="module")
def nb(definitions):
    """The notebook's definitions; nothing here changes them."""
    return definitions


@pytest.fixture(scope="module")
def browser():
    with api.sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def vae(nb):
    """Random networks whose outputs vary over the plane."""
    vae = nb.build(SIZE[0] * SIZE[1], [40, 30], 2, seed=3)
    for network, factor in zip(vae, (35, 100), strict=False):
        kernel, bias = network.layers[-1].get_weights()
        network.layers[-1].set_weights([factor * kernel, bias])
    return vae


@pytest.fixture(scope="module")
def images():
    """Binary images, their labels, and a log p(x) for each that tells them apart."""
    rng = np.random.default_rng(4)
    labels = rng.permutation(np.repeat(CLASSES, 11))
    x = np.float32(rng.random((len(labels), SIZE[0] * SIZE[1])) < 0.3)
    return x, labels, np.linspace(-90, -60, len(labels))


@pytest.fixture(scope="module")
def content(nb, vae, images):
    x, labels, log_px = images
    return nb.explorer_data(vae, x, labels, SIZE, " · stand-in data: </script><b>noise</b>", log_px)


@pytest.fixture(scope="module")
def url(nb, content, tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "latent_explorer.html"
    nb.write_explorer(path, content)
    return path.as_uri()


@pytest.fixture
def open_page(browser, url):
    """Opens the page in a window of its own; afterwards: nothing was logged, nothing else was asked for."""
    logged, asked, contexts = [], [], []

    def open_page(width=1280, height=800, **options):
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: logged.append(message.text))
        page.on("pageerror", lambda error: logged.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(url)
        page.wait_for_selector("#show:enabled")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert logged == []
    assert {link for link in asked if not link.startswith("data:")} == {url}


@pytest.fixture
def page(open_page):
    return open_page()


def point(page):
    return page.evaluate("explorer.point()")


def at(page, z1, z2):
    """Where the code (z1, z2) is in the window, from the edges of the map alone."""
    box = page.locator("#map").bounding_box()
    return box["x"] + (z1 + 4) / 8 * box["width"], box["y"] + (4 - z2) / 8 * box["height"]


def pixels(page, canvas):
    """What a canvas shows: red, green, blue and opacity, 0 to 255, (rows, columns, 4)."""
    link = page.evaluate("id => document.getElementById(id).toDataURL()", canvas)
    picture = Image.open(io.BytesIO(base64.b64decode(link.split(",")[1])))
    return np.array(picture.convert("RGBA"))


def ink(page, canvas):
    """The grey pixels that a canvas shows, 0 white to 1 black, (rows, columns)."""
    return 1 - pixels(page, canvas)[..., 0] / 255


def decoded(nb, vae, z):
    """The decoder's images of codes z, by TensorFlow."""
    return nb.tf.sigmoid(vae.decoder(np.float32(z))).numpy().reshape(-1, *SIZE)


def test_packed_decoder_equals_tensorflow(nb, vae):
    z = nb.mesh(30)
    layers, weights = nb.pack_decoder(vae)
    assert layers == [2, 30, 40, 63]
    expected = decoded(nb, vae, z)
    assert expected.std(axis=0).max() > 0.1  # the random decoder does vary
    assert np.abs(nb.decode_packed(layers, weights, z).reshape(expected.shape) - expected).max() < 0.005


def test_float16_is_read_as_numpy_reads_it(nb, content, browser, tmp_path):
    """A decoder of one linear layer: its weights, from the smallest to the largest, come back as logits."""
    n = SIZE[0] * SIZE[1]
    numbers = np.float16(np.logspace(-24, 15, n, base=2) * np.where(np.arange(n) % 2, 1, -1))
    weights = nb.pack(np.concatenate([numbers, np.zeros(2 * n)]))
    nb.write_explorer(tmp_path / "page.html", content | dict(layers=[2, n], weights=weights))
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    for scale in (2.0**-14, 1.0, 2.0**23):
        got = page.evaluate("scale => [...explorer.decode(scale, 0)]", scale)
        expected = nb.tf.sigmoid(numbers.astype(np.float32) * np.float32(scale)).numpy()
        assert got == pytest.approx(expected.tolist(), rel=1e-5, abs=1e-30)
    page.close()


def test_pixels_equal_tensorflow_at_ten_points(nb, vae, page):
    z = np.random.default_rng(5).uniform(-4, 4, (10, 2))
    for code, expected in zip(z, decoded(nb, vae, z), strict=False):
        live = page.evaluate("([a, b]) => [...explorer.decode(a, b)]", code.tolist())
        assert np.abs(np.reshape(live, SIZE) - expected).max() < 0.01
        page.evaluate("([a, b]) => explorer.move(a, b)", code.tolist())
        assert np.abs(ink(page, "digit") - expected).max() < 0.01


def test_arrow_keys_move_the_point(page):
    page.focus("#map")
    for keys, expected in {
        "ArrowRight": (0.1, 0),
        "ArrowUp": (0.1, 0.1),
        "Shift+ArrowLeft": (0.09, 0.1),
        "Shift+ArrowDown": (0.09, 0.09),
        "ArrowLeft": (-0.01, 0.09),
        "ArrowDown": (-0.01, -0.01),
    }.items():
        page.keyboard.press(keys)
        assert point(page) == pytest.approx(expected, abs=1e-9), keys
    api.expect(page.locator("#live")).to_contain_text("z = (−0.01, −0.01)")
    assert page.input_value("#z1") == "-0.01" and page.inner_text("#value2") == "−0.01"


def test_point_stays_in_the_square(page):
    page.evaluate("explorer.move(3.95, -9)")
    page.focus("#map")
    page.keyboard.press("ArrowRight")
    assert point(page) == [4, -4]


def test_pointer_moves_the_point(page):
    for z in ((-2.5, 3), (1.25, -0.5)):
        page.mouse.move(*at(page, *z))
        assert point(page) == pytest.approx(z, abs=0.03)
    mark, x = page.locator("#point").bounding_box(), at(page, 1.25, -0.5)
    assert (mark["x"] + mark["width"] / 2, mark["y"] + mark["height"] / 2) == pytest.approx(x, abs=2)


def test_finger_moves_the_point(open_page):
    page = open_page(360, 740, has_touch=True, is_mobile=True)
    page.touchscreen.tap(*at(page, -1, 2))
    assert point(page) == pytest.approx((-1, 2), abs=0.03)
    assert page.evaluate("getComputedStyle(document.getElementById('map')).touchAction") == "none"


def test_sliders_move_the_point(page):
    page.evaluate("explorer.move(0.123, 0.456)")
    page.fill("#z1", "1.5")
    assert point(page) == pytest.approx((1.5, 0.456))
    page.focus("#z2")
    page.keyboard.press("Home")
    assert point(page) == pytest.approx((1.5, -4))
    assert page.inner_text("#value1") == "1.50"


def test_two_clicks_draw_a_path_and_its_morph(nb, vae, page):
    ends = [(-2, -1), (3, 2.5)]
    assert not page.is_visible("#morph")
    for end in ends:
        page.mouse.click(*at(page, *end))
    assert page.is_visible("#morph")
    exact = [float(page.get_attribute("#path", name)) for name in ("x1", "y1", "x2", "y2")]
    assert exact == pytest.approx([-2, 1, 3, -2.5], abs=0.03)  # the map's y is -z2
    path = np.linspace([exact[0], -exact[1]], [exact[2], -exact[3]], 9)
    strip = ink(page, "strip").reshape(SIZE[0], 9, SIZE[1]).swapaxes(0, 1)
    assert np.abs(strip - decoded(nb, vae, path)).max() < 0.01
    page.click("#clear")
    assert not page.is_visible("#morph")


def test_keys_pin_the_path_and_escape_clears_it(page):
    page.focus("#map")
    page.keyboard.press("Enter")
    for _ in range(5):
        page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    assert page.inner_text("#ends") == "(0.00, 0.00) to (0.00, 0.50)"
    page.keyboard.press("Escape")
    assert not page.is_visible("#morph") and not page.is_visible("#pin1")


def test_a_drag_pins_nothing(page):
    page.mouse.move(*at(page, -2, 0))
    page.mouse.down()
    page.mouse.move(*at(page, 2, 0), steps=3)
    page.mouse.up()
    assert not page.is_visible("#pin1")


def test_labels_can_be_hidden(page):
    def colours():
        dots = pixels(page, "dots").reshape(-1, 4)
        opaque = np.unique(dots[dots[:, 3] == 255][:, :3], axis=0)
        return opaque[np.ptp(opaque.astype(int), axis=1) > 30]  # but not greys

    assert len(colours()) >= 7
    assert page.locator("#names text").all_text_contents() == [str(label) for label in CLASSES]
    assert page.is_visible("#names")
    page.uncheck("#labels")
    assert not page.is_visible("#names")
    assert len(colours()) == 0


def test_decoded_tiles_stand_where_their_codes_are(nb, vae, open_page):
    page = open_page(1280, 1000)
    page.check("#tiles")
    shown, side = ink(page, "dots"), 20
    tiles = decoded(nb, vae, nb.mesh(side)).mean(axis=(1, 2)).reshape(side, side)
    edges = np.linspace(0, len(shown), side + 1).round().astype(int)
    seen = [
        [shown[a:b, c:d].mean() for c, d in zip(edges, edges[1:], strict=False)]
        for a, b in zip(edges, edges[1:], strict=False)
    ]
    assert tiles.std() > 0.02
    assert np.corrcoef(np.ravel(seen), tiles.ravel())[0, 1] > 0.98


def test_a_test_digit_comes_with_its_numbers(nb, vae, content, page):
    assert not page.is_visible("#test")
    for k in range(2):
        page.click("#show")
        digit = content["digits"][k]
        assert (
            page.inner_text("#which")
            == f"Test digit {k + 1} of {len(content['digits'])}, class {digit['name']}"
        )
        assert point(page) == pytest.approx(digit["mu"])
        assert np.abs(ink(page, "again") - decoded(nb, vae, [digit["mu"]])[0]).max() < 0.01
        for name, key in (("#elbo", "elbo"), ("#evidence", "log_px")):
            assert page.inner_text(name).startswith(f"{digit[key]:.1f} nats".replace("-", "−"))
        x = np.float32(ink(page, "image") > 0.5)
        here = nb.bernoulli_log_prob(x.reshape(1, -1), vae.decoder(np.float32([digit["mu"]])))[0]
        assert float(page.inner_text("#here").replace("−", "-")) == pytest.approx(float(here), abs=0.2)
        for sd in (1, 2):
            radii = [float(page.get_attribute(f"#sd{sd}", r)) for r in ("rx", "ry")]
            assert radii == pytest.approx(sd * np.array(digit["sigma"]))
    before = page.inner_text("#here")
    page.evaluate("explorer.move(-3, 3)")
    assert page.inner_text("#here") != before
    page.click("#clear")
    assert not page.is_visible("#test") and not page.is_visible("#sd1")


def test_each_test_digit_carries_its_own_numbers(nb, vae, images, content, page):
    x, labels, log_px = images
    mu, logvar = (part.numpy() for part in nb.encode(vae, x))
    assert len(content["digits"]) == 30 and len({digit["log_px"] for digit in content["digits"]}) == 30
    for k, digit in enumerate(content["digits"]):
        row = np.argmin(np.abs(log_px - digit["log_px"]))
        assert digit["name"] == str(labels[row])
        assert digit["mu"] == pytest.approx(mu[row], abs=1e-5)
        assert digit["sigma"] == pytest.approx(np.exp(logvar[row]) ** 0.5, rel=1e-4)
        eps = nb.tf.random.stateless_normal((2000, 2), seed=(9, k))
        bound = nb.elbo(vae, np.repeat(x[[row]], 2000, axis=0), eps)[0].numpy()
        assert abs(digit["elbo"] - bound.mean()) < 5 * bound.std() / np.sqrt(200) + 0.01
        if k < 4:  # the picture on show is that image, as drawn
            page.click("#show")
            assert np.array_equal(ink(page, "image").ravel(), x[row])


def test_hardest_image_of_a_class_is_among_its_digits(nb):
    labels, bound = np.repeat([3, 40], 20), -np.random.default_rng(7).permutation(40.0 + np.arange(40))
    picked = nb.pick_digits(labels, bound)
    assert len(picked) == 6 and list(labels[picked]) == [3, 3, 3, 40, 40, 40]
    assert {bound[:20].argmin(), 20 + bound[20:].argmin()} < set(picked)
    assert nb.pick_digits(np.array([7]), np.zeros(1)) == [0]


def test_dots_and_numerals_stand_at_their_codes(nb, vae, images, page):
    x, labels, _ = images
    codes = nb.encode(vae, x)[0].numpy()
    page.uncheck("#labels")
    dots = pixels(page, "dots")[..., 3]
    column, row = np.round((codes * [1, -1] + 4) / 8 * len(dots)).astype(int).T
    inside = (np.abs(codes) < 3.9).all(axis=1)
    assert inside.sum() > 10 and len(np.unique(row[inside] // 20)) > 5
    assert (dots[row[inside], column[inside]] > 0).all() and (dots > 0).mean() < 0.05
    spots = nb.class_spots(codes, np.unique(labels, return_inverse=True)[1])
    for name, spot in zip(page.locator("#names text").all(), spots, strict=True):
        assert float(name.get_attribute("x")) == pytest.approx(spot[0], abs=0.01)
        assert float(name.get_attribute("y")) == pytest.approx(-spot[1], abs=0.01)


def test_data_are_text_never_markup(page):
    assert page.inner_text("#note") == "stand-in data: </script><b>noise</b>"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_and_can_be_read(open_page, width, scheme):
    page = open_page(width, 800, color_scheme=scheme)
    page.click("#show")
    page.mouse.click(*at(page, 1, 1))
    page.mouse.click(*at(page, -1, 1))
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    plane, digit = (page.locator(name).bounding_box() for name in ("#map", "#digit"))
    assert plane["width"] == pytest.approx(plane["height"], abs=1) and plane["width"] >= 280
    assert digit["height"] / digit["width"] == pytest.approx(SIZE[0] / SIZE[1], rel=0.05)
    stacked = digit["y"] >= plane["y"] + plane["height"]
    assert stacked == (width == 360)
    assert digit["y"] + digit["height"] <= 800 and digit["x"] + digit["width"] <= width
    for name in ("#help", "#near", "#which", "figcaption", "dt", "dd"):
        text, ground = page.evaluate(
            "name => [document.querySelector(name), document.body].map((e, i) => getComputedStyle(e)"
            "[i ? 'backgroundColor' : 'color'].match(/[\\d.]+/g).map(Number))",
            name,
        )
        assert contrast(text, ground) >= 4.5, name
    assert (luminance(ground) < 0.05) == (scheme == "dark")


def luminance(rgb):
    """Relative luminance of an sRGB colour (WCAG 2)."""
    c = np.array(rgb[:3]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    """Contrast ratio of two colours, 1 to 21 (WCAG 2)."""
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_focus_is_seen_and_everything_has_a_name(page):
    names = []
    for _ in range(7):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.id"))
        style = "getComputedStyle(document.activeElement)"
        assert page.evaluate(f"{style}.outlineStyle + {style}.outlineWidth") == "solid3px", names[-1]
    assert names == ["map", "labels", "tiles", "z1", "z2", "show", "clear"]
    page.click("#show")
    page.focus("#map")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    for name in ("digit", "image", "again", "strip"):
        assert page.get_attribute(f"#{name}", "role") == "img" and page.get_attribute(
            f"#{name}", "aria-label"
        )


def test_page_is_one_small_file_with_nothing_outside_it(nb, content, tmp_path):
    path = tmp_path / "page.html"
    size = nb.write_explorer(path, content)
    text = path.read_text(encoding="utf-8")
    assert size == path.stat().st_size < 3_000_000
    assert "<noscript>" in text and '<html lang="en">' in text and 'name="viewport"' in text
    assert "innerHTML" not in text and "src=" not in text and "<link" not in text
    links = text.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert "http://" not in links and "https://" not in links


def test_without_evidence_it_says_so(nb, vae, browser, tmp_path):
    x = np.float32(np.random.default_rng(6).random((8, 63)) < 0.3)
    path = tmp_path / "page.html"
    nb.write_explorer(path, nb.explorer_data(vae, x, np.zeros(8, int), SIZE))
    page = browser.new_page()
    page.goto(path.as_uri())
    page.click("#show")
    assert page.inner_text("#evidence") == "not computed"
    assert not page.is_visible("#note")
    page.close()
