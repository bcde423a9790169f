"""How fast and how good is the notebook's training, beside what one would use instead?

    python benchmarks/train_speed.py            all of it; figures into Results/ (benchmark.png and others)
    python benchmarks/train_speed.py --quick    under a minute: fewer images, two epochs, no picture

Run it in the notebook's environment (requirements.txt), with MNIST as for the notebook (MNIST_NPZ names an
mnist.npz); `pip install torch` adds PyTorch. Let nothing else run meanwhile: PyTorch's threads spin while
they wait for each other, which makes them up to ten times slower on a busy machine.

The code compared is the notebook's own, taken from its cells. Contenders have the notebook's networks and
settings, or their own published ones, all on the 60,000 training images. (Keras's page trains on the test
images too; that is not repeated.) They take turns, an epoch each, so that noise hits all alike. Each has its
own clock, which runs while it trains: tracing and compiling count, building networks and judging do not.
After every epoch all are judged by one number, -ELBO of the notebook's binary test images in nats per image,
with one code per image. The columns:

    s/epoch     median over all epochs but the first; in brackets, how many times the notebook's. Times to a
                bound are the first epoch's seconds and then this median for each, so that an epoch which
                something held up (the machine, or threads of the others) does not decide the race
    images/s    training images per second, from that median
    GFLOP/s     floating-point operations of the layers' matrix products per second. A layer of w weights
                needs 6·w of them per image: 2·w forward, 2·w for the gradient of its weights and 2·w for
                that of its input, which the first layer does not need. A convolution counts as the product of
                its patches with its kernel. Whatever else a step does counts as nothing.
    of limit    those GFLOP/s against the same products alone, same shapes, measured between the epochs
    ≤ 155 ...   seconds of training to the first epoch's end at which -ELBO is that low, and the ratio again

Then: where the time of the notebook's step goes, and how time and memory grow. The last line is one JSON
object with all figures.
"""

import argparse
import importlib.metadata
import importlib.util
import json
import linecache
import math
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
import types
from functools import partial
from itertools import cycle
from pathlib import Path

try:
    import resource
except ImportError:  # Windows
    resource = None

ROOT = Path(__file__).resolve().parent.parent
TARGETS = (155, 150, 145, 140, 137)
COLOURS = ("#0072b2", "#d55e00", "#007a5c", "#a8458a", "#7a5c00")  # told apart by colour-blind readers
MARKS = "osD^v"


def load_notebook():
    """The notebook's definitions: its cells tagged setup, parameters and functions, as a module."""
    module = types.ModuleType("vae_mnist")
    for cell in json.loads((ROOT / "VAE_MNIST.ipynb").read_text(encoding="utf-8"))["cells"]:
        if {"setup", "parameters", "functions"} & set(cell["metadata"].get("tags", [])):
            source, name = "".join(cell["source"]), f"cell {cell['id']}"
            linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
            exec(compile(source, name, "exec"), module.__dict__)
    return module


nb = load_notebook()
keras, np, plt, tf = nb.keras, nb.np, nb.plt, nb.tf
judge = nb.evaluate
tf.get_logger().setLevel("ERROR")


class Stop(Exception):
    """Raised inside a contender's training to end it."""


