"""The notebook at altosaar's settings: 128 latents, his widths, batch and steps.

    python benchmarks/altosaar.py path/to/mnist.npz [--quick]

Every pixel is drawn once, for training and test images. Part I is run by papermill with
these parameters; then the notebook's flow is trained by the same loop. Both are judged
as he does: the bound and the importance-weighted bound of the test images, 1,000 codes
each. Writes altosaar.json and the README's table; --quick takes a minute, and neither.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from report import FOLDER, describe, fill, machine, markdown, write_json

sys.path.insert(0, str(FOLDER.parent / "tests"))
HIDDEN, LATENTS, BATCH, RATE, BETA_2 = "256-256", 128, 128, 1e-3, 0.999
HIS = {"diagonal Gaussian": (103.3, 97.1), "flow, 2 steps": (101.6, 95.3)}


def draw_once(nb, source, path, most):
    """Save MNIST with its pixels drawn once, as booleans; `most` images at most."""
    with nb.np.load(source) as file:
        arrays = {name: file[name][:most] for name in nb.ARRAYS}
    rng = nb.np.random.default_rng(0)
    for name in ("x_train", "x_test"):
        grey = arrays[name] / nb.np.float32(255)
        arrays[name] = rng.random(grey.shape, nb.np.float32) < grey
    nb.np.savez_compressed(path, **arrays)


def run_part_one(folder, epochs):
    """Part I at these settings, by papermill; its numbers."""
    settings = dict(DATA="fixed.npz", LATENTS=LATENTS, HIDDEN=HIDDEN, EPOCHS=epochs)
    settings |= dict(BATCH_SIZE=BATCH, LEARNING_RATE=RATE, BETA_2=BETA_2, MIN_EPOCH=1)
    words = [sys.executable, "-m", "papermill", str(FOLDER.parent / "VAE_MNIST.ipynb")]
    words += [str(folder / "run.ipynb"), "-k", "python3"]
    for name, value in settings.items():
        words += ["-p", name, str(value)]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return json.loads((folder / "Results" / "metrics.json").read_text())


def train_flow(nb, data, steps):
    """The same networks with the notebook's flow, trained by the notebook's loop."""
    layers = nb.widths("HIDDEN", HIDDEN)
    vae = nb.build_flow(data.x_train.shape[1], layers, LATENTS, context=LATENTS)
    vae = vae._replace(posterior=nb.Flow(LATENTS, LATENTS, steps=2))
    step = nb.make_step(vae, nb.make_optimizer(steps, RATE), nb.estimator_a)
    start = time.perf_counter()
    nb.finish(nb.train(step, data.x_train, BATCH, steps, [steps], "altosaar"))
    return vae, time.perf_counter() - start


def judge(nb, vae, x, codes):
    """-bound and -L_k of test images, k = codes."""
    row = nb.judge_variant(vae, x, block=20, k=codes)
    return -row["bound"], -row[f"L_{codes}"]


def table(rows):
    """The rows as a Markdown table, his numbers beside them."""
    cells = [
        [r["name"], f"{r['bound']:.1f}", f"{r['weighted']:.1f}", f"{r['seconds']:.0f}"]
        + [f"{his:.1f}" for his in HIS[r["name"]]]
        for r in rows
    ]
    head = ["", "-bound", "-L₁₀₀₀", "seconds", "his -bound", "his -L₁₀₀₀"]
    return markdown(head, cells)


def main(source, quick):
    """Both models, their numbers beside his."""
    from loader import load_definitions

    nb = load_definitions()
    nb.BETA_2 = BETA_2  # of the flow's optimiser, as of Part I's
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        draw_once(nb, source, folder / "fixed.npz", 1280 if quick else None)
        data = nb.load_data(str(folder / "fixed.npz"))
        steps = 30 if quick else 30_000
        per_epoch = len(data.x_train) // BATCH
        numbers = run_part_one(folder, max(1, round(steps / per_epoch)))
        load = nb.keras.models.load_model
        files = [folder / "Results" / f"{n}.keras" for n in ("encoder", "decoder")]
        plain = nb.VAE(*(load(file, compile=False) for file in files))
    flow, seconds = train_flow(nb, data, steps)
    models = {"diagonal Gaussian": (plain, numbers["train_seconds"])}
    models["flow, 2 steps"] = flow, seconds
    x, codes = nb.tf.constant(data.x_test), 10 if quick else 1000
    rows = []
    for name, (vae, taken) in models.items():
        bound, weighted = judge(nb, vae, x[: 40 if quick else None], codes)
        rows.append(dict(name=name, bound=bound, weighted=weighted, seconds=taken))
    if not quick:
        rows = write_json(FOLDER / "altosaar.json", rows)
        fill(FOLDER, "altosaar", f"{describe(machine())}\n\n{table(rows)}")
    print(table(rows))


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--quick" in sys.argv)
