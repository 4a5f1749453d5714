"""Prepared data that were changed are refused by every command that opens them: exit 2, and one sentence that names the
file and says what to type."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsbench import states
from rsbench.cli import main
from rsbench.data import integrity, splits
from rsbench.data.manifest import CHECKED, store_path
from rsbench.data.prepare import prepare
from rsbench.data.store import PreparedStore
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import load_attribute

RUN = ("run", "majority-class", "eurosat", "--threads", "1", "--out", "results")
AGAIN = "rsbench data prepare eurosat --force"
PROTOCOL = "in-domain-60-20-20"
Call = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root whose split is kept."""
    folder = tmp_path_factory.mktemp("root")
    spec = registry().get("dataset", "eurosat")
    load_attribute(spec.fake)(folder / "files", spec, per_class=9)
    splits.resolve(prepare(spec, folder / "files", folder), registry().get("protocol", PROTOCOL))
    return folder


@pytest.fixture
def store(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Prepared data that have been checked and noted as whole."""
    monkeypatch.setattr(states, "SETTLED_NS", -1)
    monkeypatch.setenv("RSBENCH_DATA", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(original / "prepared", tmp_path / "prepared")
    path = store_path(tmp_path, registry().get("dataset", "eurosat"))
    integrity.ensure_intact(path)
    noted = json.loads((path / CHECKED).read_text())
    assert set(noted) == {integrity.STORE, PROTOCOL}
    time.sleep(0.02)  # a file's times have the grain of the kernel's clock
    return path


@pytest.fixture
def rsbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call the command in this process; return its exit code and what it wrote to stderr."""

    def call(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["rsbench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err

    return call


def rewrite(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def one_label(store: Path) -> None:
    rewrite(store / "samples.json", lambda s: s["columns"]["label"].__setitem__(0, 3))


def two_ids(store: Path) -> None:
    def swap(samples: Any) -> None:
        ids = samples["columns"]["id"]
        ids[0], ids[1] = ids[1], ids[0]

    rewrite(store / "samples.json", swap)


def no_samples(store: Path) -> None:
    (store / "samples.json").unlink()


def bands(store: Path) -> None:
    rewrite(store / "manifest.json", lambda m: m["bands"].reverse())


def one_image(store: Path) -> None:
    images = np.load(store / "images.npy", mmap_mode="r+")
    images[5] = 0
    images.flush()


def one_image_at_the_same_time(store: Path) -> None:
    before = (store / "images.npy").stat()
    one_image(store)
    os.utime(store / "images.npy", ns=(before.st_atime_ns, before.st_mtime_ns))


def half_of_the_images(store: Path) -> None:
    content = (store / "images.npy").read_bytes()
    (store / "images.npy").write_bytes(content[: len(content) // 2])


def no_images(store: Path) -> None:
    (store / "images.npy").write_bytes(b"")


def fewer_images(store: Path) -> None:
    np.save(store / "images.npy", np.load(store / "images.npy")[:-1])


@pytest.mark.parametrize("known", [True, False], ids=["noted", "not noted"])
@pytest.mark.parametrize(
    ("change", "file"),
    [
        (one_label, "samples.json"),
        (two_ids, "samples.json"),
        (no_samples, "samples.json"),
        (bands, "manifest.json"),
        (one_image, "images 0 to 89 in images.npy"),
        (one_image_at_the_same_time, "images 0 to 89 in images.npy"),
        (half_of_the_images, "images.npy"),
        (no_images, "images.npy"),
        (fewer_images, "images.npy"),
    ],
)
def test_a_run_refuses_changed_data(
    store: Path, change: Callable[[Path], None], file: str, known: bool, rsbench: Call
) -> None:
    change(store)
    if not known:
        (store / CHECKED).unlink()
    code, said = rsbench(*RUN)
    assert code == 2, said
    assert file in said
    assert str(store) in said
    assert AGAIN in said
    assert not Path("results").exists()
    code, said = rsbench("data", "verify", "eurosat")
    assert code == 1
    assert file in said


def training_images_as_test(store: Path) -> None:
    path = store / "splits" / f"{PROTOCOL}.npy"
    numbers = np.load(path)
    numbers[-10:] = numbers[:10]
    np.save(path, numbers)


def training_images_as_test_with_their_hash(store: Path) -> None:
    """As who knows how it is kept would do it: another test part of the same size, and all hashes say so."""
    path = store / "splits" / f"{PROTOCOL}.npy"
    numbers, ids = np.load(path), PreparedStore(store).ids
    numbers[[0, -1]] = numbers[[-1, 0]]
    np.save(path, numbers)

    def seal(kept: Any) -> None:
        ends = np.cumsum(list(kept["sizes"].values()))[:-1]
        for part, samples in zip(splits.PARTS, np.split(numbers, ends), strict=True):
            kept["sha256"][part] = hashlib.sha256("\n".join(sorted(ids[k] for k in samples)).encode()).hexdigest()

    rewrite(path.with_suffix(".json"), seal)


def sizes(store: Path) -> None:
    def move(kept: Any) -> None:
        kept["sizes"]["train"] += 1
        kept["sizes"]["val"] -= 1

    rewrite(store / "splits" / f"{PROTOCOL}.json", move)


def no_numbers(store: Path) -> None:
    (store / "splits" / f"{PROTOCOL}.npy").write_bytes(b"")


@pytest.mark.parametrize(
    "change", [training_images_as_test, training_images_as_test_with_their_hash, sizes, no_numbers]
)
def test_a_run_refuses_a_changed_split(store: Path, change: Callable[[Path], None], rsbench: Call) -> None:
    change(store)
    code, said = rsbench(*RUN)
    assert code == 2, said
    assert f"{store}/splits/{PROTOCOL}.npy" in said
    assert "delete both" in said
    assert rsbench("data", "verify", "eurosat")[0] == 1
    for file in (store / "splits").iterdir():
        file.unlink()
    code, said = rsbench(*RUN)
    assert code == 0, said
    assert rsbench("data", "verify", "eurosat")[0] == 0


@pytest.mark.parametrize(
    "command",
    [
        ("multitask", "spatialnet-vit", "eurosat", "eurosat@bmta-70-15-15"),
        ("evaluate", "weights.pt", "eurosat", "--model", "tiny-cnn"),
        ("score", "eurosat", "--predictions", "predictions.json"),
        ("data", "audit", "eurosat"),
        ("data", "prepare", "eurosat"),
    ],
)
def test_every_command_refuses_changed_labels(store: Path, command: tuple[str, ...], rsbench: Call) -> None:
    Path("predictions.json").write_text("[]")
    Path("weights.pt").write_bytes(b"")
    one_label(store)
    code, said = rsbench(*command)
    assert code == 2, said
    assert "samples.json" in said
    assert AGAIN in said


def test_data_of_older_versions_are_checked_too(store: Path) -> None:
    """They have no hash of the manifest and nothing noted."""
    (store / CHECKED).unlink()
    (store / "complete").write_text(json.loads((store / "manifest.json").read_text())["fingerprint"])
    integrity.ensure_intact(store)
    one_image(store)
    with pytest.raises(UserError, match=r"images 0 to 89 in images\.npy were changed"):
        integrity.ensure_intact(store)


def test_pixels_are_read_once_for_each_state(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(path: Path) -> list[str]:
        raise AssertionError("read again")

    with monkeypatch.context() as patched:
        patched.setattr(integrity, "verify", never)
        PreparedStore.open(store)
        (store / "images.npy").touch()
        with pytest.raises(AssertionError, match="read again"):
            PreparedStore.open(store)
    PreparedStore.open(store)
    monkeypatch.setattr(integrity, "verify", never)
    PreparedStore.open(store)


def test_what_was_written_just_now_is_not_noted(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It could be written again without a change of its times."""
    monkeypatch.setattr(states, "SETTLED_NS", 60_000_000_000)
    (store / CHECKED).unlink()
    integrity.ensure_intact(store)
    assert not (store / CHECKED).exists()
