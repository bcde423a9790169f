"""What is committed: a clean run, pictures of that run, and a README whose numbers are that run's."""

import re
import subprocess

import numpy as np
import pytest
from conftest import NOTEBOOK, ROOT, metrics
from PIL import Image
from test_runs import check_metrics, check_results, metrics_moments

README = ROOT / "README.md"


@pytest.fixture(scope="module")
def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_notebook_is_one_run_from_top_to_bottom(code):
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


def test_the_notebook_has_no_errors_no_stderr_and_no_paths_of_a_machine(code, notebook):
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error" and output.get("name") != "stderr", cell.id
    text = NOTEBOOK.read_text()
    for trace in ("/home/", "/root/", "/tmp/", "/work/", "/Users/", "C:\\\\Users", "papermill.record"):
        assert trace not in text, trace


def test_the_notebook_carries_no_metadata_of_its_run(notebook):
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert set(notebook.metadata.language_info) == {"name"}
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}, cell.id


def test_the_notebook_is_small_and_its_pictures_are_png(code):
    assert NOTEBOOK.stat().st_size < 1.5e6
    kinds = {kind for cell in code for output in cell.outputs for kind in output.get("data", {})}
    assert kinds <= {"text/plain", "image/png", "text/html"}
    assert "image/png" in kinds


def test_code_cells_stay_short(code):
    page = ("explorer-decoder", "explorer-map", "explorer-controls", "explorer-digit", "explorer-events")
    page += ("explorer-body", "explorer-css")  # the explorer's page, as text
    lengths = [len(cell.source.splitlines()) for cell in code if cell.id not in page]
    assert max(lengths) <= 34 and np.median(lengths) <= 12


def test_one_cell_is_tagged_parameters_and_says_what_the_paper_did(code):
    (cell,) = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    names = re.findall(r"^([A-Z_0-9]+) = ", cell.source, flags=re.M)
    assert set(names) >= {"SEED", "DATA", "RESULTS", "EPOCHS", "BATCH_SIZE", "LEARNING_RATE", "HIDDEN"}
    assert all("  # " in line for line in cell.source.splitlines())
    assert cell.source.count("paper:") >= 7


def test_equations_carry_the_papers_numbers(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    tags = {int(number) for number in re.findall(r"\\tag\{(\d+)\}", text)}
    assert tags >= set(range(1, 13))


def test_sections_come_in_order(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    sections = [int(number) for number in re.findall(r"^## (\d+) · ", text, flags=re.M)]
    assert sections == list(range(20))


def test_results_are_whole_and_of_mnist():
    results = ROOT / "Results"
    numbers = metrics(results)
    check_metrics(numbers, train_images=60_000, test_images=10_000, stand_in=False)
    assert numbers["test"]["elbo"] >= -134.5
    tracked = subprocess.run(["git", "ls-files", "Results"], cwd=ROOT, capture_output=True, text=True).stdout
    assert "metrics.json" in tracked and ".keras" not in tracked and "in-progress" not in tracked


def test_the_committed_output_is_the_run_of_the_committed_results(code):
    printed = "".join(
        output.text for cell in code for output in cell.outputs if output.get("name") == "stdout"
    )
    test = metrics(ROOT / "Results")["test"]
    assert f"test ELBO {test['elbo']:.2f} nats" in printed


def tile(picture, row, column):
    """Ink of one of the 10×10 tiles of a picture whose lowest 560 pixels they fill, 0 to 1."""
    page = 1 - np.array(picture.convert("L")).astype(float)[-560:] / 255
    return page[56 * row : 56 * row + 56, 56 * column : 56 * column + 56]


def test_reproductions_stand_where_their_inputs_stand():
    inputs = Image.open(ROOT / "Results/Input_Image.jpg")
    outputs = Image.open(ROOT / "Results/Reconstruction_1.png")
    assert inputs.size == outputs.size
    places = [(row, column) for row in range(10) for column in range(10)]
    a = np.array([tile(inputs, *place).ravel() for place in places])
    b = np.array([tile(outputs, *place).ravel() for place in places])
    likeness = np.corrcoef(a, b)[:100, 100:]
    own = np.diag(likeness)
    assert own.mean() > 0.6 and own.mean() > likeness.mean() + 0.3
    assert np.mean(own > np.quantile(likeness, 0.9, axis=1)) > 0.7


def test_readme_numbers_are_those_of_the_run():
    text, numbers = README.read_text(), metrics(ROOT / "Results")
    test = numbers["test"]
    refined = numbers["test_refined"]["elbo"]
    bound = -test["elbo"], -test["reconstruction"], test["kl"], -refined
    for value in (*bound, -numbers["log_px"], numbers["gap"]):
        assert f"{value:.2f}" in text, value
    assert f"{numbers['train_seconds']:.0f} s" in text


def test_readme_shows_every_picture_with_a_real_description():
    text = README.read_text()
    pictures = re.findall(r"!\[([^\]]*)\]\(([^)]+)\)", text)
    pictures += [(alt, src) for src, alt in re.findall(r'<img src="([^"]+)"[^>]* alt="([^"]*)"', text)]
    shown = {target for _, target in pictures}
    names = ("Input_Image.jpg", "Reconstruction_1.gif", "Reconstruction_2.gif", "Manifold_learning.gif")
    assert shown >= {f"Results/{name}" for name in names}
    for alt, target in pictures:
        assert len(alt) > 30, target
        assert (ROOT / target).is_file(), target
    for heading in ("Reproduce", "Reconstruction", "Learned MNIST manifold"):
        assert re.search(rf"^#+ {heading}$", text, flags=re.M), heading


def test_relative_links_lead_somewhere(notebook):
    text = README.read_text() + "\n".join(
        cell.source for cell in notebook.cells if cell.cell_type == "markdown"
    )
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", text):
        assert (ROOT / target).exists(), target


def test_committed_pictures_show_the_same_moments():
    check_results(ROOT / "Results", metrics_moments(ROOT / "Results"), models=False)
