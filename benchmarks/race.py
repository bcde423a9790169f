"""A race of the notebook's training with what one would use instead.

    python benchmarks/race.py [--epochs 4] [--seeds 1 2 3] [--quick] [--only NAME ...]

Each contender (contenders.py) lives in a process of its own and trains an epoch when it
is its turn, so that all meet the same hour of the machine; then all start again with
the next seed. Prints the tables; writes them, race.json and race.png into this folder;
--quick (one seed) and --only write nothing.
"""

import argparse
import contextlib
import importlib.util
import itertools
import json
import math
import statistics
import subprocess
import sys
import tempfile

import matplotlib
from report import COLOURS, FOLDER, describe, fill, machine, markdown, write_json

CONTENDERS = {
    "notebook": None,
    "notebook, no XLA": None,
    "fit": None,
    "fit, XLA": None,
    "torch eager": "torch",
    "torch.compile": "torch",
    "jax": "jax",
    "keras example": None,
    "500-500 dropout": None,
}


class Contender:
    """One process: told to train an epoch, it answers with seconds and the bound."""

    def __init__(self, name, seed, epochs, quick):
        words = [sys.executable, str(FOLDER / "contenders.py"), name]
        words += [str(seed), str(epochs), *(["quick"] if quick else [])]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115, until the end
        pipes |= {"stderr": self.errors, "text": True}
        self.process, self.turns = subprocess.Popen(words, **pipes), []
        self.setting = self.read()

    def read(self):
        """The next answer, {} if the process has ended."""
        line = self.process.stdout.readline()
        return json.loads(line) if line else {}

    def turn(self):
        """Train an epoch."""
        try:
            print("go", file=self.process.stdin, flush=True)
            answer = self.read()
        except BrokenPipeError:
            answer = {}
        self.turns += [answer] if answer else []

    def close(self):
        """End the process; what it wrote to stderr last."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.errors.seek(0)
        return self.errors.read()[-2000:]


def installed(only):
    """Names of the contenders whose library is here."""
    chosen = {name: CONTENDERS[name] for name in only or CONTENDERS}
    found = importlib.util.find_spec
    return [name for name, library in chosen.items() if not library or found(library)]


def middle(values):
    """The median of values, and their spread, as text."""
    return statistics.median(values), f"{min(values):.2f}–{max(values):.2f}"


def seconds_to(turns, target):
    """Measured seconds until the bound (negated) is at most the target, or infinity."""
    total = 0.0
    for turn in turns:
        total += turn["seconds"]
        if turn["bound"] <= target:
            return total
    return math.inf


def race(names, seeds, epochs, quick):
    """All contenders in turn, a seed after the other; name to setting and runs.

    A run is the turns of one seed, an epoch each.
    """
    results = {}
    for seed in seeds:
        field = {name: Contender(name, seed, epochs, quick) for name in names}
        for _ in range(epochs):
            for contender in field.values():
                contender.turn()
        for name, contender in field.items():
            errors, done = contender.close(), len(contender.turns)
            if done < epochs:
                print(f"{name} ended after {done} epochs:\n{errors}", file=sys.stderr)
            if done:
                result = results.setdefault(name, contender.setting | {"runs": []})
                result["runs"].append(contender.turns)
    return results


def tables(results, targets=(190, 180, 170, 165)):
    """The two tables, as Markdown; ratios are to the notebook, else to the first."""
    measure = results.get("notebook") or next(iter(results.values()))
    ours, rows, reached = middle(seconds_of(measure))[0], [], []
    for name, result in results.items():
        runs = result["runs"]
        median, spread = middle(seconds_of(result))
        products = middle([turn["products"] for turns in runs for turn in turns])[0]
        share = products * result["steps"] / median
        first = middle([turns[0]["seconds"] for turns in runs])[0]
        last = [turns[-1]["bound"] for turns in runs]
        row = [f"{median:.2f} ({median / ours:.2f}×)", spread, f"{first:.1f}"]
        row += [f"{share:.0%}", f"{statistics.mean(last):.1f}"]
        row += [f"{min(last):.1f}–{max(last):.1f}"]
        rows.append([name, str(result["batch"]), *row])
        times = [
            middle([seconds_to(turns, goal) for turns in runs]) for goal in targets
        ]
        reached.append([name, *(f"{t:.0f}" if t < math.inf else "–" for t, _ in times)])
    head = ["", "M", "s/epoch", "spread", "first epoch", "of products"]
    head += ["last -ELBO", "of the seeds"]
    goals = ["seconds to -ELBO", *(f"≤ {target}" for target in targets)]
    return markdown(head, rows), markdown(goals, reached)


def seconds_of(result):
    """Seconds of the epochs after each run's first, in which much is compiled."""
    later = [turns[1:] or turns for turns in result["runs"]]
    return [turn["seconds"] for turns in later for turn in turns]


def draw(results, path):
    """The bound against seconds of training: a line for each contender and seed."""
    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    fig, ax = plt.subplots(figsize=(8, 4.5))
    for k, (name, result) in enumerate(results.items()):
        look = {"color": COLOURS[k % len(COLOURS)], "markersize": 3.5, "lw": 1.2}
        look["linestyle"] = "-" if k < len(COLOURS) else "--"
        for turns in result["runs"]:
            x = list(itertools.accumulate(turn["seconds"] for turn in turns))
            y = [-turn["bound"] for turn in turns]
            label = name if turns is result["runs"][0] else None
            ax.plot(x, y, marker="o", label=label, **look)
    ax.set(xlabel="seconds of training", ylabel="test bound, nats per image")
    ax.set(xscale="log", ylim=(-200, None))
    ticks = [tick for tick in (2, 5, 10, 20, 50, 100, 200) if tick < ax.get_xlim()[1]]
    ax.set_xticks(ticks, ticks)
    ax.minorticks_off()
    ax.legend(frameon=False, fontsize=9)
    fig.tight_layout()
    fig.savefig(path, dpi=100)
    plt.close(fig)


def main():
    """Run the race, print its tables, and keep them unless it was a quick one."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", choices=CONTENDERS)
    options = parser.parse_args()
    epochs = 2 if options.quick else options.epochs
    seeds = options.seeds[:1] if options.quick else options.seeds
    found = machine()
    results = race(installed(options.only), seeds, epochs, options.quick)
    if not results:
        sys.exit("no contender trained for an epoch")
    print("\n\n".join([describe(found), *tables(results)]))
    report = {"machine": found, "epochs": epochs, "seeds": seeds, "contenders": results}
    if options.quick or options.only:
        print(json.dumps(report))
        return
    report = write_json(FOLDER / "race.json", report)
    results = report["contenders"]
    draw(results, FOLDER / "race.png")
    fill(FOLDER, "race", "\n\n".join([describe(found), *tables(results)]))


if __name__ == "__main__":
    main()
