"""Part IV: each variant through the seam, against oracles that are not the notebook."""

import itertools

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf
from conftest import SMALL, check_gifs, make_small_folder, metrics, run
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

SIZE, PIXELS = (12, 10), 120


def grey(count=64, seed=0):
    return np.float32(np.random.default_rng(seed).uniform(0, 1, (count, PIXELS)))


def variants_of(nb):
    """name: (VAE, what else is replaced in the step), one for each in the notebook."""
    iw = {"objective": nb.importance_bound, "samples": 5}
    by_a = {"objective": nb.estimator_a}
    build_grey = nb.build(PIXELS, [8], 2, likelihood=nb.gaussian_log_prob)
    noisy = {"objective": nb.denoising_bound, "draw": nb.draw_with_noise}
    return {
        "as Part I": (nb.build(PIXELS, [8], 2), {}),
        "convolutions": (nb.build_convolutional(SIZE, 2, (4, 6), 10), {}),
        "flow": (nb.build_flow(PIXELS, [8], 2), by_a),
        "importance weighted": (nb.build(PIXELS, [8], 2), iw),
        "20 latents": (nb.build(PIXELS, [8], 20), {}),
        "20 latents, flow": (nb.build_flow(PIXELS, [8], 20), by_a),
        "denoising": (nb.build(PIXELS, [8], 2), noisy),
        "Gaussian decoder": (build_grey, {"draw": nb.as_stored}),
    }


def test_every_variant_goes_through_the_same_step_and_moves_all_its_weights(nb):
    for name, (vae, change) in variants_of(nb).items():
        before = [weight.numpy() for weight in nb.weights_of(vae)]
        step = nb.make_step(vae, keras.optimizers.Adam(1e-2), **change)
        bounds = nb.finish(nb.train(step, grey(), 32, 3, [3], "test variants"))
        assert len(bounds) == 3 and np.all(np.isfinite(bounds)), name
        after = [weight.numpy() for weight in nb.weights_of(vae)]
        still = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
        # what feeds weights that start at zero moves one step later; three are enough
        assert len(before) > 4 and not any(still), name


def test_the_flows_weights_are_counted_and_the_others_have_none(nb):
    flow, plain = nb.build_flow(PIXELS, [8], 2), nb.build(PIXELS, [8], 2)
    own = flow.encoder.trainable_variables + flow.decoder.trainable_variables
    assert len(nb.weights_of(flow)) == len(own) + len(flow.posterior.weights)
    own = plain.encoder.trainable_variables + plain.decoder.trainable_variables
    assert len(nb.weights_of(plain)) == len(own)


@pytest.fixture(params=[2, 3, 5])
def bent(request, nb):
    """A flow's q of two images, its weights far from their start."""
    vae = nb.build_flow(PIXELS, [8], request.param)
    rng = np.random.default_rng(3)
    for weight in vae.posterior.weights:
        weight.assign_add(0.3 * rng.normal(size=weight.shape))
    return nb.encode(vae, tf.round(grey(2)))


def test_a_flow_can_be_undone_and_knows_its_determinant(nb, bent):
    latents = bent.start.mu.shape[1]
    eps = tf.constant(np.random.default_rng(4).normal(size=(7, 2, latents)), tf.float32)
    z, log_q = bent.sample(eps)
    np.testing.assert_allclose(bent.log_prob(z), log_q, atol=1e-3)
    h = 1e-2  # central differences, the oracle
    columns = []
    for unit in np.eye(latents, dtype=np.float32) * h:
        columns.append(
            (bent.sample(eps + unit)[0] - bent.sample(eps - unit)[0]) / 2 / h
        )
    determinant = np.abs(np.linalg.det(np.stack(columns, axis=-1)))
    expected = scipy.stats.norm.logpdf(eps).sum(axis=-1) - np.log(determinant)
    assert np.median(np.abs(log_q - expected)) < 5e-3
    assert not np.allclose(determinant, determinant[0, 0], rtol=0.05), "it bends"


def test_a_flows_density_integrates_to_one(nb):
    vae = nb.build_flow(PIXELS, [8], 2)
    for k, weight in enumerate(vae.posterior.weights):
        rng = np.random.default_rng(k)
        weight.assign_add(0.2 * rng.normal(size=weight.shape))
    q = nb.encode(vae, tf.round(grey(1)))
    side, half = 801, 9.0
    line = np.linspace(-half, half, side, dtype=np.float32)
    z = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 1, 2)
    density = np.exp(q.log_prob(tf.constant(z)).numpy()).reshape(side, side)
    inner = scipy.integrate.simpson(density, x=line, axis=1)
    assert scipy.integrate.simpson(inner, x=line) == pytest.approx(1, abs=5e-3)


