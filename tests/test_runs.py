"""Whole runs of the notebook: on small data, without MNIST, stopped half-way, and on MNIST itself."""

import resource
import shutil
import subprocess
import time

import numpy as np
import psutil
import pytest
from conftest import OFFLINE, SMALL, command, metrics, run
from PIL import Image
from test_pictures import blocks, frames_of

GIFS = ("Reconstruction_1", "Reconstruction_2", "Manifold_learning")
FILES = {"Input_Image.jpg", "metrics.json", "learning_curve.png", "latent_plane.png", "latent_explorer.html"}
FILES |= {"posterior.png", "gap.png", "gap_split.png", "importance_weighting.png", "completion.png"}
FILES |= {"denoising.png", "morph.png", "figure_2.png", "figure_4b.png", "figure_5.png", "paper_settings.png"}


def check_results(results, moments, models=True):
    """What must hold of every results folder, of a run (which has the models) or committed."""
    names = {path.name for path in results.iterdir()}
    assert names >= FILES | {f"{gif}.{kind}" for gif in GIFS for kind in ("gif", "png")}
    assert not models or names >= {"encoder.keras", "decoder.keras"}
    assert "in-progress" not in names
    for gif in GIFS:
        path = results / f"{gif}.gif"
        durations, frames, loop = frames_of(path)
        assert len(frames) == moments and loop == 0
        assert durations[-1] >= 2000 and set(durations[1:-1]) == {180}
        assert blocks(path) == (moments, 0)
        assert path.stat().st_size <= 1.5e6
        still = np.array(Image.open(path.with_suffix(".png")).convert("RGB"))
        assert np.array_equal(still, frames[-1]), "the still is the last frame"
        assert all(
            not np.array_equal(one, next_one) for one, next_one in zip(frames, frames[1:], strict=False)
        )
    assert Image.open(results / "Input_Image.jpg").size == Image.open(results / "Reconstruction_1.gif").size


def check_metrics(numbers, **expected):
    """What every metrics.json must hold."""
    assert set(numbers) >= {
        "data",
        "protocol",
        "seed",
        "epochs",
        "versions",
        "device",
        "train_seconds",
        "test",
    }
    test = numbers["test"]
    assert test["elbo"] == pytest.approx(test["reconstruction"] - test["kl"], abs=1e-4)
    assert test["kl"] > 0 and test["samples_per_image"] >= 2
    assert len(numbers["history"]) == numbers["epochs"]
    for name, value in expected.items():
        assert numbers["data"][name] == value
    assert set(numbers) >= {
        "log_px",
        "log_px_grid",
        "gap",
        "importance_weighted",
        "figure2",
        "paper_settings",
    }
    assert numbers["gap"] == pytest.approx(numbers["log_px"] - test["elbo"], abs=1e-4)
    bounds = [numbers["importance_weighted"][k] for k in ("1", "10", "100", "1000")]
    assert bounds == sorted(bounds)


def test_small_images_of_another_size_run_through_the_whole_notebook(small_run):
    check_results(small_run.folder / "Results", moments=32)
    numbers = metrics(small_run.folder / "Results")
    check_metrics(
        numbers, source="small.npz", train_images=400, test_images=160, height=12, width=10, stand_in=False
    )
    assert numbers["hidden"] == [40, 30] and numbers["epochs"] == 3 and numbers["batch_size"] == 32


def test_a_run_prints_one_line_per_epoch_with_all_that_matters(small_run):
    lines = [line for line in small_run.out.splitlines() if line.startswith("epoch   ")]
    assert len(lines) >= 3
    for line in lines[:3]:
        assert all(word in line for word in ("train bound", "test bound", "s per epoch", "s left"))


def test_a_run_is_clean(small_run):
    for cell in small_run.notebook.cells:
        for output in cell.get("outputs", []):
            assert output.get("name") != "stderr", output["text"]
            assert output.output_type != "error"


def test_the_same_seed_gives_the_same_numbers_and_the_same_gif_bytes(small_run, small_folder):
    again = run(small_folder("again"), **SMALL)
    assert again.code == 0, again.err[-3000:]

    def plain(value):
        """Without the seconds, which nobody can repeat."""
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items() if "second" not in name}
        return [plain(item) for item in value] if isinstance(value, list) else value

    one, two = (plain(metrics(made.folder / "Results")) for made in (small_run, again))
    assert one == two
    for gif in GIFS:
        path = f"Results/{gif}.gif"
        assert (small_run.folder / path).read_bytes() == (again.folder / path).read_bytes()


def test_without_mnist_and_with_a_damaged_cache_the_stand_in_runs_beside_mnist_results(tmp_path):
    cache = tmp_path / "keras" / "datasets"
    cache.mkdir(parents=True)
    (cache / "mnist.npz").write_bytes(b"damaged")
    (tmp_path / "Results").mkdir()
    (tmp_path / "Results" / "metrics.json").write_text("MNIST's")
    made = run(
        tmp_path, OFFLINE | {"KERAS_HOME": str(tmp_path / "keras")}, EPOCHS=1, HIDDEN="30", MIN_EPOCH=1
    )
    assert made.code == 0, made.err[-3000:]
    assert "STAND-IN" in made.out
    assert (tmp_path / "Results" / "metrics.json").read_text() == "MNIST's"
    numbers = metrics(tmp_path / "Results" / "digits")
    check_metrics(numbers, source="scikit-learn digits", stand_in=True, train_images=1437, test_images=360)


