"""The pictures: tiles where they belong, scatter and grid that agree, GIFs that are what they should be."""

import resource

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image


def test_mosaic_puts_each_tile_in_its_place(nb):
    nb.H, nb.W = 3, 2
    tiles = np.arange(7 * 6, dtype=np.float32).reshape(7, 6)
    page = nb.mosaic(tiles, 4)
    assert page.shape == (6, 8)
    for k, tile in enumerate(tiles):
        row, column = divmod(k, 4)
        place = page[3 * row : 3 * row + 3, 2 * column : 2 * column + 2]
        np.testing.assert_array_equal(place, tile.reshape(3, 2))
    assert np.all(page[3:, 6:] == 0)


def test_mesh_covers_the_square_from_top_left_to_bottom_right(nb):
    codes = nb.mesh(20)
    assert codes.shape == (400, 2)
    np.testing.assert_allclose(codes[0], [-3.8, 3.8], rtol=1e-6)
    np.testing.assert_allclose(codes[19], [3.8, 3.8], rtol=1e-6)
    np.testing.assert_allclose(codes[380], [-3.8, -3.8], rtol=1e-6)
    np.testing.assert_allclose(codes.mean(axis=0), 0, atol=1e-6)


def ink(picture, where):
    """Centre of what the mask selects in a picture, in pixels from the left and from the top."""
    rows, columns = np.nonzero(where(picture.astype(int)))
    return np.array([columns.mean(), rows.mean()])


@pytest.mark.parametrize("tile", [0, 19, 47, 210, 380, 399])
def test_scatter_and_decoded_plane_agree(nb, tile):
    nb.H = nb.W = 28
    codes = nb.mesh(20)
    fig, ax = nb.plane_axes()
    empty = nb.picture(fig)
    tiles = np.zeros((400, 784), np.float32)
    tiles[tile] = 1
    ax.imshow(nb.mosaic(tiles, 20), **nb.INK, extent=(-4, 4, -4, 4))
    decoded = nb.picture(fig)
    fig, ax = nb.plane_axes()
    ax.scatter(*codes[tile], s=100, color="black")
    scattered = nb.picture(fig)
    assert decoded.shape == scattered.shape == empty.shape
    centres = [ink(page, lambda p: np.abs(p - empty).sum(axis=2) > 300) for page in (decoded, scattered)]
    np.testing.assert_allclose(centres[0], centres[1], atol=1.5)


def test_scatter_puts_codes_and_class_numerals_where_they_belong(nb):
    fig, ax = nb.plane_axes()
    labels = np.array([3, 3, 3, 7])
    place = nb.draw_manifold(ax, labels)
    codes = np.array([[1.0, 2.0], [1.0, 2.5], [2.0, 2.0], [-3.0, -1.0]])
    place(codes)
    np.testing.assert_allclose(ax.collections[0].get_offsets(), codes)
    numerals = {text.get_text(): text.get_position() for text in ax.texts if text.get_text() in "37"}
    assert numerals == {"3": (1.0, 2.0), "7": (-3.0, -1.0)}
    place(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.0], [1.1, 2.0]]))
    three, seven = (text.get_position() for text in ax.texts if text.get_text() in "37")
    assert seven[0] - three[0] > 0.3 and three[1] == seven[1] == 2, "numerals do not cover each other"
    assert three[0] + seven[0] == pytest.approx(2.1)
    circles = sorted(patch.get_radius() for patch in ax.patches)
    assert circles == [1, 2, 3]
    colours = ax.collections[0].get_facecolors()
    assert np.all(colours[0] == colours[2]) and np.any(colours[0] != colours[3])


def test_choose_takes_all_classes_alike_in_order(nb):
    labels = np.random.default_rng(0).integers(0, 10, 2000)
    chosen = nb.choose(labels)
    assert len(chosen) == len(set(chosen)) == 100
    assert list(labels[chosen]) == sorted(list(range(10)) * 10)
    assert chosen[0] == np.argmax(labels == 0), "the first image of each class leads"
    assert len(nb.choose(np.array([1, 0, 1]))) == 3


@pytest.mark.parametrize("steps, count", [(4680, 36), (100, 36), (40, 36), (36, 24), (3, 36), (1, 2)])
def test_moments_run_from_before_the_first_step_to_the_end_dense_early(nb, steps, count):
    stops = nb.moments(steps, count)
    assert stops[0] == 0 and stops[-1] == steps
    assert np.all(np.diff(stops) > 0)
    assert len(stops) == min(count, steps + 1)
    if steps > 10 * count:
        assert np.diff(stops)[0] == 1 and np.all(np.diff(np.diff(stops)) >= -2)