def test_the_gaussian_decoder_is_scipys_normal_with_a_floor(nb):
    x, outputs = grey(5), np.random.default_rng(1).normal(0, 3, (5, 2 * PIXELS))
    outputs = np.float32(outputs)
    outputs[0, PIXELS:] = -40  # asks for no spread at all
    logits, logvar = np.split(np.float64(outputs), 2, axis=1)
    floor = 2 * np.log(nb.LEAST_SIGMA)
    sigma = np.exp(0.5 * (floor + np.logaddexp(0, logvar - floor)))
    assert sigma[0] == pytest.approx(nb.LEAST_SIGMA) and sigma.min() >= nb.LEAST_SIGMA
    mean = 1 / (1 + np.exp(-logits))
    expected = scipy.stats.norm(mean, sigma).logpdf(x).sum(axis=1)
    np.testing.assert_allclose(nb.gaussian_log_prob(x, outputs), expected, rtol=1e-4)


def test_the_evidence_on_a_line_agrees_with_scipys_quadrature(nb):
    points = nb.make_points(200, "test points")
    ((_, vae),) = nb.learn_curve(points, 300, [300], "test")
    log_px, line, posterior = nb.line_evidence(vae, points[:4])
    np.testing.assert_allclose(posterior.sum(axis=1), 1, rtol=1e-4)
    weights = [np.float64(array) for array in vae.decoder.get_weights()]

    def decoded(z):
        """The decoder's outputs in double precision, which adaptive rules need."""
        h = np.array([z])
        for k in range(0, len(weights), 2):
            h = np.maximum(h, 0) if k else h
            h = h @ weights[k] + weights[k + 1]
        return h

    for x, found, p in zip(points[:4], log_px, posterior, strict=True):

        def joint(z, x=x):
            mean, logvar = np.split(decoded(z), 2)
            terms = scipy.stats.norm(mean, np.exp(0.5 * logvar)).logpdf(x)
            return np.exp(terms.sum()) * scipy.stats.norm.pdf(z)

        edges = np.sort([*np.linspace(-6, 6, 49), line[p.argmax()]])
        options = {"epsabs": 1e-7, "epsrel": 1e-5}
        pieces = itertools.pairwise(edges)
        exact = sum(scipy.integrate.quad(joint, *ends, **options)[0] for ends in pieces)
        assert found == pytest.approx(np.log(exact), abs=1e-3)


def test_curve_points_lie_around_two_thirds_of_a_circle(nb):
    points = nb.make_points(4000, "test points")
    radius, angle = np.hypot(*points.T), np.arctan2(points[:, 1], points[:, 0])
    assert radius.mean() == pytest.approx(1, abs=0.02)
    assert np.mean(np.abs(angle + np.pi / 2) < 0.7) < 0.001, "a third is left out"
    assert np.std(radius) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("size", [(28, 28), (12, 10), (9, 7), (3, 5)])
def test_convolutions_take_images_of_any_size(nb, size):
    vae, x = nb.build_convolutional(size, 2), tf.zeros((3, size[0] * size[1]))
    assert nb.encode(vae, x).mu.shape == (3, 2)
    assert nb.decode(vae, tf.zeros((4, 3, 2))).shape == (4, *x.shape)


def test_multiplications_are_counted_by_hand(nb):
    assert nb.multiplications(nb.build(6, [5, 4], 2)) == (
        6 * 5 + 5 * 4 + 4 * 4 + 2 * 4 + 4 * 5 + 5 * 6
    )
    vae = nb.build_convolutional((8, 8), 2, filters=(3, 5), dense=7)
    down = 16 * 9 * 3 + 4 * 9 * 3 * 5 + 20 * 7 + 7 * 4
    up = 2 * 7 + 7 * 20 + 4 * 9 * 5 * 3 + 16 * 9 * 3
    assert nb.multiplications(vae) == down + up


@pytest.mark.parametrize("size", [(12, 10), (11, 9), (5, 3)])
def test_the_check_of_convolutions_takes_constant_and_small_images(nb, size):
    vae, shape = nb.build_convolutional(size, 2), (4, size[0] * size[1])
    nb.check_convolutional(vae, tf.zeros(shape), size)
    nb.check_convolutional(vae, nb.normal(shape, nb.seed_for("test")), size)


