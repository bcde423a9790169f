"""Each formula of the notebook against an oracle that is not the notebook."""

import itertools
import math

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf


def normal(shape, seed):
    return tf.random.stateless_normal(shape, (seed, 0))


def test_reparameterize_has_the_mean_and_variance_it_is_given(nb):
    mu, logvar = np.float32([2.0, -1.0]), np.float32([math.log(0.25), math.log(9.0)])
    z = nb.reparameterize(mu, logvar, normal((400_000, 2), 1)).numpy()
    np.testing.assert_allclose(z.mean(axis=0), [2.0, -1.0], atol=0.02)
    np.testing.assert_allclose(z.var(axis=0), [0.25, 9.0], rtol=0.01)


def test_gaussian_kl_equals_the_integral(nb):
    mu, logvar = 0.7, -1.3
    q, p = scipy.stats.norm(mu, math.exp(logvar / 2)), scipy.stats.norm()
    integral, _ = scipy.integrate.quad(lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), -8, 8)
    kl = nb.gaussian_kl(tf.constant([mu]), tf.constant([logvar]))
    assert float(kl) == pytest.approx(integral, abs=1e-5)


def test_gaussian_kl_sums_over_latents_and_not_over_images(nb):
    mu, logvar = normal((5, 3), 2), normal((5, 3), 3)
    one_by_one = sum(nb.gaussian_kl(mu[:, j : j + 1], logvar[:, j : j + 1]) for j in range(3))
    assert nb.gaussian_kl(mu, logvar).shape == (5,)
    np.testing.assert_allclose(nb.gaussian_kl(mu, logvar), one_by_one, rtol=1e-5)
    assert float(nb.gaussian_kl(tf.zeros(3), tf.zeros(3))) == 0.0


def test_bernoulli_log_prob_equals_scipy_and_keras(nb):
    rng = np.random.default_rng(0)
    x, logits = np.float32(rng.integers(0, 2, (6, 50))), np.float32(rng.normal(0, 3, (6, 50)))
    expected = scipy.stats.bernoulli(1 / (1 + np.exp(-np.float64(logits)))).logpmf(x).sum(axis=1)
    np.testing.assert_allclose(nb.bernoulli_log_prob(x, logits), expected, rtol=1e-5)
    by_keras = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)(x, logits)
    np.testing.assert_allclose(nb.bernoulli_log_prob(x, logits), -50 * by_keras, rtol=1e-5)


@pytest.mark.parametrize("logit", [-200.0, -30.0, 30.0, 200.0])
def test_bernoulli_log_prob_and_its_gradient_stay_finite_at_extreme_logits(nb, logit):
    x_logits = tf.fill([1, 2], logit)
    with tf.GradientTape() as tape:
        tape.watch(x_logits)
        log_prob = nb.bernoulli_log_prob(tf.constant([[0.0, 1.0]]), x_logits)
    assert log_prob.numpy()[0] == pytest.approx(-abs(logit))
    assert np.all(np.isfinite(tape.gradient(log_prob, x_logits)))


def test_probabilities_of_all_images_of_three_pixels_sum_to_one(nb):
    images = np.float32(list(itertools.product((0, 1), repeat=3)))
    total = np.exp(nb.bernoulli_log_prob(images, np.float32([[0.3, -2.0, 5.0]]))).sum()
    assert total == pytest.approx(1.0, abs=1e-5)


def test_log_normal_equals_scipy(nb):
    z, mu, logvar = (normal((4, 3), seed).numpy() for seed in (4, 5, 6))
    expected = scipy.stats.norm(mu, np.exp(logvar / 2)).logpdf(z).sum(axis=1)
    np.testing.assert_allclose(nb.log_normal(z, mu, logvar), expected, rtol=1e-4)


def test_binarize_draws_each_pixel_with_its_own_probability(nb):
    pixels = np.float32([[0.0, 0.1, 0.5, 0.9, 1.0]])
    x = nb.binarize(np.repeat(pixels, 100_000, axis=0), (1, 2)).numpy()
    assert set(np.unique(x)) == {0.0, 1.0}
    np.testing.assert_allclose(x.mean(axis=0), pixels[0], atol=0.006)
    assert x[:, 0].max() == 0 and x[:, 4].min() == 1


