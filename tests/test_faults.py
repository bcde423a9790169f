"""Every fault is one sentence that says what to do; faults.md lists them, made here.

    python -m pytest tests/test_faults.py --write-faults

writes the table anew; without the option the tests compare it with what is seen.
"""

import math
import os
import re
from pathlib import Path

import numpy as np
import pytest
from conftest import run_cells, saved

TABLE = Path(__file__).with_name("faults.md")
NONE = np.zeros((0, 4, 3), np.uint8)
PARAMETERS = {
    "no epoch at all": dict(EPOCHS=0),
    "a negative number of epochs": dict(EPOCHS=-3),
    "half an epoch": dict(EPOCHS=1.5),
    "a number in quotes": dict(EPOCHS="3"),
    "nothing": dict(EPOCHS=None),
    "true in place of a number": dict(EPOCHS=True),
    "empty minibatches": dict(BATCH_SIZE=0),
    "a negative seed": dict(SEED=-1),
    "a seed with a fraction": dict(SEED=1.5),
    "a film of one frame": dict(FRAMES=1),
    "a single latent": dict(LATENTS=1),
    "latents with a fraction": dict(LATENTS=2.5),
    "a negative warm-up": dict(WARM_UP=-1),
    "no round of EM": dict(EM_ROUNDS=0),
    "no image for EM": dict(EM_IMAGES=0),
    "no pass in a round of EM": dict(EM_PASSES=0),
    "no lesson": dict(TEACH_ROUNDS=0),
    "no joint training": dict(JOINT_EPOCHS=0),
    "figures without a pass": dict(FIGURE_EPOCHS=0),
    "a step size of nothing": dict(LEARNING_RATE=0),
    "a negative step size": dict(LEARNING_RATE=-1),
    "a step size in quotes": dict(LEARNING_RATE="0.1"),
    "a step size that is no number": dict(LEARNING_RATE=math.nan),
    "an infinite step size": dict(LEARNING_RATE=math.inf),
    "EM with a negative step size": dict(EM_RATE=-1),
    "a memory of 1": dict(BETA_2=1),
    "gradients shortened to nothing": dict(CLIP_NORM=0),
    "weights that grow in place of decaying": dict(DECAY=-0.1),
    "weights that decay at once": dict(DECAY=100.0),
    "no layer": dict(HIDDEN=""),
    "a layer left out": dict(HIDDEN="500-"),
    "a layer of no units": dict(HIDDEN="500-0"),
    "layers in words": dict(HIDDEN="deep"),
    "an empty list of layers": dict(HIDDEN=[]),
    "an unknown likelihood": dict(LIKELIHOOD="poisson"),
    "a number for a path": dict(DATA=3),
    "results nowhere": dict(RESULTS=""),
    "nothing for a log": dict(LOGDIR=None),
}
UNKNOWN = {
    "a parameter mistyped": "EPOCH",
    "a parameter in small letters": "batch_size",
    "a parameter with another ending": "SEEDS",
    "a parameter that there never was": "DROPOUT",
    "a name that the notebook makes": "LAYERS",
    "a name of the set-up": "DEVICE",
}


def five(value, dtype=None):
    return dict(x_train=np.full((5, 4, 3), value, dtype))


ARRAYS = {
    "an array missing": dict(x_test=None),
    "flat images": dict(x_train=np.zeros((5, 12))),
    "colour images": dict(x_test=np.zeros((2, 4, 3, 3))),
    "labels in columns": dict(y_train=np.zeros((5, 1), int)),
    "one label for all": dict(y_train=np.int64(0)),
    "one number for all images": dict(x_train=np.float64(0)),
    "too few labels": dict(y_train=np.arange(4)),
    "no training images": dict(x_train=NONE, y_train=np.arange(0)),
    "no test images": dict(x_test=NONE, y_test=np.arange(0)),
    "sizes that differ": dict(x_test=np.zeros((2, 3, 4), np.uint8)),
    "floats up to 255": five(255.0),
    "negative floats": five(-0.1),
    "integers above 255": five(256),
    "negative integers": five(-1),
    "a pixel that is NaN": five(np.nan),
    "an infinite pixel": five(np.inf),
    "whole numbers of 0 and 1": five(1, np.uint8),
    "whole numbers up to 15": five(15, np.int64),
    "fractions scaled twice": five(1 / 255),
    "text for pixels": five("a"),
    "complex pixels": five(1, complex),
    "labels with fractions": dict(y_train=np.arange(5) / 2),
    "pickled objects": dict(x_train=np.array([None] * 5, object)),
}
FILES = {
    "an empty file": b"",
    "a text file": b"no zip file",
    "a pickle": b"\x80\x04\x95pickle",
    "an .npz whose end is missing": slice(0, -200),
    "an .npz with a hole": (300, 800),
}


def refused(*paths, **options):
    raise PermissionError(13, "Permission denied")