class Contender(threading.Thread):
    """A training run that pauses at the end of each epoch, is judged there, and waits for its next turn.

    `train` is called once, with this object; it calls `epoch_end` after every epoch.
    """

    def __init__(self, name, vae, train, epochs, batch, pixels, x_test):
        super().__init__(name=name, daemon=True)
        self.vae, self.train, self.epochs, self.batch = vae, train, epochs, batch
        self.pixels, self.x_test = pixels, x_test
        self.seconds, self.bounds, self.error, self.stopped = [], [], None, False
        self.mine, self.theirs = threading.Semaphore(0), threading.Semaphore(0)
        self.start()

    def run(self):
        """Train, when it is this thread's turn, until done or stopped."""
        try:
            self.wait()
            self.train(self)
        except Stop:
            pass
        except Exception as error:  # shown in the table; the others go on
            self.error = error
        self.theirs.release()

    def wait(self):
        """Wait for the next turn, then start the clock."""
        self.mine.acquire()
        if self.stopped:
            raise Stop
        self.start_clock()

    def start_clock(self):
        """Training starts now; what was done before does not count."""
        self.clock = time.perf_counter()

    def epoch_end(self, collect=lambda: None):
        """Stop the clock, judge the networks and let the others run; returns what the judge said."""
        self.seconds.append(time.perf_counter() - self.clock)
        collect()
        test = judge(self.vae, self.x_test, 1)
        self.bounds.append(float(-test["elbo"]))
        self.theirs.release()
        self.wait()
        return test

    def turn(self, budget=math.inf):
        """Train one epoch; returns whether there are more to come within the budget of seconds."""
        self.mine.release()
        self.theirs.acquire()
        more = self.error is None and len(self.seconds) < self.epochs and sum(self.seconds) < budget
        if not more:
            self.stopped = True
            self.mine.release()
            self.join()
        return more

    def totals(self):
        """Training seconds until each epoch's end: the first epoch's, then the others' median each."""
        median = float(np.median(self.seconds[1:] or 0))
        return [self.seconds[0] + k * median for k in range(len(self.seconds))]

    def seconds_to(self, target):
        """Training seconds until the first epoch's end with a bound of at most `target`, or None."""
        ends = zip(self.totals(), self.bounds, strict=True)
        return next((total for total, bound in ends if bound <= target), None)


# The notebook's `train` asks for a bound at the end of each epoch: there its clock stops.
nb.evaluate = lambda *_: threading.current_thread().epoch_end()


def train_notebook(contender):
    """The notebook's own loop, as it stands."""
    nb.train(contender.vae, contender.pixels, contender.x_test, contender.epochs)


class FitModel(keras.Model):
    """Networks that Keras's `fit` trains on the notebook's bound, with pixels drawn anew or grey."""

    def __init__(self, vae, binary):
        super().__init__()
        self.encoder, self.decoder = vae
        self.binary = binary
        self.mean_loss = keras.metrics.Mean(name="loss")

    def train_step(self, pixels):
        """One step on a minibatch of pixels (M, D)."""
        step = tf.cast(self.optimizer.iterations, tf.int32)
        seed_x, seed_eps = tf.unstack(tf.random.split(tf.stack([nb.SEED, step])))
        x = nb.binarize(pixels, seed_x) if self.binary else pixels
        eps = tf.random.stateless_normal((tf.shape(x)[0], nb.J), seed_eps)
        vae = nb.VAE(partial(self.encoder, training=True), partial(self.decoder, training=True))
        with tf.GradientTape() as tape:
            loss = -tf.reduce_mean(nb.elbo(vae, x, eps)[0])
        gradients = tape.gradient(loss, self.trainable_weights)
        self.optimizer.apply(gradients, self.trainable_weights)
        self.mean_loss.update_state(loss)
        return {"loss": self.mean_loss.result()}


def fit(contender, optimizer, binary):
    """One call of Keras's `fit` on numpy arrays."""
    model = FitModel(contender.vae, binary)
    model.compile(optimizer=optimizer)
    judged = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: contender.epoch_end())
    settings = dict(batch_size=contender.batch, epochs=contender.epochs)
    model.fit(contender.pixels, verbose=0, callbacks=[judged], **settings)


def train_fit(contender):
    """The notebook's networks, optimiser and schedule, with Keras's `fit` and numpy arrays."""
    steps = contender.epochs * math.ceil(len(contender.pixels) / contender.batch)
    fit(contender, nb.make_optimizer(steps), binary=True)


def train_grey(contender):
    """Keras's `fit` on grey pixels with Adam at a constant 0.001, as the published tutorials have it."""
    fit(contender, keras.optimizers.Adam(1e-3), binary=False)


def trained(model):
    """The parameters of a PyTorch network that training changes, in the order of Keras's weights."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def torch_twin(network):
    """An eager PyTorch network with the layers and the weights of one of the notebook's."""
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
    for parameter, value in zip(trained(model), network.get_weights(), strict=True):
        parameter.data.copy_(torch.from_numpy(value.T))
    return model


