"""Parameters and data: what is taken, and the one sentence that refuses the rest."""

import numpy as np
import pytest
from conftest import run_cells, saved

NO_WIDTHS = ("", "-", "500-", "-500", -500, 0, "0", "a", [], [5, 0], [1.5], True, None)
REFUSED = {  # sentence: (function, what it refuses)
    "HIDDEN must be layer widths": ("widths", NO_WIDTHS),
    "EPOCHS must be a whole number, 1 or": ("whole", (0, -3, 1.5, "3", None, True)),
    "BETA_2 must be a number above 0": (
        "number",
        (0, -0.1, np.nan, 1, "0.1", None, True),
    ),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_parameters_that_make_no_sense_are_refused_in_a_sentence(nb, sentence):
    function, values = REFUSED[sentence]
    limit = () if function == "widths" else (1,)
    for value in values:
        with pytest.raises(ValueError, match=sentence):
            getattr(nb, function)(sentence.split()[0], value, *limit)


def test_good_parameters_are_taken_as_they_are(nb):
    for value in ("20-10-5", (20, 10, 5), [20, 10, 5]):
        assert nb.widths("HIDDEN", value) == [20, 10, 5]
    assert nb.widths("HIDDEN", 500) == nb.widths("HIDDEN", "500") == [500]
    assert nb.whole("EPOCHS", 1, 1) == 1 and nb.number("BETA_2", 0.5, 1) == 0.5


def test_images_of_any_size_become_rows_in_the_unit_interval(nb, tmp_path):
    data = nb.load_data(str(saved(tmp_path)))
    assert data.size == (4, 3) and data.source == "images.npz" and not data.standin
    assert data.x_train.shape == (5, 12) and data.x_train.dtype == np.float32
    assert np.all(data.x_train == 1) and np.all(data.x_test == 0)
    images = 20 * np.arange(12, dtype=np.uint8).reshape(1, 4, 3)
    rows, _ = nb.pixels_in_rows(images, np.zeros(1, int), "train")
    np.testing.assert_allclose(rows[0] * 255, 20 * np.arange(12), rtol=1e-6)


def five(value, dtype=None):
    return dict(x_train=np.full((5, 4, 3), value, dtype))


def test_floats_and_other_whole_numbers_are_read_too(nb, tmp_path):
    for dtype, top in ((np.float64, 1), (np.float16, 1), (bool, 1), (np.int64, 255)):
        data = nb.load_data(str(saved(tmp_path, **five(top, dtype))))
        assert np.all(data.x_train == 1)


def test_a_name_that_is_no_parameter_is_refused_with_the_nearest_if_one_is_near(nb):
    known = ("EPOCHS", "FIGURE_EPOCHS", "SEED")
    nb.refuse_unknown(known, known)
    advice = dict(EPOCH="did you mean EPOCHS", SEEDS="did you mean SEED")
    advice |= dict(seed="did you mean SEED", ZZ="see the cell of SEED")
    for name, words in advice.items():
        with pytest.raises(ValueError, match=f"^{name} is no parameter .* {words}"):
            nb.refuse_unknown([*known, name], known)


def test_the_environment_names_the_file_and_else_keras_is_asked(
    nb, tmp_path, monkeypatch
):
    with np.load(saved(tmp_path)) as a:
        pairs = (a["x_train"], a["y_train"]), (a["x_test"], a["y_test"])
    monkeypatch.setattr(nb.keras.datasets.mnist, "load_data", lambda: pairs)
    monkeypatch.setenv("MNIST_NPZ", str(saved(tmp_path)))
    assert nb.load_data("").source == "images.npz"
    monkeypatch.delenv("MNIST_NPZ")
    data = nb.load_data("")
    assert data.source == "keras.datasets.mnist" and not data.standin


@pytest.fixture
def without_mnist(nb, monkeypatch):
    def fail():
        raise OSError("no route to host")

    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setattr(nb.keras.datasets.mnist, "load_data", fail)


def test_without_mnist_the_stand_in_is_loaded_and_says_so(nb, without_mnist, capsys):
    data, printed = nb.load_data(""), capsys.readouterr().out
    assert (
        data.standin and data.size == (28, 28) and set(data.y_train) == set(range(10))
    )
    assert (len(data.x_train), len(data.x_test)) == (1437, 360)
    images, border = data.x_train.reshape(-1, 28, 28), np.ones((28, 28), bool)
    border[4:24, 4:24] = False
    assert images[:, border].max() == 0 and 0.1 < images[:, ~border].mean() < 0.5
    assert all(word in printed for word in ("STAND-IN", "no route to host", "!!!!"))


def test_the_defaults_learn_something_from_the_stand_in(notebook, nb, without_mnist):
    """In half of its passes. With minibatches of 512 the KL stayed 0, at -174 nats."""
    cell = run_cells(notebook, nb, "data", DATA="")
    data, steps = cell["data"], nb.EPOCHS // 2 * cell["STEPS_PER_EPOCH"]
    vae = nb.build(data.x_train.shape[1], nb.widths("HIDDEN", nb.HIDDEN), 2)
    step = nb.make_step(vae, nb.make_optimizer(steps))
    nb.finish(nb.train(step, data.x_train, cell["M"], steps, [steps], "stand-in"))
    x = nb.binarize(data.x_test, nb.seed_for("stand-in"))
    test = nb.evaluate(vae, x, 4, "stand-in")
    assert test["elbo"] > -160 and test["kl"] > 2


@pytest.mark.parametrize("grey", [0, 255])
def test_constant_images_are_taken(nb, tmp_path, grey):
    data = nb.load_data(
        str(saved(tmp_path, x_train=np.full((5, 4, 3), grey, np.uint8)))
    )
    assert np.all(data.x_train == grey / 255)


def test_large_seeds_are_taken_and_differ(nb, monkeypatch):
    found = []
    for seed in (1, 2**32 + 1, 2**64 + 1):
        monkeypatch.setattr(nb, "SEED", seed)
        nb.build(12, [8], 2)
        found.append(tuple(nb.seed_for("a draw")))
    assert len(set(found)) == 3


def test_a_training_of_a_single_step_moves(nb):
    adam = nb.make_optimizer(1)
    assert float(adam.learning_rate) > 0


REMARKS = {
    "one label only": dict(y_train=np.zeros(5, int)),
    "12 labels: some share a colour": dict(y_train=np.arange(12)),
    "nothing to learn": dict(x_train=np.full((5, 4, 3), 7 / 9)),
}


@pytest.mark.parametrize("words", REMARKS)
def test_images_whose_pictures_say_little_are_remarked_on(nb, tmp_path, words, capsys):
    change = REMARKS[words]
    count = len(change.get("y_train", range(5)))
    varied = np.random.default_rng(0).random((count, 4, 3))
    good = dict(x_train=varied, y_train=np.arange(count) % 5)
    nb.print_remarks(nb.load_data(str(saved(tmp_path, **good))))
    assert capsys.readouterr().out == ""
    nb.print_remarks(nb.load_data(str(saved(tmp_path, **good | change))))
    (found,) = capsys.readouterr().out.splitlines()
    assert words in found
