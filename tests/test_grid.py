"""Part II against models whose evidence and posterior can be had in another way."""

import itertools
import math

import numpy as np
import pytest
import scipy.integrate
import scipy.optimize
import scipy.stats
import tensorflow as tf
from conftest import ALL_IMAGES, A, B, affine_vae

ALL_IMAGES = tf.constant(ALL_IMAGES)


@pytest.fixture(scope="module")
def evidence(definitions, three_pixels):
    return definitions.log_evidence(three_pixels, ALL_IMAGES)


@pytest.fixture(scope="module")
def grid(definitions, three_pixels):
    z = definitions.mesh(120, 6.0)
    return z, definitions.decode(three_pixels, z)


@pytest.mark.parametrize("image", [0, 3, 6])
def test_evidence_equals_an_adaptive_double_integral(evidence, image):
    def joint(z2, z1):
        y = 1 / (1 + np.exp(-(np.array([z1, z2]) @ A + B)))
        prior = math.exp(-(z1**2 + z2**2) / 2) / (2 * math.pi)
        return prior * np.prod(np.where(ALL_IMAGES[image], y, 1 - y))

    integral, _ = scipy.integrate.dblquad(joint, -7, 7, -7, 7)
    assert evidence[image] == pytest.approx(math.log(integral), abs=1e-3)


def test_probabilities_of_all_images_sum_to_one(evidence):
    assert np.exp(evidence).sum() == pytest.approx(1.0, abs=1e-4)


def test_evidence_of_a_decoder_that_ignores_z_is_its_likelihood(nb):
    blind = affine_vae(nb, np.zeros((2, 3)), [1.0, -2.0, 0.5])
    expected = nb.bernoulli_log_prob(ALL_IMAGES, np.float32([1.0, -2.0, 0.5]))
    np.testing.assert_allclose(nb.log_evidence(blind, ALL_IMAGES), expected, atol=1e-4)


def test_evidence_finds_a_narrow_posterior_far_from_the_centre(nb):
    """Both pixels are on in a quadrant with its corner at (3, -2), of known mass."""
    step = affine_vae(nb, 400 * np.eye(2), [-400 * 3.0, 400 * 2.0])
    expected = math.log(scipy.stats.norm.sf(3.0) * scipy.stats.norm.sf(-2.0))
    found = nb.log_evidence(step, tf.ones((1, 2)))
    assert found[0] == pytest.approx(expected, abs=0.02)


def test_equation_1_holds_and_its_divergence_is_the_rest(
    nb, three_pixels, evidence, grid
):
    """The divergence on a lattice, against evidence less Gauss and Hermite's bound."""
    x, q = ALL_IMAGES[3:4], nb.encode(three_pixels, ALL_IMAGES[3:4])
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    eps = np.float32(list(itertools.product(nodes, nodes)))[:, None]
    log_px_z = nb.bernoulli_log_prob(
        x, nb.decode(three_pixels, q.sample(eps)[0])
    ).numpy()[:, 0]
    share = np.outer(weights, weights).ravel() / (2 * math.pi)
    bound = share @ log_px_z - float(q.kl()[0])
    kl = nb.check_equation_1(
        three_pixels, x, q, nb.posterior_box(x, *grid), "test image"
    )
    assert kl == pytest.approx(evidence[3] - bound, abs=5e-3)


def test_a_lattice_is_as_fine_as_each_of_its_sides(nb):
    """A box of 12 by 0.1: a Gaussian as narrow as that integrates to one."""
    low, high = np.array([-6.0, 1.0]), np.array([6.0, 1.1])
    z, log_cell = nb.lattice(low, high)
    wide = np.float32([0.0, 2 * math.log(0.01)])
    log_p = nb.log_normal(z, np.float32([0.0, 1.05]), wide)
    assert np.all(z > low) and np.all(z < high)
    assert np.exp(log_p + log_cell).sum() == pytest.approx(1, abs=1e-4)


def test_a_squared_box_keeps_its_middle_and_its_longer_side(nb):
    low, high = nb.squared(np.array([-1.0, 2.0]), np.array([3.0, 3.0]))
    assert np.array_equal(low, [-1, 0.5]) and np.array_equal(high, [3, 4.5])


