"""The lock, constraints.txt, holds every package that the requirements bring."""

import importlib.metadata
import re

from loader import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def requirements(path):
    """Direct requirements of a file, of those that it includes as well."""
    for line in path.read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            yield from requirements(path.parent / line[3:])
        elif line:
            yield Requirement(line)


def applies(requirement, extras=("",)):
    """Is it needed here, for any of these extras?"""
    marker = requirement.marker
    return not marker or any(marker.evaluate({"extra": extra}) for extra in extras)


def locked():
    """Name to version of what the lock holds for this Python and system."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines if re.match(r"[\w.-]+==", line)]
    return {canonicalize_name(r.name): r.specifier for r in found if applies(r)}


def test_every_package_that_is_needed_is_locked_at_the_installed_version():
    lock, waiting, seen = locked(), [*requirements(ROOT / "tests/requirements.txt")], {}
    while waiting:
        requirement = waiting.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in seen:
            continue
        found = importlib.metadata.distribution(requirement.name)
        seen[key] = found.version
        assert found.version in lock[key[0]], f"{key[0]} {found.version}"
        for line in found.requires or []:
            needed = Requirement(line)
            if applies(needed, ("", *requirement.extras)):
                waiting.append(needed)
    assert len(seen) > 100
