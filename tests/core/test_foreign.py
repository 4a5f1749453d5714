"""Numbers in texts that others wrote: what is none is refused or passed by, and ends nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rsbench_throughput.plan import parse_batches

from rsbench.cores import usable_cores
from rsbench.data import transfer
from rsbench.engine.parallel.world import RankInfo, cores_of
from rsbench.errors import UserError
from rsbench.foreign import whole
from rsbench.tasks.classification.score import _names_of

NONE = ["", "x", "-1", "+1", "1.0", "²", "5²", "٣", "\uff11", "1_0", " 1", "1\n", "9" * 5000]


@given(st.integers(0, 10**18 - 1))
def test_numbers_are_read(number: int) -> None:
    assert whole(str(number)) == number
    assert whole(f"0{number}", 19) == number


@given(st.text(st.characters(categories=["Nd", "No", "Nl", "Zs", "Pd"])) | st.sampled_from(NONE))
def test_what_is_none_is_none(text: str) -> None:
    assert whole(text) is None or (text.isascii() and str(whole(text)) == (text.lstrip("0") or "0"))


@pytest.mark.parametrize("text", NONE)
def test_who_asks_for_one_says_so(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSBENCH_CORES", text)
    with pytest.raises(UserError, match="RSBENCH_CORES is a whole number, 1 or more"):
        usable_cores()
    monkeypatch.delenv("RSBENCH_CORES")
    if text.strip() != "1":
        with pytest.raises(UserError, match="--batch takes auto or whole numbers such as 1,8,64"):
            parse_batches(text)


@pytest.mark.parametrize("text", NONE)
def test_a_server_may_say_any_length(text: str, tmp_path: Any) -> None:
    for headers in ({"Content-Length": text}, {"Content-Length": text, "Content-Encoding": "gzip"}):
        response: Any = SimpleNamespace(headers=headers)
        assert transfer._total(response, 7, 99) == 99
        assert transfer._most(response, tmp_path / "part") > 0


def test_names_of_classes_may_hold_any_digits() -> None:
    assert _names_of({"5²", "10²", "b"}, 0) == ["10²", "5²", "b"]
    with pytest.raises(UserError, match="Are classes ordered"):
        _names_of({"5²", "10²", "b"}, 3)


def test_srun_may_give_any_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    place = RankInfo(rank=0, world=2, local=0, devices=2, address="here", port=1)
    monkeypatch.setattr("rsbench.engine.parallel.world.detect_launcher", lambda: place)
    for given_, cores in (("3", 3), ("²", 4), ("x", 4)):
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", given_)
        assert cores_of(place, 8) == cores
