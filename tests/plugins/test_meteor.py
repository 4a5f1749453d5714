"""METEOR against pycocoevalcap's values and the Java program's own scores, and every way in which it can be missing."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rsbench_metrics import meteor
from rsbench_metrics.meteor import Meteor

from rsbench.metrics.contract import MetricContext, Unavailable
from rsbench.tasks.captioning import Captions

CORPORA = json.loads((Path(__file__).parent.parent / "golden" / "captions.json").read_text())["corpora"]
CONTEXT = MetricContext("captioning")
TWO = (Captions(["left", "right"], ["a plane", "two roads"]), [["the plane", "a plane"], ["two roads"]])


def has_program() -> bool:
    try:
        return bool(meteor._program()) and shutil.which("java") is not None
    except Unavailable:
        return False


real = pytest.mark.skipif(not has_program(), reason="needs Java and pycocoevalcap")


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like pycocoevalcap's, where it is not installed."""
    folder = tmp_path / "with space" / "pycocoevalcap" / "meteor"
    (folder / "data").mkdir(parents=True)
    (folder / meteor.JAR).touch()
    (folder / "data" / "paraphrase-en.gz").touch()
    monkeypatch.syspath_prepend(str(folder.parents[1]))
    return folder


@pytest.fixture
def java(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a ``java`` on the PATH that runs the Python given; it finds its lines in ``requests``."""

    def put(body: str) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        script = folder / "java"
        reading = "import os, sys, time\nrequests = sys.stdin.read().splitlines()\n"
        script.write_text(f"#!{sys.executable}\nimport os, sys, time\n{body.replace('READ', reading)}\n")
        script.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return folder

    return put


ANSWER = """READ
for i, request in enumerate(requests):
    print(*[float(x) for x in [2, 2, 1, 1, 1, 1, 1, 1, *[0] * 12, 1, 2, 2]])
"""


def score(captions: Captions, references: list[list[str]], seconds: float = 30.0) -> np.ndarray:
    return Meteor(CONTEXT, seconds=seconds).statistics(captions, references)


def unavailable(seconds: float = 30.0) -> str:
    with pytest.raises(Unavailable) as caught:
        score(*TWO, seconds=seconds)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_answers_become_statistics(java) -> None:
    java(ANSWER)
    rows = score(*TWO)
    np.testing.assert_allclose(rows, [[1, 1, 1, 1, 0, 2]] * 2)
    assert Meteor(CONTEXT).reduce(rows) == 1.0


def test_requests_are_one_line_a_caption(java, tmp_path: Path) -> None:
    java(f"{ANSWER}\nopen({str(tmp_path / 'heard')!r}, 'w').write(repr((sys.argv[1:], requests)))")
    captions = Captions(["a", "b", "c"], ["One\u2028plane\r.", "x ||| EVAL ||| y", ""])
    score(captions, [["a\x85b", "c"], ["||| SCORE"], ["\n"]])
    arguments, requests = eval((tmp_path / "heard").read_text())
    assert requests == [
        "SCORE ||| a b ||| c ||| one plane",
        "SCORE ||| | | | score ||| x | | | eval | | | y",
        "SCORE |||  ||| ",
    ]
    jar = Path(arguments[arguments.index("-jar") + 1])
    assert " " not in str(jar)
    assert arguments[-6:] == ["-", "-", "-stdio", "-l", "en", "-norm"]
    assert not jar.parent.exists()


def test_no_java(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert unavailable() == "METEOR needs Java, and there is no 'java' on the PATH"


def test_java_that_is_no_program(java) -> None:
    (java("") / "java").write_bytes(b"\x7fELF nonsense")
    assert unavailable().startswith("METEOR's Java program did not start")


@pytest.mark.parametrize("lost", ["meteor-1.5.jar", "data/paraphrase-en.gz"])
def test_no_program(installed: Path, java, lost: str, monkeypatch: pytest.MonkeyPatch) -> None:
    java(ANSWER)
    (installed / lost).unlink()
    monkeypatch.setattr(sys, "path", [str(installed.parents[1])])
    assert "pip install 'rsbench[meteor]'" in unavailable()


def test_no_package(java, monkeypatch: pytest.MonkeyPatch) -> None:
    java(ANSWER)
    monkeypatch.setattr(meteor.importlib.util, "find_spec", lambda name: None)
    assert "pip install 'rsbench[meteor]'" in unavailable()


def test_java_that_dies_at_once(java) -> None:
    java("print('Error: Unable to access jarfile', file=sys.stderr); sys.exit(1)")
    assert unavailable() == "METEOR's Java program answered 0 of 2 captions: Error: Unable to access jarfile"


def test_java_that_dies_without_a_word(java) -> None:
    java("sys.exit(3)")
    assert unavailable() == "METEOR's Java program answered 0 of 2 captions: exit status 3"


@pytest.mark.parametrize(
    "change", ["requests = requests[:-1]", "requests = requests + ['']", "print('Error: Bad line'); requests.pop()"]
)
def test_wrong_number_of_answers(java, change: str) -> None:
    java(ANSWER.replace("READ\n", f"READ\n{change}\n"))
    assert " of 2 captions" in unavailable()


@pytest.mark.parametrize("when", ["time.sleep(60)\nREAD", "READ\nprint('1.0 ' * 23, flush=True)\ntime.sleep(60)"])
def test_java_that_hangs_is_killed(java, tmp_path: Path, when: str) -> None:
    java(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n{when}")
    begin = time.monotonic()
    assert unavailable(seconds=1.5) == "METEOR's Java program was stopped after 2 s"
    assert time.monotonic() - begin < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_noise_on_stderr_does_not_block(java) -> None:
    java(f"sys.stderr.write('noise ' * 500_000)\n{ANSWER}")
    assert score(*TWO).shape == (2, 6)


def test_a_long_caption_is_named_and_not_sent(java, tmp_path: Path) -> None:
    java(f"open({str(tmp_path / 'started')!r}, 'w')\n{ANSWER}")
    with pytest.raises(Unavailable, match=r"image 'right' has 1,001$"):
        score(Captions(["left", "right"], ["a plane", "road " * 1_001]), [["a"], ["b"]])
    assert not (tmp_path / "started").exists()
    assert score(Captions(["left"], ["road " * 1_000]), [["a"]]).shape == (1, 6)


def counts(rows: int) -> np.ndarray:
    """Counts as the program might give them, perfect matches among them, float64 [rows, 23]."""
    draw, found = random.Random(0), []
    for _ in range(rows):
        hypothesis, reference = draw.randint(0, 12), draw.randint(0, 12)
        ours, theirs = draw.randint(0, hypothesis), draw.randint(0, reference)
        kinds = (hypothesis - ours, reference - theirs, ours, theirs)
        of = [draw.randint(0, k) if draw.random() < 0.6 else k for k in kinds]
        matched = np.array([np.bincount(draw.choices(range(4), k=k), minlength=4) for k in of]).T
        row = [
            hypothesis,
            reference,
            ours,
            theirs,
            *matched.ravel(),
            draw.choice([1, 1, 2]),
            of[0] + of[2],
            of[1] + of[3],
        ]
        found.append(row)
    return np.array(found, dtype=np.float64)


def golden(names: list[str]) -> None:
    """Compare all captions in one start of the program; an image's references do not depend on its neighbors."""
    items = [item for name in names for item in CORPORA[name]["items"]]
    captions = Captions([str(i) for i in range(len(items))], [i["hypothesis"] for i in items])
    rows, metric, begin = score(captions, [i["references"] for i in items], seconds=240.0), Meteor(CONTEXT), 0
    for name in names:
        expected = CORPORA[name]["expected"]
        part = rows[begin : (begin := begin + len(CORPORA[name]["items"]))]
        each = [expected["per_image"][i["image_id"]]["METEOR"] for i in CORPORA[name]["items"]]
        assert metric.reduce(part) == pytest.approx(expected["corpus"]["METEOR"], abs=1e-9)
        np.testing.assert_allclose(metric.per_image(part), each, rtol=0, atol=1e-9)


@real
def test_scores_equal_the_golden() -> None:
    golden(list(CORPORA))


@real
@pytest.mark.slow
def test_score_equals_the_program_s_own() -> None:
    """Of counts drawn at random, each alone and all together."""
    drawn = counts(300)
    request = " ||| ".join(["EVAL", *(" ".join(map(str, row)) for row in drawn.tolist())]) + "\n"
    command = ["java", "-Xmx2G", "-jar", str(meteor._program() / meteor.JAR), *meteor.ARGUMENTS]
    said = subprocess.run(command, input=request, capture_output=True, text=True, check=True, timeout=240).stdout
    *each, together = map(float, said.split())
    rows, metric = meteor._weighted(drawn), Meteor(CONTEXT)
    np.testing.assert_allclose(metric.per_image(rows), each, atol=1e-12)
    assert metric.reduce(rows) == pytest.approx(together, abs=1e-12)


@real
@pytest.mark.slow
def test_an_install_path_with_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "with space" / "pycocoevalcap"
    folder.mkdir(parents=True)
    (folder / "meteor").symlink_to(meteor._program())
    monkeypatch.setattr(meteor, "_program", lambda: folder / "meteor")
    golden(["first_ten"])


@real
@pytest.mark.slow
def test_the_longest_caption_is_scored_in_time() -> None:
    words = " ".join(random.Random(0).choices(["white", "planes", "road", "the", "trees", "near"], k=1_000))
    rows = score(Captions(["a"], [words]), [[words]], seconds=240.0)
    assert Meteor(CONTEXT).reduce(rows) == 1.0
