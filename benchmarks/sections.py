"""Seconds by section of the notebook, from runs that papermill made.

    python -m papermill VAE_MNIST.ipynb run.ipynb -k python3
    python benchmarks/sections.py run.ipynb [an-earlier-run.ipynb]

papermill notes how long each cell took (`make results` takes that out again). Writes
sections.json and the README's table: the sections that take two seconds and more.
"""

import re
import sys
from pathlib import Path

import nbformat
from report import FOLDER, fill, markdown, write_json

# Where what stood under the titles of commit 91a71de stands today
EARLIER = {
    "13 · The integral nobody can do, done": "14 · The integral, computed",
    "Equation 1, measured": "15 · Equation 1, measured",
    "14 · From the bound to the evidence": "16 · Importance weighting",
    "15 · Inference by the same grid": "17 · Inference by the same grid",
    "16 · The paper's figures": "21 · The paper's figures",
    "17 · The paper's own settings, and ours": "23 · Mistakes, trained; and what each "
    "setting is worth",
    "18 · Use it": "13 · Use it",
}


def seconds_by_section(notebook):
    """Seconds of each section's code cells, by today's title, in order."""
    table, title = {}, "1 · Set-up"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for found in re.findall(r"^##+ (.*)", cell.source, flags=re.M):
                known = EARLIER.get(found, found)
                title = known if re.match(r"\d+ · ", known) else title
        else:
            seconds = cell.metadata.get("papermill", {}).get("duration") or 0.0
            table[title] = table.get(title, 0.0) + seconds
    return table


def table(runs):
    """Runs, name to seconds by section, as a Markdown table; the last one leads.

    A dash where an earlier run had no such section.
    """
    sums = [{**run, "all sections": sum(run.values())} for run in runs.values()]
    titles = [title for title, seconds in sums[-1].items() if seconds >= 2]
    rows = [
        [title, *(f"{s[title]:.0f}" if title in s else "–" for s in sums)]
        for title in titles
    ]
    return markdown(["section", *runs], rows)


def main(paths):
    """Read the runs, write their seconds and the table."""
    names = ["before", "seconds"][-len(paths) :]
    read = [seconds_by_section(nbformat.read(path, as_version=4)) for path in paths]
    runs = write_json(FOLDER / "sections.json", dict(zip(names, read, strict=True)))
    text = table(runs)
    fill(FOLDER, "sections", text)
    print(text)


if __name__ == "__main__":
    main([Path(path) for path in reversed(sys.argv[1:3])])
