"""One bad plugin harms nobody else: each case is a distribution that is really installed, seen by a real process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rsbench.errors import UserError, did_you_mean
from rsbench.registry import load, registry

HEAD = "from rsbench import hookimpl\nfrom rsbench.specs import ModelSpec\n"
CASES = {
    "raises": ("raise RuntimeError('no license')", "its import raised RuntimeError: no license"),
    "prints": ("import os\nprint('hello')\nos.write(1, b'you')\n", "its import printed '"),
    "interrupts": ("raise KeyboardInterrupt", "its import raised KeyboardInterrupt"),
    "leaves": ("import os\nos._exit(7)", "its import called os._exit(7)"),
    "moves": ("import os\nos.chdir('/')", "its import changed the working directory"),
    "property": (
        "class Plugin:\n    @property\n    def rsbench_x(self): raise OSError('gone')\nimport sys\n"
        "sys.modules[__name__] = Plugin()\n",
        "its registration raised OSError: gone",
    ),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "half": (
        HEAD
        + "@hookimpl\ndef rsbench_models():\n    yield ModelSpec(name='half', summary='s', factory='x:y')\n    raise ValueError('gone')\n",
        "rsbench_models raised ValueError: gone",
    ),
    "misspelled": (HEAD + "@hookimpl\ndef rsbench_modles():\n    return []\n", "Did you mean 'rsbench_models'"),
    "taken": (
        HEAD + "@hookimpl\ndef rsbench_models():\n    return [ModelSpec(name='bmta', summary='s', factory='x:y')]\n",
        "'bmta' is already taken by plugin 'convnets' (distribution 'rsbench')",
    ),
    "wrongtype": (HEAD + "@hookimpl\ndef rsbench_models():\n    return ['bmta']\n", "gave str where ModelSpec"),
    "badhook": (HEAD + "@hookimpl\ndef rsbench_run_start(plan, nonsense):\n    pass\n", "nonsense"),
    "torchtop": (
        "import torch\n" + HEAD + "@hookimpl\ndef rsbench_models():\n"
        "    return [ModelSpec(name='heavy-net', summary='s', factory='x:y')]\n",
        "imports torch",
    ),
}


def install(site: Path, name: str, code: str, plugin: str | None = None) -> None:
    """Write a module and the metadata of a distribution that offers it as a plugin, by default called zz-<name>."""
    (site / f"plugin_{name}.py").write_text(code)
    info = site / f"dist_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rsbench]\n{plugin or f'zz-{name}'} = plugin_{name}\n")


def rsbench(site: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200", **variables}
    command = [sys.executable, "-m", "rsbench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("case", CASES)
def test_bad_plugin_is_named_and_the_rest_works(tmp_path: Path, case: str) -> None:
    code, message = CASES[case]
    install(tmp_path, case, code)
    done = rsbench(tmp_path, "list", "models")
    assert done.returncode == 0
    assert "tiny-cnn" in done.stdout
    assert done.stdout.count("\nbmta ") == 1
    assert done.stderr.count(f"rsbench: plugin 'zz-{case}' (distribution 'dist-{case}')") == 1
    assert message in done.stderr
    assert ("heavy-net" in done.stdout) == (case == "torchtop")


def test_all_bad_plugins_together(tmp_path: Path) -> None:
    for case, (code, _) in CASES.items():
        install(tmp_path, case, code)
    assert rsbench(tmp_path, "--help").returncode == 0
    done = rsbench(tmp_path, "plugins", "--json")
    assert done.returncode == 0
    found = {row["plugin"]: row["problems"] for row in json.loads(done.stdout)}
    assert all(CASES[case][1] in " ".join(found[f"zz-{case}"]) for case in CASES)
    assert found["convnets"] == []


def test_nobody_takes_a_name_or_a_command_of_ours(tmp_path: Path) -> None:
    """Whatever their plugins are called, and whichever comes first in the alphabet."""
    net = HEAD + "@hookimpl\ndef rsbench_models():\n    yield ModelSpec(name='{}', summary='s', factory='x:y')\n"
    commands = (
        "import typer\n@hookimpl\ndef rsbench_commands(app):\n"
        "    app.callback()(lambda: None)\n    app.command('run')(lambda: print('stolen'))\n"
        "    @app.command('their-own')\n    def own(code: int = 0):\n"
        "        if code:\n            raise typer.Exit(code)\n        raise OSError('their disk')\n"
    )
    install(tmp_path, "first", net.format("tiny-cnn") + commands, plugin="aa")
    install(tmp_path, "second", net.format("second-net"), plugin="aa")
    shown = rsbench(tmp_path, "show", "tiny-cnn", "--json")
    assert json.loads(shown.stdout)["distribution"] == "rsbench"
    for text in (
        "(distribution 'dist-first'): model 'tiny-cnn' is already taken by plugin 'scenes' (distribution 'rsbench')",
        "(distribution 'dist-first'): command 'run' is already taken",
        "(distribution 'dist-first'): rsbench_commands set a callback",
        "(distribution 'dist-second'): distribution 'dist-first' has a plugin of this name",
    ):
        assert text in shown.stderr
    assert "stolen" not in rsbench(tmp_path, "run", "--help").stdout
    assert rsbench(tmp_path, "their-own", "--code", "5").returncode == 5
    failed = rsbench(tmp_path, "their-own")
    assert failed.returncode == 2
    assert "(distribution 'dist-first'): command 'their-own' raised OSError: their disk" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_a_plugin_that_hangs_is_named_and_left_out(tmp_path: Path) -> None:
    install(tmp_path, "hangs", "import time\ntime.sleep(1000)")
    done = rsbench(tmp_path, "list", "models", "--json", RSBENCH_PLUGIN_SECONDS="1")
    assert "tiny-cnn" in [row["name"] for row in json.loads(done.stdout)]
    assert "(distribution 'dist-hangs'): its import took longer than 1 s and was ended" in done.stderr


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
    assert set(load(environ={"RSBENCH_PLUGINS": "losses,metrics"}).plugins) == {
        *("formats", "launchers", "tasks"),  # the core's own
        *("losses", "metrics"),
    }
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
    said = "plugin 'bad' (distribution 'd'): rsbench_run_start raised OSError: disk"
    assert found.notify("rsbench_run_start", plan=None) == [said]
    assert sorted(called) == ["bad", "good"]


def test_a_hint_names_each_once() -> None:
    assert did_you_mean("speedrn", ["speedrun", "bmta", "speedrun"]) == " Did you mean 'speedrun'?"
