"""METEOR 1.5 (Denkowski & Lavie 2014, Meteor Universal).

Words are aligned by its authors' Java program, which comes with ``pycocoevalcap``; the score follows from the sums of
what it counts, so that one start of the program serves every resample.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from rsbench.metrics.contract import MetricContext, Unavailable
from rsbench.tasks.captioning import Captions
from rsbench_metrics.captioning import CaptionMetric
from rsbench_metrics.ngrams import Corpus, corpus

# Parameters of English, tuned to rank systems; weights of exact, stem, synonym and paraphrase matches.
ALPHA: Final = 0.85
BETA: Final = 0.2
GAMMA: Final = 0.6
DELTA: Final = 0.75
MATCHERS: Final = (1.0, 0.6, 0.8, 0.6)

JAR: Final = "meteor-1.5.jar"
ARGUMENTS: Final = ("-", "-", "-stdio", "-l", "en", "-norm")
FIELDS: Final = 23
# The program's time and memory grow without bound in the length of a sentence.
LONGEST: Final = 1_000


class Meteor(CaptionMetric):
    """Harmonic mean of weighted precision and recall, less a penalty for fragments, of the whole corpus.

    Statistics [N, 6]: weighted words of the hypothesis, of the reference that fits best, weighted matches in the
    hypothesis, in the reference, chunks (0 in a perfect match), matched words.

    Args:
        context: not used.
        seconds: after this and a tenth of a second a caption the program is stopped.
    """

    def __init__(self, context: MetricContext, seconds: float = 120.0) -> None:
        super().__init__(context)
        self.seconds = seconds

    def statistics(self, predictions: Captions, references: Sequence[Sequence[str]]) -> np.ndarray:
        """Return float64 [N, 6].

        Raises:
            Unavailable: there is no Java or no program, it failed or took too long, or a sentence is too long.
        """
        lines = list(_lines(predictions.ids, corpus(predictions, references)))
        return _weighted(_aligned(lines, self.seconds + 0.1 * len(lines)))

    def from_totals(self, totals: np.ndarray, n: np.ndarray | float) -> np.ndarray:
        """Return METEOR of summed counts; 0 where nothing matches."""
        del n
        hypothesis, reference, ours, theirs, chunks, matched = np.moveaxis(totals, -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            precision, recall = ours / hypothesis, theirs / reference
            mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
            penalty = GAMMA * (chunks / matched) ** BETA
            return np.where((ours > 0) & (theirs > 0), mean * (1 - penalty), 0.0)


def _lines(ids: Sequence[str], found: Corpus) -> Iterator[str]:
    """Yield one request a caption.  No token holds a bar beside another, so that none looks like a separator."""
    references: list[list[Sequence[str]]] = [[] for _ in found.hypotheses]
    for image, words in zip(found.image.tolist(), found.references, strict=True):
        references[image].append(words)
    for name, hypothesis, others in zip(ids, found.hypotheses, references, strict=True):
        sentences = [*others, hypothesis]
        if (longest := max(map(len, sentences))) > LONGEST:
            raise Unavailable(f"METEOR takes {LONGEST:,} words a sentence, and one of image '{name}' has {longest:,}")
        yield " ||| ".join(["SCORE", *map(" ".join, sentences)])


def _aligned(lines: Sequence[str], seconds: float) -> np.ndarray:
    """Return what the program counts for each line, float64 [N, 23].

    These are words of hypothesis and reference, function words of both, then for each of four matchers the matched
    content words of both and function words of both, then chunks, matched words of hypothesis and of reference.
    """
    java = shutil.which("java")
    if java is None:
        raise Unavailable("METEOR needs Java, and there is no 'java' on the PATH")
    program = _program()
    # Its own folder it finds by name, and not where that has a space.
    with tempfile.TemporaryDirectory(prefix="rsbench-") as place:
        link = Path(place) / "meteor"
        link.symlink_to(program, target_is_directory=True)
        command = [java, "-Xmx2G", "-Dfile.encoding=UTF-8", "-jar", str(link / JAR), *ARGUMENTS]
        try:
            done = subprocess.run(
                command, input="".join(f"{line}\n" for line in lines), capture_output=True, encoding="utf-8",
                errors="replace", timeout=seconds, cwd=place, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise Unavailable(f"METEOR's Java program was stopped after {seconds:.0f} s") from None
        except OSError as error:
            raise Unavailable(f"METEOR's Java program did not start: {error}") from None
    rows = [row for line in done.stdout.splitlines() if len(row := line.split()) == FIELDS]
    if len(rows) != len(lines):
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise Unavailable(f"METEOR's Java program answered {len(rows)} of {len(lines)} captions: {said[-1]}")
    return np.array(rows, dtype=np.float64).reshape(-1, FIELDS)


def _program() -> Path:
    """Return the folder of the program and of its table of paraphrases, without importing the package around it."""
    spec = importlib.util.find_spec("pycocoevalcap")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(location) / "meteor"
        if (folder / JAR).is_file() and (folder / "data" / "paraphrase-en.gz").is_file():
            return folder
    raise Unavailable("METEOR needs pycocoevalcap, which is not installed: pip install 'rsbench[meteor]'")


def _weighted(counts: np.ndarray) -> np.ndarray:
    """Return statistics float64 [N, 6] of what the program counts."""
    words, function = counts[:, 0:2], counts[:, 2:4]
    matches = np.tensordot(counts[:, 4:20].reshape(-1, 4, 4), MATCHERS, axes=(1, 0))
    chunks, matched = counts[:, 20], counts[:, 21:23]
    perfect = (matched == words).all(1) & (chunks == 1)
    return np.column_stack(
        (
            DELTA * (words - function) + (1 - DELTA) * function,
            DELTA * matches[:, :2] + (1 - DELTA) * matches[:, 2:],
            np.where(perfect, 0.0, chunks),
            matched.mean(1),
        )
    )
