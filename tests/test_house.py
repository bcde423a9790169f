"""The rules of the house: names, widths, lengths, checks, draws, order, folds."""

import ast
import collections
import re
import statistics
import symtable

import pytest
from conftest import sections_of

SECTION = re.compile(r"^## (\d+) · ", re.M)
NESTED = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
DEFINED = (ast.FunctionDef, ast.ClassDef)


@pytest.fixture(scope="module")
def text(notebook):
    """All that is written, cell after cell."""
    return "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


@pytest.fixture(scope="module")
def sections(notebook):
    return list(sections_of(notebook))


@pytest.fixture(scope="module")
def trees(sections):
    return [ast.parse(cell.source) for _, cell in sections]


def code_lines(cell):
    lines = cell.source.splitlines()
    return [line for line in lines if line.strip() and not line.strip().startswith("#")]


def stored(node):
    """Names that a statement binds at top level as variables."""
    if isinstance(node, (*DEFINED, *NESTED)):
        return set()
    name = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    below = [stored(child) for child in ast.iter_child_nodes(node)]
    return set().union({node.id} if name else (), *below)


def functions_below(table):
    """(name, names that it reads from the notebook) of all functions of a cell."""
    for child in table.get_children():
        if child.get_type() == "function":
            yield child.get_name(), set(child.get_globals())
        yield from functions_below(child)


def calls_below(node):
    """(name of the function, call) of all calls of plain names."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            yield call.func.id, call


def test_no_name_has_two_meanings(sections, trees):
    """No function is overwritten; no lower-case name is bound in two sections."""
    defined = [n.name for t in trees for n in t.body if isinstance(n, DEFINED)]
    where = collections.defaultdict(set)
    for (section, _), tree in zip(sections, trees, strict=True):
        for name in stored(tree):
            where[name].add(section)
    assert sorted(set(defined) & set(where)) == [], "overwritten by variables"
    assert [name for name, n in collections.Counter(defined).items() if n > 1] == []
    assert {n: s for n, s in where.items() if n.islower() and len(s) > 1} == {}


def test_no_function_reads_what_a_run_left_behind(sections, trees):
    state = {name for tree in trees for name in stored(tree) if name.islower()}
    for _, cell in sections:
        for name, read in functions_below(symtable.symtable(cell.source, "", "exec")):
            if name not in ("lambda", "listcomp", "setcomp", "dictcomp", "genexpr"):
                assert not read & state, f"{name} in cell {cell.id}"


def test_code_fits_half_a_screen(sections):
    wide = [ln for _, cell in sections for ln in code_lines(cell) if len(ln) > 88]
    lengths = {cell.id: len(code_lines(cell)) for _, cell in sections}
    assert wide == [] and {name: n for name, n in lengths.items() if n > 30} == {}
    assert statistics.median(lengths.values()) <= 10


def test_little_code_stands_before_the_first_formula(notebook):
    shown = 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "\\tag{" in cell.source:
            break
        if cell.cell_type == "code" and "fold" not in cell.metadata.get("tags", []):
            shown += len(code_lines(cell))
    assert shown <= 60


def test_folded_cells_have_a_title(sections):
    for _, cell in sections:
        folded = "fold" in cell.metadata.get("tags", [])
        assert folded == cell.source.startswith("# @title "), cell.id


def test_every_check_asserts_and_is_called(trees):
    functions = [
        n for t in trees for n in ast.walk(t) if isinstance(n, ast.FunctionDef)
    ]
    asserts = [n for t in trees for n in ast.walk(t) if isinstance(n, ast.Assert)]
    called = {name for tree in trees for name, _ in calls_below(tree)}
    assert len(asserts) >= 30
    for function in functions:
        if function.name.startswith("check_"):
            inside = any(isinstance(n, ast.Assert) for n in ast.walk(function))
            assert inside and function.name in called, function.name


def named(call, place):
    """The text of a call's argument `name`, as a template; None if it is not given."""
    by_word = [word.value for word in call.keywords if word.arg == "name"]
    for value in by_word or call.args[place:][:1]:
        if isinstance(value, ast.Constant | ast.JoinedStr):
            return ast.unparse(value).removeprefix("f")[1:-1]
        return f"{{{ast.unparse(value)}}}"


def drawing_functions(functions):
    """{function: (place of its argument `name`, templates of the seeds it makes)}"""
    found = {"seed_for": (0, ["{name}"])}
    for function in functions:
        arguments, made = [argument.arg for argument in function.args.args], []
        for inner, call in calls_below(function):
            text = named(call, found[inner][0]) if inner in found else None
            if text and "{name}" in text:
                made += [t.replace("{name}", text) for t in found[inner][1]]
        if "name" in arguments and made:
            found[function.name] = arguments.index("name"), made
    return found


def test_no_two_draws_share_a_name(sections, trees):
    functions = [
        n for t in trees for n in ast.walk(t) if isinstance(n, ast.FunctionDef)
    ]
    drawing, uses = drawing_functions(functions), set()
    for (_, cell), tree in zip(sections, trees, strict=True):
        for function, call in calls_below(tree):
            place, made = drawing.get(function, (0, []))
            text = named(call, place) if made else None
            if text and not re.fullmatch(r"\{.*\}", text) and "{name}" not in text:
                full = {template.replace("{name}", text) for template in made}
                uses |= {(template, cell.id, function) for template in full}
    names = collections.Counter(template for template, _, _ in uses)
    assert len(names) > 20 and {n for n, count in names.items() if count > 1} == set()


def test_sections_come_in_order_and_every_link_has_its_anchor(text):
    assert [int(number) for number in SECTION.findall(text)] == list(range(1, 25))
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links >= {f"s{number}" for number in range(1, 25)}
    assert links <= set(re.findall(r'<a id="([^"]+)"></a>', text))


def test_equations_carry_the_papers_numbers(text):
    tags = {int(number) for number in re.findall(r"\\tag\{(\d+)\}", text)}
    assert tags >= set(range(1, 13))


def test_parameters_stand_in_one_cell_and_say_what_the_paper_did(sections):
    tagged = [c for _, c in sections if "parameters" in c.metadata.get("tags", [])]
    (cell,) = tagged
    names = set(re.findall(r"^([A-Z_0-9]+) = ", cell.source, flags=re.M))
    assert names >= {"SEED", "DATA", "RESULTS", "EPOCHS", "BATCH_SIZE", "HIDDEN"}
    comments = re.findall(r"  # ", cell.source)
    assert len(comments) == len(names) and cell.source.count("paper:") >= 7
