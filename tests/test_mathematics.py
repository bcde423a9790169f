"""Part I: each formula of the notebook against an oracle that is not the notebook."""

import itertools
import math

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
import tensorflow as tf
from conftest import affine_vae


def noise(shape, seed):
    return np.float32(np.random.default_rng(seed).normal(size=shape))


def coins(shape, seed=0):
    return tf.constant(np.float32(np.random.default_rng(seed).integers(0, 2, shape)))


def test_every_name_step_and_seed_gives_other_draws(nb, monkeypatch):
    named = [nb.seed_for(name, k) for name in ("a", "b", "ab") for k in range(50)]
    monkeypatch.setattr(nb, "SEED", nb.SEED + 1)
    named += [nb.seed_for("a", k) for k in range(50)]
    assert len({tuple(seed) for seed in named}) == 200
    assert np.min(named) >= 0 and named[0].shape == (2,)


def test_draws_follow_their_seed_alone(nb):
    one, two = nb.seed_for("one"), nb.seed_for("two")
    grey = np.full((4, 100), 0.5, np.float32)
    for draw, what in ((nb.normal, (4, 100)), (nb.binarize, grey)):
        assert np.array_equal(draw(what, one), draw(what, one))
        assert not np.array_equal(draw(what, one), draw(what, two))
    assert scipy.stats.kstest(nb.normal((20_000,), one), "norm").pvalue > 1e-3


def test_kl_equals_the_integral_summed_over_latents(nb):
    mu, logvar = np.float32([[0.7, -2.0], [0, 0]]), np.float32([[-1.3, 0.4], [0, 0]])
    p, q = scipy.stats.norm(), scipy.stats.norm(mu[0], np.exp(logvar[0] / 2))
    kl = scipy.integrate.quad_vec(
        lambda z: q.pdf(z) * (q.logpdf(z) - p.logpdf(z)), -9, 9
    )
    total = kl[0].sum()
    np.testing.assert_allclose(nb.gaussian_kl(mu, logvar), [total, 0], atol=1e-4)
    posterior = nb.DiagonalGaussian(mu, logvar)
    np.testing.assert_array_equal(posterior.kl(), nb.gaussian_kl(mu, logvar))


def test_samples_have_the_moments_and_the_density_they_are_given(nb):
    mu, logvar = np.float32([[2.0, -1.0]]), np.float32(np.log([[0.25, 9.0]]))
    z, log_q = nb.DiagonalGaussian(mu, logvar).sample(noise((400_000, 1, 2), 1))
    np.testing.assert_allclose(np.mean(z, axis=0), mu, atol=0.02)
    np.testing.assert_allclose(np.var(z, axis=0), [[0.25, 9.0]], rtol=0.01)
    expected = scipy.stats.norm(mu, np.exp(logvar / 2)).logpdf(z[:9]).sum(axis=2)
    np.testing.assert_allclose(log_q[:9], expected, rtol=1e-4)
    expected = scipy.stats.norm.logpdf(z[:9]).sum(axis=2)
    np.testing.assert_allclose(nb.log_prior(z[:9]), expected, rtol=1e-4)


def test_bernoulli_log_prob_equals_scipy_and_keras(nb):
    x, logits = coins((6, 50)), 3 * noise((6, 50), 2)
    expected = scipy.stats.bernoulli(1 / (1 + np.exp(-np.float64(logits)))).logpmf(x)
    np.testing.assert_allclose(
        nb.bernoulli_log_prob(x, logits), expected.sum(axis=1), rtol=1e-5
    )
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
    by_keras = -50 * loss(x, logits)
    np.testing.assert_allclose(nb.bernoulli_log_prob(x, logits), by_keras, rtol=1e-5)


@pytest.mark.parametrize("logit", [-200.0, -30.0, 30.0, 200.0])
def test_bernoulli_log_prob_and_its_gradient_stay_finite(nb, logit):
    x_logits = tf.fill([1, 2], logit)
    with tf.GradientTape() as tape:
        tape.watch(x_logits)
        log_prob = nb.bernoulli_log_prob(tf.constant([[0.0, 1.0]]), x_logits)
    assert float(log_prob[0]) == pytest.approx(-abs(logit))
    assert np.all(np.isfinite(tape.gradient(log_prob, x_logits)))


