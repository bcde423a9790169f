"""Pictures and results: tiles in place, scatter and grid alike, GIFs, files moved."""

import os
import resource
import shutil
import subprocess
import sys
import types
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import tensorflow as tf
from conftest import affine_vae, frames_of, metrics, own_palettes, run_cells


def test_mosaic_puts_each_tile_in_its_place(nb):
    tiles = np.arange(7 * 6, dtype=np.float32).reshape(7, 6)
    page = nb.mosaic(tiles, (3, 2), 4)
    assert page.shape == (6, 8) and np.all(page[3:, 6:] == 0)
    for k, tile in enumerate(tiles):
        row, column = divmod(k, 4)
        place = page[3 * row : 3 * row + 3, 2 * column : 2 * column + 2]
        np.testing.assert_array_equal(place, tile.reshape(3, 2))


def test_mesh_covers_the_square_from_top_left_to_bottom_right(nb):
    codes = nb.mesh(20)
    corners = [[-3.8, 3.8], [3.8, 3.8], [-3.8, -3.8], [3.8, -3.8]]
    assert codes.shape == (400, 2)
    np.testing.assert_allclose(codes[[0, 19, 380, 399]], corners, rtol=1e-6)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("tile", [0, 19, 47, 210, 380, 399])
def test_scatter_and_decoded_plane_agree(nb, tile):
    """One black tile and one black dot have their ink in the same place."""
    tiles, centres = np.zeros((400, 784), np.float32), []
    tiles[tile] = 1
    empty = nb.picture(nb.plane_axes().figure).astype(int)
    plane, dots = nb.plane_axes(), nb.plane_axes()
    mosaic = nb.mosaic(tiles, (28, 28), 20)
    plane.imshow(mosaic, **nb.INK, extent=(-4, 4, -4, 4), aspect="auto")
    dots.scatter(*nb.mesh(20)[tile], s=100, color="black")
    for ax in (plane, dots):
        page = nb.picture(ax.figure)
        assert page.shape == empty.shape
        ink = np.abs(page - empty).sum(axis=2) > 300
        centres.append(np.mean(np.nonzero(ink), axis=1))
    np.testing.assert_allclose(centres[0], centres[1], atol=1.5)


def test_scatter_puts_codes_and_class_numerals_where_they_belong(nb):
    ax = nb.plane_axes()
    place = nb.draw_manifold(ax, np.array([3, 3, 3, 7]))

    def numerals():
        return {
            t.get_text(): t.get_position() for t in ax.texts if t.get_text() in "37"
        }

    codes = np.array([[1.0, 2.0], [1.0, 2.5], [2.0, 2.0], [-3.0, -1.0]])
    place(codes)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), codes)
    assert numerals() == {"3": (1.0, 2.0), "7": (-3.0, -1.0)}
    place(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.1, 2.0]]))
    three, seven = numerals()["3"], numerals()["7"]
    assert seven[0] - three[0] > 0.3, "numerals do not cover each other"
    assert three[1] == seven[1] == 2 and three[0] + seven[0] == pytest.approx(2.1)
    assert sorted(patch.get_radius() for patch in ax.patches) == [1, 2, 3]
    colours = ax.collections[0].get_facecolors()
    assert np.all(colours[0] == colours[2]) and np.any(colours[0] != colours[3])


def test_choose_takes_all_classes_alike_in_order(nb):
    labels = np.random.default_rng(0).integers(0, 10, 2000)
    chosen = nb.choose(labels, 100)
    assert len(chosen) == len(set(chosen)) == 100
    assert list(labels[chosen]) == sorted(list(range(10)) * 10)
    assert chosen[0] == np.argmax(labels == 0), "the first image of each class leads"
    assert len(nb.choose(np.array([1, 0, 1]), 10)) == 3


STEPS = [(4680, 36), (100, 36), (40, 36), (36, 24), (3, 36), (1, 2)]


@pytest.mark.parametrize("steps, count", STEPS)
def test_moments_run_from_the_start_to_the_end_dense_early(nb, steps, count):
    stops = nb.moments(steps, count)
    assert stops[0] == 0 and stops[-1] == steps and len(stops) == min(count, steps + 1)
    assert np.all(np.diff(stops) > 0)
    if steps > 10 * count:
        assert np.diff(stops)[0] == 1 and np.all(np.diff(np.diff(stops)) >= -2)


