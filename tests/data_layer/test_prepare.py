from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from rsbench.containment import PluginError
from rsbench.data import integrity, manifest, splits, store
from rsbench.data import prepare as preparation
from rsbench.data.prepare import prepare
from rsbench.data.source import SampleError
from rsbench.errors import NotPrepared, UserError
from rsbench.registry import registry
from rsbench.specs import DatasetSpec, ProtocolSpec

SPEC = DatasetSpec(name="toy", summary="s", source=f"{__name__}:make", classes=("a", "b"), generated=True)


class Toy:
    """Images whose pixels are their number; may be slow or have bad samples."""

    def __init__(self, count: int = 1500, bad: tuple[int, ...] = (), pause: float = 0.0) -> None:
        self.shape, self.dtype, self.classes = (1, 4, 4), "uint16", ("a", "b")
        self.image_ids = [f"i{k}" for k in range(count)]
        self.columns = {"id": self.image_ids, "label": [k % 2 for k in range(count)]}
        self.bad, self.pause = bad, pause
        self.calls: list[int] = []

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        self.calls.append(start)
        time.sleep(self.pause)
        for k in range(start, stop):
            if k in self.bad:
                raise SampleError(f"i{k} is broken")
            out[k - start] = k


toy = Toy()


def make(root: Path, spec: DatasetSpec) -> Toy:
    return toy


@pytest.fixture(autouse=True)
def _fresh() -> None:
    global toy
    toy = Toy()


def test_arrays_hold_what_the_source_gives(tmp_path: Path) -> None:
    seen = []
    made = prepare(SPEC, None, tmp_path, workers=1, on_progress=lambda d, t: seen.append((d, t)))
    assert made.images.shape == (1500, 1, 4, 4)
    assert made.images.dtype == np.uint16
    assert np.array_equal(made.images[:, 0, 0, 0], np.arange(1500))
    assert made.labels.tolist()[:4] == [0, 1, 0, 1]
    assert seen[0] == (0, 1500)
    assert seen[-1] == (1500, 1500)
    assert integrity.verify(made.path) == []
    with pytest.raises(ValueError, match="read-only"):
        made.images[0] = 1


def test_processes_give_the_same_fingerprint(tmp_path: Path) -> None:
    one = prepare(SPEC, None, tmp_path / "a", workers=1)
    two = prepare(SPEC, None, tmp_path / "b", workers=2)
    assert one.manifest["fingerprint"] == two.manifest["fingerprint"]


def test_it_is_done_once(tmp_path: Path) -> None:
    prepare(SPEC, None, tmp_path, workers=1)
    toy.calls.clear()
    prepare(SPEC, None, tmp_path, workers=1)
    assert toy.calls == []
    prepare(SPEC, None, tmp_path, workers=1, force=True)
    assert toy.calls == [0, 512, 1024]


def _prepare_slowly(root: Path) -> None:
    global toy
    toy = Toy(pause=0.6)
    prepare(SPEC, None, root, workers=1)


def test_killed_preparation_goes_on_where_it_stopped(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_prepare_slowly, args=(tmp_path,))
    process.start()
    journal = tmp_path / "prepared" / ".toy-1.partial" / preparation.JOURNAL
    while not (journal.exists() and journal.read_text().count("\n") >= 1):
        time.sleep(0.05)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not store.store_path(tmp_path, SPEC).exists()
    with pytest.raises(NotPrepared):
        store.find(tmp_path, SPEC)
    made = prepare(SPEC, None, tmp_path, workers=1)
    assert 0 not in toy.calls
    assert 1024 in toy.calls
    assert np.array_equal(made.images[:, 0, 0, 0], np.arange(1500))


