"""What is generated, verified and ranked is the same on every processor: in one child process as this machine is, and
in one whose vector units NumPy and torch do without."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
GENERATED = {
    "scenes": "fe71fd0c51890ddab8151b0cc73f61f05c22ebc48abbe77b23564a8fb961e22b",
    "scenes-captions": "43d396af0d3c844ceef78474c19873a0e572a3773d1ecf76145df6e88491accf",
    "scenes-vqa": "3e5a0a4e4efc67f844db027f18e7b983e22b40d3f17706ea1077229fb49fa167",
}  # fingerprints of the parts of the sets that PREPARE names; they change with the version of a set alone

PREPARE = """
import sys
from pathlib import Path
from rsbench.data.prepare import prepare
from rsbench.registry import registry
from rsbench_scenes import specs, text_sources

specs.SIZES.update(train=300, val=50, test=50)
text_sources.CAPTIONS_SIZES.update(train=60, val=20, test=20)
text_sources.QUESTIONS_SIZES.update(train=20, val=5, test=5)
for name in sys.argv[2:]:
    prepare(registry().get("dataset", name), None, Path(sys.argv[1]), workers=1)
"""


def children(*commands: list[str]) -> tuple[str, str]:
    """Run the same on all vector units and on none but NumPy's baseline; return what each printed."""
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    without = {"NPY_DISABLE_CPU_FEATURES": " ".join(found), "ATEN_CPU_CAPABILITY": "default"}
    running = [
        subprocess.Popen([sys.executable, *command], env=os.environ | extra, text=True, stdout=subprocess.PIPE)
        for command, extra in zip(commands, ({}, without), strict=True)
    ]
    first, second = (child.communicate(timeout=300)[0] for child in running)
    assert [child.returncode for child in running] == [0, 0]
    return first, second


def test_generated_sets_are_the_same_bytes(tmp_path: Path) -> None:
    roots = tmp_path / "with", tmp_path / "without"
    children(*(["-c", PREPARE, str(root), *GENERATED] for root in roots))
    for name, fingerprint in GENERATED.items():
        first, second = (root / "prepared" / f"{name}-2" for root in roots)
        for file in ("images.npy", "samples.json", "manifest.json"):
            assert (first / file).read_bytes() == (second / file).read_bytes(), (name, file)
        assert (first / "complete").read_text().split()[0] == fingerprint


def test_verification_and_board_are_the_same_bytes() -> None:
    records = [
        str(ROOT / "benchmarks" / "records" / name) for name in ("eurosat", "rsvqa-lr-questions", "ucm-captions")
    ]
    for command in (["verify", *records], *(["leaderboard", *records, "--format", kind] for kind in ("csv", "json"))):
        first, second = children(*[["-m", "rsbench", *command]] * 2)
        assert first == second != ""