def test_a_snapshot_holds_reproductions_the_decoded_plane_and_means(nb):
    vae = affine_vae(nb, [[1, 1, 1], [0, 0, 0]], [0, 0, 0], mu=(2.0, 5.0))
    x, digits = tf.zeros((5, 3)), tf.zeros((2, 3))
    digits, plane, mu, shares = nb.snapshot(vae, x, digits, nb.mesh(4))
    np.testing.assert_allclose(tf.reduce_sum(shares), nb.encode(vae, x).kl()[0], 1e-5)
    np.testing.assert_allclose(mu, [[2, 5]] * 5)
    expected = 255 / (1 + np.exp(-np.concatenate([[2, 2], nb.mesh(4)[:, 0]])))
    np.testing.assert_allclose(
        np.concatenate([digits, plane])[:, 0], expected, atol=0.51
    )


def test_the_live_view_spends_no_more_than_its_share(nb, monkeypatch):
    """By a clock that only drawing, 0.02 s, and a step of training, 0.01 s, move."""
    shown, clock = [], [0.0]
    monkeypatch.setattr(nb, "time", types.SimpleNamespace(time=lambda: clock[0]))

    def draw(state):
        clock[0] += 0.02
        shown.append(state)
        return nb.plt.figure(figsize=(1, 1))

    view = nb.LiveView(draw)
    assert shown == []
    view.handle = types.SimpleNamespace(update=lambda picture: None)
    for k in range(200):
        clock[0] += 0.01
        view.show(k)
    assert len(shown) > 2 and view.spent == pytest.approx(0.02 * len(shown))
    assert view.spent <= 0.04 * clock[0] + 0.02 + 1e-9


def test_save_gif_keeps_frames_times_and_one_palette(nb, tmp_path):
    frames = [np.full((20, 30, 3), 30 * k, np.uint8) for k in range(8)]
    frames[3][5:8, 5:8] = (255, 0, 0)
    colours = np.concatenate([nb.greys(8), np.uint8([[255, 0, 0]])])
    last = nb.save_gif(tmp_path / "a.gif", frames, colours)
    durations, read, loop = frames_of(tmp_path / "a.gif")
    assert durations == [800] + [180] * 6 + [3000] and loop == 0
    assert own_palettes(tmp_path / "a.gif") == 0 and tuple(read[3][6, 6]) == (255, 0, 0)
    off = np.abs(read.astype(int) - frames).max()
    assert off <= 255 / 7 / 2 + 0.5, "the nearest grey, of greys that are rounded"
    assert np.array_equal(last.convert("RGB"), read[-1])


def test_results_wait_in_staging_until_their_part_is_finished(nb, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "metrics.json").write_text("old")
    results = nb.open_results(tmp_path)
    nb.save(results, "a.txt", lambda path: path.write_text("1"))
    assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "metrics.json").read_text() == "old"
    results.numbers["found"] = np.float32(1 / 3)
    nb.publish(results, "I")
    assert "a.txt" in capsys.readouterr().out and (tmp_path / "a.txt").exists()
    found = metrics(tmp_path)
    assert found["parts"] == ["I"] and found["found"] == 0.333333
    nb.save(results, "a.txt", lambda path: path.write_text("2"))
    assert (tmp_path / "a.txt").read_text() == "2", (
        "a picture drawn again follows at once"
    )
    nb.save(results, "b.txt", lambda path: path.write_text("3"))
    assert not (tmp_path / "b.txt").exists(), "that of a later part waits"
    nb.save(results, "a.txt", lambda path: path.write_text("4"))
    assert (tmp_path / "a.txt").read_text() == "4", "also while others are staged"
    for _ in range(2):
        nb.publish(results, "II")
    assert metrics(tmp_path)["parts"] == ["I", "II"] and (tmp_path / "b.txt").exists()
    assert (tmp_path / "mine.txt").read_text() == "keep"


def test_two_runs_into_one_folder_keep_apart(nb, tmp_path):
    one, two = nb.open_results(tmp_path), nb.open_results(tmp_path)
    for results, name in ((one, "one"), (two, "two")):
        nb.save(results, "a.txt", lambda path, name=name: path.write_text(name))
    nb.publish(one, "I")
    assert (tmp_path / "a.txt").read_text() == "one"
    assert (two.staging / "a.txt").read_text() == "two"


