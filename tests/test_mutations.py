"""Each check of the notebook fails for the mistake that it is there to find.

A mutation replaces a piece of the notebook's source. The check named with it passes on
the notebook as it is and must raise AssertionError on the mutated definitions.
"""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from loader import load_definitions

GREY = np.float32(np.random.default_rng(0).beta(0.3, 0.6, (1, 12)))


def small_vae(nb):
    """A VAE of twelve pixels whose decoder varies, with a q unlike the prior."""
    vae = nb.build(12, [8], 2)
    kernel = vae.decoder.layers[-1].kernel
    kernel.assign(np.random.default_rng(1).normal(size=kernel.shape))
    vae.encoder.layers[-1].bias.assign([0.5, -1.0, -1.0, 0.3])
    return vae


def images(n=8):
    return tf.constant(np.float32(np.random.default_rng(2).random((n, 12)) < GREY))


def grid(nb):
    vae, x = small_vae(nb), images()
    nb.check_grid(vae, x, nb.log_evidence(vae, x))


def importance(nb):
    vae, x = small_vae(nb), images()
    nb.check_importance(vae, x, nb.log_evidence(vae, x), nb.encode(vae, x))


def equation_1(nb):
    vae, x, z = small_vae(nb), images(1), nb.mesh(100, 6.0)
    box = nb.posterior_box(x, z, nb.decode(vae, z))
    nb.check_equation_1(vae, x, nb.encode(vae, x), box, "mutant")


def information(nb):
    mu = np.random.default_rng(3).normal(size=(4000, 2)).astype(np.float32)
    nb.check_information(nb.DiagonalGaussian(mu, 0 * mu - 3))


def sharp_vae(nb, factor):
    """The same, but a decoder of larger logits, so that posteriors are narrower."""
    vae = small_vae(nb)
    vae.decoder.layers[-1].kernel.assign(factor * vae.decoder.layers[-1].kernel)
    return vae


def halves(nb):
    vae, x, upper = small_vae(nb), images(), np.arange(12) < 6
    nb.check_halves(vae, x, upper, nb.log_evidence(vae, x), np.zeros(12, np.float32))


def denoise(nb):
    """Of images that the decoder makes itself."""
    vae, z = sharp_vae(nb, 2), nb.mesh(60, 5.0)
    codes = np.float32(np.random.default_rng(4).normal(size=(200, 2)))
    x = nb.binarize(tf.sigmoid(nb.decode(vae, codes)), nb.seed_for("mutant"))
    nb.check_denoise(x, z, nb.decode(vae, z), np.zeros(12, np.float32), vae)


def sampling(nb):
    vae, z = small_vae(nb), nb.mesh(200, 6.0)
    nb.check_sampling(vae, images(1), z, nb.decode(vae, z), n=2000)


def coarse(nb):
    vae, x = sharp_vae(nb, 8), images()
    nb.check_coarse(vae, x, nb.log_evidence(vae, x), tolerance=0.05)


def curve(nb):
    points = nb.make_points(100, "mutant")
    _, vae = next(nb.learn_curve(points, 10, [0], "mutant"))
    nb.check_curve(vae, points)


def gaussian(*fields):
    return [tf.constant([field]) for field in fields]


