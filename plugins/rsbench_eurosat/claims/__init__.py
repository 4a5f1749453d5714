"""What three papers report on EuroSAT RGB, as they print it."""

from __future__ import annotations

from typing import Final

from rsbench_eurosat.claims.bmta import BMTA
from rsbench_eurosat.claims.focal import FOCAL
from rsbench_eurosat.claims.helber import HELBER

CLAIMS: Final = (BMTA, FOCAL, HELBER)