def test_a_run_is_named_as_long_as_it_has_parts_to_write(nb, tmp_path, monkeypatch):
    results = nb.open_results(tmp_path)
    for part in ("I", "II", "III", "IV"):
        nb.save(results, f"{part}.txt", lambda path: path.write_text("new"))
        nb.save(results, f"{part}.txt", lambda path: path.write_text("newer"))
        with monkeypatch.context() as patch:  # another process asks
            patch.setattr(nb.os, "getpid", lambda: 1)
            with pytest.raises(ValueError, match="another run writes"):
                nb.refuse_company(tmp_path)
        nb.publish(results, part)
    nb.save(results, "I.txt", lambda path: path.write_text("after the run"))
    assert not any(tmp_path.glob("in-progress-*"))
    assert (tmp_path / "I.txt").read_text() == "after the run"


def test_a_picture_that_cannot_be_replaced_is_named_before_anything_moves(
    nb, tmp_path, monkeypatch
):
    (tmp_path / "b.txt").write_text("old")
    results, move = nb.open_results(tmp_path), os.replace
    for name in ("a.txt", "b.txt"):
        nb.save(results, name, lambda path: path.write_text("new"))

    def locked(source, target):
        if target.name == "b.txt":
            raise PermissionError(13, "Permission denied")
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(nb.os, "replace", locked)
        with pytest.raises(OSError, match="b.txt can't be replaced .*; close it and"):
            nb.publish(results, "I")
    assert not (tmp_path / "a.txt").exists()
    assert (tmp_path / "b.txt").read_text() == "old"
    nb.publish(results, "I")
    assert (tmp_path / "b.txt").read_text() == "new"


def test_another_live_run_in_the_folder_is_named_and_a_dead_one_is_not(nb, tmp_path):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (tmp_path / f"in-progress-{other.pid}-abc").mkdir()
    (tmp_path / "in-progress-notes-of-mine").mkdir()
    with pytest.raises(ValueError, match=f"another run writes .*process {other.pid}"):
        nb.open_results(tmp_path)
    other.communicate(b"\n")
    nb.open_results(tmp_path)
    assert (tmp_path / "in-progress-notes-of-mine").is_dir()


def test_a_folder_in_the_way_is_named_before_anything_moves(nb, tmp_path):
    (tmp_path / "b.txt").mkdir()
    results = nb.open_results(tmp_path)
    for name in ("a.txt", "b.txt"):
        nb.save(results, name, lambda path: path.write_text("new"))
    with pytest.raises(ValueError, match="b.txt is a folder; move it away"):
        nb.publish(results, "I")
    assert not (tmp_path / "a.txt").exists()
    assert not (tmp_path / "metrics.json").exists()
    (tmp_path / "b.txt").rmdir()
    nb.publish(results, "I")
    assert (tmp_path / "b.txt").read_text() == "new"


def test_a_full_disk_leaves_the_previous_results_whole(nb, tmp_path):
    """The disk is as good as full for any file above 2,000 bytes."""
    (tmp_path / "a.gif").write_bytes(b"previous")
    results, limit = nb.open_results(tmp_path), resource.RLIMIT_FSIZE
    noise = np.random.default_rng(0).integers(0, 256, (3, 200, 200, 3)).astype(np.uint8)
    before = resource.getrlimit(limit)
    resource.setrlimit(limit, (2000, before[1]))
    try:
        with pytest.raises(OSError, match="a.gif can't be written .*; make room, or"):
            nb.save(
                results, "a.gif", lambda p: nb.save_gif(p, list(noise), nb.greys(8))
            )
    finally:
        resource.setrlimit(limit, before)
    assert (tmp_path / "a.gif").read_bytes() == b"previous"


