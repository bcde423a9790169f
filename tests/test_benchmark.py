"""The benchmark counts right, takes turns, and its README says what its files say."""

import importlib.util
import json
import subprocess
import sys
import types

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


def stamps():
    """When each file was written that a benchmark or a run may write."""
    kept = [*FOLDER.iterdir(), *(ROOT / "Results").iterdir()]
    return {path: path.stat().st_mtime_ns for path in kept if path.is_file()}


@pytest.mark.parametrize(
    "network, first",
    [("build_notebook", 784 * 500), ("build_convolutional", 14 * 14 * 9 * 32)],
)
def test_operations_are_counted_layer_by_layer(contenders, network, first):
    """Three products a layer and image, but for the first layer's two."""
    vae = getattr(contenders, network)()
    counted = sum(2 * np.prod(s) for s in contenders.layer_products(vae, 10))
    assert counted == 10 * (6 * contenders.nb.multiplications(vae) - 2 * first)


def test_seconds_to_a_target_end_with_the_epoch_that_reaches_it(script):
    turns = [(2.0, 160), (40.0, 150), (3.0, 151), (3.0, 145)]
    turns = [{"seconds": seconds, "bound": bound} for seconds, bound in turns]
    to = script("race").seconds_to
    assert [to(turns, t) for t in (160, 155, 149, 144)] == [2, 42, 48, np.inf]


def test_the_middle_is_the_median_also_of_an_even_number(script):
    assert script("race").middle([1, 2, 3, 10]) == (2.5, "1.00–10.00")


def test_contenders_take_turns(script, monkeypatch):
    race, order = script("race"), []

    class Fake(types.SimpleNamespace):
        def turn(self):
            order.append(f"{self.name}{self.seed}")
            self.turns.append({"seconds": float(self.seed)})

    def fake(name, seed, epochs, quick):
        return Fake(name=name, seed=seed, setting={}, turns=[], close=lambda: "")

    monkeypatch.setattr(race, "Contender", fake)
    results = race.race(["a", "b"], [1, 5], 2, True)
    assert order == ["a1", "b1", "a1", "b1", "a5", "b5", "a5", "b5"]
    for result in results.values():
        seconds = [[turn["seconds"] for turn in turns] for turns in result["runs"]]
        assert seconds == [[1, 1], [5, 5]]


def test_a_table_of_several_seeds(script):
    """First epochs apart; a target that most seeds did not reach has no time."""
    runs = [
        [{"seconds": s, "bound": b, "products": 0.5} for s, b in turns]
        for turns in (
            [(9, 200), (2, 180)],
            [(8, 195), (3, 160)],
            [(7, 185), (4, 175)],
        )
    ]
    result = {"batch": 128, "steps": 2, "runs": runs}
    first, second = script("race").tables({"fit": result})
    row = "| fit | 128 | 3.00 (1.00×) | 2.00–4.00 | 8.0 | 33% | 171.7 | 160.0–180.0 |"
    assert row in first
    assert "| fit | 11 | 11 | – | – |" in second


def test_a_contender_that_ends_early_says_why(script, monkeypatch, capsys):
    race = script("race")
    monkeypatch.setattr(race, "FOLDER", ROOT / "nowhere")
    assert race.race(["a"], [1], 1, True) == {}
    said = capsys.readouterr().err
    assert "a ended after 0 epochs" in said and "No such file" in said


def test_a_race_without_the_notebook_is_measured_by_its_first(script):
    turn = {"seconds": 2.0, "bound": 160.0, "products": 0.5}
    result = {"batch": 128, "steps": 2, "runs": [[turn, turn]]}
    assert "| fit | 128 | 2.00 (1.00×) |" in script("race").tables({"fit": result})[0]


