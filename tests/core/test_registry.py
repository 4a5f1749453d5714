"""One bad plugin harms nobody else: each case is a distribution that is really installed, seen by a real process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rsbench.errors import UserError
from rsbench.registry import load, registry

HEAD = "from rsbench import hookimpl\nfrom rsbench.specs import ModelSpec\n"
CASES = {
    "raises": ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "half": (
        HEAD
        + "@hookimpl\ndef rsbench_models():\n    yield ModelSpec(name='half', summary='s', factory='x:y')\n    raise ValueError('gone')\n",
        "rsbench_models raised ValueError: gone",
    ),
    "misspelt": (HEAD + "@hookimpl\ndef rsbench_modles():\n    return []\n", "Did you mean 'rsbench_models'"),
    "taken": (
        HEAD + "@hookimpl\ndef rsbench_models():\n    return [ModelSpec(name='bmta', summary='s', factory='x:y')]\n",
        "'bmta' is already taken by plugin 'convnets' ('rsbench')",
    ),
    "wrongtype": (HEAD + "@hookimpl\ndef rsbench_models():\n    return ['bmta']\n", "gave str where ModelSpec"),
    "badhook": (HEAD + "@hookimpl\ndef rsbench_run_start(plan, nonsense):\n    pass\n", "nonsense"),
    "torchtop": (
        "import torch\n" + HEAD + "@hookimpl\ndef rsbench_models():\n"
        "    return [ModelSpec(name='heavy-net', summary='s', factory='x:y')]\n",
        "imports torch",
    ),
}


def install(site: Path, name: str, code: str) -> None:
    """Write a module and the metadata of a distribution that offers it as a plugin called zz-<name>."""
    (site / f"plugin_{name}.py").write_text(code)
    info = site / f"dist_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rsbench]\nzz-{name} = plugin_{name}\n")


def rsbench(site: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200", **variables}
    command = [sys.executable, "-m", "rsbench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("case", CASES)
def test_bad_plugin_is_named_and_the_rest_works(tmp_path: Path, case: str) -> None:
    code, message = CASES[case]
    install(tmp_path, case, code)
    for arguments in (["--help"], ["list", "models"]):
        done = rsbench(tmp_path, *arguments)
        assert done.returncode == 0
        if arguments[0] == "list":
            assert "tiny-cnn" in done.stdout
            assert done.stdout.count("\nbmta ") == 1
            assert done.stderr.count(f"plugin 'zz-{case}' (distribution 'dist-{case}')") == 1
            assert message in done.stderr
    assert ("heavy-net" in done.stdout) == (case == "torchtop")


def test_all_bad_plugins_together(tmp_path: Path) -> None:
    for case, (code, _) in CASES.items():
        install(tmp_path, case, code)
    done = rsbench(tmp_path, "plugins")
    assert done.returncode == 0
    assert all(f"zz-{case}" in done.stdout for case in CASES)
    assert "convnets" in done.stdout


def test_asking_for_what_a_broken_plugin_would_give_names_it(tmp_path: Path) -> None:
    install(tmp_path, "raises", CASES["raises"][0])
    done = rsbench(tmp_path, "run", "their-net", "scenes")
    assert done.returncode == 2
    assert "There is no model 'their-net'" in done.stderr
    assert "zz-raises" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_a_blocked_plugin_is_never_imported(tmp_path: Path) -> None:
    install(tmp_path, "mark", f"open({str(tmp_path / 'imported')!r}, 'w').close()")
    assert rsbench(tmp_path, "-p", "no:zz-mark", "list", "models").returncode == 0
    assert not (tmp_path / "imported").exists()
    rsbench(tmp_path, "list", "models")
    assert (tmp_path / "imported").exists()


def test_switches() -> None:
    assert load(environ={"RSBENCH_DISABLE_PLUGIN_AUTOLOAD": "1"}).plugins == {}
    assert set(load(environ={"RSBENCH_PLUGINS": "losses,metrics"}).plugins) == {"losses", "metrics"}
    missing = load(environ={"RSBENCH_PLUGINS": "losses,nowhere"}).problems
    assert [p.plugin for p in missing] == ["nowhere"]


def test_first_party_plugins_have_no_problems() -> None:
    assert registry().problems == []


def test_unknown_name_suggests() -> None:
    with pytest.raises(UserError, match="Did you mean 'bmta'"):
        registry().get("model", "bmat")
    with pytest.raises(UserError, match="timm:resnet18"):
        registry().get("model", "timm:resnet81")


def test_an_observer_that_raises_is_reported_and_others_are_called() -> None:
    import types

    from rsbench import hookimpl

    found, called = load(environ={"RSBENCH_DISABLE_PLUGIN_AUTOLOAD": "1"}), []
    for name in ("bad", "good"):
        plugin = types.ModuleType(name)

        def rsbench_run_start(plan: object, name: str = name) -> None:
            called.append(name)
            if name == "bad":
                raise OSError("disk")

        plugin.rsbench_run_start = hookimpl(rsbench_run_start)  # type: ignore[attr-defined]
        found.add(name, "d", "1", lambda plugin=plugin: plugin)
    assert found.notify("rsbench_run_start", plan=None) == ["rsbench_run_start of plugin 'bad' raised OSError: disk"]
    assert sorted(called) == ["bad", "good"]
