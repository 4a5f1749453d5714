"""What a new plugin may be called."""

from __future__ import annotations

import importlib.util
import re
from typing import Final

from rsbench.errors import UserError
from rsbench.registry import KINDS, registry

PATTERN: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST: Final = 40
PREFIX: Final = "rsbench"


def package_of(name: str) -> str:
    """Return the package that a plugin's code goes into."""
    return f"{PREFIX}_{name.replace('-', '_')}"


def check_name(name: str) -> None:
    """Raise unless a plugin may be called *name*: words of small letters and digits, joined by hyphens, and not taken.

    Raises:
        UserError: it may not; the sentence says why.
    """
    if not PATTERN.fullmatch(name) or len(name) > LONGEST:
        raise UserError(
            f"'{name}' is no name for a plugin: use up to {LONGEST} small letters, digits and single hyphens between "
            "them, a letter first, such as my-net."
        )
    if name.partition("-")[0] == PREFIX:
        raise UserError(f"Leave '{PREFIX}' out of '{name}': the distribution will be called '{PREFIX}-NAME'.")
    if name in registry().plugins:
        raise UserError(f"There is a plugin '{name}' already (distribution '{registry().plugins[name].distribution}').")
    for kind in KINDS:
        if {name, f"{name}:*"} & set(registry().names(kind)):
            origin = registry().origin(kind, name if name in registry().names(kind) else f"{name}:*")
            raise UserError(f"There is a {kind} '{name}' already, of plugin '{origin.plugin}'; choose another name.")
    if importlib.util.find_spec(package_of(name)) is not None:
        raise UserError(f"There is an importable module '{package_of(name)}' already; choose another name.")