def test_binarize_follows_its_seed(nb):
    grey = np.full((4, 100), 0.5, np.float32)
    assert np.array_equal(nb.binarize(grey, (1, 2)), nb.binarize(grey, (1, 2)))
    assert not np.array_equal(nb.binarize(grey, (1, 2)), nb.binarize(grey, (1, 3)))


def small_vae(nb, pixels=12, scale=1.0):
    """A VAE whose q stays near the prior and whose decoder varies."""
    vae = nb.build(pixels, [8, 6], 2, seed=0)
    for network, size in zip(vae, (0.1, scale), strict=True):
        network.layers[-1].kernel.assign(size * normal(network.layers[-1].kernel.shape, 7))
    return vae


def test_elbo_is_its_two_terms_and_lies_below_the_evidence(nb):
    """With 2-D z the evidence of a small model is a double integral: SciPy's Gauss–Hermite grid does it."""
    vae = small_vae(nb)
    x = nb.binarize(np.full((6, 12), 0.5, np.float32), (1, 1))
    noise = normal((4000, 6, 2), 8)
    bounds, terms, kls = zip(*(nb.elbo(vae, x, eps) for eps in noise[:4]), strict=True)
    np.testing.assert_allclose(bounds, np.array(terms) - np.array(kls), rtol=1e-5)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    z = np.float32(list(itertools.product(nodes, nodes)))
    log_weights = np.log(np.outer(weights, weights).ravel() / (2 * math.pi))
    log_px_z = np.array([nb.bernoulli_log_prob(image[None], vae.decoder(z)) for image in x])
    evidence = scipy.special.logsumexp(log_px_z + log_weights, axis=1)
    mu, logvar = nb.encode(vae, x)
    codes = nb.reparameterize(mu, logvar, noise)
    logits = tf.reshape(vae.decoder(tf.reshape(codes, (-1, 2))), (4000, 6, 12))
    bound = np.mean(nb.bernoulli_log_prob(x, logits), axis=0) - nb.gaussian_kl(mu, logvar)
    assert np.all(bound < evidence)
    importance = (
        nb.bernoulli_log_prob(x, logits) + nb.log_normal(codes, 0.0, 0.0) - nb.log_normal(codes, mu, logvar)
    )
    estimate = scipy.special.logsumexp(importance, axis=0) - math.log(4000)
    np.testing.assert_allclose(estimate, evidence, atol=0.15)


def test_gradient_of_the_bound_equals_finite_differences(nb):
    vae = small_vae(nb, scale=0.3)
    x, eps = nb.binarize(np.full((3, 12), 0.5, np.float32), (1, 1)), normal((3, 2), 9)
    weights = [vae.encoder.layers[0].kernel, vae.encoder.layers[-1].kernel, vae.decoder.layers[-1].kernel]
    with tf.GradientTape() as tape:
        bound = tf.reduce_sum(nb.elbo(vae, x, eps)[0])
    gradients = tape.gradient(bound, [weight.value for weight in weights])
    for weight, gradient in zip(weights, gradients, strict=True):
        direction = tf.sign(gradient)  # along which the derivative is large, the sum of |gradient|
        values, step = weight.numpy(), 1e-3
        ends = []
        for sign in (1, -1):
            weight.assign(values + sign * step * direction)
            ends.append(float(tf.reduce_sum(nb.elbo(vae, x, eps)[0])))
        weight.assign(values)
        slope = (ends[0] - ends[1]) / (2 * step)
        assert slope == pytest.approx(float(tf.reduce_sum(tf.abs(gradient))), rel=0.03)


def test_estimators_a_and_b_agree_on_average(nb):
    vae, x = small_vae(nb), tf.ones((1, 12))
    mu, logvar = nb.encode(vae, x)
    z = nb.reparameterize(mu, logvar, normal((50_000, 2), 10))
    log_px_z = nb.bernoulli_log_prob(x, vae.decoder(z))
    a = log_px_z + nb.log_normal(z, 0.0, 0.0) - nb.log_normal(z, mu, logvar)
    b = log_px_z - nb.gaussian_kl(mu, logvar)
    error = np.std(a - b) / math.sqrt(50_000)
    assert abs(np.mean(a - b)) < 5 * error


