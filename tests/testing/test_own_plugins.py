"""Our own plugins keep the contract that the kit asks of others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rsbench.registry import registry

QUICK = ("captioners", "controls", "eurosat", "losses", "rsvqa", "spatialnet", "ucm-captions", "vqa")
LONG = ("convnets", "timm")


def marked(names: tuple[str, ...]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def mark(function: Callable[..., None]) -> Callable[..., None]:
        for name in names:
            function = pytest.mark.rsbench_plugin(name)(function)
        return function

    return mark


def others() -> tuple[str, ...]:
    """Plugins of this distribution that are named nowhere here, any that is new among them."""
    ours = {name for name, origin in registry().plugins.items() if origin.distribution == "rsbench"}
    return tuple(sorted(ours - {*QUICK, *LONG, "metrics", "scenes"}))


@marked((*QUICK, *others()))
@pytest.mark.rsbench_plugin("metrics", only="metric/[!M]*")
@pytest.mark.rsbench_plugin("metrics", only="plugin/*")
@pytest.mark.rsbench_plugin("scenes", only="dataset/scenes/*")
@pytest.mark.rsbench_plugin("scenes", only="[!d]*/*")
def test_conformance(rsbench_checks: Callable[[], None]) -> None:
    rsbench_checks()


@pytest.mark.slow
@marked(LONG)
@pytest.mark.rsbench_plugin("metrics", only="metric/METEOR/*")  # each starts a Java program, some of them often
@pytest.mark.rsbench_plugin("scenes", only="dataset/scenes-*")  # all sentences and questions are composed
def test_conformance_of_large_models(rsbench_checks: Callable[[], None]) -> None:
    rsbench_checks()
