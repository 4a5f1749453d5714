"""Rules that set a number for the whole beside its parts: ``mean``, ``overall``, ``sum`` and ``minimum``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final

from rsbench.specs import Claim, ClaimSet
from rsbench_claims.finding import CONSISTENT, INCONSISTENT, UNDECIDABLE, Finding, finding
from rsbench_claims.rounding import Span, counts, quoted, shown, span, weighted, with_unit

# Metric of the whole -> metric of the parts that it is made of.
MEANS: Final = {"AA": "accuracy", "average_accuracy": "accuracy", "macro_f1": "f1"}
POOLED: Final = {"OA": "accuracy", "overall_accuracy": "accuracy", "weighted_f1": "f1"}
LOWEST: Final = {"minimum_class_accuracy": "accuracy"}


def with_parts(found: ClaimSet, metrics: Mapping[str, str]) -> Iterator[tuple[Claim, dict[str, Claim]]]:
    """Yield each number for the whole with its parts, those of its own place if that has them all, else of another.

    A sentence is left out where the parts stand in a table with a number for the whole: rule ``text`` compares these.
    """
    for claim in found.rows:
        if claim.metric not in metrics or claim.part or claim.relation != "=" or claim.minus:
            continue
        places = _places(found, claim.system, metrics[claim.metric])
        places = {place: parts for place, parts in places.items() if parts.keys() >= set(found.parts)} or places
        if claim.place in places:
            yield claim, places[claim.place]
        elif places and not _stands_with_parts(found, claim, places):
            yield claim, next(iter(places.values()))


def _places(found: ClaimSet, system: str, metric: str) -> dict[str, dict[str, Claim]]:
    """Return place -> part -> claim."""
    places: dict[str, dict[str, Claim]] = {}
    for claim in found.rows:
        if (claim.system, claim.metric, claim.relation) == (system, metric, "=") and claim.part and not claim.minus:
            places.setdefault(claim.place, {})[claim.part] = claim
    return places


def _stands_with_parts(found: ClaimSet, claim: Claim, places: Mapping[str, object]) -> bool:
    key = (claim.system, claim.metric, "=")
    return any(c.place in places and (c.system, c.metric, c.relation) == key for c in found.rows)


def _missing(found: ClaimSet, rule: str, whole: Claim, parts: dict[str, Claim]) -> Finding | None:
    lacking = [part for part in found.parts if part not in parts]
    if not lacking:
        return None
    text = f"{whole.system}, {whole.metric}: {len(lacking)} of {len(found.parts)} parts are not given."
    return finding(found, rule, UNDECIDABLE, [whole, *parts.values()], text)


def mean_rule(found: ClaimSet) -> Iterator[Finding]:
    """An average is the mean of its parts, as far as their rounding lets one see."""
    for whole, parts in with_parts(found, MEANS):
        share = Fraction(1, len(parts))
        made = weighted((span(claim), share) for claim in parts.values())
        yield _missing(found, "mean", whole, parts) or _against(found, "mean", whole, parts, made, "the mean")


def overall_rule(found: ClaimSet) -> Iterator[Finding]:
    """A number over all samples is the mean of its parts weighted by their counts, and lies between them."""
    for whole, parts in with_parts(found, POOLED):
        sizes = {part: claim.n for part, claim in parts.items() if claim.n is not None}
        lacking = _missing(found, "overall", whole, parts)
        if lacking is None and len(sizes) == len(parts):
            total = sum(sizes.values())
            made = weighted((span(claim), Fraction(sizes[part], total)) for part, claim in parts.items())
            yield _against(found, "overall", whole, parts, made, f"the mean weighted by counts ({total} in all)")
        elif lacking is None:
            yield _between(found, whole, parts)
        else:
            yield lacking


def _against(found: ClaimSet, rule: str, whole: Claim, parts: dict[str, Claim], made: Span, what: str) -> Finding:
    values = ", ".join(claim.value for claim in parts.values())
    middle, status = (made.low + made.high) / 2, CONSISTENT if made.meets(span(whole)) else INCONSISTENT
    verb = "and" if status == CONSISTENT else "but"
    text = (
        f"{whole.system}, {whole.metric}: {what} of {values} is {with_unit(shown(middle, whole), whole)}, {verb} "
        f"{quoted(whole)} is printed ({whole.place})."
    )
    return finding(found, rule, status, [whole, *parts.values()], text)


def _between(found: ClaimSet, whole: Claim, parts: dict[str, Claim]) -> Finding:
    """The counts are not known: only a number outside its parts is wrong."""
    spans = [span(claim) for claim in parts.values()]
    limits = Span(min(s.low for s in spans), max(s.high for s in spans))
    status = UNDECIDABLE if limits.meets(span(whole)) else INCONSISTENT
    where = "between" if status == UNDECIDABLE else "outside"
    text = (
        f"{whole.system}, {whole.metric}: {quoted(whole)} lies {where} its parts, {shown(limits.low, whole, 0)} to "
        f"{shown(limits.high, whole, 0)}; their counts are not known."
    )
    return finding(found, "overall", status, [whole, *parts.values()], text)


def correct(claim: Claim) -> range:
    """Numbers of correct samples that a part's accuracy allows; empty where the training or the count is not known."""
    return counts(claim, claim.n) if claim.n is not None and claim.runs == 1 else range(0)


