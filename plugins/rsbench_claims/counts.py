"""Rules ``count`` and ``share``: is there a number of correct samples that gives a printed accuracy?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import ceil, floor
from typing import Final

from rsbench.specs import Claim, ClaimSet
from rsbench_claims.finding import CONSISTENT, INCONSISTENT, UNDECIDABLE, Finding, finding
from rsbench_claims.rounding import Span, counts, cut_counts, last_digit, quoted, raw, shown, span

MOST_RUNS: Final = 100  # beyond, a mean can be nearly anything
SHARES: Final = ("accuracy", "overall_accuracy", "OA")  # of samples; an F1 score, say, is none
CORRECT: Final = "correct"  # a number of samples that are right


def count_rule(found: ClaimSet) -> Iterator[Finding]:
    """Some k/n rounds to each printed share of n samples, or of n samples in each of several trainings; where the
    correct samples of a part are printed as well, their number does."""
    for claim in found.rows:
        if _is_share(claim):
            status, text = _count(claim, claim.n or 0)
            yield finding(found, "count", status, [claim], f"{_name(claim)}: {text}")
        elif claim.metric == CORRECT and claim.n:
            yield from _printed(found, claim, claim.n)


def _is_share(claim: Claim) -> bool:
    return claim.metric in SHARES and claim.n is not None and claim.relation == "=" and not claim.minus


def _printed(found: ClaimSet, claim: Claim, n: int) -> Iterator[Finding]:
    """A printed number of correct samples beside the accuracy in its row, which may have been rounded or cut off."""
    place = claim.system, claim.place, claim.part
    for share in (c for c in found.rows if _is_share(c) and (c.system, c.place, c.part) == place and c.n == n):
        k = int(raw(claim))
        good = k in counts(share, n) or k in cut_counts(share, n)
        text = (
            f"{_name(share)}: {k} of {n} samples are printed as correct, which is {_as_printed(k, n, share)}, "
            f"{'and' if good else 'but'} {quoted(share)} is printed."
        )
        yield finding(found, "count", CONSISTENT if good else INCONSISTENT, [claim, share], text)


def _count(claim: Claim, samples: int) -> tuple[str, str]:
    n = samples * (claim.runs or 1)
    of = f"{samples}" if claim.runs in (None, 1) else f"{claim.runs} x {samples}"
    possible = counts(claim, n)
    if possible:
        number = f"{possible[0]}" if len(possible) == 1 else f"{possible[0]} to {possible[-1]}"
        return CONSISTENT, f"{number} of {of} gives {quoted(claim)}."
    near = floor(raw(claim) * n)
    around = f"{near}/{n} is {_as_printed(near, n, claim)}, {near + 1}/{n} is {_as_printed(near + 1, n, claim)}"
    if claim.runs is None:
        return UNDECIDABLE, f"no k/{n} rounds to {quoted(claim)} ({around}); {_means(claim, n)}."
    if cut_counts(claim, n):
        return INCONSISTENT, f"no k of {of} rounds to {quoted(claim)} ({around}); the digits have been cut off."
    return INCONSISTENT, f"no k of {of} gives {quoted(claim)}, rounded or cut off ({around})."


def _means(claim: Claim, n: int) -> str:
    """The fewest trainings whose mean rounds to the printed digits, or begins with them."""
    words = []
    for how, possible in (("rounded", counts), ("cut off", cut_counts)):
        least = next((r for r in range(1, MOST_RUNS) if possible(claim, r * n)), None)
        words.append(f"{least or f'over {MOST_RUNS}'} ({how})")
    return f"of how many trainings it is the mean is not stated, at least {' or '.join(words)}"


def _as_printed(k: int, n: int, claim: Claim) -> str:
    return shown(Fraction(k, n), claim)


def _name(claim: Claim) -> str:
    return " ".join(word for word in (claim.system, claim.part, claim.metric) if word)


def share_rule(found: ClaimSet) -> Iterator[Finding]:
    """One test set, all of the listed counts or a whole percentage of each, gives every part's accuracy in a table."""
    tables: dict[tuple[str, str], list[Claim]] = {}
    for claim in found.rows:
        if claim.part and claim.runs == 1 and _is_share(claim):
            tables.setdefault((claim.system, claim.place), []).append(claim)
    for (system, place), rows in tables.items():
        if len(rows) > 1:
            status, text = _share(rows, _shares(found, rows))
            yield finding(found, "share", status, rows, f"{system}, {place}: {text}")


