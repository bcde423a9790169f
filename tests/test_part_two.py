"""Part II against models whose evidence and posterior can be had in another way."""

import itertools
import math

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
import tensorflow as tf


def normal(shape, seed):
    return tf.random.stateless_normal(shape, (seed, 0))


class Affine:
    """A decoder whose logits are z A + b, (K, 2) to (K, D): smooth, and easy to integrate by other means."""

    def __init__(self, a, b):
        self.a, self.b, self.input_shape = tf.constant(a, tf.float32), tf.constant(b, tf.float32), (None, 2)

    def __call__(self, z):
        return tf.matmul(z, self.a) + self.b


class Constant:
    """An encoder with the same q for every image."""

    def __init__(self, mu, logvar):
        self.row = tf.constant([[*mu, *logvar]], tf.float32)

    def __call__(self, x):
        return tf.repeat(self.row, tf.shape(x)[0], axis=0)


ALL_IMAGES = np.float32(list(itertools.product((0, 1), repeat=3)))


@pytest.fixture
def vae(nb):
    """Three pixels, affine logits, and a q that is not the posterior, wide enough to weigh its codes well."""
    decoder = Affine([[2.0, -1.0, 0.5], [0.3, 1.5, -2.0]], [-0.5, 0.2, 0.1])
    return nb.VAE(Constant([0.3, -0.2], [0.3, 0.2]), decoder)


def by_hand(vae, x):
    """log p(x) by SciPy's adaptive double integral over p(z) p(x|z), written out pixel by pixel."""
    a, b = vae.decoder.a.numpy().astype(float), vae.decoder.b.numpy().astype(float)

    def joint(z2, z1):
        y = 1 / (1 + np.exp(-(np.array([z1, z2]) @ a + b)))
        return math.exp(-(z1**2 + z2**2) / 2) / (2 * math.pi) * np.prod(np.where(x, y, 1 - y))

    return math.log(scipy.integrate.dblquad(joint, -7, 7, -7, 7)[0])


def test_evidence_equals_an_adaptive_double_integral(nb, vae):
    evidence = nb.log_evidence(vae, tf.constant(ALL_IMAGES))
    for image in (0, 3, 6):
        assert evidence[image] == pytest.approx(by_hand(vae, ALL_IMAGES[image]), abs=1e-3)


def test_probabilities_of_all_images_sum_to_one(nb, vae):
    assert np.exp(nb.log_evidence(vae, tf.constant(ALL_IMAGES))).sum() == pytest.approx(1.0, abs=1e-4)


def test_evidence_of_a_decoder_that_ignores_z_is_its_likelihood(nb, vae):
    blind = nb.VAE(vae.encoder, Affine(np.zeros((2, 3)), [1.0, -2.0, 0.5]))
    expected = nb.bernoulli_log_prob(ALL_IMAGES, np.float32([[1.0, -2.0, 0.5]]))
    np.testing.assert_allclose(nb.log_evidence(blind, tf.constant(ALL_IMAGES)), expected, atol=1e-4)


def test_evidence_finds_a_narrow_posterior_far_from_the_centre(nb, vae):
    """The mass of p(z) where both logits are high is a quadrant's, moved to (3, -2): known in closed form."""
    step = nb.VAE(vae.encoder, Affine(400 * np.eye(2), [-400 * 3.0, 400 * 2.0]))
    expected = math.log(scipy.stats.norm.sf(3.0) * scipy.stats.norm.sf(-2.0))
    assert nb.log_evidence(step, tf.ones((1, 2)))[0] == pytest.approx(expected, abs=0.02)


def test_evidence_does_not_move_when_the_grid_is_refined_or_widened(nb, vae):
    x = tf.constant(ALL_IMAGES)
    plain = nb.log_evidence(vae, x)
    np.testing.assert_allclose(nb.log_evidence(vae, x, points=100), plain, atol=1e-3)
    np.testing.assert_allclose(nb.log_evidence(vae, x, limit=8), plain, atol=1e-3)


def test_joint_is_prior_times_likelihood(nb, vae):
    z = normal((5, 2), 1)
    table = nb.log_joint(ALL_IMAGES, z, vae.decoder(z)).numpy()
    assert table.shape == (8, 5)
    for i, k in ((0, 0), (7, 4), (3, 2)):
        y = scipy.special.expit(vae.decoder(z)[k].numpy())
        expected = scipy.stats.bernoulli(y).logpmf(ALL_IMAGES[i]).sum() + scipy.stats.norm.logpdf(z[k]).sum()
        assert table[i, k] == pytest.approx(expected, abs=1e-4)


