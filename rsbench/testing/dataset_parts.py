"""Checks of a dataset's splits and of the statistics that it declares."""

from __future__ import annotations

import hashlib
from fnmatch import fnmatchcase
from typing import Final

import numpy as np

from rsbench.data import splits
from rsbench.data.store import PreparedStore
from rsbench.errors import UserError
from rsbench.registry import registry
from rsbench.specs import ProtocolSpec
from rsbench.testing.contract import CheckFailure, Checks, NotApplicable, require
from rsbench.testing.dataset_trial import N_CHECKED, DatasetTrial

CHECKS: Final = Checks()
SLACK: Final = 0.05  # of a band's standard deviation


@CHECKS(
    "splits",
    reason="a sample that is in training and in test makes every score too high",
    remedy="mend the protocol's split, and drop or group images that occur more than once",
)
def disjoint_splits(trial: DatasetTrial) -> None:
    """The default protocol splits the data, and no protocol has the same sample, image or pixels in two parts."""
    made, refused = 0, ""
    for protocol in _protocols(trial):
        try:
            split = splits.resolve(trial.store, protocol)
        except UserError as error:
            if "overlap" in str(error) or protocol.name == trial.spec.default_protocol:
                raise CheckFailure(str(error)) from None
            refused = str(error)
            continue
        made += 1
        _without_leaks(trial.store, split, protocol.name)
    if not made:
        raise NotApplicable(refused or "no protocol is for it")


def _protocols(trial: DatasetTrial) -> list[ProtocolSpec]:
    return [p for p in registry().specs("protocol").values() if fnmatchcase(trial.spec.name, p.dataset)]


def _without_leaks(store: PreparedStore, split: splits.Split, protocol: str) -> None:
    """Require that parts share no sample, no image and no two images of the same pixels."""
    seen: dict[bytes, tuple[str, str]] = {}
    for part in splits.PARTS:
        samples = getattr(split, part)
        require(len(samples) or part == "val", f"protocol '{protocol}' has no samples for {part}")
        for image in np.unique(store.image_index[samples]):
            name = store.image_ids[image]
            key = hashlib.sha256(store.images[image].tobytes()).digest()
            other, twin = seen.setdefault(key, (part, name))
            text = f"protocol '{protocol}': image '{name}' of {part} is image '{twin}' of {other}"
            require(other == part, text)


@CHECKS(
    "stable-splits",
    reason="a split that changes from run to run compares nothing",
    remedy="derive the split from ids or from a seed in split_options, never from a global generator",
)
def stable_splits(trial: DatasetTrial) -> None:
    """Computed twice, a protocol's split is the same."""
    from rsbench.specs import load_attribute

    store, made = trial.store, 0
    columns = {n: store.column(n) for n, v in store.columns.items() if n != "id" and not isinstance(v[0], list)}
    for protocol in _protocols(trial):
        try:
            once, twice = (load_attribute(protocol.split)(store.ids, columns, **protocol.split_options) for _ in "ab")
        except UserError:
            continue
        made += 1
        same = all(np.array_equal(once.get(part, ()), twice.get(part, ())) for part in splits.PARTS)
        require(same, f"the split of protocol '{protocol.name}' is another one the second time")
    if not made:
        raise NotApplicable("no protocol can split it as it is here")


@CHECKS(
    "counts",
    reason="tables of papers and weights of losses take these numbers at their word",
    remedy="declare what the complete data hold; class_counts in the order of classes, with samples as their sum",
)
def counts(trial: DatasetTrial) -> None:
    """The declared numbers agree with one another and, where the data are here, with these."""
    spec = trial.spec
    if spec.class_counts:
        require(
            len(spec.class_counts) == len(spec.classes), f"{len(spec.class_counts)} counts, {len(spec.classes)} classes"
        )
        total = sum(spec.class_counts)
        require(spec.samples in (None, total), f"class_counts sum to {total}, samples are {spec.samples}")
    columns = trial.columns
    if columns is None:
        return
    found = len(columns["id"])
    require(spec.samples in (None, found), f"samples={spec.samples} is declared, there are {found}")
    if spec.class_counts:
        per_class = np.bincount(np.asarray(columns["label"]), minlength=len(spec.classes)).tolist()
        require(list(spec.class_counts) == per_class, f"class_counts are {per_class}, not those declared")


@CHECKS(
    "statistics",
    reason="models that are normalized with wrong statistics train badly and nobody sees why",
    remedy="declare the mean and standard deviation of each band as stored, or None where they are not known",
)
def statistics(trial: DatasetTrial) -> None:
    """Declared means and deviations are possible and, where the data are here, those of a sample of the images."""
    for band in trial.spec.bands:
        inside = band.mean is None or (band.min or -np.inf) <= band.mean <= (np.inf if band.max is None else band.max)
        require(inside, f"mean {band.mean} of band '{band.name}' lies outside of its range")
        require(
            band.std is None or band.std > 0, f"standard deviation {band.std} of band '{band.name}' is not positive"
        )
    declared = [band for band in trial.spec.bands if band.mean is not None or band.std is not None]
    images = trial.images
    if not declared or images is None:
        return
    chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), N_CHECKED)).astype(np.int64))
    for number, band in enumerate(trial.spec.bands):
        values = np.asarray(images[chosen, number], dtype=np.float64)
        noise = 4 * values.mean(axis=(1, 2)).std() / np.sqrt(len(chosen)) * (len(chosen) < len(images))
        allowed = SLACK * values.std() + noise
        for what, stated, found in (("mean", band.mean, values.mean()), ("std", band.std, values.std())):
            close = stated is None or abs(found - stated) <= allowed
            require(close, f"{what}={stated} of band '{band.name}' is declared, the images have {found:.4g}")