def blocks(path):
    """How many pictures a GIF holds, and how many of them carry a colour table of their own."""
    data = path.read_bytes()
    assert data[:6] == b"GIF89a" and data[10] & 0x80, "no palette for all"
    at, pictures, own = 13 + 3 * 2 ** ((data[10] & 7) + 1), 0, 0
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            pictures += 1
            flags = data[at + 9]
            own += bool(flags & 0x80)
            at += 10 + (3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0) + 1
        else:
            at += 2
        while data[at]:
            at += data[at] + 1
        at += 1
    return pictures, own


def frames_of(path):
    """Durations in milliseconds and all frames of a GIF."""
    with Image.open(path) as gif:
        durations, frames = [], []
        for k in range(gif.n_frames):
            gif.seek(k)
            durations.append(gif.info["duration"])
            frames.append(np.array(gif.convert("RGB")))
        return durations, np.array(frames), gif.info.get("loop")


def test_save_gif_keeps_frames_times_and_one_palette(nb, tmp_path):
    frames = [np.full((20, 30, 3), 30 * k, np.uint8) for k in range(8)]
    frames[3][5:8, 5:8] = (255, 0, 0)
    nb.save_gif(tmp_path / "a.gif", frames, np.concatenate([nb.greys(8), np.uint8([[255, 0, 0]])]))
    durations, read, loop = frames_of(tmp_path / "a.gif")
    assert durations == [800] + [180] * 6 + [3000] and loop == 0
    assert blocks(tmp_path / "a.gif") == (8, 0)
    assert tuple(read[3][6, 6]) == (255, 0, 0)
    assert np.abs(read[-1].astype(int) - frames[-1]).max() <= 255 / 7 / 2 + 1, "the nearest grey"
    assert np.array_equal(np.array(Image.open(tmp_path / "a.png").convert("RGB")), read[-1])


def test_a_full_disk_leaves_the_previous_results_whole(nb, tmp_path):
    """The disk is as good as full for any file above 2,000 bytes."""
    (tmp_path / "Manifold_learning.gif").write_bytes(b"previous")
    staging = nb.start_results(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (3, 200, 200, 3)).astype(np.uint8)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            nb.save_gif(staging / "Manifold_learning.gif", list(noise), nb.greys(8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "Manifold_learning.gif").read_bytes() == b"previous"


def test_results_are_moved_together_and_leave_other_files_alone(nb, tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    (tmp_path / "metrics.json").write_text("old")
    (tmp_path / "in-progress").mkdir()
    (tmp_path / "in-progress" / "stale.gif").write_text("of a run that was killed")
    staging = nb.start_results(tmp_path)
    assert list(staging.iterdir()) == []
    (staging / "metrics.json").write_text("new")
    assert (tmp_path / "metrics.json").read_text() == "old"
    assert nb.finish_results(staging) == ["metrics.json"]
    assert (tmp_path / "metrics.json").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.json", "mine.txt"]


def test_a_results_folder_that_cannot_be_written_is_refused(nb, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OSError, match="can't be written to .*; give another folder"):
        nb.start_results(tmp_path / "file")

    def deny(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(nb.Path, "mkdir", deny)
    with pytest.raises(OSError, match="Permission denied.*; give another folder"):
        nb.start_results(tmp_path / "new")


def test_write_json_rounds_and_reads_back(nb, tmp_path):
    import json

    nb.write_json(tmp_path / "a.json", {"a": 1 / 3, "b": [1, "text"], "c": {"d": True}})
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "a": 0.333333,
        "b": [1, "text"],
        "c": {"d": True},
    }


def test_snapshot_decodes_means_in_the_order_of_mesh_and_chosen(nb):
    """A decoder whose brightness is z₁ and an encoder whose mean is what it sees."""

    class Network:
        def __init__(self, function):
            self.function = function

        def __call__(self, x):
            return self.function(x)

    vae = nb.VAE(
        Network(lambda x: tf.concat([x, x], axis=1)), Network(lambda z: tf.repeat(z[:, :1], 3, axis=1))
    )
    x = tf.constant([[0.0, 5.0], [2.0, 6.0], [-2.0, 7.0]])
    digits, plane, mu = nb.snapshot(vae, x, np.array([2, 1]), nb.mesh(4))
    np.testing.assert_allclose(mu, x)
    assert digits.shape == (2, 3) and plane.shape == (16, 3)
    expected = np.round(255 / (1 + np.exp(-np.concatenate([[-2.0, 2.0], nb.mesh(4)[:, 0]]))))
    np.testing.assert_allclose(np.concatenate([digits, plane])[:, 0], expected, atol=1)
