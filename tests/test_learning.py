"""Part III against models small enough to enumerate."""

import types

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
from conftest import ALL_IMAGES, affine_vae


@pytest.mark.parametrize("image", [1, 6])
def test_posterior_samples_have_the_posteriors_distribution(nb, three_pixels, image):
    """Against a fine even grid: moments, and the shares of strips of the plane."""
    x, z = tf.repeat(ALL_IMAGES[image : image + 1], 4000, axis=0), nb.mesh(300, 6.0)
    weights = np.float64(nb.posterior_on(x[:1], z, nb.decode(three_pixels, z))[0])
    codes = nb.sample_posterior(three_pixels, x, "test posterior")
    mean = weights @ z
    np.testing.assert_allclose(codes.mean(axis=0), mean, atol=0.05)
    covariance = (z - mean).T @ (weights[:, None] * (z - mean))
    np.testing.assert_allclose(np.cov(codes.T), covariance, atol=0.08)
    for axis in range(2):
        edges = [-1.5, -1, -0.5, 0, 0.5, 1, 1.5]
        found, on_grid = (np.digitize(part[:, axis], edges) for part in (codes, z))
        expected = len(codes) * np.bincount(on_grid, weights) / weights.sum()
        assert scipy.stats.chisquare(np.bincount(found), expected).pvalue > 1e-4


def test_posterior_samples_stay_where_the_images_are_possible(nb):
    """Two pixels leave only the strip |z₁| < 1: SciPy's truncated normal."""
    strip = affine_vae(nb, [[200.0, 200.0], [0.0, 0.0]], [-200.0, 200.0])
    x = tf.repeat(tf.constant([[0.0, 1.0]]), 4000, axis=0)
    codes = nb.sample_posterior(strip, x, "test strip")
    assert np.abs(codes[:, 0]).max() < 1.05
    truncated = scipy.stats.truncnorm(-1, 1)
    assert np.std(codes[:, 0]) == pytest.approx(truncated.std(), abs=0.03)
    assert scipy.stats.kstest(codes[:, 1], "norm").pvalue > 1e-4


def test_posterior_samples_follow_their_name(nb, three_pixels):
    draws = [
        nb.sample_posterior(three_pixels, ALL_IMAGES, name) for name in ("a", "a", "b")
    ]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])


def test_em_that_has_become_nan_stops_in_a_sentence(nb):
    vae = affine_vae(nb, np.full((2, 3), np.nan), [0.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="NaN or infinite: lower EM_RATE"):
        nb.watch_em(vae, ALL_IMAGES, ALL_IMAGES, 0)


def test_em_climbs_monotonically_when_the_e_step_is_enumerated(nb):
    """On a lattice of codes all is a finite sum: posterior, M-step and evidence."""
    vae, z, x = (
        nb.build(3, [8], 2),
        tf.constant(nb.mesh(15, 3.0)),
        ALL_IMAGES[[0, 3, 7, 7]],
    )

    def evidence():
        return float(
            np.mean(tf.reduce_logsumexp(nb.log_joint(x, z, nb.decode(vae, z)), 1))
        )

    def expected(vae, weights, eps):  # Σ over images of p(z|x) log p(x|z), by code
        logits = vae.decoder(z)[:, None]
        return tf.reduce_sum(weights * nb.bernoulli_log_prob(x, logits), axis=1)

    change = dict(objective=expected, draw=nb.as_stored, only=vae.decoder)
    step, climbed = nb.make_step(vae, keras.optimizers.SGD(3.0), **change), []
    for _ in range(60):
        climbed.append(evidence())
        weights = tf.transpose(nb.posterior_on(x, z, nb.decode(vae, z)))  # E-step
        for _ in range(5):
            step(weights, nb.seed_for("unused"))  # M-step
    assert np.all(np.diff(climbed) > -1e-5) and climbed[-1] > climbed[0] + 0.3


def test_em_with_sampled_codes_climbs_the_exact_evidence(nb):
    vae, pixels = nb.build(3, [8], 2), np.tile(ALL_IMAGES[[0, 3, 7, 7]], (64, 1))
    rounds = nb.run_em(vae, pixels, {range(8): 0.02}, steps=32, batch=32, most=256)
    climbed = [nb.log_evidence(vae, pixels[:4], points=20).mean() for _ in rounds]
    assert len(climbed) == 9 and np.all(np.diff(climbed) > -0.02)
    best = scipy.stats.entropy([1, 1, 2])  # of these images: no model is better
    assert climbed[0] + 0.4 < climbed[-1] < -best


def interrupted(*words, **named):
    raise KeyboardInterrupt


def test_an_interrupt_leaves_the_model_that_was_there(notebook, nb):
    """The training's cell, run a second time and stopped on the way."""
    known = vars(nb) | dict.fromkeys(("data", "results", "x_test", "log"))
    known |= dict(vae="trained", D=12, J=2, M=4, LAYERS=[8], STEPS_PER_EPOCH=3)
    known |= dict(unchanged=print, learn=interrupted)
    (source,) = [cell.source for cell in notebook.cells if cell.id == "training"]
    with pytest.raises(KeyboardInterrupt):
        exec(source, known)
    assert known["vae"] == "trained"


def test_an_interrupt_in_ems_first_round_leaves_section_20_a_start(notebook, nb):
    """The decoder as it was, from which lessons and trainings can go on."""
    vae, names = nb.build(3, [8], 2), {}
    names |= dict(vae=vae, N=8, M=4, PASSES=1, run_em=interrupted, x_test=ALL_IMAGES)
    names |= dict(data=types.SimpleNamespace(x_train=ALL_IMAGES), __name__="run")
    known = vars(nb) | names
    (source,) = [cell.source for cell in notebook.cells if cell.id == "run-em"]
    with pytest.raises(KeyboardInterrupt):
        exec(source, known)
    for was, now in zip(vae.decoder.weights, known["em_early"].weights, strict=True):
        assert was is not now and np.array_equal(was, now)


def test_an_interrupted_encoder_leaves_a_decoder_that_learns(nb, monkeypatch):
    vae = nb.build(12, [8], 2)
    before = vae.decoder.get_weights()
    with monkeypatch.context() as patch:
        patch.setattr(nb, "finish", interrupted)
        with pytest.raises(KeyboardInterrupt):
            nb.train_encoder(vae, np.zeros((8, 12), np.float32), 3, 4, "stopped")
    assert vae.decoder.trainable and len(vae.decoder.trainable_weights) == 4
    nb.train_encoder(vae, np.full((8, 12), 0.5, np.float32), 3, 4, "to its end")
    for was, now in zip(before, vae.decoder.get_weights(), strict=True):
        assert np.array_equal(was, now), "the decoder is held"


def test_the_likelihoods_cell_can_be_run_again(notebook, nb, monkeypatch):
    """Its function is then another object, and stands for the same likelihood."""
    old, again = nb.build(12, [8], 2), dict(vars(nb))
    (source,) = [cell.source for cell in notebook.cells if cell.id == "bernoulli"]
    exec(source, again)
    assert again["bernoulli_log_prob"] is not nb.bernoulli_log_prob
    monkeypatch.setattr(nb, "bernoulli_log_prob", again["bernoulli_log_prob"])
    assert nb.build(12, [8], 2).decoder.output_shape == (None, 12)
    assert nb.mean_image(old, np.zeros((3, 2), np.float32)).shape == (3, 12)
