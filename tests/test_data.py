"""The parameters and the loader: what they take, and the one sentence with which they refuse the rest."""

from pathlib import Path

import numpy as np
import pytest


@pytest.mark.parametrize(
    "value, layers",
    [("500-300-150", [500, 300, 150]), ("500", [500]), (500, [500]), ((20, 10), [20, 10]), ([7], [7])],
)
def test_widths_reads_every_way_to_write_layers(nb, value, layers):
    assert nb.widths("HIDDEN", value) == layers


@pytest.mark.parametrize(
    "value", ["", "-", "500-", "-500", -500, 0, "0", "a", [], (), [500, 0], [1.5], True, None, "5 0"]
)
def test_widths_refuses_nonsense(nb, value):
    with pytest.raises(ValueError, match="HIDDEN must be layer widths"):
        nb.widths("HIDDEN", value)


@pytest.mark.parametrize("value", [0, -3, 1.5, "3", None, True, float("nan")])
def test_whole_refuses_all_but_whole_numbers_that_are_large_enough(nb, value):
    with pytest.raises(ValueError, match="EPOCHS must be a whole number, 1 or more"):
        nb.whole("EPOCHS", value, 1)
    assert nb.whole("EPOCHS", 1, 1) == 1


@pytest.mark.parametrize("value", [0, -0.1, float("nan"), float("inf"), "0.1", None, True])
def test_number_refuses_all_but_positive_finite_numbers(nb, value):
    with pytest.raises(ValueError, match="LEARNING_RATE must be a number above 0"):
        nb.number("LEARNING_RATE", value, float("inf"))
    assert nb.number("LEARNING_RATE", 1, float("inf")) == 1.0


def arrays(**changes):
    """Four good arrays, with changes; None leaves one out."""
    good = dict(
        x_train=np.full((5, 4, 3), 255, np.uint8),
        y_train=np.arange(5),
        x_test=np.zeros((2, 4, 3), np.uint8),
        y_test=np.arange(2),
    )
    return {name: value for name, value in (good | changes).items() if value is not None}


def saved(tmp_path, **changes):
    np.savez(tmp_path / "images.npz", **arrays(**changes))
    return str(tmp_path / "images.npz")


def test_images_of_any_size_become_rows_in_the_unit_interval(nb, tmp_path):
    data = nb.load_data(saved(tmp_path))
    assert data.size == (4, 3) and data.x_train.shape == (5, 12) and data.x_train.dtype == np.float32
    assert data.x_train.min() == data.x_train.max() == 1.0 and data.x_test.max() == 0.0
    assert data.source == "images.npz" and not data.standin


def test_pixels_keep_their_order(nb):
    images = np.arange(12, dtype=np.uint8).reshape(1, 4, 3)
    rows, _ = nb.pixels_in_rows(images, np.zeros(1, int), "train")
    np.testing.assert_allclose(rows[0] * 255, np.arange(12), rtol=1e-6)


@pytest.mark.parametrize("dtype, top", [(np.float64, 1.0), (np.float16, 1.0), (bool, 1), (np.int64, 255)])
def test_floats_and_other_whole_numbers_are_read_too(nb, tmp_path, dtype, top):
    data = nb.load_data(saved(tmp_path, x_train=np.full((5, 4, 3), top, dtype)))
    assert np.all(data.x_train == 1.0)


