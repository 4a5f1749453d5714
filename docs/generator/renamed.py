"""The page of names that have changed, from the table by which the old ones are still taken."""

from __future__ import annotations

from typing import Final

from docs.generator.text import code, table
from rsbench import renamed

INTRODUCTION: Final = """# Renamed

Old names work for one more release; whoever writes one gets a hint. Records keep the first names, so that run ids,
fingerprints and digests stay: they are read, filtered and ranked by either.
"""
OF_PYTHON: Final = """
Modules, classes and functions have moved without such a bridge, these of them among what plugins may count on:
"""
IMPORTS: Final = {
    "rsbench.leaderboard.namesakes": "rsbench.leaderboard.recipe_labels",
    "rsbench.leaderboard.pace:marks": "rsbench.leaderboard.learning_curve:points",
    "rsbench.engine.input.normalization:Normalisation": "rsbench.engine.input.normalization:Normalization",
    "rsbench.engine.parallel.world:SIGNS": "rsbench.engine.parallel.world:ENV_MARKERS",
    "rsbench.engine.parallel.world:outside": "rsbench.engine.parallel.world:detect_launcher",
    "rsbench.engine.run.build:normalisation": "rsbench.engine.run.build:normalization",
    "rsbench.recipes:LATER": "rsbench.recipes:ADDED_FIELDS",
    "rsbench.specs:NORMALISATIONS": "rsbench.specs:NORMALIZATIONS",
    "rsbench.testing:Fault": "rsbench.testing:CheckFailure",
    "rsbench.testing:Inapplicable": "rsbench.testing:NotApplicable",
}


def page() -> str:
    """Return the page."""
    rows = [(e.where, code(e.old), code(e.new), code(e.old if e.recorded else e.new)) for e in renamed.TABLE]
    names = [(code(old), code(new)) for old, new in IMPORTS.items()]
    return "\n".join(
        [INTRODUCTION, table(("of", "old", "new", "in records"), rows), OF_PYTHON, table(("old", "new"), names), ""]
    )
