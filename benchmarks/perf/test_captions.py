"""BLEU-1..4, ROUGE-L and CIDEr-D from sentences to scores against pycocoevalcap, its Java tokenizer included."""

from __future__ import annotations

import random
import shutil

import pytest
from ratios import paired
from rsbench_metrics import ngrams, ptb
from rsbench_metrics.specs import CAPTION_METRICS

from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import build
from rsbench.tasks.captioning import Captions

NAMES = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D")
ADJECTIVES = ("many", "some", "white", "green", "large", "small", "dense", "sparse", "gray", "dark", "neat", "two")
NOUNS = ("planes", "tanks", "houses", "roads", "trees", "courts", "boats", "cars", "roofs", "pond", "beach", "river")
LINKS = ("are near", "are beside", "lie between", "surround", "are next to", "stand around", "and", "is in")


def generated(images: int) -> tuple[list[str], list[list[str]]]:
    """Five references an image, and captions, of some 11 words each, nearly all of them different."""
    draw = random.Random(images)
    part = lambda: f"{draw.choice(ADJECTIVES)} {draw.choice(NOUNS)}"  # noqa: E731
    sentence = lambda: f"{part()} {draw.choice(LINKS)} {part()} {draw.choice(LINKS)} the {part()} .".capitalize()  # noqa: E731
    return [sentence() for _ in range(images)], [[sentence() for _ in range(5)] for _ in range(images)]


@pytest.mark.parametrize("images", [210, 5_000])
def test_against_pycocoevalcap(benchmark, images: int) -> None:
    tokenizer = pytest.importorskip("pycocoevalcap.tokenizer.ptbtokenizer")
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    if shutil.which("java") is None:
        pytest.skip("pycocoevalcap's tokenizer needs Java")
    captions, references = generated(images)
    predictions = Captions([str(i) for i in range(images)], captions)
    metrics = [build(m, MetricContext("captioning")) for m in CAPTION_METRICS if m.name in NAMES]

    def ours() -> list[float]:
        ptb._tokens.cache_clear()
        ngrams._corpus.cache_clear()
        return [m.reduce(m.statistics(predictions, references)) for m in metrics]

    def theirs() -> list[float]:
        split = tokenizer.PTBTokenizer().tokenize
        hypotheses = split({i: [{"caption": c}] for i, c in enumerate(captions)})
        truth = split({i: [{"caption": c} for c in r] for i, r in enumerate(references)})
        bleu = Bleu(4).compute_score(truth, hypotheses, verbose=0)[0]
        return [*bleu, *(float(s.compute_score(truth, hypotheses)[0]) for s in (Rouge(), Cider()))]

    assert ours() == pytest.approx(theirs(), abs=1e-9)
    result = paired(ours, theirs, rounds=5 if images < 1_000 else 3)
    benchmark.extra_info.update(result)
    benchmark.pedantic(ours, rounds=3)
    assert result["ratio"] <= 1