def test_the_environment_names_the_file_when_the_parameter_is_empty(nb, tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_NPZ", saved(tmp_path))
    assert nb.load_data("").source == "images.npz"


BAD = {
    "an array missing": (dict(x_test=None), "lacks x_test"),
    "flat images": (dict(x_train=np.zeros((5, 12), np.uint8)), "give images .N, H, W."),
    "colour images": (dict(x_test=np.zeros((2, 4, 3, 3), np.uint8)), "give images .N, H, W."),
    "labels in columns": (dict(y_train=np.zeros((5, 1), int)), "labels .N,."),
    "too few labels": (dict(y_train=np.arange(4)), "one label per image, not 4 for 5"),
    "no training images": (
        dict(x_train=np.zeros((0, 4, 3), np.uint8), y_train=np.zeros(0, int)),
        "no images",
    ),
    "no test images": (dict(x_test=np.zeros((0, 4, 3), np.uint8), y_test=np.zeros(0, int)), "no images"),
    "sizes that differ": (dict(x_test=np.zeros((2, 3, 4), np.uint8)), "use one size"),
    "floats up to 255": (dict(x_train=np.full((5, 4, 3), 255.0)), r"must lie in 0\.\.1; scale"),
    "negative floats": (dict(x_train=np.full((5, 4, 3), -0.1)), r"must lie in 0\.\.1; scale"),
    "integers above 255": (dict(x_train=np.full((5, 4, 3), 256)), r"must lie in 0\.\.255; scale"),
    "negative integers": (dict(x_test=np.full((2, 4, 3), -1)), r"must lie in 0\.\.255; scale"),
    "NaN": (dict(x_train=np.full((5, 4, 3), np.nan)), "NaN or infinite"),
    "infinity": (dict(x_test=np.full((2, 4, 3), np.inf)), "NaN or infinite"),
    "text": (dict(x_train=np.full((5, 4, 3), "a")), "give numbers for pixels"),
    "complex pixels": (dict(x_train=np.ones((5, 4, 3), complex)), "give numbers for pixels"),
    "labels with fractions": (dict(y_train=np.arange(5) / 2), "whole numbers for labels"),
    "pickled objects": (dict(x_train=np.array([None] * 5, object)), "save plain numbers"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arrays_are_refused_in_one_sentence(nb, tmp_path, name):
    changes, message = BAD[name]
    with pytest.raises(ValueError, match=message) as caught:
        nb.load_data(saved(tmp_path, **changes))
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_a_missing_file_is_refused(nb, tmp_path):
    with pytest.raises(ValueError, match="there is no file .*; give the path"):
        nb.load_data(str(tmp_path / "nowhere.npz"))
    with pytest.raises(ValueError, match="there is no file"):
        nb.load_data(str(tmp_path))


@pytest.mark.parametrize("content", [b"", b"not a zip file", b"\x80\x04\x95pickle"])
def test_a_file_that_is_no_npz_is_refused(nb, tmp_path, content):
    (tmp_path / "odd.npz").write_bytes(content)
    with pytest.raises(ValueError, match="odd.npz is damaged or not an .npz"):
        nb.load_data(str(tmp_path / "odd.npz"))


def test_a_single_npy_array_is_refused(nb, tmp_path):
    np.save(tmp_path / "one.npy", np.zeros((2, 4, 3)))
    with pytest.raises(ValueError, match="one.npy is damaged or not an .npz"):
        nb.load_data(str(tmp_path / "one.npy"))


def test_a_truncated_or_overwritten_npz_is_refused(nb, tmp_path):
    rng = np.random.default_rng(0)
    path = saved(tmp_path, x_train=rng.integers(0, 256, (5, 40, 30), np.uint8))
    whole = Path(path).read_bytes()
    for damaged in (whole[:-200], whole[:300] + bytes(500) + whole[800:]):
        (tmp_path / "damaged.npz").write_bytes(damaged)
        with pytest.raises(ValueError, match="damaged"):
            nb.load_data(str(tmp_path / "damaged.npz"))


def test_without_mnist_the_stand_in_is_loaded_and_says_so(nb, monkeypatch, capsys):
    def fail():
        raise OSError("no route to host")

    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setattr(nb.keras.datasets.mnist, "load_data", fail)
    data = nb.load_data("")
    assert data.standin and data.size == (28, 28) and len(data.x_train) == 1437 and len(data.x_test) == 360
    assert set(data.y_train) == set(range(10))
    images = data.x_train.reshape(-1, 28, 28)
    border = np.ones((28, 28), bool)
    border[4:24, 4:24] = False
    assert images[:, border].max() == 0 and 0.1 < images[:, ~border].mean() < 0.5
    printed = capsys.readouterr().out
    assert "STAND-IN" in printed and "no route to host" in printed and "!!!!" in printed


def test_keras_mnist_is_used_when_nothing_is_named(nb, monkeypatch):
    good = arrays()
    pairs = ((good["x_train"], good["y_train"]), (good["x_test"], good["y_test"]))
    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setattr(nb.keras.datasets.mnist, "load_data", lambda: pairs)
    data = nb.load_data("")
    assert data.source == "keras.datasets.mnist" and not data.standin
