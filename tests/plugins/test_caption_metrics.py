"""BLEU, ROUGE-L, CIDEr-D and their tokenizer against pycocoevalcap's values, sacrebleu and plain loops."""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sacrebleu
from rsbench_metrics import ngrams, ptb
from rsbench_metrics.captioning import CaptionMetric
from rsbench_metrics.ptb import tokenize
from rsbench_metrics.specs import CAPTION_METRICS

from rsbench.metrics.contract import MetricContext
from rsbench.metrics.evaluate import build
from rsbench.tasks.captioning import Captions

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "captions.json").read_text())
CORPORA = GOLDEN["corpora"]
NAMES = {f"BLEU-{n}": f"Bleu_{n}" for n in (1, 2, 3, 4)} | {"ROUGE-L": "ROUGE_L", "CIDEr-D": "CIDEr"}
WORDS = ["a", "white", "tank", "near", "the", "road"]


def metric(name: str) -> CaptionMetric:
    return build(next(m for m in CAPTION_METRICS if m.name == name), MetricContext("captioning"))


def load(name: str) -> tuple[Captions, list[list[str]]]:
    items = CORPORA[name]["items"]
    captions = Captions([i["image_id"] for i in items], [i["hypothesis"] for i in items])
    return captions, [i["references"] for i in items]


def generated(images: int, seed: int) -> tuple[Captions, list[list[str]]]:
    """One to five references of few words and captions that are the last with some words changed."""
    draw = random.Random(seed)
    sentence = lambda: " ".join(draw.choices(WORDS, k=draw.randint(1, 12)))  # noqa: E731
    references = [[sentence() for _ in range(draw.randint(1, 5))] for _ in range(images)]
    changed = [[draw.choice(WORDS) if draw.random() < 0.3 else w for w in r[-1].split()] for r in references]
    return Captions([str(i) for i in range(images)], [" ".join(c) for c in changed]), references


def test_tokens_of_golden_cases() -> None:
    cases = GOLDEN["tokenizer"]
    assert len(cases) > 150
    wrong = [c["raw"] for c in cases if " ".join(tokenize(c["raw"])) != c["tokens"]]
    assert wrong == []


def test_tokens_of_entities_marks_and_scripts() -> None:
    """What Stanford's program answers to entities of HTML, accents and vowels that are characters of their own, a dozen
    scripts, and random mixtures of these with quotes, dashes, currencies and spaces of all kinds."""
    cases = json.loads((Path(__file__).parent.parent / "golden" / "tokens.json").read_text())
    assert len(cases) > 250
    wrong = [c["raw"] for c in cases if " ".join(tokenize(c["raw"])) != c["tokens"]]
    assert wrong == []


def test_only_texts_beyond_ascii_need_the_large_tables() -> None:
    ptb._pattern.cache_clear()
    ptb._tokens.cache_clear()
    for text in ("two planes \u2013 here", "a &mdash; b"):
        tokenize(text)
    assert ptb._pattern.cache_info().currsize == 2
    assert ptb._pattern(True, False).findall("a b") == ["a", "b"]
    assert ptb._pattern.cache_info().currsize == 2


@pytest.mark.parametrize("name", CORPORA)
def test_tokens_of_golden_corpora(name: str) -> None:
    for item in CORPORA[name]["items"]:
        assert " ".join(tokenize(item["hypothesis"])) == item["tokenized_hypothesis"]
        assert [" ".join(tokenize(r)) for r in item["references"]] == item["tokenized_references"]