def test_two_at_once_do_not_collide(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_prepare_slowly, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [p.exitcode for p in processes] == [0, 0]
    assert integrity.verify(store.find(tmp_path, SPEC).path) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_samples_are_all_named_and_nothing_is_left(tmp_path: Path, workers: int) -> None:
    global toy
    toy = Toy(bad=(7, 600, 601))
    with pytest.raises(UserError, match=r"3 images of 'toy' cannot be read: .*i7 is broken.*i601 is broken|i600"):
        prepare(SPEC, None, tmp_path, workers=workers)
    assert [p.name for p in (tmp_path / "prepared").iterdir()] in ([".toy-1.lock"], [])


def test_too_little_space_is_seen_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(preparation.shutil, "disk_usage", lambda path: usage(10, 10, 0))
    with pytest.raises(UserError, match=r"needs .* GB, but .* has 0.00 GB free"):
        prepare(SPEC, None, tmp_path)
    assert not list((tmp_path / "prepared").glob("*toy-1.partial"))


def test_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(preparation.os, "posix_fallocate", full)
    with pytest.raises(UserError, match="is full: free some space"):
        prepare(SPEC, None, tmp_path)
    assert not list((tmp_path / "prepared").glob("*toy-1*partial"))


def test_changed_pixels_are_found(tmp_path: Path) -> None:
    made = prepare(SPEC, None, tmp_path, workers=1)
    writable = np.load(made.path / "images.npy", mmap_mode="r+")
    writable[700, 0, 0, 0] ^= 1
    writable.flush()
    assert integrity.verify(made.path) == ["images 512 to 1023 in images.npy were changed"]


def test_a_folder_without_its_marker_is_not_trusted(tmp_path: Path) -> None:
    made = prepare(SPEC, None, tmp_path, workers=1)
    (made.path / "complete").unlink()
    with pytest.raises(NotPrepared):
        store.find(tmp_path, SPEC)


def test_empty_class_repeated_id_and_bad_label(tmp_path: Path) -> None:
    toy.columns["label"] = [0] * 1500
    with pytest.raises(UserError, match="no image of class b"):
        prepare(SPEC, None, tmp_path)
    toy.columns = {"id": ["x"] * 1500, "label": [0, 1] * 750}
    with pytest.raises(UserError, match="occur twice"):
        prepare(SPEC, None, tmp_path)
    toy.columns = {"id": toy.image_ids, "label": [0, 2] * 750}
    with pytest.raises(UserError, match="only 2 classes"):
        prepare(SPEC, None, tmp_path)


def test_stratified_split_is_stable_and_balanced() -> None:
    ids = [f"s{k}" for k in range(1000)]
    labels = np.array([k % 4 for k in range(1000)])
    parts = splits.stratified(ids, {"label": labels}, fractions=(0.6, 0.2, 0.2), seed=1)
    assert {k: len(v) for k, v in parts.items()} == {"train": 600, "val": 200, "test": 200}
    assert all(np.bincount(labels[v]).tolist() == [len(v) // 4] * 4 for v in parts.values())
    assert sorted(np.concatenate(list(parts.values()))) == list(range(1000))
    order = np.random.default_rng(0).permutation(1000)
    shuffled = splits.stratified([ids[k] for k in order], {"label": labels[order]}, fractions=(0.6, 0.2, 0.2), seed=1)
    assert {ids[order[k]] for k in shuffled["test"]} == {ids[k] for k in parts["test"]}


def test_parts_of_a_class_are_rounded_to_whole_samples() -> None:
    labels = np.array([0] * 7 + [1] * 9)
    parts = splits.stratified([f"s{k}" for k in range(16)], {"label": labels}, fractions=(0.5, 0.1, 0.4))
    assert {k: np.bincount(labels[v]).tolist() for k, v in parts.items()} == {
        "train": [4, 4],  # 3.5 and 4.5, halves to even
        "val": [1, 1],
        "test": [2, 4],
    }


def test_split_is_kept_and_made_anew_when_options_change(tmp_path: Path) -> None:
    made = prepare(SPEC, None, tmp_path, workers=1)

    def protocol(seed: int) -> ProtocolSpec:
        options = {"fractions": [0.5, 0.1, 0.4], "seed": seed}
        return ProtocolSpec(
            name="p", summary="s", dataset="toy", split="rsbench.data.splits:stratified", split_options=options
        )

    first = splits.resolve(made, protocol(0))
    again = splits.resolve(made, protocol(0))
    other = splits.resolve(made, protocol(1))
    assert np.array_equal(first.test, again.test)
    assert first.sha256 == again.sha256
    assert first.sha256["test"] != other.sha256["test"]
    assert first.sizes == {"train": 750, "val": 150, "test": 600}
    expected = hashlib.sha256("\n".join(sorted(made.ids[k] for k in first.test)).encode()).hexdigest()
    assert first.sha256["test"] == expected
    assert manifest.split_key("other data", protocol(0)) != manifest.split_key("data", protocol(0))


def test_a_column_names_training_and_test_samples_or_is_no_split() -> None:
    column = np.array(["train", "", "test", "train", "val"])
    parts = splits.from_column(["a"] * 5, {"official_split": column})
    assert {part: numbers.tolist() for part, numbers in parts.items()} == {"train": [0, 3], "val": [4], "test": [2]}
    for missing in ("train", "test"):
        with pytest.raises(UserError, match="prepare again with --force"):
            splits.from_column(["a"] * 5, {"official_split": np.where(column == missing, "val", column)})
    with pytest.raises(UserError, match="the split lists were missing"):
        splits.from_column(["a"] * 5, {"label": column})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"train": [0, 1, 2], "test": [2, 3]}, "has parts that overlap or repeat samples"),
        (None, "gave NoneType, not the samples of train, val, test"),
        ({"train": [0], "test": [10**9]}, "counts from 0 to 1,000,000,000, but there are 1,500 samples"),
        ({"train": [0], "test": [-3]}, "counts from -3 to 0, but there are 1,500 samples"),
        ({"train": ["a"], "val": [0.5], "test": [[1]]}, "gave no list of sample numbers for train, val, test"),
        ({"train": [True, False], "test": [2]}, "gave no list of sample numbers for train"),
    ],
)
def test_a_split_that_is_none_is_refused_and_its_plugin_named(tmp_path: Path, given: Any, text: str) -> None:
    made = prepare(SPEC, None, tmp_path, workers=1)
    bad = ProtocolSpec(
        name="bad", summary="s", dataset="toy", split=f"{__name__}:odd_split", split_options={"given": given}
    )
    with pytest.raises(PluginError) as caught:
        splits.resolve(made, bad)
    assert str(caught.value).endswith(f"(distribution 'unknown'): the split of protocol 'bad' {text}")


