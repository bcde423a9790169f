"""The benchmark runs, counts right, and the README's tables are what its committed figures say."""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
import types
from functools import partial

import numpy as np
import pytest
from conftest import OFFLINE, ROOT

SCRIPT = ROOT / "benchmarks/train_speed.py"


@pytest.fixture(scope="module")
def bench():
    """The benchmark as a module; it has definitions of the notebook of its own."""
    spec = importlib.util.spec_from_file_location("train_speed", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.nb.D, module.nb.M, module.nb.passes = 784, 32, 1
    return module


def dense_weights(network):
    return [layer.kernel.shape for layer in network.layers if hasattr(layer, "units")]


def weights_of(one, other):
    return zip(one.get_weights(), other.get_weights(), strict=True)


def test_operations_are_counted_by_layer(bench):
    vae = bench.build_notebook()
    weights = sum(int(np.prod(shape)) for network in vae for shape in dense_weights(network))
    first = int(np.prod(dense_weights(vae.encoder)[0]))
    assert bench.matrix_products(vae, 10)[0] == 10 * (6 * weights - 2 * first)


def test_a_convolution_counts_as_the_products_of_its_patches(bench):
    flops, products = bench.matrix_products(bench.build_convolutional(), 3)
    encoder = 4 * 14 * 14 * 9 * 32 + 6 * (7 * 7 * 9 * 32 * 64 + 3136 * 16 + 16 * 4)
    decoder = 6 * (2 * 3136 + 7 * 7 * 9 * 64 * 64 + 14 * 14 * 9 * 64 * 32 + 28 * 28 * 9 * 32)
    assert flops == 3 * (encoder + decoder)
    assert all(np.isfinite(value) for value in products())


def test_seconds_to_a_target_end_with_the_first_epoch_that_reaches_it(bench):
    run = types.SimpleNamespace(seconds=[2.0, 3.0, 40.0, 3.0], bounds=[160.0, 150.0, 151.0, 145.0])
    run.totals, to = partial(bench.Contender.totals, run), bench.Contender.seconds_to
    assert run.totals() == [2, 5, 8, 11], "an epoch held up by something else does not count"
    assert to(run, 160) == 2 and to(run, 155) == 5 and to(run, 150) == 5 and to(run, 149) == 11
    assert to(run, 144) is None


def test_a_power_law_is_recovered(bench):
    sizes = np.array([10, 20, 40])
    assert bench.power_law(sizes, 3 * sizes**1.5) == pytest.approx((1.5, 3))
    assert bench.power_law(sizes, [None, None, 2.0]) == (None, None)


def test_contenders_take_turns_and_only_their_own_time_counts(bench, monkeypatch):
    monkeypatch.setattr(bench, "judge", lambda vae, x, samples: {"elbo": -100.0})
    done = []

    def train(contender):
        for _ in range(2):
            done.append(contender.name)
            contender.epoch_end()

    field = [bench.Contender(name, None, train, 2, 1, [], []) for name in "ab"]
    while [c.turn() for c in field] != [False, False]:
        pass
    assert done == ["a", "b", "a", "b"]
    assert all(c.bounds == [100.0, 100.0] and max(c.seconds) < 0.5 for c in field)


def test_a_failing_contender_is_reported_and_the_others_go_on(bench):
    def train(contender):
        raise RuntimeError("no such luck")

    contender = bench.Contender("a", None, train, 2, 1, [], [])
    assert contender.turn() is False and "no such luck" in repr(contender.error)


def test_keras_fit_trains_what_the_notebook_trains(bench):
    """One step on the same binary images, with σ next to nothing so that noise does not count."""
    nb = bench.nb
    x = np.float32(np.random.default_rng(0).integers(0, 2, (32, 784)))
    ours, theirs, start = (bench.build_notebook() for _ in range(3))
    for vae in (ours, theirs, start):
        vae.encoder.layers[-1].bias.assign([0.0, 0.0, -40.0, -40.0])
    step = nb.make_train_step(ours, nb.keras.optimizers.SGD(1e-3))
    step(nb.tf.constant(x), nb.tf.range(32), nb.tf.constant([0, 0]))
    model = bench.FitModel(theirs, binary=True)
    model.compile(optimizer=nb.keras.optimizers.SGD(1e-3))
    model.fit(x, batch_size=32, epochs=1, verbose=0)
    moved = [a - b for nets in zip(ours, start, strict=True) for a, b in weights_of(*nets)]
    other = [a - b for nets in zip(theirs, start, strict=True) for a, b in weights_of(*nets)]
    assert max(np.abs(move).max() for move in moved) > 1e-4
    for a, b in zip(moved, other, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)


def test_the_twin_in_pytorch_answers_alike(bench):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = np.random.default_rng(0).random((5, 784), np.float32)
    encoder = bench.build_notebook().encoder
    np.testing.assert_allclose(bench.torch_twin(encoder)(torch.from_numpy(x)).detach(), encoder(x), atol=1e-5)


def test_quick_runs_everything_and_leaves_results_alone(tmp_path):
    before = {path: path.stat().st_mtime_ns for path in (ROOT / "Results").iterdir()}
    inherited = {name: value for name, value in os.environ.items() if name != "MNIST_NPZ"}
    words = [sys.executable, str(SCRIPT), "--quick"]
    env = inherited | OFFLINE | {"KERAS_HOME": str(tmp_path)}
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["quick"] and "digits" in report["data"] and "STAND-IN" in done.stdout
    assert set(report["contenders"]) >= {"notebook", "keras fit", "keras example", "500-500 dropout"}
    for name, figures in report["contenders"].items():
        assert len(figures["bound"]) == figures["epochs"] == 2, name
        assert all(50 < bound < 1000 for bound in figures["bound"]), name
        assert figures["seconds_per_epoch"] > 0 and 0 < figures["share_of_limit"] < 1.5, name
    assert set(report["growth"]) == {"images", "hidden width", "grid points"}
    assert report["step_seconds"]["whole step"] > report["step_seconds"]["· matrix products"] > 0
    assert before == {path: path.stat().st_mtime_ns for path in (ROOT / "Results").iterdir()}


def test_readme_shows_the_tables_of_the_committed_benchmark(bench):
    report = json.loads((ROOT / "Results/benchmark.json").read_text())
    assert not report["quick"] and report["data"] == "mnist.npz"
    readme, printed = (ROOT / "README.md").read_text(), io.StringIO()
    with contextlib.redirect_stdout(printed):
        bench.print_race(report["contenders"])
        bench.print_profile(report["step_gflop"] * 1e9, report["step_seconds"])
    for line in printed.getvalue().splitlines():
        assert line in readme, line
    assert report["machine"]["cpu"] in readme
    assert f"{report['machine']['cores']} cores" in readme