MU, LOGVAR = [1.0, -2.0], [-3.0, 0.5]
CHECKS = {
    "binarize": lambda nb: nb.check_binarize(GREY),
    "bound": lambda nb: nb.check_bound(*np.array([[0.7, 0.3], [0.1, 0.9], [0.4, 0.6]])),
    "gradients": lambda nb: nb.check_gradients(),
    "kl": lambda nb: nb.check_kl(tf.constant(MU), tf.constant(LOGVAR)),
    "bernoulli": lambda nb: nb.check_bernoulli(),
    "build": lambda nb: nb.check_build(nb.build(12, [8], 2), images(5)),
    "start": lambda nb: nb.check_start(nb.build(12, [8], 2), images()),
    "estimators": lambda nb: nb.check_estimators(
        small_vae(nb), images(1), *gaussian([0.5, -1.0], [-2.0, -1.0])
    ),
    "one sample": lambda nb: nb.check_one_sample(small_vae(nb), images(50)),
    "mistakes": lambda nb: nb.check_mistakes(small_vae(nb), images(), images()),
    "log joint": lambda nb: nb.check_log_joint(
        small_vae(nb), images(3), tf.constant(nb.mesh(2, 1.0))
    ),
    "diagonal": lambda nb: nb.check_family(nb.DiagonalGaussian(*gaussian(MU, LOGVAR))),
    "tilted": lambda nb: nb.check_family(
        nb.TiltedGaussian(*gaussian(MU, LOGVAR, [0.8]))
    ),
    "grid": grid,
    "importance": importance,
    "equation 1": equation_1,
    "information": information,
    "halves": halves,
    "denoise": denoise,
    "sampling": sampling,
    "coarse": coarse,
    "tiles": lambda nb: nb.check_tiles(),
    "convolutional": lambda nb: nb.check_convolutional(
        nb.build_convolutional((8, 12), 2), tf.repeat(images(), 8, axis=1), (8, 12)
    ),
    "flow": lambda nb: nb.check_flow(nb.build_flow(12, [8], 2), images(1)),
    "curve": curve,
}
LEFT_OUT = {"check_reload": "what it would find are faults of Keras's own files"}
KL = "return 0.5 * tf.reduce_sum(mu**2 + tf.exp(logvar) - 1.0 - logvar, axis=-1)"
TILTED = "return gaussian_kl(self.mu, self.logvar) + more"
TILTED_Q = "return z, log_prior(eps) - 0.5 * tf.reduce_sum(self.logvar, axis=-1)"
LIKELIHOOD = "tf.reduce_sum(x * x_logits - tf.nn.softplus(x_logits), axis=-1)"
PATCHED = "tf.reduce_sum(x * tf.math.log(1e-8 + tf.sigmoid(x_logits)) + (1 - x) * "
PATCHED += "tf.math.log(1e-8 + 1 - tf.sigmoid(x_logits)), axis=-1)"
SAMPLE = "mu + tf.exp(0.5 * logvar) * eps"
EQ_3 = "eq_3 = -q @ np.log(q / p_z)"
MUTATIONS = {  # mistake: (piece of the source, its replacement, the check for it)
    "pixels on where they should be off": (
        "chance < pixels",
        "chance > pixels",
        "binarize",
    ),
    "pixels thresholded": ("chance < pixels", "0.5 < pixels", "binarize"),
    "KL's sign in Eq. 3": (EQ_3, EQ_3.replace("-q", "q"), "bound"),
    "a posterior that is not divided": ("p_x_given_z / p_x", "p_x_given_z", "bound"),
    "KL averaged over latents": (KL, KL.replace("_sum", "_mean"), "kl"),
    "KL's sign": (KL, KL.replace("0.5", "-0.5"), "kl"),
    "log σ² taken for log σ": (SAMPLE, SAMPLE.replace("0.5 * ", ""), "gradients"),
    "the same, in q's samples": (SAMPLE, SAMPLE.replace("0.5 * ", ""), "kl"),
    "the same, in q's density": ("/ tf.exp(logvar)", "/ tf.exp(2 * logvar)", "kl"),
    "noise cut off from μ": (SAMPLE, SAMPLE.replace("mu +", "0 * mu +"), "gradients"),
    "a likelihood of patched logs": (LIKELIHOOD, PATCHED, "bernoulli"),
    "logits taken for probabilities": (
        LIKELIHOOD,
        "tf.reduce_sum(x * x_logits + (1 - x) * (1 - x_logits), axis=-1)",
        "bernoulli",
    ),
    "pixels averaged": (LIKELIHOOD, LIKELIHOOD.replace("_sum", "_mean"), "start"),
    "codes put in another order": ("tf.shape(z)[:-1]", "tf.shape(z)[-2::-1]", "build"),
    "log q's sign": ("+ log_prior(z) - log_q", "+ log_prior(z) + log_q", "estimators"),
    "the prior forgotten": ("+ log_prior(z) - log_q", "- log_q", "estimators"),
    "log q of the noise": (
        "return z, log_normal(z, self.mu, self.logvar)",
        "return z, log_prior(eps)",
        "diagonal",
    ),
    "the tilt's KL forgotten": (TILTED, TILTED.replace(" + more", ""), "tilted"),
    "the tilt's density": (TILTED_Q, TILTED_Q.replace("0.5 * ", ""), "tilted"),
    "off pixels forgotten": (
        "x_logits, transpose_b=True) - off",
        "x_logits, transpose_b=True)",
        "log joint",
    ),
    "a cell's area forgotten": ("total - 2 * math.log(points)", "total", "grid"),
    "the root of a cell's area": (
        "- 2 * math.log(points)",
        "- math.log(points)",
        "grid",
    ),
    "tiles chosen too narrowly": ("margin=25", "margin=0.3", "grid"),
    "a square that cuts the prior": (
        "limit=6, points=50",
        "limit=1, points=50",
        "grid",
    ),
    "a sum of weights for their mean": (
        "axis=0) - math.log(k)",
        "axis=0)",
        "importance",
    ),
    "a stray constant in the prior": (
        "return log_normal(z, tf.zeros_like(z), tf.zeros_like(z))",
        "return log_normal(z, tf.zeros_like(z), tf.zeros_like(z)) + 1.0",
        "equation 1",
    ),
    "KL's sign in the bound": ("axis=0), q.kl()", "axis=0), -q.kl()", "equation 1"),
    "the same, beside other slips": (
        "axis=0), q.kl()",
        "axis=0), -q.kl()",
        "mistakes",
    ),
    "all codes but the first forgotten": (
        "tf.reduce_mean(vae.likelihood(x, decode(vae, z)), axis=0), q.kl()",
        "vae.likelihood(x, decode(vae, z))[0], q.kl()",
        "one sample",
    ),
    "a mixture that is not divided": (
        "axis=1) - math.log(len(q.mu))",
        "axis=1)",
        "information",
    ),
    "a cell's area forgotten, for halves": (
        "total - 2 * math.log(points)",
        "total",
        "halves",
    ),
    "a flip believed": (
        "for side in (witness, -witness)",
        "for side in (-witness, witness)",
        "denoise",
    ),
    "tiles that forget those before them": (
        "total[rows] = np.logaddexp(total[rows], mass)",
        "total[rows] = mass",
        "sampling",
    ),
    "chances of a whole that is not 1": (
        "tf.random.stateless_uniform((tf.shape(x)[0], 1), seed) * sums[:, -1:]",
        "tf.random.stateless_uniform((tf.shape(x)[0], 1), seed)",
        "sampling",
    ),
    "a grid that is too coarse": (
        'COARSE = {"points": 40}',
        'COARSE = {"points": 2}',
        "coarse",
    ),
    "the root of two forgotten": (
        "codes = tf.math.ndtri(mesh(side, 0.5) + 0.5).numpy()",
        "codes = tf.math.erfinv(2 * mesh(side, 0.5)).numpy()",
        "tiles",
    ),
    "columns taken for rows": (
        "kind.Reshape((high, wide, 1))",
        "kind.Reshape((wide, high, 1))",
        "convolutional",
    ),
    "the flow's sign": (
        "log_q -= tf.reduce_sum(log_s, axis=-1)",
        "log_q += tf.reduce_sum(log_s, axis=-1)",
        "flow",
    ),
    "a latent that sees itself": (
        "hidden[:, None] < order",
        "hidden[:, None] <= order",
        "flow",
    ),
    "a cell's length forgotten": (
        " + math.log(2 * limit / cells)",
        "",
        "curve",
    ),
}


def test_every_check_of_the_notebook_is_tried_or_left_out_with_a_reason(notebook):
    code = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    tried = set(re.findall(r"nb\.(check_\w+)\(", Path(__file__).read_text()))
    assert tried | {*LEFT_OUT} == set(re.findall(r"^def (check_\w+)", code, flags=re.M))
    assert tried & {*LEFT_OUT} == set() and all(LEFT_OUT.values())
    assert {check for _, _, check in MUTATIONS.values()} == set(CHECKS)


@pytest.mark.parametrize("check", CHECKS)
def test_a_check_passes_on_the_notebook(definitions, check):
    CHECKS[check](definitions)


@pytest.mark.parametrize("mistake", MUTATIONS)
def test_a_check_finds(notebook, mistake):
    piece, replacement, check = MUTATIONS[mistake]
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert sum(source.count(piece) for source in sources) == 1, "which piece is it?"
    mutant = load_definitions(edit=lambda source: source.replace(piece, replacement))
    with pytest.raises(AssertionError):
        CHECKS[check](mutant)
