"""Seconds by section of the notebook, from runs that papermill made.

    python -m papermill VAE_MNIST.ipynb run.ipynb -k python3
    python benchmarks/sections.py run.ipynb "the column's name"

papermill notes how long each cell took (`make results` takes that out again). Adds a
column, or replaces the one of that name, in sections.json and the README's table: the
sections that take two seconds and more in its last column.
"""

import json
import re
import sys

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


def main(path, name):
    """Read a run, write its seconds beside those of other runs, and the table."""
    kept = FOLDER / "sections.json"
    runs = json.loads(kept.read_text()) if kept.exists() else {}
    runs[name] = seconds_by_section(nbformat.read(path, as_version=4))
    text = table(write_json(kept, runs))
    fill(FOLDER, "sections", text)
    print(text)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit('Give a run and a name: sections.py run.ipynb "Intel Xeon".')
    main(*sys.argv[1:])