def test_half_a_file_is_not_published(nb, tmp_path):
    """Somebody interrupts while a picture is written, and goes on."""

    def half(path):
        path.write_bytes(b"half a pic")
        raise KeyboardInterrupt

    (tmp_path / "a.gif").write_bytes(b"previous")
    results = nb.open_results(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        nb.save(results, "a.gif", half)
    nb.publish(results, "I")
    assert (tmp_path / "a.gif").read_bytes() == b"previous"


def test_results_deleted_on_the_way_are_made_again(nb, tmp_path):
    results = nb.open_results(tmp_path / "results")
    shutil.rmtree(results.folder)
    nb.save(results, "a.txt", lambda path: path.write_text("new"))
    nb.publish(results, "I")
    assert (tmp_path / "results" / "a.txt").read_text() == "new"


def open_the_results(notebook, nb, folder, **changes):
    """What the notebook's own cell opens, with these parameters."""
    data = types.SimpleNamespace(standin=False, source="test")
    given = dict(data=data, RESULTS=str(folder), results=None, _VALID=True) | changes
    return run_cells(notebook, nb, "known-names", "open-results", **given)["results"]


def test_a_changed_parameter_is_not_mixed_into_a_run(notebook, nb, tmp_path):
    results = open_the_results(notebook, nb, tmp_path)
    results.settings.update(RESULTS=nb.RESULTS)
    nb.save(results, "a.txt", lambda path: path.write_text("fits"))
    results.settings["EPOCHS"] += 1
    with pytest.raises(ValueError, match="EPOCHS was 41 when this run began: set it"):
        nb.save(results, "b.txt", lambda path: path.write_text("does not fit"))


def test_later_parts_parameters_may_change_in_a_run(notebook, nb, tmp_path):
    """The numbers of the parts that are done stay in metrics.json."""
    first = open_the_results(notebook, nb, tmp_path)
    first.numbers["test"] = 1.0
    first.settings.update(RESULTS=nb.RESULTS)
    nb.publish(first, "I")
    first.settings.update(RESULTS=str(tmp_path))
    less = dict(results=first, EM_ROUNDS=2, FIGURE_EPOCHS=1, JOINT_EPOCHS=1)
    assert open_the_results(notebook, nb, tmp_path, **less) is first
    other = open_the_results(notebook, nb, tmp_path, results=first, EPOCHS=2)
    assert other is not first and not first.staging.exists()


def test_a_later_part_is_not_published_without_those_before_it(nb, tmp_path):
    """It would take their numbers out of metrics.json."""
    (tmp_path / "metrics.json").write_text("{}")
    results = nb.open_results(tmp_path)
    with pytest.raises(ValueError, match="Part III comes after I, II: run everything"):
        nb.publish(results, "III")
    assert (tmp_path / "metrics.json").read_text() == "{}"


def test_a_training_that_was_stopped_is_not_published(notebook, nb, tmp_path):
    """The networks of the training before it, and its history, are still there."""
    vae, results = nb.build(12, [8], 2), nb.open_results(tmp_path)
    old = dict(vae=vae, history=[{"seconds": 1.0}], results=results)
    with pytest.raises(ValueError, match="training was not finished: run its cell"):
        run_cells(notebook, nb, "publish-one", **old)
    assert not any(results.staging.iterdir())


@pytest.mark.parametrize("name", ["Results", "run #2", "what?", 'a"b', "ü & <b>"])
def test_the_live_page_is_found_whatever_its_folder_is_called(
    notebook, nb, tmp_path, monkeypatch, name
):
    monkeypatch.chdir(tmp_path)
    shown, results = [], nb.open_results(name)
    monkeypatch.setattr(nb.ipd, "display", lambda data, raw: shown.append(data))
    page = Path(name) / "latent_explorer.html"
    page.write_text("")
    run_cells(notebook, nb, "explorer-frame", results=results)
    found = Addresses()
    found.feed(shown[0]["text/html"])
    assert [unquote(a) for a in found.addresses] == [page.as_posix()] * 2
    assert not any(set(address) & set('#?"<') for address in found.addresses)
    assert page.as_posix() in found.text


class Addresses(HTMLParser):
    """The addresses in a page's frames and links, and its text."""

    def __init__(self):
        super().__init__()
        self.addresses, self.text = [], ""

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for key, value in attrs if key in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def test_a_results_folder_that_cannot_be_written_is_refused(nb, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(
            OSError, match="can't be written to .*; give another folder"
        ):
            nb.open_results(folder)


LABELS = {"one class": np.zeros(60, int), "twelve classes": np.arange(60) % 12}


@pytest.mark.parametrize("kind", LABELS)
def test_one_class_or_more_than_ten_are_drawn(nb, kind):
    labels, codes = LABELS[kind], np.random.default_rng(0).normal(size=(60, 2))
    chosen, ax = nb.choose(labels, 10), nb.plane_axes()
    assert len(chosen) == len(set(chosen)) == 10
    nb.draw_manifold(ax, labels)(codes)
    assert len(ax.collections[0].get_offsets()) == 60
    classes, stops = nb.class_stops(codes, labels)
    assert len(classes) == min(10, len(set(labels))) and np.abs(stops).max() < 4
