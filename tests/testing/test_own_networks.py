"""Our own plugins whose checks take longest, in a file of their own, which another worker of pytest-xdist can take.

What differs from another network in a layer or a default, and takes half a minute, is behind the slow marker.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.mark.rsbench_plugin("convnets", only="[!m]*/*")
@pytest.mark.rsbench_plugin("convnets", only="model/[!b]*")
@pytest.mark.rsbench_plugin("convnets", only="model/ba*")
@pytest.mark.rsbench_plugin("convnets", only="model/bmta/*")
@pytest.mark.rsbench_plugin("timm", only="[!m]*/*")
@pytest.mark.rsbench_plugin("timm", only="model/[!r]*")
@pytest.mark.rsbench_plugin("timm", only="model/resnet18*")
@pytest.mark.rsbench_plugin("scenes", only="dataset/scenes-*")  # all sentences and questions are composed
def test_conformance(rsbench_checks: Callable[[], None]) -> None:
    rsbench_checks()


@pytest.mark.slow
@pytest.mark.rsbench_plugin("convnets", only="model/bmta-*")
@pytest.mark.rsbench_plugin("timm", only="model/resnet50*")
def test_conformance_of_their_likes(rsbench_checks: Callable[[], None]) -> None:
    rsbench_checks()