def sum_rule(found: ClaimSet) -> Iterator[Finding]:
    """Correct samples of the parts, as whole numbers, add up to what a number over all samples says."""
    for whole, parts in with_parts(found, {k: v for k, v in POOLED.items() if v == "accuracy"}):
        claims = [whole, *parts.values()]
        if all(claim.runs == 1 for claim in claims) and all(claim.n is not None for claim in parts.values()):
            yield _missing(found, "sum", whole, parts) or _sum(found, whole, parts)


def _sum(found: ClaimSet, whole: Claim, parts: dict[str, Claim]) -> Finding:
    possible = {part: correct(claim) for part, claim in parts.items()}
    without = [part for part, allowed in possible.items() if not allowed]
    claims, name = [whole, *parts.values()], f"{whole.system}, {whole.metric}"
    if without:
        return finding(found, "sum", UNDECIDABLE, claims, f"{name}: no count gives {', '.join(without)}.")
    total = sum(claim.n or 0 for claim in parts.values())
    low, high = sum(k[0] for k in possible.values()), sum(k[-1] for k in possible.values())
    made = Span(Fraction(low, total), Fraction(high, total))
    status = CONSISTENT if made.meets(span(whole)) else INCONSISTENT
    text = (
        f"{name}: the counts of {len(parts)} parts add up to {low if low == high else f'{low} to {high}'} of {total}, "
        f"{with_unit(shown(made.low, whole), whole)}, {'and' if status == CONSISTENT else 'but'} {quoted(whole)} is "
        "printed."
    )
    return finding(found, "sum", status, claims, text)


def minimum_rule(found: ClaimSet) -> Iterator[Finding]:
    """A lowest accuracy is that of the lowest part."""
    for whole, parts in with_parts(found, LOWEST):
        spans = [span(claim) for claim in parts.values()]
        made = Span(min(s.low for s in spans), min(s.high for s in spans))
        yield _missing(found, "minimum", whole, parts) or _against(found, "minimum", whole, parts, made, "the lowest")


