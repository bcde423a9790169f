"""What the tests share: the notebook's definitions, small models, whole runs of it."""

import copy
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import nbformat
import numpy as np
import playwright.sync_api as api
import pytest
from loader import NOTEBOOK, ROOT, load_definitions
from nbclient import NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook
from PIL import Image
from sklearn.datasets import load_digits

# What XLA has compiled, kept for all runs: a third of a small run's time
COMPILED = tempfile.TemporaryDirectory()
KEEP = f"--tf_xla_persistent_cache_directory={COMPILED.name}"
os.environ.setdefault("TF_XLA_FLAGS", KEEP)

PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
OFFLINE = dict.fromkeys(PROXIES, "http://127.0.0.1:9")
SMALL = dict(DATA="small.npz", EPOCHS=3, BATCH_SIZE=32, HIDDEN="40-30", MIN_EPOCH=1)
SMALL |= dict(EM_ROUNDS=6, EM_PASSES=1, TEACH_ROUNDS=1, TEACH_PASSES=1, JOINT_EPOCHS=1)
SMALL |= dict(FIGURE_EPOCHS=1, EM_IMAGES=200)
EXPLORER = ROOT / "explorer"
GIFS = ("Reconstruction_1", "Reconstruction_2", "Manifold_learning")


def pytest_addoption(parser):
    parser.addoption("--write-faults", action="store_true", help="write faults.md anew")


@pytest.fixture(scope="session")
def notebook():
    """The notebook as it is committed."""
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="session")
def definitions():
    """What the notebook defines, with nothing run."""
    return load_definitions()


@pytest.fixture
def nb(definitions):
    """The same, for tests that may open figures."""
    yield definitions
    definitions.plt.close("all")


def sections_of(notebook):
    """(section, cell) of every code cell, by the titles of the text before it."""
    section = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            titles = re.findall(r"^## (\d+) · ", cell.source, flags=re.M)
            section = int([section, *titles][-1])
        else:
            yield section, cell


def check_metadata(notebook):
    """Nothing of a run is in the metadata, and every front end folds the same cells."""
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    language = notebook.metadata.language_info
    assert language.file_extension == ".py" and "version" not in language
    for cell in notebook.cells:
        tags = set(cell.metadata.get("tags", []))
        folded = {"jupyter": {"source_hidden": True}, "cellView": "form"}
        there = {k: v for k, v in cell.metadata.items() if k != "tags"}
        assert there == (folded if "fold" in tags else {}), cell.id
        assert ("hide-input" in tags) == ("fold" in tags), cell.id
        streams = [output.get("name") for output in cell.get("outputs", [])]
        twice = [a for a, b in zip(streams, streams[1:], strict=False) if a and a == b]
        assert twice == [], f"pieces of output left in {cell.id}"


def missing(reason):
    """What a test needs is not here: skip it, or fail where NO_SKIPS is set."""
    (pytest.fail if os.environ.get("NO_SKIPS") else pytest.skip)(reason)


def launch(playwright):
    """Headless Chromium, its own or an installed one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    for path in (playwright.chromium.executable_path, *map(shutil.which, names)):
        if path and os.path.exists(path):
            flags = ["--no-sandbox", "--disable-gpu"]
            return playwright.chromium.launch(executable_path=path, args=flags)
    missing("no Chromium here: python -m playwright install --with-deps chromium")


@pytest.fixture(scope="module")
def browser():
    with api.sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core, which finds what keeps people from using a page."""
    path = EXPLORER / "node_modules/axe-core/axe.min.js"
    if not path.exists():  # NO_SKIPS does not ask for it: it comes with npm
        pytest.skip("axe-core is not installed: cd explorer; npm ci")
    return path.read_text("utf-8")


def affine_vae(nb, a, b, mu=(0.3, -0.2), logvar=(0.3, 0.2)):
    """A VAE whose logits are z A + b, with the same q for every image."""
    (latents, pixels), q = np.shape(a), [*mu, *logvar]
    vae = nb.build(pixels, [], latents)
    vae.decoder.set_weights([np.float32(a), np.float32(b)])
    vae.encoder.set_weights([np.zeros((pixels, 2 * latents)), np.float32(q)])
    return vae


# Three pixels: every image can be listed, and logits z A + B make a posterior to sum
ALL_IMAGES = np.float32(list(itertools.product((0, 1), repeat=3)))
A, B = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, -2.0]]), np.array([-0.5, 0.2, 0.1])


@pytest.fixture(scope="session")
def three_pixels(definitions):
    """The VAE of these logits; its q is not the posterior."""
    return affine_vae(definitions, A, B)


def saved(folder, **changes):
    """The path of an .npz with four good arrays, changed; None leaves one out."""
    train = dict(x_train=np.full((5, 4, 3), 255, np.uint8), y_train=np.arange(5))
    test = dict(x_test=np.zeros((2, 4, 3), np.uint8), y_test=np.arange(2))
    arrays = {k: v for k, v in (train | test | changes).items() if v is not None}
    np.savez(folder / "images.npz", **arrays)
    return folder / "images.npz"


