"""What is committed: one clean run, its pictures, a README with that run's numbers."""

import json
import re
import subprocess

import nbformat
import numpy as np
import pytest
from conftest import check_gifs, check_metadata, check_metrics, check_order
from loader import ROOT
from PIL import Image

RESULTS = ROOT / "Results"
MACHINE = ("/home/", "/root/", "/tmp/", "/work/", "/Users/", "C:\\\\Users")


def committed(name):
    """A file's text as it is committed (without git: as it is here).

    `make results` changes the files here to those of a run of one's own.
    """
    words = ["git", "show", f"HEAD:{name}"]
    found = subprocess.run(words, cwd=ROOT, capture_output=True)
    text = (ROOT / name).read_bytes() if found.returncode else found.stdout
    return text.decode("utf-8")


@pytest.fixture(scope="module")
def notebook():
    return nbformat.reads(committed("VAE_MNIST.ipynb"), as_version=4)


@pytest.fixture(scope="module")
def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def numbers():
    return json.loads(committed("Results/metrics.json"))


def test_the_notebook_is_one_run_from_top_to_bottom_without_errors(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error", cell.id
            assert output.get("name") != "stderr", cell.id


def test_the_notebook_is_folded_small_and_knows_no_machine(code, notebook):
    check_metadata(notebook)
    text = committed("VAE_MNIST.ipynb")
    assert [trace for trace in MACHINE if trace in text] == []
    assert len(text.encode()) < 1.5e6
    data = [output.get("data", {}) for cell in code for output in cell.outputs]
    kinds = {kind for part in data for kind in part}
    assert "image/png" in kinds
    assert kinds <= {"text/plain", "image/png", "text/html", "text/markdown"}


def test_every_figure_in_the_notebook_says_what_it_shows(code):
    for cell in code:
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                assert len(output.metadata["image/png"]["alt"]) > 15, cell.id


def test_results_are_whole_and_of_mnist(numbers):
    data = dict(train_images=60_000, test_images=10_000, stand_in=False)
    check_metrics(numbers, **data)
    check_order(numbers)
    assert check_gifs(RESULTS) == 32
    assert numbers["taught"]["elbo"] > numbers["test"]["elbo"] >= -134.5
    assert numbers["em"]["log_px"] >= -120 and numbers["taught"]["elbo"] >= -131.5
    words = ["git", "ls-files", "Results"]
    listed = subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout
    assert "metrics.json" in listed
    assert ".keras" not in listed and "in-progress" not in listed


def test_the_committed_output_is_the_run_of_the_committed_results(code, numbers):
    streams = [o.text for c in code for o in c.outputs if o.output_type == "stream"]
    printed, test = "".join(streams), numbers["test"]["elbo"]
    assert f"test ELBO {test:.2f} nats" in printed
    assert f"taught: test ELBO {numbers['taught']['elbo']:.2f} nats" in printed


def test_reproductions_stand_where_their_inputs_stand():
    """Each of 10×10 tiles is more like its own input than like the others."""

    def tiles(name):
        with Image.open(RESULTS / name) as picture:
            ink = 1 - np.array(picture.convert("L"))[-560:].astype(float) / 255
        return ink.reshape(10, 56, 10, 56).swapaxes(1, 2).reshape(100, -1)

    inputs, outputs = tiles("Input_Image.jpg"), tiles("Reconstruction_1.png")
    likeness = np.corrcoef(inputs, outputs)[:100, 100:]
    own = np.diag(likeness)
    assert own.mean() > 0.6 and own.mean() > likeness.mean() + 0.3
    assert np.mean(own > np.quantile(likeness, 0.9, axis=1)) > 0.7


def test_readme_numbers_are_those_of_the_run(numbers):
    text, test = committed("README.md"), numbers["test"]
    values = [-test["elbo"], -test["reconstruction"], test["kl"], -numbers["log_px"]]
    values += [-numbers["test_refined"]["elbo"], numbers["gap"]]
    values += [-numbers["taught"]["elbo"], -numbers["em"]["log_px"]]
    written = set(re.findall(r"(?<![\d.])\d+\.\d\d(?!\d)", text))
    assert {f"{value:.2f}" for value in values} - written == set()
    assert re.search(rf"\b{numbers['train_seconds']:.0f} s\b", text)
    assert f"took {numbers['total_seconds'] / 60:.0f} minutes" in text


def test_readme_is_short_and_shows_its_pictures_with_real_descriptions():
    text = committed("README.md")
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text)
    html = re.findall(r'<img src="([^"]+)"[^>]* alt="([^"]*)"', text)
    pictures += [(alt, source) for source, alt in html]
    names = ("Input_Image.jpg", "Reconstruction_1.gif", "Reconstruction_2.gif")
    shown = {source for _, source in pictures}
    assert shown >= {f"Results/{n}" for n in (*names, "Manifold_learning.gif")}
    for alt, source in pictures:
        assert len(alt) > 30 and (ROOT / source).is_file(), source
    for heading in ("Reproduce", "Reconstruction", "Learned MNIST manifold"):
        assert re.search(rf"^#+ {heading}$", text, flags=re.M), heading
    words = re.sub(r"<[^>]+>|!?\[([^\]]*)\]\([^)]*\)", "", text).split()
    assert len(words) <= 900


def test_relative_links_lead_somewhere(notebook):
    """From the notebook and from each README, as seen from its own folder."""
    written = [c.source for c in notebook.cells if c.cell_type == "markdown"]
    texts = [(ROOT, "\n".join(written))]
    for folder in (ROOT, ROOT / "benchmarks", ROOT / "explorer"):
        texts.append((folder, (folder / "README.md").read_text()))
    for folder, text in texts:
        targets = re.findall(r"\]\((?!http|#)([^)#]+)[^)]*\)", text)
        for target in targets + re.findall(r' (?:src|href)="(?!http)([^"#]+)', text):
            assert (folder / target).exists(), f"{folder.name}: {target}"