def full(path):
    path.write_text("half a fi")
    raise OSError(28, "No space left on device")


def full_memory(*paths, **options):
    raise MemoryError


def damaged(folder, what):
    """An .npz with other content, or a good one with some bytes lost."""
    pixels = np.random.default_rng(0).integers(0, 256, (5, 40, 30), np.uint8)
    path = saved(folder, x_train=pixels)
    whole = path.read_bytes()
    if isinstance(what, tuple):
        what = whole[: what[0]] + bytes(what[1] - what[0]) + whole[what[1] :]
    path.write_bytes(whole[what] if isinstance(what, slice) else what)
    return path


def other_faults(notebook, nb, folder, patch):
    """name: a function that commits the fault."""

    def from_environment():
        patch.setenv("MNIST_NPZ", str(folder / "nowhere.npz"))
        nb.load_data("")

    def one_array():
        np.save(folder / "one.npy", np.zeros((2, 4, 3)))
        nb.load_data(str(folder / "one.npy"))

    def file_for_folder():
        (folder / "taken").write_text("")
        nb.open_results(folder / "taken")

    def two_runs():
        (folder / "two" / f"in-progress-{os.getppid()}-x").mkdir(parents=True)
        nb.open_results(folder / "two")

    def in_the_way():
        (folder / "way" / "a.png").mkdir(parents=True)
        results = nb.open_results(folder / "way")
        nb.save(results, "a.png", lambda path: path.write_text(""))
        nb.publish(results, "I")

    def will_not_move():
        results = nb.open_results(folder / "open")
        nb.save(results, "a.png", lambda path: path.write_text("new"))
        (folder / "open" / "a.png").write_text("old")
        with pytest.MonkeyPatch.context() as moves:
            moves.setattr(nb.os, "replace", refused)
            nb.publish(results, "I")

    def full_disk():
        results = nb.open_results(folder / "full")
        nb.save(results, "a.png", lambda path: full(path))

    def changed_on_the_way():
        nb.unchanged(nb.Results(folder, folder, "", {"EPOCHS": 60}, {}, set()))

    def stopped_on_the_way():
        results = nb.open_results(folder / "stopped")
        run_cells(notebook, nb, "publish-one", results=results)

    def too_early():
        nb.publish(nb.open_results(folder / "early"), "III")

    def no_such_digit():
        data = nb.Data(*[None] * 3, np.arange(3), *[None] * 3)
        nb.draw_class(None, None, data, None, 10)

    def unreadable():
        path = str(saved(folder))
        with pytest.MonkeyPatch.context() as reads:
            reads.setattr(nb.np, "load", refused)
            nb.load_data(path)

    def too_large():
        path = str(saved(folder))
        with pytest.MonkeyPatch.context() as reads:
            reads.setattr(nb.np, "load", full_memory)
            nb.load_data(path)

    def no_home():
        nb.load_data("~nobody-of-this-name/images.npz")

    def file_for_log():
        (folder / "log").write_text("")
        nb.open_log(str(folder / "log"))

    def without_tensorboard():
        patch.setattr(nb.importlib.util, "find_spec", lambda name: None)
        nb.open_log(str(folder))

    def images_of(pixels, count):
        images, labels = np.zeros((count, 1, pixels)), np.zeros(count, int)
        arrays = dict(x_train=images, y_train=labels, x_test=images, y_test=labels)

        def fault():
            run_cells(notebook, nb, "data", DATA=str(saved(folder, **arrays)))

        return fault

    def huge():
        run_cells(notebook, nb, "build", D=784, LAYERS=[5_000_000])

    return {
        "a file that is not there": lambda: nb.load_data(str(folder / "nowhere.npz")),
        "a folder for a file": lambda: nb.load_data(str(folder)),
        "a missing file in MNIST_NPZ": from_environment,
        "one array by itself": one_array,
        "a file where the results should go": file_for_folder,
        "another run into the same folder": two_runs,
        "a folder in the way of a picture": in_the_way,
        "a picture open elsewhere": will_not_move,
        "a file where the log should go": file_for_log,
        "a log without TensorBoard": without_tensorboard,
        "nine images": images_of(16, count=9),
        "images of nine pixels": images_of(9, count=20),
        "a file that may not be read": unreadable,
        "images beyond all memory": too_large,
        "a home that there is not": no_home,
        "a full disk": full_disk,
        "a parameter changed on the way": changed_on_the_way,
        "a training stopped, then published": stopped_on_the_way,
        "a part published before those above it": too_early,
        "a digit that is not in the data": no_such_digit,
        "networks beyond all memory": huge,
    }


