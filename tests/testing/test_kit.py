"""What the kit does with expected failures, families, the command line and pytest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from broken import install

from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.testing import cases
from rsbench.testing.contract import EXPECTED, FAILED, UNEXPECTED

EXPECTING = """
@hookimpl
def rsbench_expected_failures():
    return {{"metric/{name}/range": "it is in percent", "metric/{name}/order": "no reason", "metric/{name}/gone": ""}}

@hookimpl
def rsbench_metrics"""


@pytest.fixture(scope="module", autouse=True)
def _installed(site: Path) -> None:
    install(site, "steady", "metric")
    install(site, "expecting", "metric", "\n@hookimpl\ndef rsbench_metrics", EXPECTING)
    module = site / "plugin_expecting_code.py"
    module.write_text(module.read_text().replace("statistics.mean())", "statistics.mean() * 100)"))
    registry.cache_clear()


def rsbench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "rsbench", *arguments], capture_output=True, text=True)


def test_expected_failures_are_shown_and_must_fail() -> None:
    outcomes = {case.check.name: case.run() for case in cases("expecting")}
    assert outcomes["range"].outcome == EXPECTED
    assert outcomes["range"].detail.startswith("it is in percent (")
    assert outcomes["order"].outcome == UNEXPECTED
    assert outcomes["expected-failures"].outcome == FAILED
    assert "metric/expecting/gone" in outcomes["expected-failures"].detail


def test_command_line_names_faults_and_exits_with_1() -> None:
    done = rsbench("plugins", "check", "expecting", "--only", "metric/*", "--json")
    assert done.returncode == 1
    found = {entry["case"]: entry for entry in json.loads(done.stdout)}
    assert found["metric/expecting/range"]["outcome"] == "expected"
    assert found["metric/expecting/golden"] == {
        "case": "metric/expecting/golden",
        "outcome": "failed",
        "detail": "golden example 1 gives 100, not 1",
        "reason": "a metric nobody has checked against a known value may measure something else",
        "remedy": "give cases with values worked out by hand or by another implementation: golden='module:function'",
    }


def test_an_unknown_plugin_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="Did you mean 'steady'"):
        cases("staedy")


def test_a_family_is_checked_by_its_example() -> None:
    names = {case.name for case in cases("timm", "model/*")}
    assert {"timm:*", "timm:resnet18", "torchvision:squeezenet1_0"} <= names


def test_pytest_plugin(site: Path, tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "@pytest.mark.rsbench_plugin('steady', 'metric/*')\n"
        "@pytest.mark.rsbench_plugin('expecting', only='metric/*')\n"
        "def test_conformance(rsbench_checks):\n    rsbench_checks()\n"
    )
    command = [sys.executable, "-m", "pytest", "-v", "-rx", "--strict-markers", "-p", "no:cacheprovider"]
    if "rsbench" not in _plugins():
        command += ["-p", "rsbench.testing.pytest_plugin"]
    environment = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 1
    assert "test_conformance[metric/steady/range] PASSED" in done.stdout
    assert "test_conformance[metric/expecting/range] XFAIL" in done.stdout
    assert "test_conformance[metric/expecting/golden] FAILED" in done.stdout
    assert "what to do: give cases with values worked out by hand" in done.stdout


def _plugins() -> set[str]:
    from importlib.metadata import entry_points

    return {entry.name for entry in entry_points(group="pytest11")}