def kappa_rule(found: ClaimSet) -> Iterator[Finding]:
    """A printed kappa is one that some confusion matrix with these class counts and accuracies has."""
    for whole, parts in with_parts(found, {"cohen_kappa": "accuracy"}):
        claims = [whole, *parts.values()]
        possible = [correct(claim) for claim in parts.values()]
        if any(part not in parts for part in found.parts) or any(len(k) != 1 for k in possible):
            text = f"{whole.system}, cohen_kappa: the class rows do not give one count of correct samples each."
            yield finding(found, "kappa", UNDECIDABLE, claims, text)
            continue
        sizes = [claim.n or 0 for claim in parts.values()]
        made = bounds(sizes, [k[0] for k in possible])
        status = CONSISTENT if made.meets(span(whole)) else INCONSISTENT
        text = (
            f"{whole.system}, cohen_kappa: wherever the errors fall, these class rows give {shown(made.low, whole)} to "
            f"{shown(made.high, whole)}, {'and' if status == CONSISTENT else 'but'} {quoted(whole)} is printed."
        )
        yield finding(found, "kappa", status, claims, text)


def bounds(sizes: list[int], right: list[int]) -> Span:
    """Return the least and the greatest kappa of all confusion matrices with these rows.

    Chance agreement is the sum over classes of row total times column total; what a row's errors add to it is least
    where all fall in the smallest other class and greatest where all fall in the largest.
    """
    total = sum(sizes)
    agreement = Fraction(sum(right), total)
    least = greatest = sum(n * k for n, k in zip(sizes, right, strict=True))
    for c, (n, k) in enumerate(zip(sizes, right, strict=True)):
        others = sizes[:c] + sizes[c + 1 :]
        least += (n - k) * min(others)
        greatest += (n - k) * max(others)
    low, high = (Fraction(chance, total**2) for chance in (least, greatest))
    return Span((agreement - high) / (1 - high), (agreement - low) / (1 - low))


Weights = dict[str, Fraction]


def single_typo_rule(found: ClaimSet) -> Iterator[Finding]:
    """No other value of one part mends a row whose mean and overall are both off."""
    means = {(c.system, c.place): (c, parts) for c, parts in with_parts(found, MEANS)}
    for overall, parts in with_parts(found, POOLED):
        average = means.get((overall.system, overall.place), (None, {}))[0]
        sizes = {part: claim.n for part, claim in parts.items() if claim.n is not None}
        if average is None or set(sizes) != set(found.parts):
            continue
        total = sum(sizes.values())
        even = {part: Fraction(1, len(parts)) for part in parts}
        by_count = {part: Fraction(n, total) for part, n in sizes.items()}
        pairs = [(average, even), (overall, by_count)]
        if not any(_made(parts, weights).meets(span(whole)) for whole, weights in pairs):
            yield _outcome(found, parts, pairs)


def _made(parts: dict[str, Claim], weights: Weights) -> Span:
    return weighted((span(claim), weights[part]) for part, claim in parts.items())


def _outcome(found: ClaimSet, parts: dict[str, Claim], pairs: list[tuple[Claim, Weights]]) -> Finding:
    mending, words = [], []
    for part, claim in parts.items():
        needed = [_needed(part, parts, whole, weights) for whole, weights in pairs]
        if needed[0].meets(needed[1]) and needed[0].high >= 0 and needed[0].low <= 1:
            mending.append(part)
        values = [shown((n.low + n.high) / 2, claim, 0) for n in needed]
        words.append(f"{part} {values[0]} for {pairs[0][0].metric} and {values[1]} for {pairs[1][0].metric}")
    system = pairs[0][0].system
    text = f"{system}: no single part mends both; it would take {'; '.join(words)}."
    if mending:
        text = f"{system}: another value of {' or '.join(mending)} alone would mend both."
    return finding(
        found, "single_typo", UNDECIDABLE if mending else INCONSISTENT, [*(w for w, _ in pairs), *parts.values()], text
    )


def _needed(part: str, parts: dict[str, Claim], whole: Claim, weights: Weights) -> Span:
    """What the part would have to be for the number of the whole to be right."""
    others = _made({p: c for p, c in parts.items() if p != part}, weights)
    rest = span(whole).less(others)
    return Span(rest.low / weights[part], rest.high / weights[part])
