"""The reference of the specs, read from their dataclasses."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any, Final

from docs.generator.text import code, prose, table
from rsbench import extensions, specs

INTRODUCTION: Final = """# Specs

All specs are frozen dataclasses with keyword arguments, the last five of `rsbench.extensions`, the others of
`rsbench.specs`. They name their code as
`"module:attribute"` and never import it. A spec has the fields of `Spec` besides its own.
"""
_REMARK: Final = re.compile(r"^    (\w+): [^#]*#\s*(.*)$", re.MULTILINE)


def documented() -> list[type[Any]]:
    """Return the dataclasses of :mod:`rsbench.specs` and :mod:`rsbench.extensions` in the order of the files."""
    return [
        found
        for module in (specs, extensions)
        for found in vars(module).values()
        if inspect.isclass(found) and dataclasses.is_dataclass(found) and found.__module__ == module.__name__
    ]


def page() -> str:
    """Return the page."""
    return "\n".join([INTRODUCTION, *(_section(kind) for kind in documented())])


def _section(kind: type[Any]) -> str:
    remarks = dict(_REMARK.findall(inspect.getsource(kind)))
    rows = [
        (code(f.name), code(f.type), _default(f), remarks.get(f.name, ""))
        for f in dataclasses.fields(kind)
        if f.name in inspect.get_annotations(kind)
    ]
    return f"## {kind.__name__}\n\n{prose(kind.__doc__)}\n\n{table(('field', 'type', 'default', 'remark'), rows)}\n"


def _default(field: dataclasses.Field[Any]) -> str:
    factory: Any = field.default_factory
    if factory is not dataclasses.MISSING:
        return code(f"{factory.__name__}()")
    return "required" if field.default is dataclasses.MISSING else f"`{field.default!r}`"