def run_cells(notebook, nb, *names, **changes):
    """Run some cells of the notebook on its definitions; the names there are then."""
    sources = {cell.id: cell.source for cell in notebook.cells}
    known = vars(nb) | changes
    for name in names:
        exec(compile(sources[name], name, "exec"), known)
    return known


def make_small_folder(folder):
    """Real handwriting of another size, 12 high, 10 wide, as small.npz in a folder."""
    digits = load_digits()
    images = np.pad(np.uint8(digits.images * 255 / 16), ((0, 0), (2, 2), (1, 1)))
    train = dict(x_train=images[:400], y_train=digits.target[:400])
    test = dict(x_test=images[400:560], y_test=digits.target[400:560])
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "small.npz", **train, **test)
    return folder


def command(output, **parameters):
    """The command line that runs the notebook with these parameters."""
    words = [sys.executable, "-m", "papermill", str(NOTEBOOK), str(output)]
    for name, value in parameters.items():
        words += ["-p", name, str(value)]
    return [*words, "-k", "python3", "--stdout-file", "-"]


def environment(**changes):
    """This environment, with changes, but without a path of MNIST."""
    return {
        name: os.environ[name] for name in os.environ if name != "MNIST_NPZ"
    } | changes


def start(folder, changes=None, **parameters):
    """Start a whole run in a folder; its words go to out.txt and err.txt there."""
    folder.mkdir(parents=True, exist_ok=True)
    words = command(folder / "run.ipynb", **parameters)
    with open(folder / "out.txt", "w") as out, open(folder / "err.txt", "w") as err:
        surroundings = dict(cwd=folder, env=environment(**changes or {}))
        return subprocess.Popen(words, **surroundings, stdout=out, stderr=err)


def finish(process, folder):
    """Wait for a run: its exit code, what it printed, the notebook it made."""
    code, path = process.wait(), folder / "run.ipynb"
    made = nbformat.read(path, as_version=4) if path.exists() else None
    texts = {name: (folder / f"{name}.txt").read_text() for name in ("out", "err")}
    return types.SimpleNamespace(folder=folder, code=code, notebook=made, **texts)


def run(folder, changes=None, **parameters):
    """A whole run in a folder, from its start to its end."""
    return finish(start(folder, changes, **parameters), folder)


def outputs_of(cell):
    """What a cell printed, without seconds, and what it showed."""
    texts = [output.text for output in cell.outputs if output.output_type == "stream"]
    data = [output.data for output in cell.outputs if "data" in output]
    shown = [part for part in data if "text/markdown" not in part]  # "training starts"
    text = re.sub(r"\s*[\d.,]+ s\b", "", "".join(texts))
    # in the table of variants seconds stand before the parameters, at the line's end
    return re.sub(r"\s+\d+(?=\s+[\d,]{5,}$)", "", text, flags=re.M), shown


@pytest.fixture(scope="session")
def small_run(tmp_path_factory):
    """A whole run on the small data, in one kernel, and then each cell once more.

    From the last cell to the first: each meets what a whole run leaves behind. The
    folder has the whole run's Results and notebook; `later` is Results at the very end.
    """
    folder = make_small_folder(tmp_path_factory.mktemp("small"))
    (folder / "explorer").symlink_to(EXPLORER)
    made = parameterize_notebook(load_notebook_node(str(NOTEBOOK)), SMALL)
    client = NotebookClient(made, resources={"metadata": {"path": str(folder)}})
    numbered = [(made.cells.index(cell), cell) for _, cell in sections_of(made)]
    again, whole = {}, folder / "whole"
    with client.setup_kernel():
        for k, cell in numbered:
            client.execute_cell(cell, k)
        shutil.copytree(folder / "Results", whole / "Results")
        nbformat.write(made, whole / "run.ipynb")
        for k, cell in reversed(numbered):
            again[cell.id] = outputs_of(client.execute_cell(copy.deepcopy(cell), k))
    first = {cell.id: outputs_of(cell) for _, cell in numbered}
    shown = dict(notebook=made, first=first, again=again)
    return types.SimpleNamespace(folder=whole, later=folder / "Results", **shown)


@pytest.fixture(scope="session")
def mnist_started(tmp_path_factory):
    """A run on the real MNIST, begun; None without MNIST.

    Its parameters are the notebook's, but for the budget of EM, of the taught encoder
    and of the comparisons.
    """
    path = Path(os.environ.get("MNIST_NPZ", ""))
    folder = tmp_path_factory.mktemp("mnist")
    if not path.is_file():
        yield None, folder
        return
    less = dict(EM_ROUNDS=12, TEACH_PASSES=4, JOINT_EPOCHS=8, FIGURE_EPOCHS=1)
    process = start(folder, {"MNIST_NPZ": str(path.resolve())}, **less)
    yield process, folder
    process.terminate()  # where a test before it failed with -x; else it has ended


