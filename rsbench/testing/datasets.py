"""Checks of the samples of a dataset, and which checks look at one."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from rsbench.data.prepare import check_columns, default_bands, prepare
from rsbench.errors import UserError
from rsbench.specs import UNITS, DatasetSpec
from rsbench.testing import dataset_parts
from rsbench.testing.contract import CheckFailure, Checks, Group, NotApplicable, require
from rsbench.testing.dataset_trial import N_CHECKED, DatasetTrial

CHECKS: Final = Checks()
PICTURES: Final = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy")


def groups(spec: DatasetSpec) -> Iterator[Group]:
    """Yield the checks of a dataset."""
    yield Group(spec.name, [*CHECKS, *dataset_parts.CHECKS], lambda: DatasetTrial(spec))


@CHECKS(
    "loads",
    reason="a loader that nobody has run on files in the true format does not work",
    remedy="name fake='module:function', which writes a few small files as they are on disk, and mend the source",
)
def loads(trial: DatasetTrial) -> None:
    """Fake files go through the real loader into arrays of the declared shape, bands and type."""
    spec, source = trial.spec, trial.first
    check_columns(source, spec.name, complete=spec.all_classes)
    store = trial.store
    bands = len(spec.bands or default_bands(source))
    expected = [bands, spec.image_size, spec.image_size]
    require(store.manifest["shape"] == expected, f"images are {store.manifest['shape']}, declared are {expected}")
    require(store.images.dtype == source.dtype, f"images are {store.images.dtype}, the source says {source.dtype}")


@CHECKS(
    "ids",
    reason="splits, predictions and records name samples by their ids",
    remedy="make ids of what tells samples apart for ever, such as the name of the file, not of its folder or number",
)
def ids(trial: DatasetTrial) -> None:
    """Ids are unique texts, and the same from another folder with the same files."""
    first, again = trial.first, trial.source("elsewhere")
    for what, found, other in (
        ("sample", first.columns["id"], again.columns["id"]),
        ("image", first.image_ids, again.image_ids),
    ):
        names = list(found)
        require(all(isinstance(name, str) for name in names), f"an id of a {what} is not text")
        twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
        require(not twice, f"{what} id '{twice[0] if twice else ''}' occurs twice")
        require(names == list(other), f"{what} ids are other ones when the files lie in another folder")


@CHECKS(
    "labels",
    reason="a label beyond the classes, or a class nobody declared, makes confusion matrices lie",
    remedy="declare the classes in the order of their labels, and count labels from 0",
)
def labels(trial: DatasetTrial) -> None:
    """Classes are as declared; labels are whole numbers among them."""
    declared, found = list(trial.spec.classes), list(trial.first.classes)
    require(not declared or declared == found, f"the source has classes {found[:3]}..., declared are {declared[:3]}...")
    require(len(set(found)) == len(found), "a class is named twice")
    values = trial.first.columns.get("label")
    if values is None:
        raise NotApplicable("its samples have no labels")
    array = np.asarray(values)
    require(array.dtype.kind in "iu", f"labels are {array.dtype}, not whole numbers")
    require(array.min() >= 0 and array.max() < len(found), f"a label lies outside of 0 to {len(found) - 1}")


@CHECKS(
    "reading",
    reason="images are decoded in blocks, in any process, in any order",
    remedy="let read(start, stop, out) fill all of out from the files alone, and keep no open files in the source",
)
def reading(trial: DatasetTrial) -> None:
    """Blocks, single images and a copy in another process give the same pixels, whatever was in the buffer."""
    source = trial.first
    count = min(len(source.image_ids), 8)
    found = []
    for start in (0, 1):
        out = np.full((count, *source.shape), start, dtype=source.dtype)
        source.read(0, count, out)
        found.append(out)
    require(np.array_equal(found[0], found[1]), "read leaves parts of the buffer as they were, or is random")
    copy = pickle.loads(pickle.dumps(source))
    require(np.array_equal(trial.read(copy, range(count)), found[0]), "single images differ from those of a block")


@CHECKS(
    "units",
    reason="wrong units gave chance-level scores that sat on boards",
    remedy="declare the unit, and the least and largest value, of the bands as they are stored",
)
def units(trial: DatasetTrial) -> None:
    """Band units are known and fit the stored type; values lie between the declared least and largest."""
    bands = trial.spec.bands
    require(bands, "it declares no bands")
    images = np.asarray(trial.store.images[_evenly(len(trial.store.images))])
    for number, band in enumerate(bands):
        require(band.unit in UNITS, f"unit '{band.unit}' of band '{band.name}' is none of {', '.join(UNITS)}")
        integers = images.dtype == np.uint8
        require(integers == (band.unit == "uint8"), f"band '{band.name}' in {band.unit} is stored as {images.dtype}")
        values = images[:, number]
        require(np.isfinite(values).all(), f"band '{band.name}' has values that are not finite")
        low, high = values.min(), values.max()
        require(band.min is None or low >= band.min, f"band '{band.name}' goes down to {low}, declared is {band.min}")
        require(band.max is None or high <= band.max, f"band '{band.name}' goes up to {high}, declared is {band.max}")


@CHECKS(
    "truncated-file",
    reason="half a download must not become half an image",
    remedy="raise rsbench.data.source.SampleError, with the name of the file, where one cannot be decoded",
)
def truncated_file(trial: DatasetTrial) -> None:
    """A picture cut in half stops the preparation with one sentence."""
    if not trial.spec.fake:
        raise NotApplicable("it has no files")
    folder = trial.files("truncated")
    pictures = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
    if not pictures:
        raise NotApplicable("its files are no single pictures")
    data = pictures[0].read_bytes()
    pictures[0].write_bytes(data[: len(data) // 2])
    try:
        prepare(trial.spec, folder, trial.folder / "of-truncated", workers=1)
    except UserError as error:
        require(pictures[0].name in str(error), f"the sentence does not name {pictures[0].name}: {error}")
        return
    raise CheckFailure(f"half of {pictures[0].name} was taken for an image")


def _evenly(count: int) -> Any:
    """Numbers of at most :data:`N_CHECKED` images, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, N_CHECKED)).astype(np.int64))