# What Stanford's program answers to these, where the golden file has no such case.
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the 'some trees' of 'the lot'", "the some trees of the lot"),
        ("Xi'an isn't gonna cannot", "xi'an is n't gon na can not"),
        ("fig. 5, fig. a, No. 5 and no. five", "fig. 5 fig a no. 5 and no five"),
        ("in area A. The plane b. is", "in area a the plane b. is"),
        ("3 1/2 km, 1/2/4/8 and 2½", "3\u00a01/2 km 1/2/4 / 8 and 2 1/2"),
        ("north-east/top-left a/b/c/d", "north-east/top-left a/b/c / d"),
        ("5.5m 10:30am -5.3 +10% 1,000-m", "5.5 m 10:30 am -5.3 +10 % 1,000-m"),
        ("## Title: **bold** -> [x]", "## title ** bold ** > -lsb- x -rsb-"),
        ("see www.usgs.gov, a@b.com or https://x.com/?a=b,", "see www.usgs.gov a@b.com or https://x.com/?a=b"),
        ("A image_01 at 34.05°N, #tag @user AT&T R$5", "a image_01 at 34.05 ° n #tag @user at&t r$ 5"),
        ("two \u201cbig\u201d well\u2011kept planes\u2019 wings \u2013 \u2026", "two big well\u2011kept planes wings"),
        ("", ""),
        ("\U0001f600 . , -- ...", ""),
    ],
)
def test_tokens(text: str, expected: str) -> None:
    assert tokenize(text) == expected.split(" ") if expected else tokenize(text) == []


@pytest.mark.parametrize("mark", ["\n", "\r", "\r\n", "\u2028", "\u2029", "\x85", "\v", "\f", "\t", "\x1e"])
def test_line_breaks_are_spaces(mark: str) -> None:
    assert tokenize(f"a plane{mark}and a road.{mark}") == ["a", "plane", "and", "a", "road"]


@pytest.mark.parametrize(
    "text", ["a," * 50_000, "a." * 50_000, "a-" * 50_000, "x@" * 50_000, "a" * 200_000, "a'" * 50_000, "&" * 100_000]
)
def test_tokens_of_hostile_texts_take_linear_time(text: str) -> None:
    begin = time.process_time()
    tokenize(text)
    assert time.process_time() - begin < 5


def test_repeated_sentences_are_split_once() -> None:
    ptb._tokens.cache_clear()
    first = tokenize("Two planes.")
    first.append("changed")
    assert tokenize("Two planes.") == ["two", "planes"]
    assert (ptb._tokens.cache_info().misses, ptb._tokens.cache_info().hits) == (1, 1)


@pytest.mark.parametrize("corpus", CORPORA)
@pytest.mark.parametrize("name", NAMES)
def test_scores_equal_the_golden(name: str, corpus: str) -> None:
    captions, references = load(corpus)
    scorer, expected = metric(name), CORPORA[corpus]["expected"]
    rows = scorer.statistics(captions, references)
    assert rows.dtype == np.float64
    assert rows.shape[0] == len(captions)
    assert scorer.reduce(rows) == pytest.approx(expected["corpus"][NAMES[name]], abs=1e-9)
    each = [expected["per_image"][i][NAMES[name]] for i in captions.ids]
    np.testing.assert_allclose(scorer.per_image(rows), each, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_totals_are_vectorized(name: str) -> None:
    scorer = metric(name)
    rows = scorer.statistics(*generated(30, seed=1))
    draws = np.random.default_rng(0).integers(0, 30, (4, 5, 30))
    found = scorer.from_totals(scorer.summands(rows)[draws].sum(2), 30.0)
    expected = [[scorer.reduce(rows[d]) for d in line] for line in draws]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(3))
def test_bleu_equals_sacrebleu(n: int, seed: int) -> None:
    captions, references = generated(60, seed)
    columns = [[r[k] if k < len(r) else None for r in references] for k in range(5)]
    oracle = sacrebleu.BLEU(max_ngram_order=n, tokenize="none", smooth_method="none", force=True)
    expected = oracle.corpus_score(list(captions.captions), columns).score / 100
    scorer = metric(f"BLEU-{n}")
    assert expected > 0.01
    assert scorer.reduce(scorer.statistics(captions, references)) == pytest.approx(expected, abs=1e-6)