def test_the_line_that_turns_determinism_on_is_there_to_be_left_out(
    contenders, notebook
):
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert sum(source.count(contenders.DETERMINISM) for source in sources) == 1


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_torch_and_jax_train_what_the_notebook_trains(contenders, library):
    """A few steps on the same binary images, σ so small that noise is nothing."""
    pytest.importorskip(library)
    nb, rng = contenders.nb, np.random.default_rng(0)
    x = np.float32(rng.random((64, 784)) < rng.random((64, 1)))
    before, ours, theirs = (contenders.build_notebook() for _ in range(3))
    for vae in (before, ours, theirs):
        vae.encoder.layers[-1].bias.assign([0.0, 0.0, -40.0, -40.0])
    list(contenders.train_notebook(ours, x, 64, 5))
    *_, weights = getattr(contenders, f"train_{library}")(before, x, 64, 5)
    for network, arrays in zip(theirs[:2], weights, strict=True):
        network.set_weights(arrays)
    eps = np.zeros((1, 64, 2), np.float32)
    start, by_notebook, by_library = (
        nb.elbo(vae, x, eps).numpy() for vae in (before, ours, theirs)
    )
    assert by_notebook.mean() > start.mean() + 20
    np.testing.assert_allclose(by_library, by_notebook, rtol=1e-3)


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


def test_keras_decays_the_weights_that_the_notebook_decays(contenders):
    """By `apply` and by `descend`, with gradients of 0."""
    nb = contenders.nb
    ours, theirs = (contenders.build_notebook() for _ in range(2))
    weights, others = nb.weights_of(ours), nb.weights_of(theirs)
    start = [weight.numpy() for weight in weights]
    adam, other_adam = nb.make_optimizer(100), contenders.own_adam(theirs, 100)
    for optimizer, both in ((adam, weights), (other_adam, others)):
        optimizer.build(both)
        optimizer.iterations.assign(50)  # a large step
    zeros = [nb.tf.zeros_like(weight) for weight in weights]
    nb.descend(adam, zeros, weights, nb.kernels(ours.decoder))
    other_adam.apply(zeros, others)
    moved = [np.any(a != b) for a, b in zip(start, weights, strict=True)]
    assert sum(moved) == len(nb.kernels(ours.decoder))
    for weight, other in zip(weights, others, strict=True):
        np.testing.assert_allclose(weight, other, rtol=1e-6)


def test_a_quick_race_trains_all_and_leaves_all_files_alone():
    before = stamps()
    words = [sys.executable, str(FOLDER / "race.py"), "--quick", "--only"]
    names = ["notebook", "fit"]
    done = subprocess.run([*words, *names], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert list(report["contenders"]) == names
    for result in report["contenders"].values():
        (turns,) = result["runs"]
        assert len(turns) == 2
        assert all(50 < turn["bound"] < 1000 for turn in turns)
    assert stamps() == before


def test_the_readme_shows_the_tables_of_the_committed_race(script):
    race, report = script("race"), json.loads((FOLDER / "race.json").read_text())
    text = (FOLDER / "README.md").read_text()
    for table in race.tables(report["contenders"]):
        assert table in text
    assert report["machine"]["cpu"] in text


def test_the_readme_shows_the_table_at_altosaars_settings(script):
    rows = json.loads((FOLDER / "altosaar.json").read_text())
    assert script("altosaar").table(rows) in (FOLDER / "README.md").read_text()
    assert all(row["weighted"] < row["bound"] < 120 for row in rows)


def test_the_readme_shows_the_table_of_the_committed_growth(script):
    report = json.loads((FOLDER / "growth.json").read_text())
    assert script("growth").table(report["rows"]) in (FOLDER / "README.md").read_text()


def test_without_a_trained_decoder_growth_says_what_to_run(
    script, monkeypatch, tmp_path
):
    growth = script("growth")
    monkeypatch.setattr(growth, "DECODER", tmp_path / "decoder.keras")
    with pytest.raises(SystemExit, match="decoder.keras is missing: run  make results"):
        growth.main(quick=True)


def test_the_explorers_page_is_timed(script, browser):
    found = script("explorer").measure(browser)
    assert set(found) == {"first paint", "move", "look"} and min(found.values()) > 0


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
    before = stamps()
    words = [sys.executable, str(FOLDER / "quality.py"), str(tmp_path / "images.npz")]
    done = subprocess.run([*words, "--quick"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "| 1 |" in done.stdout and "| 2 |" in done.stdout
    assert stamps() == before