def test_fresh_networks_start_at_fair_coins(nb):
    vae = nb.build(784, [50, 30], 2, seed=3)
    x = nb.binarize(np.full((50, 784), 0.3, np.float32), (3, 1))
    bound = np.mean(nb.elbo(vae, x, normal((50, 2), 11))[0])
    assert bound == pytest.approx(-784 * math.log(2), abs=8)


def test_build_gives_the_shapes_and_sizes_that_are_asked_for(nb):
    vae = nb.build(784, [500], 2, seed=0)
    offset = 500  # LayerNormalization's; it stands for the layer's bias, and there is no scale
    assert vae.encoder.count_params() == 784 * 500 + offset + 500 * 4 + 4
    assert vae.decoder.count_params() == 2 * 500 + 500 + 500 * 784 + 784
    assert vae.encoder(tf.zeros((7, 784))).shape == (7, 4) and vae.decoder(tf.zeros((7, 2))).shape == (7, 784)


def test_build_follows_its_seed(nb):
    first, again, other = (nb.build(12, [8], 2, seed).encoder.get_weights()[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_evaluate_averages_over_all_images_and_blocks(nb):
    vae, x = small_vae(nb), nb.binarize(np.full((25, 12), 0.5, np.float32), (1, 1))
    whole, blocks = nb.evaluate(vae, x, 400, block=25), nb.evaluate(vae, x, 400, block=10)
    mu, logvar = nb.encode(vae, x)
    assert whole["kl"] == pytest.approx(float(tf.reduce_mean(nb.gaussian_kl(mu, logvar))), rel=1e-5)
    assert blocks["kl"] == pytest.approx(whole["kl"], rel=1e-5)
    assert blocks["elbo"] == pytest.approx(whole["elbo"], abs=0.1)
    assert whole["elbo"] == pytest.approx(whole["reconstruction"] - whole["kl"], rel=1e-5)


def test_train_step_climbs_the_bound_and_returns_it(nb):
    vae = nb.build(12, [16], 2, seed=0)
    pixels = tf.constant(
        np.float32(np.random.default_rng(0).random((64, 1)) > 0.5) * np.ones((1, 12), np.float32)
    )
    step = nb.make_train_step(vae, keras.optimizers.Adam(0.01))
    before = nb.evaluate(vae, pixels, 4)["elbo"]
    rows = tf.range(64)
    first = float(step(pixels, rows, tf.constant([0, 0])))
    assert first == pytest.approx(before, abs=0.5)
    for k in range(1, 300):
        step(pixels, rows, tf.constant([0, k]))
    after = nb.evaluate(vae, pixels, 4)["elbo"]
    assert -2.0 < after < -0.6, "all-on or all-off images: the best bound is a little below -log 2"


def test_optimizer_warms_up_and_comes_to_rest(nb):
    rate = nb.make_optimizer(1000)._learning_rate
    assert float(rate(0)) == 0.0
    assert float(rate(100)) == pytest.approx(nb.LEARNING_RATE, rel=1e-3)
    assert float(rate(1000)) == pytest.approx(0.0, abs=1e-8)
    assert np.all(np.diff([float(rate(step)) for step in range(100, 1000, 50)]) < 0)


def test_train_visits_every_image_once_per_epoch_and_calls_watch_at_every_step(nb, monkeypatch, capsys):
    seen, watched = [], []
    monkeypatch.setattr(
        nb, "make_train_step", lambda vae, opt: lambda x, rows, seed: seen.append(rows.numpy()) or 0.0
    )
    monkeypatch.setattr(nb, "evaluate", lambda vae, x, samples: {"elbo": 0.0})
    nb.M, nb.passes = 10, 1
    history = nb.train(None, np.zeros((35, 4), np.float32), None, 2, watched.append)
    assert watched == [0, 1, 2, 3, 4, 5, 6] and len(history) == 2
    for epoch in (seen[:3], seen[3:]):
        assert len(set(np.concatenate(epoch))) == 30, "three full minibatches, no image twice"
    assert not np.array_equal(seen[0], seen[3])
    assert len(capsys.readouterr().out.splitlines()) == 2
