"""The contenders of the race (race.py), each for a process of its own.

    python benchmarks/contenders.py NAME SEED EPOCHS [quick]

sets one up and says so; then it trains an epoch for each line that it reads, answers
with a line of JSON: seconds, and the test bound after it. A contender is a generator
`(vae, pixels, batch, epochs)` that yields when it is set up, with nothing compiled yet,
and after every epoch. It yields the weights where they live outside the Keras networks.
"""

import contextlib
import json
import math
import sys
import time
from collections import namedtuple
from functools import partial
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from loader import load_definitions  # noqa: E402

DETERMINISM = "tf.config.experimental.enable_op_determinism()"


def undetermined(source):
    """The notebook's source without determinism, with which `fit` refuses XLA."""
    return source.replace(DETERMINISM, "")


as_it_stands = sys.argv[1:2] == ["notebook"]
with contextlib.redirect_stdout(None):  # stdout is for answers
    nb = load_definitions(**{} if as_it_stands else {"edit": undetermined})
keras, np, tf = nb.keras, nb.np, nb.tf


# Steps and loops in TensorFlow and Keras


def in_epochs(step, pixels, batch, epochs):
    """The notebook's loop, with a pause at the end of each epoch."""
    per_epoch = len(pixels) // batch
    ends = range(0, epochs * per_epoch + 1, per_epoch)
    for _, bounds in nb.train(step, pixels, batch, epochs * per_epoch, ends, "race"):
        if bounds:
            float(bounds[-1])  # waits until it is there
        yield