def train_torch(contender):
    """The notebook's networks, first weights, minibatches and step sizes in eager PyTorch."""
    import torch

    networks = encoder, decoder = [torch_twin(network) for network in contender.vae]
    images, batch = torch.from_numpy(contender.pixels), contender.batch
    steps = len(images) // batch
    ours, rates = nb.make_optimizer(contender.epochs * steps), []
    for step in range(contender.epochs * steps):
        ours.iterations.assign(step)
        rates.append(float(ours.learning_rate))
    weights = [weight for network in networks for weight in trained(network)]
    adam = torch.optim.Adam(weights, betas=(ours.beta_1, ours.beta_2), eps=ours.epsilon, fused=True)
    torch.manual_seed(nb.SEED)

    def collect():
        """Give the weights to the Keras networks, which are judged."""
        for network, twin in zip(contender.vae, networks, strict=True):
            network.set_weights([weight.detach().numpy().T for weight in trained(twin)])

    contender.start_clock()
    for epoch in range(contender.epochs):
        order = np.random.default_rng((nb.SEED, epoch)).permutation(len(images))[: steps * batch]
        for step, rows in enumerate(torch.from_numpy(order.reshape(steps, batch)), start=epoch * steps):
            x = torch.bernoulli(images[rows])
            mu, logvar = encoder(x).chunk(2, dim=1)
            z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
            bce = torch.nn.functional.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
            kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum()
            adam.param_groups[0]["lr"] = rates[step]
            adam.zero_grad()
            ((bce + kl) / batch).backward()
            adam.step()
        contender.epoch_end(collect)


def build_notebook(scale=1):
    """The notebook's networks, with hidden layers `scale` times as wide."""
    hidden = [round(scale * width) for width in nb.widths("HIDDEN", nb.HIDDEN)]
    return nb.build(nb.D, hidden, nb.J, nb.SEED)


def build_convolutional():
    """The convolutional networks of Keras's example page, from and to rows of pixels, as logits."""
    keras.utils.set_random_seed(nb.SEED)
    layers, half = keras.layers, dict(strides=2, padding="same", activation="relu")
    encoder = [keras.Input([784]), layers.Reshape((28, 28, 1))]
    encoder += [layers.Conv2D(32, 3, **half), layers.Conv2D(64, 3, **half), layers.Flatten()]
    encoder += [layers.Dense(16, activation="relu"), layers.Dense(2 * nb.J)]
    decoder = [keras.Input([nb.J]), layers.Dense(7 * 7 * 64, activation="relu"), layers.Reshape((7, 7, 64))]
    decoder += [layers.Conv2DTranspose(64, 3, **half), layers.Conv2DTranspose(32, 3, **half)]
    decoder += [layers.Conv2DTranspose(1, 3, padding="same"), layers.Flatten()]
    return nb.VAE(keras.Sequential(encoder), keras.Sequential(decoder))


def build_dropout():
    """The 500-500 networks of the older TensorFlow tutorials: dropout after each layer, σ a softplus."""
    keras.utils.set_random_seed(nb.SEED)

    def network(inputs, activations, outputs):
        model = keras.Sequential([keras.Input([inputs])])
        for activation in activations:
            model.add(keras.layers.Dense(500, activation, kernel_initializer="he_normal"))
            model.add(keras.layers.Dropout(0.1))
        model.add(keras.layers.Dense(outputs, kernel_initializer="he_normal"))
        return model

    encoder = network(nb.D, ("elu", "tanh"), 2 * nb.J)
    mu, raw = keras.ops.split(encoder.outputs[0], 2, axis=-1)
    logvar = 2 * keras.ops.log(keras.ops.softplus(raw) + 1e-6)
    encoder = keras.Model(encoder.inputs, keras.ops.concatenate([mu, logvar], axis=-1))
    return nb.VAE(encoder, network(nb.J, ("tanh", "elu"), nb.D))


