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


def seconds_by_section(notebook):
    """Seconds of each section's code cells, by title, in order."""
    table, title = {}, "1 · Set-up"
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            title = [title, *re.findall(r"^## (\d+ · .*)", cell.source, flags=re.M)][-1]
        else:
            seconds = cell.metadata.get("papermill", {}).get("duration") or 0.0
            table[title] = table.get(title, 0.0) + seconds
    return table


def table(runs):
    """Runs, name to seconds by section, as a Markdown table; the last one leads."""
    sums = [{**run, "all sections": sum(run.values())} for run in runs.values()]
    titles = [title for title, seconds in sums[-1].items() if seconds >= 2]
    rows = [[title, *(f"{s.get(title, 0):.0f}" for s in sums)] for title in titles]
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