def test_evidence_is_divergence_plus_bound(nb, vae):
    """Eq. 1, with the divergence on one grid and the bound from samples."""
    x, z = tf.constant(ALL_IMAGES), nb.mesh(300, 6.0)
    log_cell = 2 * math.log(12 / 300)
    mu, logvar = nb.encode(vae, x[:1])
    log_q = nb.log_normal(z, mu, logvar).numpy()
    log_posterior = np.log(nb.posterior(x, z, vae.decoder(z))) - log_cell
    divergence = np.sum(np.exp(log_q + log_cell) * (log_q - log_posterior), axis=1)
    eps = normal((20_000, 8, 2), 2)
    bound = nb.gaussian_bound(vae, x, *nb.encode(vae, x), tf.zeros((8, 1)), eps).numpy()
    np.testing.assert_allclose(divergence + bound, nb.log_evidence(vae, x), atol=0.03)
    assert np.all(divergence > 0)


def test_tilted_gaussian_pays_the_kl_of_its_covariance(nb, vae):
    """With a likelihood that does not depend on z, the bound is -KL, which SciPy's covariance confirms."""
    blind = nb.VAE(vae.encoder, Affine(np.zeros((2, 3)), np.zeros(3)))
    mu, logvar, tilt = np.float32([[0.5, -1.0]]), np.float32([[-1.0, 0.4]]), np.float32([[0.8]])
    bound = nb.gaussian_bound(blind, tf.zeros((1, 3)), mu, logvar, tilt, normal((8, 1, 2), 3))
    s1, s2 = np.exp(logvar[0] / 2)
    root = np.array([[s1, 0], [0.8 * s2, s2]])
    covariance = root @ root.T
    kl = 0.5 * (np.trace(covariance) + mu[0] @ mu[0] - 2 - np.log(np.linalg.det(covariance)))
    assert float(bound[0]) == pytest.approx(-3 * math.log(2) - kl, abs=1e-4)


def test_refining_climbs_the_bound_and_stays_below_the_evidence(nb, vae):
    x = tf.constant(ALL_IMAGES)
    start = nb.bounds(
        vae, x, [*(part.numpy() for part in nb.encode(vae, x)), np.zeros((8, 1), np.float32)], 2000
    )
    mu = nb.encode(vae, x)[0].numpy()
    diagonal = nb.bounds(vae, x, nb.refine(vae, x, mu, tilted=0), 2000)
    tilted = nb.bounds(vae, x, nb.refine(vae, x, mu, tilted=1), 2000)
    evidence = nb.log_evidence(vae, x)
    assert diagonal.mean() > start.mean() + 0.05
    assert tilted.mean() > diagonal.mean() - 0.01
    assert np.all(tilted < evidence + 0.02) and np.all(diagonal < evidence + 0.02)


def test_importance_bounds_rise_to_the_evidence(nb, vae):
    x = tf.constant(ALL_IMAGES)
    weights = nb.log_weights(vae, x, normal((4000, 8, 2), 4))
    assert weights.shape == (8, 4000)
    means = [float(np.mean(nb.importance_bound(weights, k))) for k in (1, 10, 100, 1000)]
    assert means == sorted(means)
    evidence = nb.log_evidence(vae, x)
    np.testing.assert_allclose(nb.importance_bound(weights, 4000), evidence, atol=0.08)
    assert means[0] < evidence.mean() - 0.02


def test_importance_bound_with_one_code_is_estimator_a(nb, vae):
    x, eps = tf.constant(ALL_IMAGES), normal((6, 8, 2), 5)
    mu, logvar = nb.encode(vae, x)
    z = nb.reparameterize(mu, logvar, eps)
    log_px_z = nb.bernoulli_log_prob(x, tf.reshape(vae.decoder(tf.reshape(z, (-1, 2))), (6, 8, 3)))
    a = log_px_z + nb.log_normal(z, 0.0, 0.0) - nb.log_normal(z, mu, logvar)
    weights = nb.log_weights(vae, x, eps)
    np.testing.assert_allclose(nb.importance_bound(weights, 1), np.mean(a, axis=0), rtol=1e-4)


@pytest.fixture
def grid(nb, vae):
    z = nb.mesh(120, 5.0)
    return z, vae.decoder(z)


def test_a_completion_that_sees_every_pixel_is_the_posterior_mean(nb, vae, grid):
    mean, weights = nb.complete(tf.constant(ALL_IMAGES), np.ones(3, bool), *grid)
    np.testing.assert_allclose(weights, nb.posterior(ALL_IMAGES, *grid), rtol=1e-5)
    np.testing.assert_allclose(mean, nb.posterior(ALL_IMAGES, *grid) @ tf.sigmoid(grid[1]), rtol=1e-5)


