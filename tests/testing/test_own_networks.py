"""Our own plugins whose checks take longest, in a file of their own, which another worker of pytest-xdist can take."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.rsbench_plugin("convnets")
@pytest.mark.rsbench_plugin("timm")
@pytest.mark.rsbench_plugin("scenes", only="dataset/scenes-*")  # all sentences and questions are composed
def test_conformance(rsbench_checks: Callable[[], None]) -> None:
    rsbench_checks()
