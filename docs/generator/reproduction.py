"""What can be told of each number that a paper reports, from the records in the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from rsbench_claims.check import claim_sets
from rsbench_claims.render import page as render
from rsbench_claims.reproduction import entries

from rsbench.records.store import load_all

RECORDS: Final = Path(__file__).parents[2] / "benchmarks" / "records"


def page() -> str:
    """Return the page."""
    return render(entries(load_all([RECORDS]), claim_sets()))