@pytest.fixture
def faults(notebook, nb, tmp_path, monkeypatch):
    """name: a function that commits the fault, for all of them."""

    def given(changes):  # _VALID is there after a first run of these cells
        changes = {"_VALID": True} | changes
        return lambda: run_cells(notebook, nb, "known-names", "validated", **changes)

    def unknown(name):
        changes = {"SETUP": dict(vars(nb)), name: 3}
        return lambda: run_cells(notebook, nb, "known-names", **changes)

    def arrays(changes):
        return lambda: nb.load_data(str(saved(tmp_path, **changes)))

    def files(what):
        return lambda: nb.load_data(str(damaged(tmp_path, what)))

    found = {name: given(change) for name, change in PARAMETERS.items()}
    found |= {name: unknown(word) for name, word in UNKNOWN.items()}
    found |= {name: arrays(change) for name, change in ARRAYS.items()}
    found |= {name: files(what) for name, what in FILES.items()}
    return found | other_faults(notebook, nb, tmp_path, monkeypatch)


def sentence_of(fault, folder):
    """What a reader sees, without this machine's paths and numbers."""
    with pytest.raises((ValueError, OSError, ImportError)) as caught:
        fault()
    text = str(caught.value).replace(f"{folder}{os.sep}", "")
    text = text.replace(str(folder), "a-folder")
    return re.sub(r"(process |in-progress-)\d+", r"\1N", text)


def test_every_fault_is_one_sentence_and_the_table_lists_it(faults, tmp_path, request):
    assert len(faults) >= 60
    seen = {name: sentence_of(fault, tmp_path) for name, fault in faults.items()}
    for name, sentence in seen.items():
        assert "\n" not in sentence and sentence[-1] in ".?", (name, sentence)
        assert len(sentence) < 250, (name, sentence)
    rows = [f"| {name} | {sentence} |" for name, sentence in seen.items()]
    head = "# What a reader sees when something is wrong\n\n"
    head += "Made by `tests/test_faults.py`.\n"
    text = "\n".join([head, "| fault | sentence |", "|:--|:--|", *rows]) + "\n"
    if request.config.getoption("--write-faults"):
        TABLE.write_text(text)
    assert TABLE.read_text() == text


WRONG = (dict(EPOCHS=0), dict(HIDDEN="500-"), dict(EPOCH=3), dict(DEVICE="GPU"))


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_parameter_put_right_is_forgotten(notebook, nb, wrong):
    """In the same kernel, where names of the failed turn are still there."""
    known = vars(nb) | wrong
    sources = {cell.id: cell.source for cell in notebook.cells}
    cells = [sources[name] for name in ("known-names", "validated")]
    known["SETUP"] = dict(vars(nb))
    with pytest.raises(ValueError):
        for cell in cells:
            exec(cell, known)
    exec(sources["parameters"], known)
    for cell in cells:
        exec(cell, known)
    assert known["LAYERS"] == [500, 300, 300, 150] and known["DEVICE"] == nb.DEVICE


def test_a_parameter_mistyped_after_a_whole_run_is_refused(notebook, nb):
    """Its old value is still there, and so are all names of the run."""
    sources = {cell.id: cell.source for cell in notebook.cells}
    good = sources["parameters"]
    wrong = good.replace("\nEPOCHS = ", "\nEPOCH = ")
    past = ["", good, "EM_SAMPLE = 3", wrong, 'print("MIN_EPOCH = 3")']
    known = {"_VALID": True, "EPOCH": 60, "EM_SAMPLE": 3}
    with pytest.raises(ValueError, match="EPOCH is no parameter.*did you mean EPOCHS"):
        run_cells(notebook, nb, "known-names", **known, In=past)
    run_cells(notebook, nb, "known-names", **known, In=[*past, good])


def test_a_wrong_name_on_the_command_line_is_refused_until_its_cell_is_deleted(
    notebook, nb
):
    """papermill's cell stays in the history; what counts is what ran after ours."""
    good = {cell.id: cell.source for cell in notebook.cells}["parameters"]
    past = ["", good, "# Parameters\nwidths = 500\nEPOCHS = 3\n"]
    known = {"_VALID": True, "widths": nb.widths, "EPOCHS": 3}
    with pytest.raises(ValueError, match="widths is no parameter of this notebook"):
        run_cells(notebook, nb, "known-names", **known, In=past)
    run_cells(notebook, nb, "known-names", **known, In=[*past, good])
    right = "# Parameters\nEPOCHS = 3\n"
    run_cells(notebook, nb, "known-names", **known, In=[*past, good, right])


def test_what_is_known_is_what_the_parameters_cell_holds(notebook):
    """A parameter that is not listed would be refused, one too many never."""
    sources = {cell.id: cell.source for cell in notebook.cells}
    names = set(re.findall(r"^([A-Z_0-9]+) = ", sources["parameters"], flags=re.M))
    listed = set(re.findall(r'"([A-Z_0-9]+)"', sources["known-names"]))
    others = {"_VALID", "SETUP", "LEAST", "COUNTS", "KNOWN", "NAME", "_"}
    assert names == listed - others