@pytest.mark.parametrize(
    "parameters, sentence",
    [
        (dict(EPOCHS=0), "EPOCHS must be a whole number, 1 or more, not 0."),
        (dict(BATCH_SIZE=-5), "BATCH_SIZE must be a whole number, 1 or more, not -5."),
        (dict(HIDDEN="''"), "HIDDEN must be layer widths"),
        (dict(LEARNING_RATE=-1), "LEARNING_RATE must be a number above 0"),
        (dict(DATA="nowhere.npz"), "there is no file nowhere.npz; give the path of an .npz file."),
    ],
)
def test_nonsense_on_the_command_line_stops_the_run_at_once(tmp_path, parameters, sentence):
    made = run(tmp_path, **parameters)
    assert made.code != 0
    assert sentence in made.err and "epoch   1" not in made.out
    assert not (tmp_path / "Results").exists()


def kill_when(folder, ready, **parameters):
    """Start a run and kill all its processes, without warning, as soon as `ready(output so far)`."""
    with open(folder / "out.txt", "w") as out:
        process = subprocess.Popen(
            command(folder / "run.ipynb", **parameters), cwd=folder, stdout=out, stderr=out
        )
        end = time.time() + 300
        while not ready((folder / "out.txt").read_text()):
            assert process.poll() is None and time.time() < end, (folder / "out.txt").read_text()[-2000:]
            time.sleep(0.02)
        for victim in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            victim.kill()
        process.wait()


@pytest.mark.parametrize("when", ["training", "writing"])
def test_a_killed_run_leaves_the_previous_results_whole(small_run, small_folder, when):
    folder = small_folder("killed")
    shutil.copytree(small_run.folder / "Results", folder / "Results")
    before = {path.name: path.read_bytes() for path in (folder / "Results").iterdir()}
    written = folder / "Results" / "in-progress" / "Reconstruction_2.gif"
    ready = {"training": lambda out: "epoch   1/" in out, "writing": lambda out: written.exists()}[when]
    kill_when(folder, ready, **SMALL | dict(SEED=2))
    after = {path.name: path.read_bytes() for path in (folder / "Results").iterdir() if path.is_file()}
    assert after == before
    assert (folder / "Results" / "in-progress").exists(), "killed before the files were moved into place"


def test_cells_can_be_run_twice(notebook, small_folder, monkeypatch):
    """Each cell of Part I is run, and then run again before the next; results are moved only at the end."""
    import nbformat
    from nbclient import NotebookClient

    folder = small_folder("twice")
    doubled = nbformat.from_dict(notebook)
    cells = []
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        if "parameters" in cell.metadata.get("tags", []):
            values = "\n".join(f"{name} = {value!r}" for name, value in (SMALL | dict(EPOCHS=1)).items())
            cells += [cell, nbformat.v4.new_code_cell(values)]
        elif cell.id == "curve":
            cells += [cell]
        else:
            cells += [cell, nbformat.v4.new_code_cell(cell.source)]
        if cell.id == "metrics-run":
            break
    doubled.cells = cells
    NotebookClient(doubled, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    lines = [
        output.text for cell in doubled.cells for output in cell.outputs if output.get("name") == "stdout"
    ]
    bounds = [line for text in lines for line in text.splitlines() if line.startswith("epoch   1/1")]
    assert len(bounds) == 2 and bounds[0].split("·")[1:3] == bounds[1].split("·")[1:3], (
        "the same numbers again"
    )


def test_the_notebook_reaches_its_quality_on_mnist(mnist_run):
    results = mnist_run.folder / "Results"
    check_results(results, moments=metrics_moments(results))
    numbers = metrics(results)
    check_metrics(numbers, train_images=60_000, test_images=10_000, stand_in=False)
    assert numbers["test"]["elbo"] >= -135.5  # runs scatter around -134.4 by some tenths
    assert 4 < numbers["test"]["kl"] < 10
    assert 0 < numbers["gap"] < 10
    assert numbers["test"]["elbo"] < numbers["test_refined"]["elbo"] < numbers["log_px"]
    assert numbers["importance_weighted"]["1000"] < numbers["importance_weighted"]["exact"]
    bounds = [numbers["figure2"][latents]["aevb_test"][-1] for latents in ("3", "5", "10", "20")]
    assert bounds == sorted(bounds), "more latents, up to twenty, make a better model"
    assert numbers["paper_settings"]["test_elbo"] < numbers["test"]["elbo"]
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    assert peak < 3.0, f"{peak:.2f} GB at the peak"
    assert (mnist_run.folder / "run.ipynb").stat().st_size < 1.5e6


def metrics_moments(results):
    """How many moments the GIFs of a run show: between 24 and 60."""
    count = len(frames_of(results / "Reconstruction_1.gif")[0])
    assert 24 <= count <= 60
    return count