def _share(rows: list[Claim], stated: list[int]) -> tuple[str, str]:
    missing = {percent: _without_count(rows, percent) for percent in range(1, 101)}
    if not missing[100]:
        return CONSISTENT, f"the listed counts give all {len(rows)} accuracies."
    fitting = [percent for percent, parts in missing.items() if not parts]
    without = "; ".join(f"at {percent} % not {', '.join(missing[percent])}" for percent in (100, *stated))
    if fitting:
        return UNDECIDABLE, f"{fitting[-1]} % of the listed counts give all {len(rows)} accuracies; {without}."
    return INCONSISTENT, f"no whole percentage of the listed counts gives all {len(rows)} accuracies: {without}."


def _without_count(rows: list[Claim], percent: int) -> list[str]:
    """Parts with no count, rounded or cut off, if the test set is so much of the listed one."""
    failing = []
    for claim in rows:
        assert claim.n is not None  # chosen by the caller
        exact = Fraction(claim.n * percent, 100)
        sizes = {floor(exact), ceil(exact)} - {0}
        if not any(counts(claim, n) or cut_counts(claim, n) for n in sizes):
            failing.append(f"{claim.part} ({quoted(claim)})")
    return failing


def _shares(found: ClaimSet, rows: list[Claim]) -> list[int]:
    """Shares of the listed counts, in percent, that other tables of the paper list for the same parts."""
    sizes = {claim.part: claim.n for claim in rows}
    ratios = {
        Fraction(100 * claim.n, sizes[claim.part] or 1)
        for claim in found.rows
        if claim.n is not None and sizes.get(claim.part)
    }
    return sorted(int(r) for r in ratios if r.denominator == 1 and 0 < r < 100)


# How often a class of n samples was predicted, above and below the line: by its F1 score f = 2 TP / (n + predicted) and
# the printed accuracy a, read as recall TP / n or as precision TP / predicted.
Formula = Callable[[int, Fraction, Fraction], tuple[Fraction, Fraction]]


def _recall(n: int, a: Fraction, f: Fraction) -> tuple[Fraction, Fraction]:
    return n * (2 * a - f), f


def _precision(n: int, a: Fraction, f: Fraction) -> tuple[Fraction, Fraction]:
    return n * f, 2 * a - f


def predicted_rule(found: ClaimSet) -> Iterator[Finding]:
    """Some classifier that predicts one class for each sample has the accuracies and F1 scores of a table."""
    tables: dict[tuple[str, str], dict[str, dict[str, Claim]]] = {}
    for claim in found.rows:
        if claim.metric in ("accuracy", "f1") and claim.part and claim.relation == "=" and not claim.minus:
            tables.setdefault((claim.system, claim.place), {}).setdefault(claim.part, {})[claim.metric] = claim
    for (system, place), rows in tables.items():
        pairs = [(rows.get(part, {}).get("accuracy"), rows.get(part, {}).get("f1")) for part in found.parts]
        known = [(a, f) for a, f in pairs if a and f and a.n and a.runs == 1]
        if known and len(known) == len(pairs):
            status, text = _predicted(known)
            claims = [claim for pair in known for claim in pair]
            yield finding(found, "predicted", status, claims, f"{system}, {place}: {text}")


def _predicted(rows: list[tuple[Claim, Claim]]) -> tuple[str, str]:
    total = sum(a.n or 0 for a, _ in rows)
    as_recall, as_precision = (_sum(rows, formula, total) for formula in (_recall, _precision))
    text = (
        f"accuracies, F1 scores and sizes of the classes add up to {_shown(as_recall)} predictions of {total} samples"
    )
    if as_recall.low <= total <= as_recall.high:
        return CONSISTENT, f"{text}."
    text += f" (read as precisions, the accuracies give {_shown(as_precision)})"
    if as_precision.low <= total <= as_precision.high:
        return UNDECIDABLE, f"{text}; what is called accuracy may be precision."
    return INCONSISTENT, f"{text}."


def _sum(rows: list[tuple[Claim, Claim]], formula: Formula, total: int) -> Span:
    """What the printed digits allow, rounded or cut off: a class is predicted from never to *total* times."""
    low = high = Fraction(0)
    for accuracy, f1 in rows:
        a, f = (_may_be(claim) for claim in (accuracy, f1))
        ends = [formula(accuracy.n or 0, *pair) for pair in ((a.low, f.high), (a.high, f.low))]
        values = [above / below if below > 0 else Fraction(total) for above, below in ends]
        within = [min(max(value, Fraction(0)), Fraction(total)) for value in values]
        low, high = low + min(within), high + max(within)
    return Span(low, high)


def _may_be(claim: Claim) -> Span:
    return Span(max(Fraction(0), span(claim).low), raw(claim) + last_digit(claim))


def _shown(found: Span) -> str:
    return f"{ceil(found.low)} to {floor(found.high)}"
