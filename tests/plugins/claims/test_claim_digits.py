"""Printed digits against a second implementation: Python's decimal module, which rounds what a count gives."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from rsbench_claims.rounding import counts, cut_counts, quoted, raw, shown, span

from rsbench.specs import Claim, ClaimSet, SpecError


def number(value: str, unit: str = "%", **more: object) -> Claim:
    return Claim(**{"system": "s", "metric": "accuracy", "place": "table 1", "value": value, "unit": unit, **more})  # type: ignore[arg-type]


def printed(k: int, n: int, rounding: str) -> str:
    return str((Decimal(100 * k) / Decimal(n)).quantize(Decimal("0.01"), rounding=rounding))


@pytest.mark.parametrize("n", [1, 3, 7, 8, 100, 472, 1600])
def test_every_count_is_found_again_however_a_tie_was_rounded(n: int) -> None:
    for k in range(n + 1):
        for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN):
            assert k in counts(number(printed(k, n, rounding)), n)
        assert k in cut_counts(number(printed(k, n, ROUND_DOWN)), n)


@pytest.mark.parametrize("n", [7, 100, 299])
def test_digits_that_no_count_gives_have_none(n: int) -> None:
    given = {printed(k, n, r) for k in range(n + 1) for r in (ROUND_HALF_UP, ROUND_HALF_EVEN)}
    cut = {printed(k, n, ROUND_DOWN) for k in range(n + 1)}
    for hundredths in range(10_001):
        value = f"{hundredths // 100}.{hundredths % 100:02}"
        if value not in given:
            assert not counts(number(value), n)
        assert bool(cut_counts(number(value), n)) == (value in cut)


def test_scores_are_exact_and_raw() -> None:
    assert raw(number("95.55")) == Fraction(9555, 10_000)
    assert raw(number("398.50", unit="x100")) == Fraction(3985, 1000)
    assert raw(number("2.1", unit="M")) == 2_100_000
    inside = span(number(".9692", unit=""))
    assert (inside.low, inside.high) == (Fraction(96915, 100_000), Fraction(96925, 100_000))
    assert span(number("97", unit="")).low == Fraction(193, 2)


def test_digits_are_shown_as_the_paper_shows_them() -> None:
    assert shown(Fraction(3938, 4050), number("97.23")) == "97.2346"
    assert shown(Fraction(1498, 1500), number(".9986", unit="")) == ".998667"
    assert shown(Fraction(1498, 1500), number("0.9986", unit="")) == "0.998667"
    assert (quoted(number("97.23")), quoted(number("0.57", unit=""))) == ("97.23 %", "0.57")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"value": "97,2"}, "not a number as printed"),
        ({"unit": "percent"}, "unit 'percent'"),
        ({"relation": ">="}, "relation '>='"),
        ({"certainty": "sure"}, "certainty 'sure'"),
    ],
)
def test_a_claim_that_cannot_be_read_is_refused(more: dict[str, str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        number(**{"value": "1", **more})


def test_a_set_refuses_a_number_twice_and_a_part_it_does_not_have() -> None:
    facts = {"name": "x", "summary": "x", "paper": "x", "dataset": "x", "protocol": "x"}
    with pytest.raises(SpecError, match="twice"):
        ClaimSet(**facts, rows=(number("1"), number("2")))  # type: ignore[arg-type]
    with pytest.raises(SpecError, match="no part 'a'"):
        ClaimSet(**facts, rows=(number("1", part="a"),), parts=("b",))  # type: ignore[arg-type]
