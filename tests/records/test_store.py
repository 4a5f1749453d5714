from __future__ import annotations

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from rsbench.errors import UserError
from rsbench.records import store, upgrade
from rsbench.records.seal import sealed

FIXTURE = Path(__file__).parent.parent / "data" / "record-1.json"


@pytest.fixture
def record() -> dict[str, Any]:
    return store.load(FIXTURE)


def test_fixture_of_schema_one_loads_and_says_that_nothing_sealed_it(record: dict[str, Any]) -> None:
    (change,) = record["amended"]
    assert (change["field"], change["was"], change["now"]) == ("schema", "rsbench.record/1", "rsbench.record/2")
    old = json.loads(FIXTURE.read_text())
    assert record == old | {"schema": "rsbench.record/2", "amended": [change], "digest": None}


def test_the_digest_covers_all_of_a_record_and_is_renewed_with_its_checks(
    record: dict[str, Any], tmp_path: Path
) -> None:
    def digest() -> str:
        kept = json.loads((tmp_path / "record.json").read_text())
        stored = kept.pop("digest")
        text = json.dumps(kept, sort_keys=True, separators=(",", ":"))
        assert stored == hashlib.sha256(text.encode()).hexdigest()
        return stored

    store.save(record | {"timing": {"total": 1.0, "steps": (1, 2)}}, tmp_path)
    first = digest()
    late = {"name": "observer", "ok": False, "detail": "late"}
    store.add_checks([late], tmp_path)
    assert digest() != first
    assert store.load(tmp_path)["checks"] == [*record["checks"], late]


def test_save_and_load(record: dict[str, Any], tmp_path: Path) -> None:
    path = store.save(record, tmp_path / "run")
    assert store.load(tmp_path / "run") == store.load(path) == sealed(record)
    assert [p.name for p in path.parent.iterdir()] == ["record.json"]
    assert store.finished(tmp_path / "run")


def test_a_finished_record_is_never_overwritten_and_a_failed_one_may_be(record: dict[str, Any], tmp_path: Path) -> None:
    failed = record | {"status": "failed", "error": {"stage": "train", "type": "X", "message": "m"}}
    store.save(failed, tmp_path)
    assert not store.finished(tmp_path)
    store.save(record, tmp_path)
    with pytest.raises(UserError, match="never overwritten"):
        store.save(record, tmp_path)


def test_a_crash_while_writing_leaves_nothing(
    record: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", crash)
    with pytest.raises(OSError, match="No space"):
        store.save(record, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "fine"}, "status"),
        ({"surprise": 1}, "surprise"),
        ({"metrics": {"overall_accuracy": {"value": 1}}}, "metrics.overall_accuracy"),
    ],
)
def test_invalid_records_name_the_field(record: dict[str, Any], tmp_path: Path, change: dict, message: str) -> None:
    (tmp_path / "record.json").write_text(json.dumps(copy.deepcopy(record) | change))
    with pytest.raises(UserError, match=message) as caught:
        store.load(tmp_path)
    assert "record.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_foreign_truncated_and_newer_files(tmp_path: Path, record: dict[str, Any]) -> None:
    path = tmp_path / "record.json"
    for text, message in (
        ("{", "cannot be read"),
        ("[]", "holds a list"),
        ('{"a": 1}', "schema is 'missing'"),
        (json.dumps(record | {"schema": "rsbench.record/99"}), "newer rsbench"),
        (json.dumps(record | {"schema": "rsbench.record/0"}), "its schema is 'rsbench.record/0'"),
        (json.dumps(record | {"schema": "rsbench.record/²"}), "its schema is 'rsbench.record/²'"),
        (json.dumps(record | {"schema": "rsbench.record/" + "9" * 5000}), "its schema is 'rsbench.record/99"),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=message):
            store.load(path)
    with pytest.raises(UserError, match="no file or folder"):
        store.load_all([tmp_path / "nowhere"])


def test_upgrade_goes_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upgrade, "CURRENT", 3)
    steps = {n: (lambda r, n=n: r | {"schema": f"rsbench.record/{n + 1}", f"step{n}": True}) for n in (1, 2)}
    monkeypatch.setattr(upgrade, "STEPS", steps)
    old = {"schema": "rsbench.record/1"}
    assert upgrade.upgrade(old, "x") == {"schema": "rsbench.record/3", "step1": True, "step2": True}
    assert old == {"schema": "rsbench.record/1"}
