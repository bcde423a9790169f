"""What the benchmarks' scripts share: the machine, JSON files, tables in the README."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
COLOURS = ("#0072b2", "#d55e00", "#007a5c", "#a8458a", "#7a5c00", "#56a0d3", "#595959")
PACKAGES = ("tensorflow", "keras", "numpy", "torch", "jax")


def machine():
    """The processor, its cores, the system, and the versions at work."""
    try:
        words = Path("/proc/cpuinfo").read_text()
        cpu = re.search(r"model name\s*:\s*(.+)", words)[1]
    except (OSError, TypeError):
        cpu = platform.processor() or platform.machine()
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        if importlib.util.find_spec(name):
            versions[name] = importlib.metadata.version(name)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    found = {"cpu": cpu, "cores": os.cpu_count(), "system": platform.system()}
    return {**found, "load_before": load, "versions": versions}


def describe(found):
    """A machine in a sentence."""
    versions = ", ".join(
        f"{name} {number}" for name, number in found["versions"].items()
    )
    sentence = (
        f"Measured on: {found['cpu']}, {found['cores']} cores, {found['system']};"
    )
    return f"{sentence} {versions}."


def markdown(head, rows):
    """A Markdown table: its head and rows are lists of text, the first column left."""
    line = ":--|" + "--:|" * (len(head) - 1)
    return "\n".join(
        [f"| {' | '.join(head)} |", f"|{line}"]
        + [f"| {' | '.join(row)} |" for row in rows]
    )


def write_json(path, content):
    """Content as readable JSON, numbers to five digits; returns what a reader gets."""
    text = json.dumps(content)
    content = json.loads(text, parse_float=lambda x: float(f"{float(x):.5g}"))
    path.write_text(json.dumps(content, indent=1) + "\n")
    return content


def fill(folder, name, text):
    """Put text between `<!-- name -->` and `<!-- /name -->` of the folder's README."""
    path = folder / "README.md"
    if path.exists():
        before, rest = path.read_text().split(f"<!-- {name} -->\n")
        _, after = rest.split(f"<!-- /{name} -->")
        marked = f"<!-- {name} -->\n\n{text.strip()}\n\n<!-- /{name} -->"
        path.write_text(before + marked + after)
