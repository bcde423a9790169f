"""The benchmark counts right, takes turns, and its README says what its files say."""

import importlib.util
import json
import subprocess
import sys

import nbformat
import numpy as np
import pytest
from loader import ROOT

FOLDER = ROOT / "benchmarks"


@pytest.fixture(scope="module")
def script():
    """A script of the benchmark as a module."""
    sys.path.insert(0, str(FOLDER))

    def load(name):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="module")
def contenders(script):
    return script("contenders")


def test_operations_are_counted_layer_by_layer(contenders):
    vae = contenders.build_notebook()
    dense = [
        layer for net in vae[:2] for layer in net.layers if hasattr(layer, "units")
    ]
    weights = [int(np.prod(layer.kernel.shape)) for layer in dense]
    counted = sum(2 * np.prod(s) for s in contenders.layer_products(vae, 10))
    assert counted == 10 * (6 * sum(weights) - 2 * weights[0])


def test_seconds_to_a_target_end_with_the_epoch_that_reaches_it(script):
    turns = [(2.0, 160), (40.0, 150), (3.0, 151), (3.0, 145)]
    turns = [{"seconds": seconds, "bound": bound} for seconds, bound in turns]
    to = script("race").seconds_to
    assert [to(turns, t) for t in (160, 155, 149, 144)] == [2, 42, 48, None]


def test_fit_trains_what_the_notebook_trains(contenders):
    """One step on the same binary images, σ so small that noise is nothing."""
    nb = contenders.nb
    x = np.float32(np.random.default_rng(0).integers(0, 2, (32, 784)))
    ours, theirs, start = (contenders.build_notebook() for _ in range(3))
    for vae in (ours, theirs, start):
        vae.encoder.layers[-1].bias.assign([0.0, 0.0, -40.0, -40.0])
    nb.make_step(ours, nb.keras.optimizers.SGD(1e-3))(x, nb.seed_for("one step"))
    model = contenders.FitModel(theirs)
    model.compile(optimizer=nb.keras.optimizers.SGD(1e-3))
    model.fit(x, batch_size=32, epochs=1, verbose=0)

    def moves(vae):
        pairs = zip(vae[:2], start[:2], strict=True)
        weights = [(a.get_weights(), b.get_weights()) for a, b in pairs]
        return [x - y for w, v in weights for x, y in zip(w, v, strict=True)]

    assert max(np.abs(move).max() for move in moves(ours)) > 1e-4
    for a, b in zip(moves(ours), moves(theirs), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_a_quick_race_takes_turns_and_leaves_all_files_alone():
    kept = [*FOLDER.iterdir(), *(ROOT / "Results").iterdir()]
    before = {path: path.stat().st_mtime_ns for path in kept if path.is_file()}
    words = [sys.executable, str(FOLDER / "race.py"), "--quick", "--only"]
    names = ["notebook", "fit"]
    done = subprocess.run([*words, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert list(report["contenders"]) == names
    for result in report["contenders"].values():
        assert len(result["turns"]) == 2
        assert all(50 < turn["bound"] < 1000 for turn in result["turns"])
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_the_readme_shows_the_tables_of_the_committed_race(script):
    if not (FOLDER / "race.json").exists():
        pytest.skip("no race is committed")
    race, report = script("race"), json.loads((FOLDER / "race.json").read_text())
    text = (FOLDER / "README.md").read_text()
    for table in race.tables(report["contenders"]):
        assert table in text
    assert report["machine"]["cpu"] in text


def test_the_readme_shows_the_table_at_altosaars_settings(script):
    if not (FOLDER / "altosaar.json").exists():
        pytest.skip("no run at altosaar's settings is committed")
    rows = json.loads((FOLDER / "altosaar.json").read_text())
    assert script("altosaar").table(rows) in (FOLDER / "README.md").read_text()
    assert all(row["weighted"] < row["bound"] < 120 for row in rows)


def test_seconds_are_added_up_by_section(script):
    note, sections = nbformat.v4, script("sections")
    cells = [note.new_code_cell(metadata={"papermill": {"duration": 1.5}})]
    cells.append(note.new_markdown_cell("text\n\n## 2 · Data: a pixel\n\ntext"))
    cells += [
        note.new_code_cell(metadata={"papermill": {"duration": s}}) for s in (2, 3)
    ]
    found = sections.seconds_by_section(note.new_notebook(cells=cells))
    assert found == {"1 · Set-up": 1.5, "2 · Data: a pixel": 5}
    text = sections.table({"before": {"2 · Data: a pixel": 9.0}, "seconds": found})
    assert (
        "| 2 · Data: a pixel | 9 | 5 |" in text and "| all sections | 9 | 6 |" in text
    )
    assert "Set-up" not in text


def test_the_readme_shows_the_table_of_the_committed_sections(script):
    runs = json.loads((FOLDER / "sections.json").read_text())
    assert script("sections").table(runs) in (FOLDER / "README.md").read_text()


def test_the_readme_shows_the_table_of_the_committed_trainings(script):
    report = json.loads((FOLDER / "quality.json").read_text())
    quality, text = script("quality"), (FOLDER / "README.md").read_text()
    assert quality.table(report["rows"]) in text and report["machine"]["cpu"] in text
    groups = quality.by_epochs(report["rows"])
    assert all(len(group) == len(quality.SEEDS) for group in groups.values())
    shortest, *_, longest = (
        np.mean([row["-ELBO"] for row in group]) for group in groups.values()
    )
    assert longest < shortest


def test_a_quick_training_for_the_curve_writes_nothing(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {f"x_{k}": rng.random((1024, 28, 28)) for k in ("train", "test")}
    arrays |= {f"y_{k}": np.arange(1024) % 10 for k in ("train", "test")}
    np.savez(tmp_path / "images.npz", **arrays)
    before = {path: path.stat().st_mtime_ns for path in FOLDER.glob("*.*")}
    words = [sys.executable, str(FOLDER / "quality.py"), str(tmp_path / "images.npz")]
    done = subprocess.run([*words, "--quick"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "| 1 |" in done.stdout and "| 2 |" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in before}
