"""What the tests share: the notebook's own definitions, small data, and whole runs of the notebook."""

import json
import linecache
import os
import subprocess
import sys
import types
from pathlib import Path

import nbformat
import numpy as np
import pytest
from sklearn.datasets import load_digits

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "VAE_MNIST.ipynb"
OFFLINE = {name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}


@pytest.fixture(scope="session")
def notebook():
    """The committed notebook."""
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture(scope="session")
def definitions(notebook):
    """What the notebook's cells tagged setup, parameters and functions define, with nothing run."""
    module = types.ModuleType("vae_mnist")
    for cell in notebook.cells:
        if cell.cell_type == "code" and {"setup", "parameters", "functions"} & set(
            cell.metadata.get("tags", [])
        ):
            name = f"cell {cell.id}"  # known to linecache, so that TensorFlow and tracebacks find the source
            linecache.cache[name] = (len(cell.source), None, cell.source.splitlines(keepends=True), name)
            exec(compile(cell.source, name, "exec"), module.__dict__)
    return module


@pytest.fixture
def nb(definitions):
    """The notebook's definitions for one test, which may set the names that its other cells would set."""
    before = dict(definitions.__dict__)
    definitions.__dict__.update(H=28, W=28, D=784, M=32, passes=1, note="", steps_per_epoch=10)
    yield definitions
    definitions.__dict__.clear()
    definitions.__dict__.update(before)
    definitions.plt.close("all")


@pytest.fixture(scope="session")
def small_data():
    """Real handwriting of another size, 12 high and 10 wide: the four arrays of an .npz, uint8."""
    digits = load_digits()
    images = np.pad(np.uint8(digits.images * 255 / 16), ((0, 0), (2, 2), (1, 1)))
    labels = digits.target
    return dict(x_train=images[:400], y_train=labels[:400], x_test=images[400:560], y_test=labels[400:560])


def command(output, **parameters):
    """The command line that runs the notebook with these parameters."""
    words = [
        sys.executable,
        "-m",
        "papermill",
        str(NOTEBOOK),
        str(output),
        "-k",
        "python3",
        "--stdout-file",
        "-",
    ]
    for name, value in parameters.items():
        words += ["-p", name, str(value)]
    return words


def run(folder, environment=None, **parameters):
    """One whole run of the notebook in a folder: its exit code, what it printed, and the notebook it made."""
    folder.mkdir(parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if name != "MNIST_NPZ"}
    done = subprocess.run(
        command(folder / "run.ipynb", **parameters),
        cwd=folder,
        env=inherited | (environment or {}),
        capture_output=True,
        text=True,
    )
    made = nbformat.read(folder / "run.ipynb", as_version=4) if (folder / "run.ipynb").exists() else None
    return types.SimpleNamespace(
        folder=folder, code=done.returncode, out=done.stdout, err=done.stderr, notebook=made
    )


SMALL = dict(DATA="small.npz", EPOCHS=3, BATCH_SIZE=32, HIDDEN="40-30", MIN_EPOCH=1, WARM_UP=5)


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory, small_data):
    """A folder with the small data in small.npz."""

    def make(name):
        folder = tmp_path_factory.mktemp(name)
        np.savez(folder / "small.npz", **small_data)
        return folder

    return make


@pytest.fixture(scope="session")
def small_run(small_folder):
    """A whole run, both parts, on the small data."""
    made = run(small_folder("small"), **SMALL)
    assert made.code == 0, made.err[-3000:]
    return made


@pytest.fixture(scope="session")
def mnist_run(tmp_path_factory):
    """A whole run with the default parameters on the real MNIST, where it is there."""
    path = Path(os.environ.get("MNIST_NPZ") or ROOT.parent / "shared/data/mnist.npz")
    if not path.is_file():
        pytest.skip("no MNIST: give the path of an mnist.npz in MNIST_NPZ")
    made = run(tmp_path_factory.mktemp("mnist"), {"MNIST_NPZ": str(path.resolve())})
    assert made.code == 0, made.err[-3000:]
    return made


def metrics(folder):
    """The numbers that a run left in a results folder."""
    return json.loads((Path(folder) / "metrics.json").read_text())