def train_notebook(vae, pixels, batch, epochs):
    """The notebook's step in the notebook's loop, as they stand."""
    step = nb.make_step(vae, nb.make_optimizer(epochs * (len(pixels) // batch)))
    return in_epochs(step, pixels, batch, epochs)


def own_adam(vae, steps):
    """The notebook's optimiser; by `apply`, too, only the decoder's kernels decay."""
    decaying = {id(kernel) for kernel in nb.kernels(vae.decoder)}
    spared = [weight for weight in nb.weights_of(vae) if id(weight) not in decaying]
    optimizer = nb.make_optimizer(steps)
    optimizer.exclude_from_weight_decay(var_list=spared)
    return optimizer


def climb(vae, optimizer, pixels, seed, alg="auto_select", grey=False):
    """A step on the notebook's bound, not compiled, with any random generator."""
    seeds = tf.unstack(tf.random.split(seed, 2, alg=alg))
    chance = tf.random.stateless_uniform(tf.shape(pixels), seeds[0], alg=alg)
    x = pixels if grey else tf.cast(chance < pixels, tf.float32)
    shape = (1, tf.shape(x)[0], vae.decoder.input_shape[1])
    eps = tf.random.stateless_normal(shape, seeds[1], alg=alg)
    encoder, decoder = (partial(f, training=True) for f in (vae.encoder, vae.decoder))
    with tf.GradientTape() as tape:
        bound = nb.elbo(vae._replace(encoder=encoder, decoder=decoder), x, eps)
        loss = -tf.reduce_mean(bound)
    weights = vae.encoder.trainable_variables + vae.decoder.trainable_variables
    optimizer.apply(tape.gradient(loss, weights), weights)
    return -loss


def train_uncompiled(vae, pixels, batch, epochs):
    """The same in a plain tf.function, with TensorFlow's default random generator."""
    optimizer = own_adam(vae, epochs * (len(pixels) // batch))
    optimizer.build(vae.encoder.trainable_variables + vae.decoder.trainable_variables)
    return in_epochs(tf.function(partial(climb, vae, optimizer)), pixels, batch, epochs)


class FitModel(keras.Model):
    """Networks that Keras's `fit` trains on the notebook's bound."""

    def __init__(self, vae, **settings):
        super().__init__()
        self.encoder, self.decoder, self.climb = *vae[:2], partial(climb, vae)
        self.settings, self.mean = settings, keras.metrics.Mean(name="bound")

    def train_step(self, pixels):
        """One step on a minibatch of pixels (M, D)."""
        seed = tf.stack([nb.SEED, tf.cast(self.optimizer.iterations, tf.int32)])
        self.mean.update_state(
            self.climb(self.optimizer, pixels, seed, **self.settings)
        )
        return {"bound": self.mean.result()}


def train_fit(vae, pixels, batch, epochs, jit=False, grey=False):
    """Keras's `fit`, a call for each epoch; grey pixels, constant step if `grey`."""
    steps = epochs * math.ceil(len(pixels) / batch)
    optimizer = keras.optimizers.Adam(1e-3) if grey else own_adam(vae, steps)
    model = FitModel(vae, grey=grey, alg="threefry" if jit else "auto_select")
    model.compile(optimizer=optimizer, jit_compile=jit)
    assert model.jit_compile == jit, "Keras would not compile"
    pixels = tf.constant(pixels)
    yield
    for epoch in range(epochs):
        settings = {"initial_epoch": epoch, "epochs": epoch + 1, "verbose": 0}
        model.fit(pixels, batch_size=batch, **settings)
        yield


# The same in PyTorch and JAX


def adam_settings(steps):
    """The notebook's optimiser, and its step size at each step."""
    optimizer, rates = nb.make_optimizer(steps), []
    for step in range(steps):
        optimizer.iterations.assign(step)
        rates.append(float(optimizer.learning_rate))
    return optimizer, rates


def shuffled(length, batch, epoch):
    """The rows of each minibatch of an epoch, (steps, batch)."""
    order = np.random.default_rng((nb.SEED, epoch)).permutation(length)
    return order[: length // batch * batch].reshape(-1, batch)


def trained(network):
    """The weights of a PyTorch network that training changes, in Keras's order."""
    return [weight for weight in network.parameters() if weight.requires_grad]


def torch_twin(network):
    """A PyTorch network with the layers and the weights of one of the notebook's."""
    import torch

    model = torch.nn.Sequential()
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense):
            model.append(torch.nn.Linear(*layer.kernel.shape, bias=layer.use_bias))
        elif isinstance(layer, keras.layers.LayerNormalization):
            model.append(torch.nn.LayerNorm(layer.beta.shape[0], eps=layer.epsilon))
            model[-1].weight.requires_grad_(layer.scale)
        else:
            model.append(torch.nn.ReLU())
    for weight, value in zip(trained(model), network.get_weights(), strict=True):
        weight.data.copy_(torch.from_numpy(value.T))
    return model


def train_torch(vae, pixels, batch, epochs, compiled=False):
    """PyTorch, eager or with its loss compiled."""
    import torch

    torch.manual_seed(nb.SEED)
    encoder, decoder = twins = [torch_twin(network) for network in vae[:2]]
    ours, rates = adam_settings(epochs * (len(pixels) // batch))
    weights = [weight for twin in twins for weight in trained(twin)]
    decaying = [weight for weight in trained(decoder) if weight.ndim > 1]
    groups = [{"params": decaying, "weight_decay": ours.weight_decay}]
    spared = set(weights) - set(decaying)
    groups.append({"params": list(spared), "weight_decay": 0.0})
    settings = {"betas": (ours.beta_1, ours.beta_2), "eps": ours.epsilon, "fused": True}
    adam, images = torch.optim.AdamW(groups, **settings), torch.from_numpy(pixels)
    entropy = torch.nn.functional.binary_cross_entropy_with_logits

    def loss(grey):
        x = torch.bernoulli(grey)
        mu, logvar = encoder(x).chunk(2, dim=1)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum()
        return (entropy(decoder(z), x, reduction="sum") + kl) / batch

    loss, step = torch.compile(loss) if compiled else loss, count()
    yield
    for epoch in range(epochs):
        for rows in torch.from_numpy(shuffled(len(images), batch, epoch)):
            k = next(step)  # Keras adds ε before it corrects the bias, PyTorch after
            epsilon = ours.epsilon / math.sqrt(1 - ours.beta_2 ** (k + 1))
            for group in adam.param_groups:
                group.update(lr=rates[k], eps=epsilon)
            adam.zero_grad()
            loss(images[rows]).backward()
            torch.nn.utils.clip_grad_norm_(weights, ours.global_clipnorm)
            adam.step()
        yield [[w.detach().numpy().T for w in trained(twin)] for twin in twins]


def jax_twin(network):
    """The weights of one of the notebook's networks, and its function of them and x."""
    import jax

    def apply(weights, x):
        rest = iter(weights)
        for layer in network.layers:
            if isinstance(layer, keras.layers.Dense):
                x = x @ next(rest)
                x = x + next(rest) if layer.use_bias else x
            elif isinstance(layer, keras.layers.LayerNormalization):
                x = jax.nn.standardize(x, epsilon=layer.epsilon) + next(rest)
            else:
                x = jax.nn.relu(x)
        return x

    return [jax.numpy.asarray(value) for value in network.get_weights()], apply


def train_jax(vae, pixels, batch, epochs):
    """JAX, a compiled step."""
    import jax
    from jax import numpy as jnp

    (phi, encoder), (theta, decoder) = (jax_twin(network) for network in vae[:2])
    ours, rates = adam_settings(epochs * (len(pixels) // batch))
    b1, b2, eps, images = ours.beta_1, ours.beta_2, ours.epsilon, jnp.asarray(pixels)
    decay = ours.weight_decay

    def loss(weights, x, noise):
        mu, logvar = jnp.split(encoder(weights[0], x), 2, axis=1)
        x_logits = decoder(weights[1], mu + jnp.exp(0.5 * logvar) * noise)
        log_px_z = jnp.sum(x * x_logits - jax.nn.softplus(x_logits))
        kl = 0.5 * jnp.sum(mu**2 + jnp.exp(logvar) - 1 - logvar)
        return (kl - log_px_z) / batch

    def step(state, images, rows, t, rate):
        weights, m, v = state
        key_x, key_eps = jax.random.split(
            jax.random.fold_in(jax.random.key(nb.SEED), t)
        )
        x = jax.random.bernoulli(key_x, images[rows]).astype(jnp.float32)
        g = jax.grad(loss)(weights, x, jax.random.normal(key_eps, (batch, nb.J)))
        norm = jnp.sqrt(sum(jnp.sum(part**2) for part in jax.tree.leaves(g)))
        short = jnp.minimum(1, ours.global_clipnorm / norm)
        g = jax.tree.map(lambda part: part * short, g)
        m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
        v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g**2, v, g)
        weights[1] = [w * (1 - rate * decay * (w.ndim > 1)) for w in weights[1]]
        rate = rate * jnp.sqrt(1 - b2**t) / (1 - b1**t)
        move = partial(jax.tree.map, lambda w, m, v: w - rate * m / (jnp.sqrt(v) + eps))
        return move(weights, m, v), m, v

    step, t = jax.jit(step, donate_argnums=0), count()
    state = jax.tree.map(jnp.zeros_like, ([phi, theta],) * 3)
    state = ([phi, theta], *state[1:])
    yield
    for epoch in range(epochs):
        for rows in shuffled(len(images), batch, epoch):
            k = next(t)
            state = step(state, images, rows, k + 1, rates[k])
        yield jax.tree.map(np.array, state[0])


# Networks


def build_notebook():
    """The notebook's networks."""
    return nb.build(784, nb.widths("HIDDEN", nb.HIDDEN), nb.J)


def build_convolutional():
    """The convolutional networks of Keras's example page, from and to rows."""
    keras.utils.set_random_seed(int(nb.seed_for("weights")[0]))
    layers = keras.layers
    half = {"strides": 2, "padding": "same", "activation": "relu"}
    encoder = [keras.Input([784]), layers.Reshape((28, 28, 1))]
    encoder += [layers.Conv2D(32, 3, **half), layers.Conv2D(64, 3, **half)]
    encoder += [layers.Flatten(), layers.Dense(16, activation="relu")]
    decoder = [keras.Input([nb.J]), layers.Dense(7 * 7 * 64, activation="relu")]
    decoder += [layers.Reshape((7, 7, 64)), layers.Conv2DTranspose(64, 3, **half)]
    decoder += [layers.Conv2DTranspose(32, 3, **half)]
    decoder += [layers.Conv2DTranspose(1, 3, padding="same"), layers.Flatten()]
    encoder.append(layers.Dense(2 * nb.J))
    return nb.VAE(keras.Sequential(encoder), keras.Sequential(decoder))


def build_dropout():
    """500-500, as in older tutorials: dropout after each layer, σ a softplus."""
    keras.utils.set_random_seed(int(nb.seed_for("weights")[0]))

    def network(inputs, activations, outputs):
        model = keras.Sequential([keras.Input([inputs])])
        for name in activations:
            model.add(keras.layers.Dense(500, name, kernel_initializer="he_normal"))
            model.add(keras.layers.Dropout(0.1))
        model.add(keras.layers.Dense(outputs, kernel_initializer="he_normal"))
        return model

    encoder = network(784, ("elu", "tanh"), 2 * nb.J)
    mu, raw = keras.ops.split(encoder.outputs[0], 2, axis=-1)
    logvar = 2 * keras.ops.log(keras.ops.softplus(raw) + 1e-6)
    outputs = keras.ops.concatenate([mu, logvar], axis=-1)
    decoder = network(nb.J, ("tanh", "elu"), 784)
    return nb.VAE(keras.Model(encoder.inputs, outputs), decoder)


# What is counted and measured beside the training


def layer_products(vae, batch):
    """Shapes (a, b, c) of a step's matrix products (a, b) @ (b, c): forward, backward.

    A convolution counts as the product of its patches with its kernel. The first layer
    needs no gradient of its input.
    """
    shapes = []
    for layer in vae.encoder.layers + vae.decoder.layers:
        if isinstance(layer, keras.layers.Dense):
            rows, (inputs, outputs) = batch, layer.kernel.shape
        elif isinstance(layer, keras.layers.Conv2D):
            rows = batch * math.prod(layer.output.shape[1:3])
            inputs, outputs = math.prod(layer.kernel.shape[:3]), layer.kernel.shape[3]
        elif isinstance(layer, keras.layers.Conv2DTranspose):
            rows = batch * math.prod(layer.input.shape[1:3])
            inputs, outputs = layer.kernel.shape[3], math.prod(layer.kernel.shape[:3])
        else:
            continue
        shapes += [(rows, outputs, inputs)] if shapes else []
        shapes += [(rows, inputs, outputs), (inputs, rows, outputs)]
    return shapes


def make_products(shapes, library):
    """A function that does these products, and nothing else, in a library."""
    rng = np.random.default_rng(0)
    pairs = [
        (rng.random((a, b), np.float32), rng.random((b, c), np.float32))
        for a, b, c in shapes
    ]

    def multiply(pairs):
        return [left @ right for left, right in pairs]

    if library == "torch":
        import torch

        pairs = [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in pairs]
        return lambda: multiply(pairs)
    if library == "jax":
        import jax

        pairs, multiply = jax.tree.map(jax.numpy.asarray, pairs), jax.jit(multiply)
        return lambda: jax.block_until_ready(multiply(pairs))
    pairs = [(tf.constant(a), tf.constant(b)) for a, b in pairs]
    return partial(
        tf.function(multiply, jit_compile=library == "tensorflow, XLA"), pairs
    )


def median_seconds(function, repeats):
    """Median seconds of a function, after a first time that compiles."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))


# A process of its own

Plan = namedtuple(
    "Plan",
    "build train batch library",
    defaults=[nb.BATCH_SIZE, "tensorflow"],
)
XLA = {"library": "tensorflow, XLA"}
PUBLISHED = partial(train_fit, grey=True)
PLANS = {
    "notebook": Plan(build_notebook, train_notebook, **XLA),
    "notebook, no XLA": Plan(build_notebook, train_uncompiled),
    "fit": Plan(build_notebook, train_fit),
    "fit, XLA": Plan(build_notebook, partial(train_fit, jit=True), **XLA),
    "torch eager": Plan(build_notebook, train_torch, library="torch"),
    "torch.compile": Plan(
        build_notebook, partial(train_torch, compiled=True), library="torch"
    ),
    "jax": Plan(build_notebook, train_jax, library="jax"),
    "keras example": Plan(build_convolutional, PUBLISHED, 128),
    "500-500 dropout": Plan(build_dropout, PUBLISHED, 128),
}


def answer(**content):
    """A line for the process that started this one."""
    print(json.dumps(content), file=sys.__stdout__, flush=True)


def main(name, seed, epochs, quick=False):
    """Set up; an epoch for each line. The clock runs while it trains, and only then."""
    data, plan = nb.load_data(nb.DATA), PLANS[name]
    pixels, x_test = data.x_train, nb.binarize(data.x_test, nb.seed_for("test images"))
    if quick:
        pixels, x_test = pixels[:1024], x_test[:500]
    nb.SEED = int(seed)  # the test images are the same for all seeds
    vae, batch, epochs = plan.build(), min(plan.batch, len(pixels)), int(epochs)
    shapes = layer_products(vae, batch)
    products = make_products(shapes, plan.library)
    flops = sum(2 * math.prod(s) for s in shapes)
    training, steps = plan.train(vae, pixels, batch, epochs), len(pixels) // batch
    next(training)
    setting = {
        "epochs": epochs,
        "batch": batch,
        "steps": steps,
        "step_gflop": flops / 1e9,
    }
    answer(**setting, library=plan.library, data=data.source)
    for _ in sys.stdin:
        start = time.perf_counter()
        result = next(training)
        seconds = time.perf_counter() - start
        for network, weights in zip(vae[:2], result or (), strict=False):
            network.set_weights(weights)
        bound = -nb.evaluate(vae, x_test, 1, "race")["elbo"]
        answer(seconds=seconds, bound=bound, products=median_seconds(products, 5))


if __name__ == "__main__":
    with contextlib.redirect_stdout(None):
        main(*sys.argv[1:])
