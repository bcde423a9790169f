"""The notebook goes through the usual tools: nbconvert, jupyter execute, jupytext."""

import subprocess
import sys
import types

import jupytext
import nbformat
import pytest
from conftest import (
    NOTEBOOK,
    SMALL,
    check_same,
    environment,
    make_small_folder,
    metrics,
    run_cells,
)
from IPython.core.interactiveshell import InteractiveShell
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

TOOLS = {  # `jupyter tool` would start a script that a moved .venv has lost
    "nbconvert": ["-m", "nbconvert"],
    "execute": ["-c", "from nbclient.cli import main; main()"],
}


def jupyter(tool, *words, folder):
    """Run one of Jupyter's tools in a folder; what it left behind."""
    line = [sys.executable, *TOOLS[tool], *words]
    surroundings = dict(cwd=folder, env=environment(), capture_output=True, text=True)
    return subprocess.run(line, **surroundings)


@pytest.fixture
def part_one(tmp_path):
    """A folder with small data and the notebook, set to end after Part I."""
    folder = make_small_folder(tmp_path)
    notebook = load_notebook_node(str(NOTEBOOK))
    made = parameterize_notebook(notebook, SMALL | dict(LATENTS=3))
    made.metadata.pop("papermill", None)
    nbformat.write(made, folder / "short.ipynb")
    return folder


def surroundings_of_another_kind(folder):
    """Variables, and a keras.json that they name, which ask for other settings."""
    asked = '{"floatx": "float64", "backend": "torch", '
    asked += '"image_data_format": "channels_first"}'
    (folder / "keras.json").write_text(asked)
    return dict(MPLBACKEND="TkAgg", KERAS_BACKEND="jax", KERAS_HOME=str(folder))


def test_the_surroundings_settings_are_put_right(notebook, tmp_path):
    others = environment(**surroundings_of_another_kind(tmp_path))
    cells = [c.source for c in notebook.cells if "setup" in c.metadata.get("tags", [])]
    cells += ["asked = keras.config.image_data_format(), keras.config.floatx()"]
    cells += ["print(*asked, keras.config.backend(), matplotlib.get_backend())"]
    words = [sys.executable, "-c", "\n".join(cells)]
    done = subprocess.run(words, env=others, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "channels_last float32 tensorflow agg"


@pytest.mark.parametrize("shell", [None, types.SimpleNamespace()])
def test_a_script_ends_where_no_plane_can_be_integrated(notebook, nb, tmp_path, shell):
    """Run by Python, or whole by IPython, which has no kernel then."""
    given = dict(J=3, results=nb.open_results(tmp_path), get_ipython=lambda: shell)
    with pytest.raises(SystemExit) as end:
        run_cells(notebook, nb, "rest", **given)
    assert end.value.code == 0 and metrics(tmp_path)["parts"] == ["I"]


def test_cells_that_are_skipped_say_so_until_the_parameters_are_set_again(
    notebook, nb, tmp_path, capsys
):
    shell = InteractiveShell()
    shell.kernel = "one that runs cell by cell"
    given = dict(J=3, results=nb.open_results(tmp_path), get_ipython=lambda: shell)
    run_cells(notebook, nb, "rest", **given)
    capsys.readouterr()
    shell.run_cell("reached = 1 / 0")
    assert capsys.readouterr().out.startswith("skipped: run the cell of the parameters")
    shell.run_cell("LATENTS = 2")
    shell.run_cell("print(LATENTS + 1)")
    assert capsys.readouterr().out == "3\n"


def test_as_a_script_the_whole_notebook_leaves_the_same(small_run, tmp_path):
    """Exported, and run by Python alone: the numbers and pictures of a whole run.

    Whatever backend, precision and window system the surroundings ask for.
    """
    folder = make_small_folder(tmp_path)
    made = parameterize_notebook(load_notebook_node(str(NOTEBOOK)), SMALL)
    nbformat.write(made, folder / "whole.ipynb")
    done = jupyter("nbconvert", "--to", "script", "whole.ipynb", folder=folder)
    assert done.returncode == 0, done.stderr
    others = surroundings_of_another_kind(folder)
    line = dict(cwd=folder, env=environment(**others), capture_output=True, text=True)
    done = subprocess.run([sys.executable, "whole.py"], **line)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "part IV is in Results" in done.stdout and "Traceback" not in done.stderr
    check_same(small_run.folder / "Results", folder / "Results")


@pytest.mark.parametrize("package", ["keras", "tensorflow"])
def test_a_script_without_a_package_says_what_to_install(part_one, package):
    done = jupyter("nbconvert", "--to", "script", "short.ipynb", folder=part_one)
    assert done.returncode == 0, done.stderr
    words = f"import sys; sys.modules['{package}'] = None"
    words += "; exec(open('short.py').read())"
    line = dict(cwd=part_one, env=environment(), capture_output=True, text=True)
    done = subprocess.run([sys.executable, "-c", words], **line)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and package in last
    assert last.endswith(": pip install -r requirements.txt, and restart the kernel.")


def test_jupyter_execute_runs_it(part_one):
    done = jupyter("execute", "--inplace", "short.ipynb", folder=part_one)
    assert done.returncode == 0, done.stderr[-2000:]
    made = nbformat.read(part_one / "short.ipynb", as_version=4)
    outputs = [o for c in made.cells for o in c.get("outputs", [])]
    assert any("the run ends here" in o.get("text", "") for o in outputs)
    assert not any(o.get("name") == "stderr" for o in outputs)
    assert metrics(part_one / "Results")["parts"] == ["I"]


def test_nbconvert_makes_a_page_of_it_with_all_pictures(notebook, tmp_path):
    words = ("--to", "html", str(NOTEBOOK), "--output-dir", str(tmp_path))
    done = jupyter("nbconvert", *words, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "VAE_MNIST.html").read_text()
    outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
    shown = sum("image/png" in o.get("data", {}) for o in outputs)
    assert page.count("data:image/png;base64,") >= shown > 20
    for title in ("Algorithm 1", "The integral, computed", "Variants"):
        assert title in page


def test_jupytext_brings_it_back_as_it_was(notebook):
    back = jupytext.reads(jupytext.writes(notebook, fmt="py:percent"), fmt="py:percent")
    for before, after in zip(notebook.cells, back.cells, strict=True):
        assert (after.cell_type, after.source) == (before.cell_type, before.source)
        assert after.metadata.get("tags") == before.metadata.get("tags"), before.id