def test_judge_has_the_bound_of_every_image(nb):
    vae = affine_vae(nb, A, B, logvar=(-6, -6))
    q = nb.DiagonalGaussian(*(field.numpy() for field in nb.encode(vae, ALL_IMAGES)))
    found = nb.judge(vae, q, ALL_IMAGES, 80, "test", block=3)
    expected = nb.elbo(vae, ALL_IMAGES, np.zeros((1, 8, 2), np.float32))
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_the_tilted_gaussian_pays_the_kl_of_its_covariance(nb):
    mu, logvar, tilt = np.float32([[0.5, -1.0]]), np.float32([[-1, 0.4]]), 0.8
    q = nb.TiltedGaussian(mu, logvar, np.float32([[tilt]]))
    s1, s2 = np.exp(logvar[0] / 2)
    root = np.array([[s1, 0], [tilt * s2, s2]])
    covariance = root @ root.T
    trace, determinant = np.trace(covariance), np.linalg.det(covariance)
    kl = (trace + mu[0] @ mu[0] - 2 - math.log(determinant)) / 2
    assert float(q.kl()[0]) == pytest.approx(kl, abs=1e-4)
    eps = np.float32(np.random.default_rng(0).normal(size=(100_000, 1, 2)))
    z, log_q = q.sample(eps)
    np.testing.assert_allclose(np.cov(z[:, 0].numpy().T), covariance, atol=0.03)
    density = scipy.stats.multivariate_normal(mu[0], covariance)
    np.testing.assert_allclose(log_q[:9, 0], density.logpdf(z[:9, 0]), atol=1e-3)