PLANS = {  # networks, training, epochs, minibatch: published settings for the last two
    "notebook": (build_notebook, train_notebook, nb.EPOCHS, nb.BATCH_SIZE),
    "keras fit": (build_notebook, train_fit, nb.EPOCHS, nb.BATCH_SIZE),
    "pytorch eager": (build_notebook, train_torch, nb.EPOCHS, nb.BATCH_SIZE),
    "keras example": (build_convolutional, train_grey, 30, 128),
    "500-500 dropout": (build_dropout, train_grey, 20, 128),
}


def matrix_products(vae, batch):
    """The matrix products of one training step: how many floating-point operations, and a function of them.

    A layer maps rows (R, inputs) to (R, outputs). A convolution's rows are the patches of all positions.
    """
    operands, flops = [], 0
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
        flops += (6 if operands else 4) * rows * inputs * outputs  # the first layer's input needs no gradient
        shapes = ((rows, inputs), (inputs, outputs), (rows, outputs))
        operands.append([tf.random.stateless_normal(shape, (nb.SEED, 0)) for shape in shapes])

    @tf.function
    def products():
        done = []
        for k, (x, w, g) in enumerate(operands):
            done += [tf.matmul(x, w), tf.matmul(x, g, transpose_a=True)]
            done += [tf.matmul(g, w, transpose_b=True)] if k else []
        return [product[0, 0] for product in done]  # so that none is left out

    return flops, products


def medians(functions, repeats):
    """Median seconds of each function, called in turn `repeats` times after a first time to trace it."""
    seconds = {name: [] for name in functions}
    for repeat in range(repeats + 1):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if repeat:
                seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def race(field, budget):
    """Let the contenders train in turn, an epoch each, and time their matrix products in between.

    Returns the floating-point operations of a step of each, and the seconds of its products alone.
    """
    work = {c.name: matrix_products(c.vae, c.batch) for c in field}
    spent = {flops: [] for flops, _ in work.values()}  # the same networks share their measurements
    running, start = list(field), time.perf_counter()
    while running:
        for c in list(running):
            if not c.turn(budget):
                running.remove(c)
            state = f"{c.error!r}" if c.error else f"{sum(c.seconds):6.1f} s, -ELBO {c.bounds[-1]:.2f}"
            print(f"{c.name:>16}, epoch {len(c.seconds):2}/{c.epochs}: {state}", flush=True)
            flops, products = work[c.name]
            spent[flops].append(medians({"": products}, 5)[""])
    print(f"\n{time.perf_counter() - start:.0f} s, judging included\n")
    return {name: (flops, float(np.median(spent[flops]))) for name, (flops, _) in work.items()}


def figures(c, flops, product_seconds):
    """What the tables show of one contender."""
    images = len(c.pixels) if c.train in (train_fit, train_grey) else len(c.pixels) // c.batch * c.batch
    epoch = float(np.median(c.seconds[1:] or c.seconds))  # the first one has the tracing in it
    rate, limit = flops / c.batch * images / epoch / 1e9, flops / product_seconds / 1e9
    result = dict(epochs=len(c.seconds), of_epochs=c.epochs, batch=c.batch, gflop_per_step=flops / 1e9)
    result |= dict(seconds_per_epoch=epoch, images_per_second=images / epoch)
    result |= dict(gflop_per_second=rate, limit_gflop_per_second=limit, share_of_limit=rate / limit)
    result["seconds_to"] = {str(target): c.seconds_to(target) for target in TARGETS}
    return result | dict(seconds=c.totals(), each_epoch=c.seconds, bound=c.bounds)


def with_gradient(function, variables=None):
    """A compiled function: the gradient of the function's sum, for its arguments or these variables."""

    @tf.function
    def gradient(*arguments):
        with tf.GradientTape() as tape:
            tape.watch([] if variables else arguments)
            total = tf.reduce_sum(function(*arguments))
        return tape.gradient(total, variables or arguments)

    return gradient


