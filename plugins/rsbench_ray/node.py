"""What a node of a Ray cluster has to have for a run: the same code, the folder of the record, the data."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

from rsbench.data.manifest import read
from rsbench.engine.launch.run_result import folder_of
from rsbench.errors import UserError
from rsbench.hookspecs import PROJECT
from rsbench.plan import RunPlan

SHARED: Final = "on a file system that all nodes share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What runs need.

    Attributes:
        folders: of the records, which are there.
        stores: folder of each prepared dataset -> its fingerprint.
        working: the working directory, from which relative paths start.
        code: digests of rsbench and of its plugins, as :func:`code` returns them where the command was given.
    """

    folders: tuple[str, ...]
    stores: dict[str, str]
    working: str
    code: dict[str, str]

    @classmethod
    def of(cls, plans: Iterable[RunPlan]) -> Needs:
        """Return what *plans* need; of those with the same --out one has its folder made, as a sign to look for."""
        plans = list(plans)
        folders = {plan.out: folder_of(plan) for plan in reversed(plans)}
        for folder in folders.values():
            folder.mkdir(parents=True, exist_ok=True)
        return cls(
            folders=tuple(map(str, folders.values())),
            stores={plan.dataset["store"]: plan.dataset["fingerprint"] for plan in plans},
            working=os.getcwd(),
            code=code(),
        )


def lacks(needs: Needs) -> list[str]:
    """Return what this node lacks, a sentence each."""
    with suppress(OSError):  # absolute paths do not need it
        os.chdir(needs.working)
    node = f"Ray node {socket.gethostname()}"
    problems = []
    here = code()
    if other := [name for name, digest in needs.code.items() if here.get(name) != digest]:
        problems.append(f"{node} has other code of {', '.join(other)}, or none; install the same there.")
    for folder in map(Path, needs.folders):
        if not folder.is_dir():
            problems.append(f"{node} does not see the folder '{folder.parent}'; choose an --out {SHARED}.")
        elif not os.access(folder, os.W_OK):
            problems.append(f"{node} may not write to the folder '{folder}'; choose another --out.")
    for store, fingerprint in needs.stores.items():
        found = _fingerprint(Path(store))
        if found is None:
            problems.append(f"{node} does not see the data '{store}'; choose a --data-root {SHARED}.")
        elif found != fingerprint:
            problems.append(f"{node} has other data in '{store}'; choose a --data-root {SHARED}.")
    return list(dict.fromkeys(problems))


def _fingerprint(store: Path) -> str | None:
    try:
        return str(read(store)["fingerprint"])
    except (OSError, ValueError, LookupError, UserError):
        return None


@cache
def code() -> dict[str, str]:
    """Return a digest of the Python files of rsbench and of each plugin that is installed, by name."""
    packages = {entry.name: entry.module.partition(".")[0] for entry in metadata.entry_points(group=PROJECT)}
    packages[PROJECT] = PROJECT
    digests = {package: _digest(package) for package in sorted({*packages.values()})}
    return {name: digests[package] for name, package in packages.items()}


def _digest(module: str) -> str:
    sha256 = hashlib.sha256()
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        for file in sorted(folder.rglob("*.py")) if spec.submodule_search_locations else [Path(spec.origin)]:
            sha256.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes() + b"\0")
    return sha256.hexdigest()
