"""Suites that come with rsbench."""

from __future__ import annotations

from pathlib import Path
from typing import Final

EXAMPLE: Final = Path(__file__).with_name("example.yaml")
