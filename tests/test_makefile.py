"""The Makefile in a folder with a space, with what may be wrong with its Python."""

import os
import shutil
import subprocess

import pytest
from loader import ROOT


@pytest.fixture
def clone(tmp_path):
    """A folder with the Makefile and a .venv that claims to be of Python 3.12.1."""
    folder = tmp_path / "my clone"
    (folder / ".venv" / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    script(folder / ".venv" / "bin" / "python", "echo Python 3.12.1")
    (folder / ".venv" / "made").touch()
    return folder


def script(path, line):
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def make(folder, *words):
    """What make says, both streams, and how it ends."""
    surroundings = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    line = dict(cwd=folder, env=surroundings, stderr=subprocess.STDOUT, text=True)
    done = subprocess.run(["make", *words], stdout=subprocess.PIPE, **line)
    return done.returncode, done.stdout


def test_the_python_of_the_venv_is_taken_by_any_name(clone):
    script(clone / "other", "echo Python 3.12.1")
    assert make(clone, "same-python")[0] == 0
    assert make(clone, "same-python", f"PYTHON={clone / 'other'}")[0] == 0


def test_another_python_than_that_of_the_venv_is_refused(clone):
    script(clone / "other", "echo Python 3.13.0")
    code, said = make(clone, "same-python", f"PYTHON={clone / 'other'}")
    assert code and "is not what .venv was made with (Python 3.12.1)" in said


@pytest.mark.parametrize("target", ["same-python", ".venv/made"])
def test_a_python_that_is_not_there_is_named(clone, target):
    if target == ".venv/made":
        shutil.rmtree(clone / ".venv")
    code, said = make(clone, target, "PYTHON=python9.9")
    assert code and "there is no python9.9 here: name one that is" in said


def test_what_is_no_python_of_these_versions_is_refused_in_a_sentence(clone):
    shutil.rmtree(clone / ".venv")
    code, said = make(clone, ".venv/made", "PYTHON=ls")
    assert code and "ls is not Python 3.10 to 3.13: name one that is" in said
    assert not (clone / ".venv").exists() and "invalid" not in said


def test_a_venv_without_its_python_is_named(clone):
    (clone / ".venv" / "bin" / "python").unlink()
    (clone / ".venv" / "bin" / "python").symlink_to("/nowhere/python3")
    code, said = make(clone, "same-python")
    assert code and ".venv has lost its Python: run  make clean  first" in said


def test_clean_leaves_what_the_notebook_did_not_make(clone):
    ours = clone / "Results" / "in-progress-123-ab12"
    theirs = clone / "Results" / "in-progress-notes"
    for folder in (ours, theirs):
        folder.mkdir(parents=True)
    assert make(clone, "clean")[0] == 0
    assert theirs.exists() and not ours.exists() and not (clone / ".venv").exists()
