"""The notebook's own definitions, for tests and benchmarks: nothing of it is copied."""

import ast
import builtins
import linecache
import types
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "VAE_MNIST.ipynb"
DEFINITIONS = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)


def is_constant(node, known):
    """Does it assign names that are not lower-case, from nothing but `known` names?"""
    if not isinstance(node, ast.Assign):
        return False
    names = [name for name in ast.walk(node) if isinstance(name, ast.Name)]
    stored = {name.id for name in names if isinstance(name.ctx, ast.Store)}
    single = all(isinstance(target, ast.Name) for target in node.targets)
    capital = single and not any(target.id.islower() for target in node.targets)
    return capital and {name.id for name in names} - stored <= known


def load_definitions(path=NOTEBOOK, edit=lambda source: source):
    """A module of what the notebook defines: set-up, parameters, functions, constants.

    Cells tagged `setup` and `parameters` run whole. Of the others only definitions run,
    and constants that need no data where the cell is tagged `functions`: no check, no
    drawing. `edit` may change each cell's source first (a mutation).
    """
    module = types.ModuleType("vae_mnist")
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code":
            continue
        tags, source = set(cell.metadata.get("tags", [])), edit(cell.source)
        tree, name = ast.parse(source), f"cell {cell.id}"
        # known to linecache, so that TensorFlow and tracebacks find the source
        linecache.cache[name] = (len(source), None, source.splitlines(True), name)
        for node in tree.body:
            known = {*vars(builtins), *vars(module)}
            constant = "functions" in tags and is_constant(node, known)
            whole = tags & {"setup", "parameters"}
            if whole or constant or isinstance(node, DEFINITIONS):
                part = ast.Module([node], [])
                exec(compile(part, name, "exec"), module.__dict__)
    return module
