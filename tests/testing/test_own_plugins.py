"""Our own plugins keep the contract that the kit asks of others; those that take longest are in test_own_networks.py."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rsbench.registry import registry

HERE = ("captioners", "baselines", "eurosat", "losses", "rsvqa", "spatialnet", "ucm-captions", "vqa")
ELSEWHERE = ("convnets", "timm", "metrics", "scenes")


def marked(names: tuple[str, ...]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def mark(function: Callable[..., None]) -> Callable[..., None]:
        for name in names:
            function = pytest.mark.rsbench_plugin(name)(function)
        return function

    return mark


def others() -> tuple[str, ...]:
    """Plugins of this distribution that are not named above, any that is new among them."""
    ours = {name for name, origin in registry().plugins.items() if origin.distribution == "rsbench"}
    return tuple(sorted(ours - {*HERE, *ELSEWHERE}))


@marked((*HERE, *others()))
@pytest.mark.rsbench_plugin("metrics", only="metric/[!M]*")
@pytest.mark.rsbench_plugin("metrics", only="plugin/*")
@pytest.mark.rsbench_plugin("scenes", only="dataset/scenes/*")
@pytest.mark.rsbench_plugin("scenes", only="[!d]*/*")
def test_conformance(rsbench_checks: Callable[[], None]) -> None:
    rsbench_checks()


@pytest.mark.slow
@pytest.mark.rsbench_plugin("metrics", only="metric/METEOR/*")  # each starts a Java program, some of them often
def test_conformance_of_meteor(rsbench_checks: Callable[[], None]) -> None:
    rsbench_checks()