def test_noisy_copies_differ_in_a_fifth_of_the_pixels(nb):
    pixels = np.full((50, 2000), 0.3, np.float32)
    draw = tf.function(nb.draw_with_noise, jit_compile=True)  # as a step calls it
    clean, noisy = np.split(draw(pixels, nb.seed_for("test")), 2, axis=1)
    assert np.mean(clean) == pytest.approx(0.3, abs=0.01)
    assert np.mean(clean != noisy) == pytest.approx(0.2, abs=0.01)
    assert set(np.unique(noisy)) == {0, 1}


def test_the_variants_judge_gives_the_bounds_of_its_own_codes(nb):
    """Block by block: Estimator A's mean is the bound, k codes at once give L_k."""
    vae, x = nb.build(PIXELS, [8], 2), tf.round(grey(40))
    bounds, weighted = [], []
    for start in (0, 20):
        eps = nb.normal((10, 20, 2), nb.seed_for("judge variant", start))
        bounds.append(nb.estimator_a(vae, x[start : start + 20], eps))
        weighted.append(nb.importance_bound(vae, x[start : start + 20], eps))
    row = nb.judge_variant(vae, x, block=20, k=10)
    assert row["bound"] == pytest.approx(np.mean(bounds), rel=1e-5)
    assert row["L_10"] == pytest.approx(np.mean(weighted), rel=1e-5)
    assert row["bound"] < row["L_10"]


PART_ONE = ("Input_Image.jpg", "Reconstruction_1.gif", "Reconstruction_2.gif")
PART_ONE += ("Manifold_learning.gif", "latent_plane.png", "encoder.keras", "wanted.png")


def test_the_two_latents_shown_have_the_largest_shares_of_the_kl(nb):
    for shares, pair in (([0.1, 3, 0, 2, 1], [1, 3]), ([5, 0], [0, 1])):
        moment = nb.Moment(0, None, None, None, np.array(shares))
        assert nb.two_latents(moment).tolist() == pair


def test_the_decoded_codes_are_a_mesh_or_fixed_draws_of_the_prior(nb):
    assert np.array_equal(nb.codes_to_decode(2), nb.mesh(20))
    codes = np.asarray(nb.codes_to_decode(5))
    assert codes.shape == (400, 5) and np.array_equal(codes, nb.codes_to_decode(5))
    assert np.abs(codes.mean(axis=0)).max() < 0.25
    assert np.abs(codes.var(axis=0) - 1).max() < 0.35


@pytest.mark.parametrize(
    "latents, likelihood", [(5, "bernoulli"), (5, "gaussian"), (2, "gaussian")]
)
def test_without_a_plane_of_bernoulli_images_part_one_runs_and_says_so(
    tmp_path, latents, likelihood
):
    change = dict(LATENTS=latents, LIKELIHOOD=likelihood)
    made = run(make_small_folder(tmp_path), **SMALL | change)
    assert made.code == 0, made.err[-3000:]
    assert "Parts II to IV need LATENTS = 2 and the Bernoulli decoder" in made.out
    assert ("shown: latents [" in made.out) is (latents == 5)
    numbers, results = metrics(tmp_path / "Results"), tmp_path / "Results"
    assert numbers["parts"] == ["I"] and numbers["latents"] == latents
    density = likelihood == "gaussian"
    assert ("log-dens" in numbers["protocol"]) is density
    assert numbers["likelihood"] == likelihood
    files = {path.name for path in results.iterdir()}
    assert files >= {*PART_ONE} and not any("in-progress" in name for name in files)
    assert check_gifs(results) == 32
    test = numbers["test"]
    assert test["elbo"] == pytest.approx(test["reconstruction"] - test["kl"], abs=1e-4)
    outputs = [o for c in made.notebook.cells for o in c.get("outputs", [])]
    assert not any(output.get("name") == "stderr" for output in outputs)


def test_a_log_for_tensorboard_holds_bounds_step_size_and_plane(tmp_path, nb):
    log = nb.open_log(str(tmp_path))
    log(3, {"train": -5.0, "step size": 0.01}, np.zeros((8, 8), np.float32))
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    names = {"train", "step size", "the plane, decoded"}
    assert set(events.Tags()["tensors"]) == names
    found = {
        name: tf.make_ndarray(events.Tensors(name)[0].tensor_proto) for name in names
    }
    assert bytes(found["the plane, decoded"][2]).startswith(b"\x89PNG")
    assert found["train"] == -5 and found["step size"] == pytest.approx(0.01)


def test_a_log_is_refused_where_tensorboard_is_missing(tmp_path, nb, monkeypatch):
    monkeypatch.setattr(nb.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="LOGDIR needs TensorBoard: pip install"):
        nb.open_log(str(tmp_path))
    assert nb.open_log("")(0, {}, None) is None
