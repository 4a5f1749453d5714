"""A new plugin: a package that installs, passes its own tests and trains, to be changed into one's own."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

from rsbench.errors import UserError
from rsbench.scaffold.names import check_name, package_of

TEMPLATES: Final = Path(__file__).parent / "templates"
SUFFIX: Final = ".j2"
# Where the files that all kinds share go; those of a kind go into the package under their own names.
COMMON: Final = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "LICENSE": "LICENSE",
    "gitignore": ".gitignore",
    "ci.yml": ".github/workflows/ci.yml",
    "test_plugin.py": "tests/test_plugin.py",
}


def write(name: str, kind: str, out: Path | None = None) -> Path:
    """Write the package of a new plugin and return its folder.

    Args:
        name: of the plugin and of what it gives, such as ``my-net``.
        kind: ``model``, ``dataset``, ``loss``, ``metric`` or ``task``.
        out: an empty or new folder; ``rsbench-<name>`` below the present one if ``None``.

    Raises:
        UserError: the name cannot be used or is taken, or the folder holds something.
    """
    check_name(name)
    folder = out if out is not None else Path(f"rsbench-{name}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"'{folder}' exists already; choose another folder with --out.")
    package = package_of(name)
    for template, path in {**_common(), **_of_kind(kind, package)}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(_render(template, name, kind, package), encoding="utf-8")
    return folder


def _common() -> dict[str, str]:
    return {f"common/{source}{SUFFIX}": target for source, target in COMMON.items()}


def _of_kind(kind: str, package: str) -> dict[str, str]:
    """Template -> path of the modules of a kind; its ``usage.md`` goes into the README."""
    modules = sorted(p.name for p in (TEMPLATES / kind).glob(f"*.py{SUFFIX}"))
    return {f"{kind}/{module}": f"{package}/{module.removesuffix(SUFFIX)}" for module in modules}


def _render(template: str, name: str, kind: str, package: str) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    from rsbench import __version__

    loader = FileSystemLoader(TEMPLATES)
    made = Environment(loader=loader, undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    class_name = "".join(word.capitalize() for word in name.split("-"))
    values = {"name": name, "kind": kind, "package": package, "class_name": class_name}
    return made.get_template(template).render(**values, rsbench=__version__, year=date.today().year)
