"""Parameters and data: what is taken, and the one sentence that refuses the rest."""

from pathlib import Path

import numpy as np
import pytest

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


def saved(folder, **changes):
    """The path of an .npz with four good arrays, changed; None leaves one out."""
    train = dict(x_train=np.full((5, 4, 3), 255, np.uint8), y_train=np.arange(5))
    test = dict(x_test=np.zeros((2, 4, 3), np.uint8), y_test=np.arange(2))
    arrays = {k: v for k, v in (train | test | changes).items() if v is not None}
    np.savez(folder / "images.npz", **arrays)
    return str(folder / "images.npz")


def test_images_of_any_size_become_rows_in_the_unit_interval(nb, tmp_path):
    data = nb.load_data(saved(tmp_path))
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
        assert np.all(nb.load_data(saved(tmp_path, **five(top, dtype))).x_train == 1)


NONE = np.zeros((0, 4, 3), np.uint8)
BAD = {
    "an array missing": (dict(x_test=None), "lacks x_test"),
    "flat images": (dict(x_train=np.zeros((5, 12))), "give images .N, H, W."),
    "colour images": (dict(x_test=np.zeros((2, 4, 3, 3))), "give images .N, H, W."),
    "labels in columns": (dict(y_train=np.zeros((5, 1), int)), "labels .N,."),
    "too few labels": (dict(y_train=np.arange(4)), "one label per image, not 4 for 5"),
    "no training images": (dict(x_train=NONE, y_train=np.arange(0)), "no images"),
    "no test images": (dict(x_test=NONE, y_test=np.arange(0)), "no images"),
    "sizes that differ": (dict(x_test=np.zeros((2, 3, 4), np.uint8)), "use one size"),
    "floats up to 255": (five(255.0), r"must lie in 0\.\.1; scale"),
    "negative floats": (five(-0.1), r"must lie in 0\.\.1; scale"),
    "integers above 255": (five(256), r"must lie in 0\.\.255; scale"),
    "negative integers": (five(-1), r"must lie in 0\.\.255; scale"),
    "NaN": (five(np.nan), "NaN or infinite"),
    "infinity": (five(np.inf), "NaN or infinite"),
    "whole numbers of 0 and 1": (
        five(1, np.uint8),
        "largest pixel is 1 of 255, nearly",
    ),
    "whole numbers up to 15": (five(15, np.int64), "or give booleans for 0 and 1"),
    "text": (five("a"), "give numbers for pixels"),
    "complex pixels": (five(1, complex), "give numbers for pixels"),
    "labels with fractions": (
        dict(y_train=np.arange(5) / 2),
        "whole numbers for labels",
    ),
    "pickled objects": (dict(x_train=np.array([None] * 5, object)), "plain numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arrays_are_refused_in_one_sentence(nb, tmp_path, name):
    changes, message = BAD[name]
    with pytest.raises(ValueError, match=message) as caught:
        nb.load_data(saved(tmp_path, **changes))
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_a_missing_file_is_refused(nb, tmp_path):
    for path in (tmp_path / "nowhere.npz", tmp_path):
        with pytest.raises(ValueError, match="there is no file .*; give the path"):
            nb.load_data(str(path))


def test_a_missing_file_is_laid_to_what_named_it(nb, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="^DATA: there is no file"):
        nb.load_data(str(tmp_path / "nowhere.npz"))
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "nowhere.npz"))
    with pytest.raises(ValueError, match="^MNIST_NPZ: there is no file"):
        nb.load_data("")


def test_a_name_that_is_no_parameter_is_refused_with_the_nearest(nb):
    known = ("EPOCHS", "FIGURE_EPOCHS", "SEED")
    nb.refuse_unknown([*known, "STARTED", "KNOWN"], known)
    for name, near in (("EPOCH", "EPOCHS"), ("SEEDS", "SEED"), ("ZZ", "EPOCHS, FIG")):
        with pytest.raises(ValueError, match=f"^{name} is no parameter .* mean {near}"):
            nb.refuse_unknown([*known, name], known)


def test_a_file_that_is_no_npz_or_damaged_is_refused(nb, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 40, 30), np.uint8)
    whole, path = Path(saved(tmp_path, x_train=pixels)).read_bytes(), tmp_path / "a.npz"
    torn, overwritten = whole[:-200], whole[:300] + bytes(500) + whole[800:]
    for content in (b"", b"no zip file", b"\x80\x04\x95pickle", torn, overwritten):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="a.npz is damaged or not an .npz"):
            nb.load_data(str(path))
    np.save(tmp_path / "one.npy", np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match="one.npy is damaged or not an .npz"):
        nb.load_data(str(tmp_path / "one.npy"))


def test_the_environment_names_the_file_and_else_keras_is_asked(
    nb, tmp_path, monkeypatch
):
    with np.load(saved(tmp_path)) as a:
        pairs = (a["x_train"], a["y_train"]), (a["x_test"], a["y_test"])
    monkeypatch.setattr(nb.keras.datasets.mnist, "load_data", lambda: pairs)
    monkeypatch.setenv("MNIST_NPZ", saved(tmp_path))
    assert nb.load_data("").source == "images.npz"
    monkeypatch.delenv("MNIST_NPZ")
    data = nb.load_data("")
    assert data.source == "keras.datasets.mnist" and not data.standin


def test_without_mnist_the_stand_in_is_loaded_and_says_so(nb, monkeypatch, capsys):
    def fail():
        raise OSError("no route to host")

    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setattr(nb.keras.datasets.mnist, "load_data", fail)
    data, printed = nb.load_data(""), capsys.readouterr().out
    assert (
        data.standin and data.size == (28, 28) and set(data.y_train) == set(range(10))
    )
    assert (len(data.x_train), len(data.x_test)) == (1437, 360)
    images, border = data.x_train.reshape(-1, 28, 28), np.ones((28, 28), bool)
    border[4:24, 4:24] = False
    assert images[:, border].max() == 0 and 0.1 < images[:, ~border].mean() < 0.5
    assert all(word in printed for word in ("STAND-IN", "no route to host", "!!!!"))