@pytest.mark.parametrize("leading", [(), (4,), (3, 4), (2, 3, 4)])
def test_decode_takes_codes_of_any_leading_shape(nb, leading):
    vae, z = affine_vae(nb, [[1, 2, 3], [0, 1, 0]], [0, 1, 0]), noise((*leading, 2), 3)
    expected = z @ np.float32([[1, 2, 3], [0, 1, 0]]) + np.float32([0, 1, 0])
    np.testing.assert_allclose(nb.decode(vae, z), expected, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def vae(definitions):
    """A VAE whose q stays near the prior and whose decoder varies."""
    vae = definitions.build(12, [8, 6], 2)
    for network, size in ((vae.encoder, 0.1), (vae.decoder, 1.0)):
        kernel = network.layers[-1].kernel
        kernel.assign(size * noise(kernel.shape, 7))
    return vae


def test_the_bound_its_estimators_and_importance_weighting_meet_the_evidence(nb, vae):
    """The evidence of a small model is a double integral: Gauss and Hermite's nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    z = np.float32(list(itertools.product(nodes, nodes)))
    log_node = np.log(np.outer(weights, weights).ravel() / (2 * math.pi))
    x, eps = coins((6, 12)), noise((4000, 6, 2), 8)
    log_px_z = nb.bernoulli_log_prob(x[:, None], nb.decode(vae, z)[None])
    evidence = scipy.special.logsumexp(log_px_z + log_node, axis=1)
    a, b = nb.estimator_a(vae, x, eps), nb.elbo(vae, x, eps)
    np.testing.assert_allclose(a, b, atol=0.05)
    assert np.all(b < evidence)
    terms = nb.bound_terms(vae, nb.encode(vae, x), x, eps)
    np.testing.assert_allclose(terms[0] - terms[1], b, rtol=1e-5)
    np.testing.assert_allclose(nb.importance_bound(vae, x, eps), evidence, atol=0.15)
    one = eps[:1]
    np.testing.assert_allclose(
        nb.importance_bound(vae, x, one), nb.estimator_a(vae, x, one), rtol=1e-5
    )


def test_gradient_of_the_bound_equals_finite_differences(nb):
    """Along the signs of the gradient the derivative is Σ |gradient|."""
    vae = affine_vae(nb, noise((2, 12), 7), noise(12, 8))
    weights, x, eps = (
        [*vae[0].weights, *vae[1].weights],
        coins((3, 12)),
        noise((1, 3, 2), 9),
    )
    with tf.GradientTape() as tape:
        bound = tf.reduce_sum(nb.elbo(vae, x, eps))
    for weight, gradient in zip(weights, tape.gradient(bound, weights), strict=True):
        values, ends = weight.numpy(), []
        for step in (1e-3, -1e-3):
            weight.assign(values + step * tf.sign(gradient))
            ends.append(float(tf.reduce_sum(nb.elbo(vae, x, eps))))
        weight.assign(values)
        slope = (ends[0] - ends[1]) / 2e-3
        assert slope == pytest.approx(float(tf.reduce_sum(tf.abs(gradient))), rel=0.02)


def test_build_gives_the_sizes_that_are_asked_for_and_follows_its_name(nb):
    vae, offset = (
        nb.build(784, [500], 2),
        500,
    )  # of LayerNormalization, no bias, no scale
    assert vae.encoder.count_params() == 784 * 500 + offset + 500 * 4 + 4
    assert vae.decoder.count_params() == 2 * 500 + 500 + 500 * 784 + 784
    names = ("weights", "weights", "others")
    first, again, other = (
        nb.build(9, [8], 2, n).encoder.get_weights()[0] for n in names
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_evaluate_averages_over_all_images_and_blocks(nb, vae):
    x = coins((25, 12))
    whole, blocks = (nb.evaluate(vae, x, 400, "test", block=size) for size in (25, 10))
    kl, b = np.mean(nb.encode(vae, x).kl()), nb.elbo(vae, x, noise((4000, 25, 2), 12))
    for found in (whole, blocks):
        assert found["kl"] == pytest.approx(kl, rel=1e-5)
        assert found["elbo"] == pytest.approx(np.mean(b), abs=0.12)
        assert found["elbo"] == pytest.approx(found["reconstruction"] - found["kl"])


def test_a_step_climbs_the_bound_and_returns_it(nb):
    """Images are all on or all off: the best bound is a little below -log 2."""
    vae, pixels = nb.build(12, [16], 2), tf.repeat(coins((64, 1)), 12, axis=1)
    step = nb.make_step(vae, keras.optimizers.Adam(0.01))
    before = nb.evaluate(vae, pixels, 4, "test")["elbo"]
    bounds = [float(step(pixels, nb.seed_for("climb", k))) for k in range(300)]
    assert bounds[0] == pytest.approx(before, abs=0.5)
    assert -2.0 < nb.evaluate(vae, pixels, 4, "test")["elbo"] < -0.6


def test_a_step_climbs_whatever_objective_it_is_given(nb):
    vae, pixels = nb.build(12, [16], 2), tf.repeat(coins((64, 1)), 12, axis=1)
    kernel, seed = vae.decoder.layers[-1].kernel, nb.seed_for("weigh", 0)
    kernel.assign(10 * kernel)  # so that the objectives differ
    split = tf.function(tf.random.split, jit_compile=True)  # Threefry asks for XLA
    eps = nb.normal((8, 64, 2), split(seed, 2, "threefry")[1])
    expected = np.mean(nb.importance_bound(vae, pixels, eps))
    assert expected > np.mean(nb.elbo(vae, pixels, eps)) + 1e-3
    adam = keras.optimizers.Adam(0.01)
    step = nb.make_step(vae, adam, nb.importance_bound, samples=8)
    assert float(step(pixels, seed)) == pytest.approx(expected, rel=1e-4)
    bounds = [float(step(pixels, nb.seed_for("weigh", k))) for k in range(300)]
    assert -1.5 < np.mean(bounds[-20:]) < -0.6


def test_the_optimizer_warms_up_and_comes_to_rest(nb):
    rate = nb.make_optimizer(1000)._learning_rate
    assert float(rate(0)) == 0.0
    assert float(rate(100)) == pytest.approx(nb.LEARNING_RATE, rel=1e-3)
    assert float(rate(1000)) == pytest.approx(0.0, abs=1e-8)
    assert np.all(np.diff([float(rate(step)) for step in range(100, 1000, 50)]) < 0)


def test_only_a_gradient_that_is_too_long_is_shortened(nb):
    """The norm is that of all weights together, the direction stays."""
    gradients = [tf.constant([3.0, 0.0]), tf.constant([4.0])]  # of norm 5
    for longest, share in ((None, 1.0), (10.0, 1.0), (2.0, 0.4)):
        weights = [keras.Variable(np.ones_like(gradient)) for gradient in gradients]
        optimizer = keras.optimizers.SGD(0.5, global_clipnorm=longest)
        optimizer.build(weights)
        nb.descend(optimizer, gradients, weights)
        for weight, gradient in zip(weights, gradients, strict=True):
            assert np.allclose(weight, 1 - 0.5 * share * gradient)
    assert nb.make_optimizer(100).global_clipnorm == nb.CLIP_NORM


def test_only_the_decoders_kernels_decay(nb):
    """With gradients of 0 Adam moves nothing: what moves has decayed."""
    vae = nb.build(6, [5], 2, "decay")
    weights, decaying = nb.weights_of(vae), nb.kernels(vae.decoder)
    assert [weight.shape for weight in decaying] == [(2, 5), (5, 6)]
    for weight in weights:
        weight.assign(tf.ones_like(weight))
    optimizer = nb.make_optimizer(100, peak=0.5, warm_up=0)
    optimizer.build(weights)
    nb.descend(optimizer, [tf.zeros_like(w) for w in weights], weights, decaying)
    for weight in weights:
        kept = 1 - 0.5 * nb.DECAY if any(weight is one for one in decaying) else 1
        assert np.allclose(weight, kept, rtol=1e-6)


def test_train_visits_every_image_once_per_epoch_and_stops_for_every_look(nb):
    seen, seeds, rows = [], set(), np.arange(35)

    def step(minibatch, seed):
        seen.append(minibatch)
        seeds.add(tuple(seed))
        return len(seen)

    looks = [
        (k, list(done)) for k, done in nb.train(step, rows, 10, 6, {0, 4, 6}, "test")
    ]
    assert looks == [(0, []), (4, [1, 2, 3, 4]), (6, [1, 2, 3, 4, 5, 6])]
    for epoch in (seen[:3], seen[3:]):
        assert len(set(np.concatenate(epoch))) == 30, "three minibatches, no row twice"
    assert not np.array_equal(seen[0], seen[3]) and len(seeds) == 6


def test_mean_kl_is_information_and_distance_from_the_prior(nb):
    """Far codes tell all images apart, equal ones tell none."""
    far = np.float32(np.stack([np.arange(8) * 20 - 70, np.zeros(8)], axis=1))
    for mu, bits in ((far, 3), (0 * far, 0)):
        q = nb.DiagonalGaussian(np.tile(mu, (100, 1)), np.zeros((800, 2), np.float32))
        parts = nb.check_information(q)
        assert parts["information"] == pytest.approx(bits * math.log(2), abs=0.01)