def bound_by_quadrature(x, mu1, mu2, logvar1, logvar2, tilt=0.0):
    """The bound of one image with this Gaussian, by Gauss and Hermite's nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    share = np.outer(weights, weights).ravel() / (2 * math.pi)
    s1, s2 = math.exp(logvar1 / 2), math.exp(logvar2 / 2)
    root = np.array([[s1, 0], [tilt * s2, s2]])
    z = np.array(list(itertools.product(nodes, nodes))) @ root.T + [mu1, mu2]
    logits = z @ A + B
    log_px_z = logits @ x - np.logaddexp(0, logits).sum(axis=1)
    squares = np.sum(root**2) + mu1**2 + mu2**2
    return share @ log_px_z - (squares - 2 - logvar1 - logvar2) / 2


def best_bound(x, start):
    """The largest bound of a Gaussian, by SciPy: its value."""
    return -scipy.optimize.minimize(lambda q: -bound_by_quadrature(x, *q), start).fun


def test_refining_climbs_to_the_best_bound_of_each_family_below_the_evidence(
    nb, three_pixels, evidence
):
    q = nb.DiagonalGaussian(
        *(field.numpy() for field in nb.encode(three_pixels, ALL_IMAGES))
    )
    tilted = nb.TiltedGaussian(*q, np.zeros((8, 1), np.float32))
    fits = [q, *(nb.refine(three_pixels, ALL_IMAGES, start) for start in (q, tilted))]
    rows = [np.float64(np.concatenate(fit, axis=1)) for fit in fits]
    images = ALL_IMAGES.numpy()
    before, diagonal, leaning = (
        [bound_by_quadrature(x, *row) for x, row in zip(images, fit, strict=True)]
        for fit in rows
    )
    assert np.all(np.array(diagonal) > np.array(before) + 0.5)
    for found, size in ((diagonal, 4), (leaning, 5)):
        best = [best_bound(x, np.zeros(size)) for x in images]
        np.testing.assert_allclose(found, best, atol=0.05)
    assert np.all(fits[2].tilt > 0.05) and np.mean(leaning) > np.mean(diagonal)
    assert np.all(np.max([diagonal, leaning], axis=0) < evidence)


def test_importance_bounds_rise_to_the_evidence(nb, three_pixels, evidence):
    eps = np.float32(np.random.default_rng(4).normal(size=(4000, 8, 2)))
    weights = nb.log_weights(three_pixels, ALL_IMAGES, eps)
    means = [np.mean(nb.grouped_bound(weights, k)) for k in (1, 10, 100, 1000)]
    assert means == sorted(means) and means[0] < evidence.mean() - 0.02
    whole = nb.grouped_bound(weights, 4000)
    np.testing.assert_allclose(whole, evidence, atol=0.08)
    np.testing.assert_allclose(
        whole, nb.importance_bound(three_pixels, ALL_IMAGES, eps), rtol=1e-4
    )


def test_a_completion_that_sees_all_is_the_posterior_and_nothing_the_prior(nb, grid):
    mean, weights = nb.complete(ALL_IMAGES, np.ones(3, bool), *grid)
    posterior = nb.posterior_on(ALL_IMAGES, *grid)
    np.testing.assert_allclose(weights, posterior, rtol=1e-5)
    np.testing.assert_allclose(mean, posterior @ tf.sigmoid(grid[1]), rtol=1e-5)
    mean, weights = nb.complete(ALL_IMAGES, np.zeros(3, bool), *grid)
    prior = scipy.stats.norm.pdf(grid[0]).prod(axis=1)
    np.testing.assert_allclose(weights[0], prior / prior.sum(), atol=1e-6)
    np.testing.assert_allclose(mean[0], mean[7], rtol=1e-5)


def test_a_completion_is_bayes_rule_on_whole_images(nb, grid, evidence):
    """p(third pixel | first two) from the two images that agree with them."""
    p = np.exp(evidence)
    mean, _ = nb.complete(ALL_IMAGES, np.array([True, True, False]), *grid)
    for first in (0, 2, 4, 6):  # images ...0 and ...1 stand side by side
        expected = p[first + 1] / (p[first] + p[first + 1])
        assert float(mean[first, 2]) == pytest.approx(expected, abs=1e-3)


def test_halves_are_marginals_and_conditionals_of_whole_images(
    nb, three_pixels, evidence
):
    """The first pixel is the upper half; sums over images give its probability."""
    upper, log_p = (
        np.array([True, False, False]),
        np.log(np.exp(evidence).reshape(2, 4)),
    )
    found = nb.check_halves(three_pixels, ALL_IMAGES, upper, evidence, np.float32(B))
    above = np.logaddexp.reduce(log_p, axis=1, keepdims=True)
    assert found["given_upper"] == pytest.approx(np.mean(log_p - above), abs=1e-3)
    lower = np.logaddexp.reduce(log_p, axis=0).mean()
    assert found["lower"] == pytest.approx(lower, abs=1e-3)


def test_denoising_is_bayes_rule_on_whole_images(nb, grid, evidence):
    """Clean images weighed by evidence and by the flips that make the noisy one."""
    flip, images = 0.2, ALL_IMAGES.numpy()
    guess = nb.denoise(ALL_IMAGES, flip, *grid).numpy()
    for noisy, row in zip(images, guess, strict=True):
        flips = np.abs(images - noisy).sum(axis=1)
        weights = np.exp(evidence) * flip**flips * (1 - flip) ** (3 - flips)
        np.testing.assert_allclose(row, weights @ images / weights.sum(), atol=2e-3)


def test_the_smallest_region_that_holds_a_share_is_a_disc_for_a_gaussian(nb):
    """Radii that hold 50, 90 and 99 % of a Gaussian: its ellipses' and its region's."""
    z, ax = nb.mesh(200, 5.0), nb.plt.figure().add_subplot()
    nb.draw_region(ax, z, np.asarray(nb.log_prior(z)))
    radii = np.sqrt(scipy.stats.chi2(2).ppf([0.99, 0.9, 0.5]))
    levels = ax.collections[0].get_paths()
    found = [np.linalg.norm(path.vertices, axis=1).max() for path in levels]
    np.testing.assert_allclose(found, radii, atol=0.06)
    q = nb.DiagonalGaussian(np.zeros((1, 2), np.float32), np.zeros((1, 2), np.float32))
    nb.draw_gaussian(ax, q)
    circles = [np.hypot(*line.get_data()).max() for line in ax.lines]
    np.testing.assert_allclose(sorted(circles), sorted(radii), rtol=1e-3)
