"""The kit names the fault of each of thirteen broken plugins, and finds none in the sound ones that they were made of."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from broken import CASES, PARTS, install

from rsbench.registry import registry
from rsbench.testing import cases
from rsbench.testing.contract import BAD, FAILED


@pytest.fixture(scope="module", autouse=True)
def _installed(site: Path) -> None:
    for kind in PARTS:
        install(site, f"sound-{kind}", kind)
    for name, case in CASES.items():
        install(site, name, case.kind, case.old, case.new)
    registry.cache_clear()


@pytest.mark.parametrize("kind", PARTS)
def test_a_sound_plugin_has_no_fault(kind: str) -> None:
    results = [case.run() for case in cases(f"sound-{kind}")]
    assert [r for r in results if r.outcome in BAD] == []
    assert sum(r.outcome == "passed" for r in results) >= 10


@pytest.mark.parametrize("name", CASES)
def test_the_fault_is_named(name: str) -> None:
    broken = CASES[name]
    failed = {r.case.check.name: r for r in (case.run() for case in cases(name)) if r.outcome == FAILED}
    assert broken.check in failed
    assert re.search(broken.says, failed[broken.check].detail)
    assert failed[broken.check].to_dict()["remedy"]
