"""Puts the package of a plugin where pip would, without pip."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path


def install(folder: Path, site: Path) -> str:
    """Copy the code of the package in *folder* to *site*, write its metadata, and return the plugin's name."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    ((name, module),) = project["entry-points"]["rsbench"].items()
    shutil.copytree(folder / module, site / module)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    (info / "entry_points.txt").write_text(f"[rsbench]\n{name} = {module}\n")
    return name