def odd_split(ids: list[str], columns: dict, given: Any) -> Any:
    return given


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"shape": (3, 16)}, "gave (3, 16) as the shape of its images, not [C, H, W]"),
        ({"dtype": np.dtype("uint8")}, "gave dtype('uint8') as the type of its images, not the name of one of NumPy's"),
        ({"columns": {"label": [0]}}, "gave columns without 'id'"),
        ({"image_ids": [1, 2]}, "gave ids of images that are no texts"),
        ({"columns": {"id": ["a"], "label": [np.int64(0)]}, "classes": ()}, "raised TypeError: Object of type int64"),
        (None, "gave NoneType, which has no shape, dtype, image_ids, columns, classes"),
    ],
)
def test_a_source_that_is_none_is_refused_and_its_plugin_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any] | None, text: str
) -> None:
    if changes is None:
        monkeypatch.setattr(sys.modules[__name__], "toy", None)
    else:
        vars(toy).update(changes)
    with pytest.raises(PluginError) as caught:
        prepare(SPEC, None, tmp_path, workers=1)
    assert f"(distribution 'unknown'): the source of 'toy' {text}" in str(caught.value)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_processes_that_prepare_end_with_the_command(tmp_path: Path, number: int) -> None:
    """At once, though blocks are queued; and the same command goes on from there."""
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)  # else theirs would be ignored, in the background
    command = [sys.executable, "-m", "rsbench", "data", "prepare", "scenes", "--workers", "2"]
    try:
        parent = psutil.Popen([*command, "--data-root", str(tmp_path)], stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, heeded)
    journal = "prepared/.scenes-*.partial/journal.jsonl"
    while not any(path.read_text().count("\n") for path in tmp_path.glob(journal)):
        assert parent.poll() is None
        time.sleep(0.02)
    workers = parent.children(recursive=True)
    parent.send_signal(number)
    _, said = parent.communicate(timeout=30)
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert alive == []
    assert parent.returncode == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert said == "rsbench: interrupted.\n"
    (path,) = tmp_path.glob(journal)
    assert path.read_text().count("\n") < 10


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("name", ["complete", "manifest.json", "samples.json", "images.npy", "checked.json", "splits"])
@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_no_pipe_or_device_among_prepared_data_is_opened(
    name: str, put: Callable[[Path], object], root: Path, tmp_path: Path
) -> None:
    protocol = registry().get("protocol", "in-domain-60-20-20")
    folder = Path(shutil.copytree(store.store_path(root, registry().get("dataset", "eurosat")), tmp_path / "store"))
    truth = splits.resolve(store.PreparedStore.open(folder), protocol)
    path = folder / name if name != "splits" else manifest.split_path(folder, protocol).with_suffix(".npy")
    path.unlink()
    put(path)
    if name == "checked.json":  # it saves work alone
        assert splits.resolve(store.PreparedStore.open(folder), protocol).sha256 == truth.sha256
        return
    with pytest.raises(UserError, match=r"prepared|splits|is not the split"):
        splits.resolve(store.PreparedStore.open(folder), protocol)
