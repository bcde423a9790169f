"""What more seconds of training buy: Part I at its defaults, for more and fewer epochs.

    python benchmarks/quality.py path/to/mnist.npz [--quick]

Each training is the notebook's `learn`, in a process of its own, with its own seed
and its own step-size schedule, which ends with the last epoch; the bound is the
notebook's, 16 codes for each test image; seconds are the median of the seeds. Prints
the table, and writes it, quality.json and quality.png into this folder; --quick trains
a moment and writes nothing.
"""

import contextlib
import json
import subprocess
import sys
import time
import types
from pathlib import Path
from statistics import mean, median

from report import COLOURS, FOLDER, describe, fill, machine, markdown, write_json

sys.path.insert(0, str(FOLDER.parent / "tests"))
EPOCHS, SEEDS = (8, 16, 32, 40, 64), (1, 2, 3)


def train(source, epochs, seed, most=None):
    """Seconds of the training, and the test images' -ELBO after it, in nats."""
    with contextlib.redirect_stdout(None):
        from loader import load_definitions

        nb = load_definitions()
        nb.SEED = seed
        data = nb.load_data(source)
        data = data._replace(**{k: getattr(data, k)[:most] for k in nb.ARRAYS})
        x_test = nb.binarize(data.x_test, nb.seed_for("test images"))
        vae = nb.build(data.x_train.shape[1], nb.widths("HIDDEN", nb.HIDDEN), nb.J)
        per_epoch = len(data.x_train) // nb.BATCH_SIZE
        stops = nb.moments(epochs * per_epoch, nb.FRAMES)
        nobody = types.SimpleNamespace(show=lambda *state: None)
        lengths = epochs, per_epoch, nb.BATCH_SIZE
        start = time.perf_counter()
        nb.learn(vae, data, x_test, *lengths, stops, nobody, nb.binarize, nobody.show)
        seconds = time.perf_counter() - start
        bound = nb.evaluate(vae, x_test, nb.SAMPLES, "test")["elbo"]
    return {"epochs": epochs, "seed": seed, "seconds": seconds, "-ELBO": -bound}


def by_epochs(rows):
    """Epochs to the rows of all seeds, in order."""
    lengths = sorted({row["epochs"] for row in rows})
    return {n: [row for row in rows if row["epochs"] == n] for n in lengths}


def table(rows):
    """The rows as a Markdown table: a line for each number of epochs."""
    cells = []
    for epochs, group in by_epochs(rows).items():
        bounds = [row["-ELBO"] for row in group]
        seconds = median(row["seconds"] for row in group)
        each = ", ".join(f"{bound:.2f}" for bound in bounds)
        spread = f"{max(bounds) - min(bounds):.2f}"
        cells.append(
            [str(epochs), f"{seconds:.0f}", f"{mean(bounds):.2f}", spread, each]
        )
    seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for row in rows}))
    head = ["epochs", "seconds", "mean -ELBO", "largest less smallest"]
    return markdown([*head, f"seeds {seeds}"], cells)


def draw(rows, path):
    """Every training as a point, a line through the means; time is logarithmic."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    fig, ax = plt.subplots(figsize=(7, 4))
    groups = by_epochs(rows)
    x = [median(row["seconds"] for row in group) for group in groups.values()]
    y = [mean(row["-ELBO"] for row in group) for group in groups.values()]
    pairs = zip(x, groups.values(), strict=True)
    spots = [(place, row["-ELBO"]) for place, group in pairs for row in group]
    ax.plot(*zip(*spots, strict=True), "o", color=COLOURS[5], label="a seed each")
    ax.plot(x, y, "o-", color=COLOURS[0], label="their mean")
    for epochs, place in zip(groups, zip(x, y, strict=True), strict=True):
        words = f"{epochs} epochs" if epochs == min(groups) else str(epochs)
        settings = {"xytext": (6, 8), "textcoords": "offset points"}
        ax.annotate(words, place, **settings)
    ax.set(xscale="log", xlabel="seconds of training", ylabel="-ELBO, nats per image")
    ticks = [30, 60, 120, 240]
    ax.set_xticks(ticks, ticks)
    ax.minorticks_off()
    ax.legend(frameon=False)
    fig.tight_layout()
    fig.savefig(path, dpi=100)


def main(source, quick):
    """Train all, each in a fresh process."""
    found, rows = machine(), []
    for seed in SEEDS[:1] if quick else SEEDS:
        for epochs in (1, 2) if quick else EPOCHS:
            words = [sys.executable, __file__, source, str(epochs), str(seed)]
            words += ["1024"] if quick else []
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], flush=True)
    print(table(rows))
    if not quick:
        report = write_json(FOLDER / "quality.json", {"machine": found, "rows": rows})
        draw(report["rows"], FOLDER / "quality.png")
        fill(FOLDER, "quality", f"{describe(found)}\n\n{table(report['rows'])}")


if __name__ == "__main__":
    if len(sys.argv) > 3:
        source, *numbers = sys.argv[1:]
        print(json.dumps(train(source, *(int(number) for number in numbers))))
    else:
        main(str(Path(sys.argv[1]).resolve()), "--quick" in sys.argv)