def test_a_completion_that_sees_nothing_is_the_prior_mean(nb, vae, grid):
    mean, weights = nb.complete(tf.constant(ALL_IMAGES), np.zeros(3, bool), *grid)
    prior = scipy.stats.norm.pdf(grid[0]).prod(axis=1)
    np.testing.assert_allclose(weights[0], prior / prior.sum(), atol=1e-6)
    np.testing.assert_allclose(mean[0], mean[7], rtol=1e-5)


def test_a_completion_is_bayes_rule_on_whole_images(nb, vae, grid):
    """p(third pixel | first two) from the evidences of the two images that agree with them."""
    evidence = np.exp(nb.log_evidence(vae, tf.constant(ALL_IMAGES)))
    mean, _ = nb.complete(tf.constant(ALL_IMAGES), np.array([True, True, False]), *grid)
    for first in (0, 2, 4, 6):  # images ...0 and ...1 stand side by side
        expected = evidence[first + 1] / (evidence[first] + evidence[first + 1])
        assert float(mean[first, 2]) == pytest.approx(expected, abs=1e-3)


def test_denoising_is_bayes_rule_on_whole_images(nb, vae, grid):
    """Every clean image weighed by its evidence and by the flips that would make it the noisy one."""
    flip, evidence = 0.2, np.exp(nb.log_evidence(vae, tf.constant(ALL_IMAGES)))
    guess = nb.denoise(tf.constant(ALL_IMAGES), flip, *grid).numpy()
    for noisy, row in zip(ALL_IMAGES, guess, strict=True):
        flips = np.abs(ALL_IMAGES - noisy).sum(axis=1)
        weights = evidence * flip**flips * (1 - flip) ** (3 - flips)
        np.testing.assert_allclose(row, weights @ ALL_IMAGES / weights.sum(), atol=2e-3)


def test_wake_sleep_and_the_bound_agree_on_a_linear_toy(nb):
    """One latent, linear networks, four pixels that share one cause: both must reach the same bound."""
    cause = np.random.default_rng(0).random((512, 1)) < 0.5
    pixels = tf.constant(np.where(cause, 0.85, 0.15).astype(np.float32).repeat(4, axis=1))
    x, reached = nb.binarize(pixels, (1, 1)), {}
    for name, make in (("aevb", nb.make_train_step), ("wake-sleep", nb.make_wake_sleep_step)):
        vae = nb.build(4, [], 1, seed=0)
        step = make(vae, keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.03, 1500)))
        for k in range(1500):
            step(pixels, tf.range(512), tf.constant([0, k]))
        reached[name] = nb.evaluate(vae, x, 50)["elbo"]
    coins = -4 * math.log(2)
    assert min(reached.values()) > coins + 0.15, "both learned the cause"
    assert abs(reached["aevb"] - reached["wake-sleep"]) < 0.05
    assert reached["aevb"] > reached["wake-sleep"] - 0.02, "only AEVB climbs the bound itself"


def test_wake_sleep_takes_the_same_step_from_the_same_start(nb):
    """Both phases read the weights before either moves them, in whatever order they are computed."""
    pixels, ends = tf.constant(np.random.default_rng(0).random((100, 12)).astype(np.float32)), set()
    nb.D = 12
    for _ in range(12):
        vae = nb.build_paper(2, seed=1)
        step = nb.make_wake_sleep_step(vae, keras.optimizers.Adam(0.002))
        terms = step(pixels, tf.range(100), tf.constant([1, 0]))
        weights = b"".join(weight.numpy().tobytes() for network in vae for weight in network.weights)
        ends.add((float(terms[0]), float(terms[1]), weights))
    assert len(ends) == 1


def test_weight_prior_joins_the_gradient(nb):
    weight = keras.Variable([2.0])
    plain, prior = keras.optimizers.Adagrad(0.1), nb.AdagradMAP(0.1, 4)
    plain.apply([tf.constant([0.5 + 2.0 / 4])], [weight])
    expected = weight.numpy()
    weight.assign([2.0])
    prior.apply([tf.constant([0.5])], [weight])
    np.testing.assert_allclose(weight.numpy(), expected)


def test_the_papers_networks_have_the_papers_sizes(nb):
    vae = nb.build_paper(2, seed=0)
    assert vae.encoder.count_params() + vae.decoder.count_params() == 788_788
    vae = nb.build_paper(20, seed=0)
    assert vae.encoder.count_params() + vae.decoder.count_params() == 815_824
    assert np.std(vae.encoder.get_weights()[0]) == pytest.approx(0.01, rel=0.02)