def needs_mnist_run(item):
    return "mnist_run" in item.fixturenames


def pytest_collection_modifyitems(items):
    """What needs the long run comes last."""
    items.sort(key=needs_mnist_run)


@pytest.fixture(scope="session", autouse=True)
def long_run(request):
    """The run on MNIST, if it is asked for, goes on beside all other tests."""
    if any(map(needs_mnist_run, request.session.items)):
        request.getfixturevalue("mnist_started")


@pytest.fixture
def mnist_run(mnist_started):
    """The same run, at its end."""
    process, folder = mnist_started
    if process is None:
        missing("no MNIST: give the path of an mnist.npz in MNIST_NPZ")
    made = finish(process, folder)
    assert made.code == 0, made.err[-3000:]
    return made


def metrics(folder):
    """The numbers that a run left in a results folder."""
    return json.loads((Path(folder) / "metrics.json").read_text())


def without_seconds(value):
    """Numbers of a run but for those that nobody can repeat."""
    if isinstance(value, dict):
        kept = {name: item for name, item in value.items() if "second" not in name}
        return {name: without_seconds(item) for name, item in kept.items()}
    return [without_seconds(v) for v in value] if isinstance(value, list) else value


def files_of(folder):
    """The content of every file in a folder; numbers without seconds."""
    files = {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}
    return files | {"metrics.json": without_seconds(metrics(folder))}


def check_same(one, other):
    """Two results folders hold the same numbers and, byte for byte, pictures."""
    one, two = files_of(one), files_of(other)
    pictures = [name for name in one if name.endswith((".gif", ".png", ".jpg"))]
    assert len(pictures) > 20 and one["metrics.json"] == two["metrics.json"]
    assert [name for name in pictures if one[name] != two.get(name)] == []


def frames_of(path):
    """Durations in milliseconds, all frames, and how often a GIF repeats."""
    with Image.open(path) as gif:
        durations, frames = [], []
        for k in range(gif.n_frames):
            gif.seek(k)
            durations.append(gif.info["duration"])
            frames.append(np.array(gif.convert("RGB")))
        return durations, np.array(frames), gif.info.get("loop")


def own_palettes(path):
    """How many pictures of a GIF carry a colour table of their own."""
    data = path.read_bytes()
    assert data[:6] == b"GIF89a" and data[10] & 0x80, "no palette for all"
    at, own = 13 + 3 * 2 ** ((data[10] & 7) + 1), 0
    while data[at] != 0x3B:
        flags = data[at + 9] if data[at] == 0x2C else 0
        own += bool(flags & 0x80)
        table = 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
        at += 11 + table if data[at] == 0x2C else 2
        while data[at]:  # blocks of data, each with its length before it
            at += data[at] + 1
        at += 1
    return own


def check_gifs(folder):
    """The three GIFs of a results folder are what they should be, alike in moments."""
    films = {name: frames_of(folder / f"{name}.gif") for name in GIFS}
    (count,) = {len(frames) for _, frames, _ in films.values()}
    for name, (durations, frames, loop) in films.items():
        path = folder / f"{name}.gif"
        assert durations == [800] + [180] * (count - 2) + [3000] and loop == 0
        assert own_palettes(path) == 0 and path.stat().st_size <= 1.5e6
        with Image.open(path.with_suffix(".png")) as still:
            assert np.array_equal(still.convert("RGB"), frames[-1]), "the last frame"
        assert np.all(np.any(frames[1:] != frames[:-1], axis=(1, 2, 3))), "all differ"
    with Image.open(folder / "Input_Image.jpg") as inputs:
        assert inputs.size == films["Reconstruction_1"][1].shape[2:0:-1]
    return count


def check_order(numbers):
    """Every method's bound lies below its evidence, and EM raises the evidence."""
    for places in numbers["map"].values():
        assert all(place["bound"] < place["evidence"] for place in places)
    assert numbers["test"]["elbo"] < numbers["log_px"] < numbers["em"]["log_px"]
    assert numbers["taught"]["elbo"] < numbers["taught"]["log_px"]
    assert numbers["parts"] == ["I", "II", "III", "IV"]


def check_metrics(numbers, **data):
    """What must hold of every run's numbers."""
    test, weighted = numbers["test"], numbers["importance_weighted"]
    assert test["elbo"] == pytest.approx(test["reconstruction"] - test["kl"], abs=1e-4)
    assert numbers["gap"] == pytest.approx(numbers["log_px"] - test["elbo"], abs=1e-4)
    assert test["kl"] > 0 and test["samples_per_image"] >= 2
    assert len(numbers["history"]) == numbers["epochs"]
    assert numbers["data"] == numbers["data"] | data
    bounds = [weighted[k]["bound"] for k in ("1", "10", "100", "1000")]
    assert bounds == sorted(bounds)
    assert set(numbers) >= {"protocol", "protocols", "versions", "device", "denoising"}
