"""How seconds and memory grow with images, width, latents and grid points.

    python benchmarks/growth.py [--quick]

Each size runs in a process of its own; the posterior samples need the decoder that
`make results` saved. Prints the table, and writes it, growth.json and growth.png into
this folder; --quick takes tiny sizes and writes nothing.
"""

import contextlib
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

from report import FOLDER, describe, fill, machine, markdown, write_json

sys.path.insert(0, str(FOLDER.parent / "tests"))
DECODER = FOLDER.parent / "Results" / "decoder.keras"
SIZES = {
    "images in an epoch": (15_000, 30_000, 60_000),
    "units in the widest layer": (250, 500, 1000),
    "latents": (2, 20, 200),
    "grid points per unit length": (25, 50, 100),
    "exact posterior samples": (15_000, 30_000, 60_000),
}
QUICK = {
    "images in an epoch": (512, 1024, 1536),
    "units in the widest layer": (20, 40, 80),
    "latents": (2, 5, 10),
    "grid points per unit length": (5, 10, 20),
    "exact posterior samples": (50, 100, 200),
}


def measure(what, size, quick):
    """Seconds of an epoch, the evidence of 1,000 images or samples; peak memory."""
    with contextlib.redirect_stdout(None):
        from loader import load_definitions

        nb = load_definitions()
    rng, width, images = nb.np.random.default_rng(0), 500, 512 if quick else 15_000
    width = size if what.startswith("units") else width
    images = size if what.startswith("images") else images
    pixels = rng.random((images, 784), nb.np.float32)
    latents = size if what == "latents" else 2
    vae = nb.build(784, [width, 300], latents, "growth")
    if what.startswith("grid"):
        x = nb.binarize(pixels[: 50 if quick else 1000], nb.seed_for("growth"))
        nb.log_evidence(vae, x[:10], points=size)
        start = time.perf_counter()
        nb.log_evidence(vae, x, points=size)
    elif what.startswith("exact"):
        vae = vae._replace(decoder=nb.keras.models.load_model(DECODER, compile=False))
        x = nb.mean_image(vae, nb.normal((size, 2), nb.seed_for("growth codes")))
        x = nb.binarize(x, nb.seed_for("growth"))
        nb.sample_posterior(vae, x[:10], "growth")
        start = time.perf_counter()
        nb.sample_posterior(vae, x, "growth")
    else:
        steps = images // 512
        step = nb.make_step(vae, nb.make_optimizer(100))
        training = nb.train(step, pixels, 512, steps + 1, [1, steps + 1], "growth")
        float(next(training)[1][-1])
        start = time.perf_counter()
        float(next(training)[1][-1])
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {"what": what, "size": size, "seconds": seconds, "gigabytes": peak}


def table(rows):
    """The rows as a Markdown table."""
    cells = [
        [r["what"], f"{r['size']:,}", f"{r['seconds']:.2f}", f"{r['gigabytes']:.2f}"]
        for r in rows
    ]
    return markdown(["", "size", "seconds", "GB at the peak"], cells)


def draw(rows, path):
    """Seconds against size, a panel for each kind; all axes are logarithmic."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    fig, axes = plt.subplots(1, len(SIZES), figsize=(11, 3), sharey=True)
    for ax, what in zip(axes, SIZES, strict=True):
        places = [(r["size"], r["seconds"]) for r in rows if r["what"] == what]
        ax.loglog(*zip(*places, strict=True), "o-", color="#0072b2")
        ax.set(xlabel=what)
        ax.set_xticks([size for size, _ in places], [f"{size:,}" for size, _ in places])
        ax.minorticks_off()
    axes[0].set_ylabel("seconds")
    powers = [2.0**k for k in range(-3, 6)]
    low, high = axes[0].get_ylim()
    shown = [power for power in powers if low < power < high]
    axes[0].set_yticks(shown, [f"{power:g}" for power in shown])
    fig.tight_layout()
    fig.savefig(path, dpi=100)


def main(quick):
    """Measure all sizes, each in a fresh process."""
    if not DECODER.exists():
        sys.exit("Results/decoder.keras is missing: run  make results  first.")
    found, rows = machine(), []
    for what, sizes in (QUICK if quick else SIZES).items():
        for size in sizes:
            words = [sys.executable, str(Path(__file__)), what, str(size)]
            words += ["quick"] if quick else []
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    print(table(rows))
    if not quick:
        report = write_json(FOLDER / "growth.json", {"machine": found, "rows": rows})
        draw(report["rows"], FOLDER / "growth.png")
        fill(FOLDER, "growth", f"{describe(found)}\n\n{table(report['rows'])}")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3)))
    else:
        main("--quick" in sys.argv)