def profile(pixels, repeats):
    """Seconds of the notebook's step and of its parts, each compiled on its own and called in turn."""
    vae, optimizer = build_notebook(), nb.make_optimizer(10_000)
    weights = vae.encoder.trainable_variables + vae.decoder.trainable_variables
    step, pixels, seed = nb.make_train_step(vae, optimizer), tf.constant(pixels), tf.constant([nb.SEED, 0])
    order = np.random.default_rng(nb.SEED).permutation(len(pixels))[: len(pixels) // nb.M * nb.M]
    rows = cycle(tf.constant(order.reshape(-1, nb.M)))
    x, eps = nb.binarize(pixels[: nb.M], seed), tf.random.stateless_normal((nb.M, nb.J), seed)
    normals = [layer for layer in vae.encoder.layers if isinstance(layer, keras.layers.LayerNormalization)]
    hidden = [tf.random.stateless_normal((nb.M, *layer.beta.shape), seed) for layer in normals]

    @tf.function
    def draw(rows):
        return nb.binarize(tf.gather(pixels, rows), seed), tf.random.stateless_normal((nb.M, nb.J), seed)

    @tf.function
    def update(gradients):
        optimizer.apply(gradients, weights)

    def normalised(*hidden):
        return tf.add_n([tf.reduce_sum(tf.nn.relu(f(h))) for f, h in zip(normals, hidden, strict=True)])

    bound = with_gradient(lambda x, eps: nb.elbo(vae, x, eps)[0], weights)
    normalise, likelihood = with_gradient(normalised), with_gradient(nb.bernoulli_log_prob)
    gradients, (flops, products) = bound(x, eps), matrix_products(vae, nb.M)
    parts = {
        "whole step": lambda: step(pixels, next(rows), seed),
        "draw of the minibatch": lambda: draw(next(rows)),
        "Adam's update": lambda: update(gradients),
        "bound and its gradient": lambda: bound(x, eps),
        "· matrix products": products,
        "· layer normalisation, ReLU": lambda: normalise(*hidden),
        "· log p(x given z) of the logits": lambda: likelihood(x, x),
    }
    seconds = medians(parts, repeats)
    inside = sum(value for name, value in seconds.items() if name[0] == "·")
    return flops, seconds | {"· other: biases, decoder's ReLU": seconds["bound and its gradient"] - inside}


def power_law(sizes, values):
    """p and c of values ≈ c·sizes**p, by least squares of the logarithms; two None if there are too few."""
    known = [(size, value) for size, value in zip(sizes, values, strict=True) if value and value > 0]
    if len(known) < 2:
        return None, None
    p, log_c = np.polyfit(*np.log(known).T, 1)
    return float(p), math.exp(log_c)


def seconds_of(what, size, pixels, x_test, vae, repeats=20):
    """Seconds of the notebook's work at this size, tracing left out: see `growth`."""
    if what == "images":  # the second of two epochs
        c = Contender("", build_notebook(), train_notebook, 2, nb.M, pixels[:size], x_test[: nb.M])
        while c.turn():
            pass
        return c.seconds[1]
    if what == "hidden width":  # a step, with the first hidden layer that wide and the others in proportion
        scaled = build_notebook(size / nb.widths("HIDDEN", nb.HIDDEN)[0])
        train_step = nb.make_train_step(scaled, nb.make_optimizer(10_000))
        rows, seed, images = tf.range(nb.M), tf.constant([nb.SEED, 0]), tf.constant(pixels[: nb.M])
        return medians({"": lambda: train_step(images, rows, seed)}, repeats)[""]
    for points in (2, 3, 4, round(math.sqrt(size) / 12)):  # log p(x) of some images; the first ones trace
        start = time.perf_counter()
        nb.log_evidence(vae, x_test[: 15 * repeats], points=points)
    return time.perf_counter() - start


def in_its_own_process(what, size, weights):
    """Seconds of that work, and the MB of memory at the peak of a process that does nothing else."""
    words = [sys.executable, __file__, "--grow", what, str(size), str(weights)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def report_growth(what, size, weights, pixels, x_test):
    """What such a process prints (no MB where Python has no `resource`)."""
    vae = build_notebook()
    with np.load(weights) as arrays:
        values = [arrays[name] for name in arrays]
    vae.encoder.set_weights(values[: len(vae.encoder.weights)])
    vae.decoder.set_weights(values[len(vae.encoder.weights) :])
    seconds, peak = seconds_of(what, int(size), pixels, x_test, vae), None
    if resource:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak /= 2**20 if sys.platform == "darwin" else 2**10
    print(json.dumps([seconds, peak]))


def above(peak, base):
    """MB of a peak above the base; None where it was not measured or is lost in the noise of 10 MB."""
    return peak - base if peak and peak - base >= 10 else None


def too_few(result):
    """What to say of memory that rose above the base at one size or none."""
    if not result["memory_measured"]:
        return "not measured"
    rose = zip(result["sizes"], result["megabytes"], strict=True)
    return ", ".join(f"{mb:.0f} MB at {size:,}" for size, mb in rose if mb) or "none above loading the data"


def growth(pixels, x_test, vae, quick):
    """Seconds and memory against images, hidden width and grid points, with fitted exponents.

    Each size has a process of its own; memory is what its peak has above that of a tiny size. A quick run
    measures no memory, and its seconds in this process.
    """
    wide, n = nb.widths("HIDDEN", nb.HIDDEN)[0], len(pixels)
    parts, scales, points = (8, 4, 2, 1), (0.5, 1, 2, 4), (25, 50, 100)
    if quick:
        parts, scales, points = (2, 1), (0.5, 1), (20, 40)
    plans = {
        "images": ("an epoch", nb.M, sorted({max(nb.M, n // part) for part in parts})),
        "hidden width": ("a step", 4, [round(wide * scale) for scale in scales]),
        "grid points": ("the evidence", 12**2, [(12 * k) ** 2 for k in points]),
    }
    result = {}
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.npz"
        np.savez(weights, *vae.encoder.get_weights(), *vae.decoder.get_weights())
        for what, (of, tiny, sizes) in plans.items():
            if quick:
                seconds = [seconds_of(what, size, pixels, x_test, vae, repeats=3) for size in sizes]
                memory = [None] * len(sizes)
            else:
                (_, base), *rest = [in_its_own_process(what, size, weights) for size in (tiny, *sizes)]
                seconds, memory = [second for second, _ in rest], [above(mb, base) for _, mb in rest]
            result[what] = dict(of=of, sizes=sizes, seconds=seconds, megabytes=memory)
            result[what]["memory_measured"] = not quick and resource is not None
            result[what]["exponent"] = power_law(sizes, seconds)[0]
            result[what]["memory_exponent"] = power_law(sizes, memory)[0]
    return result


def save(fig, path):
    """Write the figure beside its place, then move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.tight_layout()
    fig.savefig(path.with_suffix(".part.png"), dpi=150)
    os.replace(path.with_suffix(".part.png"), path)
    plt.close(fig)
    print(f"written: {path.name}")


def plot_race(results, path, note):
    """Bound against training seconds, each line named at its end."""
    fig, ax = plt.subplots(figsize=(6.4, 5.6))
    last = {name: r["bound"][-1] for name, r in results.items()}
    right, place = 1.15 * max(r["seconds"][-1] for r in results.values()), -math.inf
    low, high = min(137, *last.values()) - 2, max(183, *last.values()) + 2
    for name in sorted(results, key=last.get):
        x, y, k = results[name]["seconds"], results[name]["bound"], list(PLANS).index(name)
        place = max(last[name], place + (high - low) / 20)  # names keep their distance
        ax.plot(x, y, color=COLOURS[k], marker=MARKS[k], markersize=3.5, linewidth=1.4)
        line = dict(arrowstyle="-", color=COLOURS[k], linewidth=0.6)
        where = dict(xytext=(right, place), va="center", color=COLOURS[k], arrowprops=line)
        ax.annotate(f"{name} {last[name]:.1f}", (x[-1], y[-1]), **where)
    ax.set(xscale="log", ylim=(low, high), xlabel="seconds of training (logarithmic)")
    ax.set_title(f"-ELBO on the test images, nats per image{note}", fontsize=11, loc="left")
    ax.set_yticks([*TARGETS, 160, 170, 180])
    ax.grid(axis="y", color="0.9")
    ax.spines[["top", "right"]].set_visible(False)
    save(fig, path)


def plot_growth(result, path, note):
    """Seconds and memory against size on logarithmic axes, each panel with its fitted power law."""
    fig, axes = plt.subplots(3, 2, figsize=(6.4, 7.6))
    kinds = (("seconds", "s"), ("megabytes", "MB"))
    for (name, r), row in zip(result.items(), axes, strict=True):
        for ax, (key, unit), colour in zip(row, kinds, COLOURS[:2], strict=True):
            ax.set_xlabel(name)
            ax.set_title(f"{unit} for {r['of']}", fontsize=11, loc="left")
            ax.spines[["top", "right"]].set_visible(False)
            p, c = power_law(r["sizes"], r[key])
            if p is None:
                ax.text(0.1, 0.5, too_few(r), transform=ax.transAxes)
                ax.set(xticks=[], yticks=[])
                continue
            sizes, values = np.array(r["sizes"], float), [value for value in r[key] if value is not None]
            ax.loglog(sizes, c * sizes**p, color=colour, linewidth=1)
            ax.loglog(sizes[-len(values) :], values, "o", color=colour)
            ax.text(0.05, 0.9, f"grows as size$^{{{p:.2f}}}$", transform=ax.transAxes, color=colour)
            ax.set_xticks(sizes, [f"{size / 1e6:.2f} M" if size >= 1e5 else f"{size:,.0f}" for size in sizes])
            ax.set_yticks(values, [f"{value:.2g}" if value < 10 else f"{value:.0f}" for value in values])
            ax.tick_params(labelsize=9)
            ax.minorticks_off()
            ax.margins(0.12, 0.25)
    fig.suptitle("How time and extra memory grow" + note, fontsize=11)
    save(fig, path)


def machine():
    """The processor's name, its cores, and the versions at work."""
    try:
        cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        cpu = platform.processor() or platform.machine()
    torch = dict(torch=importlib.metadata.version("torch")) if importlib.util.find_spec("torch") else {}
    return dict(cpu=cpu, cores=os.cpu_count(), system=platform.system(), versions=nb.versions | torch)


def ratio(value, of):
    """The value as a multiple of another one, in brackets; nothing where one of them is missing."""
    return f" ({value / of:.1f}×)" if value and of else ""


def print_race(results):
    """The contenders' figures as two Markdown tables, and what was not reached."""
    ours = results["notebook"]
    print("| | epochs, M | s/epoch | images/s | GFLOP/s | of limit |\n|:--|--:|--:|--:|--:|--:|")
    for name, r in results.items():
        epoch = f"{r['seconds_per_epoch']:.2f}{ratio(r['seconds_per_epoch'], ours['seconds_per_epoch'])}"
        rates = f"{r['images_per_second']:,.0f} | {r['gflop_per_second']:.0f} | {r['share_of_limit']:.0%}"
        print(f"| {name} | {r['epochs']}, {r['batch']} | {epoch} | {rates} |")
    print(f"\n| seconds to -ELBO | ≤ {' | ≤ '.join(map(str, TARGETS))} | last |\n|:--{'|--:' * 6}|")
    for name, r in results.items():
        to = r["seconds_to"].items()
        cells = [f"{t:.1f}{ratio(t, ours['seconds_to'][target])}" if t else "–" for target, t in to]
        print(f"| {name} | {' | '.join(cells)} | {r['bound'][-1]:.2f} in {r['seconds'][-1]:.0f} s |")
    print()
    for name, r in results.items():
        missed = ", ".join(target for target, seconds in r["seconds_to"].items() if seconds is None)
        n, k, which = r["of_epochs"], r["epochs"], "published " * (PLANS[name][1] is train_grey)
        where = f"its {n} {which}epochs" if k == n else f"the budget ({k} of {n} epochs)"
        if missed:
            print(f"{name}: {missed} not within {where}")


def print_profile(flops, seconds):
    """Where a step's time goes, as a Markdown table, and its rate beside that of the products alone."""
    whole, products = seconds["whole step"], seconds["· matrix products"]
    print("\n| the notebook's step | ms | share |\n|:--|--:|--:|")
    for name, value in seconds.items():
        print(f"| {name} | {1000 * value:.2f} | {value / whole:.0%} |")
    print(f"\nA step of {flops / 1e9:.2f} GFLOP runs at {flops / whole / 1e9:.0f} GFLOP/s, its", end=" ")
    print(f"matrix products alone at {flops / products / 1e9:.0f}: {products / whole:.0%} of the limit.\n")


def print_growth(result, share):
    """The fitted exponents, and what follows from them."""
    for name, r in result.items():
        power = r["memory_exponent"]
        memory = too_few(r) if power is None else f"as size^{power:.2f}"
        print(f"{name} ({', '.join(f'{size:,}' for size in r['sizes'])}): seconds for {r['of']}", end=" ")
        print(f"grow as size^{r['exponent']:.2f}, extra memory: {memory}")
    tenfold = 10 ** result["images"]["exponent"]
    print(f"An epoch over ten times as many images would take {tenfold:.0f} times as long. A GPU", end=" ")
    print(f"would shorten the matrix products, {share:.0%} of a step here; then the many small", end=" ")
    print("operations, each with its launch, would decide. (No GPU was measured.)")


def main():
    """Everything in its order."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer images, two epochs, no picture")
    parser.add_argument("--budget", type=float, default=900, help="training seconds for each contender")
    parser.add_argument("--only", nargs="+", choices=PLANS, help="these, beside the notebook; no picture")
    parser.add_argument("--plot", type=Path, help="where the picture goes; default Results/benchmark.png")
    parser.add_argument("--grow", nargs=3, help=argparse.SUPPRESS)  # what, size, weights: for one process
    options = parser.parse_args()
    data = nb.load_data(nb.DATA)
    x_test = nb.binarize(data.x_test, (nb.SEED, 0))
    nb.D, nb.M, nb.passes = data.x_train.shape[1], min(nb.BATCH_SIZE, len(data.x_train)), 1
    nb.print = lambda *_, **__: None  # this script prints, not each of the runners
    if options.grow:
        return report_growth(*options.grow, data.x_train, x_test)
    note = f" · STAND-IN DATA: {data.source}" if data.standin else ""
    if options.quick:
        data, x_test = data._replace(x_train=data.x_train[:3072]), x_test[:1000]
        print(f"QUICK: {len(data.x_train):,} training and {len(x_test):,} test images, 2 epochs{note}")
        note += " · quick"
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 1:
        print(
            f"BUSY: the load is {load:.1f} before anything was measured; times, PyTorch's above all, suffer"
        )
    if importlib.util.find_spec("torch") is None:
        del PLANS["pytorch eager"]
        print("pytorch eager: not installed: pip install torch")
    field = []
    for name, (build, train, epochs, batch) in PLANS.items():
        if name == "notebook" or name in (options.only or PLANS):
            epochs = 2 if options.quick else epochs
            field.append(Contender(name, build(), train, epochs, min(batch, nb.M), data.x_train, x_test))
    products = race(field, options.budget)
    if field[0].error:
        raise field[0].error
    results = {c.name: figures(c, *products[c.name]) for c in field if c.error is None}
    print_race(results)
    flops, parts = profile(data.x_train, 5 if options.quick else 60)
    print_profile(flops, parts)
    grown = growth(data.x_train, x_test, field[0].vae, options.quick)
    print_growth(grown, parts["· matrix products"] / parts["whole step"])
    full = not (options.quick or options.only or data.standin)
    path = options.plot or (ROOT / "Results" / "benchmark.png" if full else None)
    if path:
        plot_race(results, path, note)
        plot_growth(grown, path.with_stem(path.stem + "_growth"), note)
    report = dict(
        quick=options.quick, data=data.source, machine=machine() | dict(load=load), contenders=results
    )
    report |= dict(step_gflop=flops / 1e9, step_seconds=parts, growth=grown)
    report = json.loads(json.dumps(report), parse_float=lambda text: float(f"{float(text):.5g}"))
    if path:
        beside = path.with_suffix(".json.part")
        beside.write_text(json.dumps(report, indent=1) + "\n")
        os.replace(beside, path.with_suffix(".json"))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