def grams(sentence: str, n: int) -> Counter[tuple[str, ...]]:
    words = sentence.split()
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def plain_cider(captions: list[str], references: list[list[str]]) -> list[float]:
    """CIDEr-D as in the paper, with dictionaries."""
    scores = np.zeros(len(captions))
    for n in (1, 2, 3, 4):
        documents = Counter(g for sentences in references for g in set().union(*(grams(s, n) for s in sentences)))
        idf = lambda g: math.log(len(captions) / max(1, documents[g]))  # noqa: B023, E731
        for i, (caption, sentences) in enumerate(zip(captions, references, strict=True)):
            ours = {g: c * idf(g) for g, c in grams(caption, n).items()}
            for sentence in sentences:
                theirs = {g: c * idf(g) for g, c in grams(sentence, n).items()}
                norms = math.hypot(*ours.values(), 0.0) * math.hypot(*theirs.values(), 0.0)
                dot = sum(min(v, theirs[g]) * theirs[g] for g, v in ours.items() if g in theirs)
                gap = grams(caption, 2).total() - grams(sentence, 2).total()
                if norms:
                    scores[i] += 10 / 4 / len(sentences) * math.exp(-(gap**2) / 72) * dot / norms
    return scores.tolist()


def plain_rouge(caption: list[str], references: list[list[str]]) -> float:
    def common(a: list[str], b: list[str]) -> int:
        table = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                table[i + 1][j + 1] = table[i][j] + 1 if x == y else max(table[i][j + 1], table[i + 1][j])
        return table[-1][-1]

    precision = max(common(caption, r) / len(caption) for r in references)
    recall = max(common(caption, r) / len(r) for r in references)
    return 2.44 * precision * recall / (recall + 1.44 * precision) if precision else 0.0


@pytest.mark.parametrize("seed", range(4))
def test_cider_equals_dictionaries(seed: int) -> None:
    captions, references = generated(25, seed)
    expected = plain_cider(list(captions.captions), references)
    assert max(expected) > 1
    np.testing.assert_allclose(metric("CIDEr-D").statistics(captions, references)[:, 0], expected, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_rouge_equals_the_table(seed: int) -> None:
    captions, references = generated(40, seed)
    expected = [
        plain_rouge(c.split(), [s.split() for s in r]) for c, r in zip(captions.captions, references, strict=True)
    ]
    np.testing.assert_allclose(metric("ROUGE-L").statistics(captions, references)[:, 0], expected, atol=1e-12)


def test_bleu_takes_the_shorter_of_two_lengths_as_near() -> None:
    rows = metric("BLEU-1").statistics(Captions(["i"], ["a b c"]), [["a b c d", "x y", "p q r s t"]])
    assert rows.tolist() == [[3.0, 2.0, 3.0, 3.0]]


def test_bleu_clips_to_the_reference_with_most() -> None:
    rows = metric("BLEU-2").statistics(Captions(["i"], ["the the the cat"]), [["the the cat", "the"]])
    assert rows.tolist() == [[4.0, 3.0, 4.0, 3.0, 3.0, 2.0]]


def test_one_corpus_serves_all_metrics() -> None:
    captions, references = generated(10, seed=9)
    ngrams._corpus.cache_clear()
    for name in NAMES:
        metric(name).statistics(captions, references)
    assert ngrams._corpus.cache_info().misses == 1
    other = Captions(captions.ids, ["a road", *captions.captions[1:]])
    changed = metric("BLEU-1").statistics(other, references)
    assert changed[0, 0] == 2
    assert ngrams._corpus.cache_info().misses == 2


def test_documents_without_words() -> None:
    captions, references = Captions(["a", "b"], ["", "."]), [["", "!"], [""]]
    values = {name: metric(name).reduce(metric(name).statistics(captions, references)) for name in NAMES}
    assert values.pop("ROUGE-L") == 1.0
    assert all(v == pytest.approx(0.0, abs=1e-4) for v in values.values())


def test_long_captions_are_scored() -> None:
    long = " ".join(WORDS * 6_000)
    captions, references = Captions(["a", "b"], [long, "a road"]), [[long], ["a river"]]
    assert metric("ROUGE-L").statistics(captions, references)[0, 0] == pytest.approx(1)
    assert metric("BLEU-4").per_image(metric("BLEU-4").statistics(captions, references))[0] == pytest.approx(1)


def test_specs_name_tokenizer_and_needs() -> None:
    specs = {m.name: m for m in CAPTION_METRICS}
    assert set(specs) == {*NAMES, "METEOR"}
    assert all("ptb1" in m.version and m.tasks == ("captioning",) and m.needs == ("caption",) for m in specs.values())
    assert specs["CIDEr-D"].range == (0.0, 10.0)
