"""What every protocol fixes, read from its spec, and why it is there."""

from __future__ import annotations

from typing import Any, Final

from docs.generator.text import DISTRIBUTION, code, table
from rsbench.registry import registry
from rsbench.specs import ProtocolSpec

INTRODUCTION: Final = """# What every protocol fixes, and why

A protocol fixes what must be the same before two results can be compared: the content of the dataset, the samples of
each part of the split (by the hash of their ids), bands and input size, the metrics and their versions, and how the
checkpoint is chosen. All of it goes into a SHA-256 fingerprint, which is in every record; a leaderboard ranks only
within one fingerprint. How a model is trained is not fixed: with the protocol's standard recipe a run is in the closed
division, with any other in the open one.

Seeds change the initial weights, the order of samples and augmentation, never the split.
"""
WHY: Final = {
    "bmta-70-15-15": "The ten per-class accuracies that the paper prints are all whole counts of this split, so "
    "its numbers can be compared on the same images.",
    "focal-50-50": "The paper's table of label counts fits half of each class; the validation part is taken from the "
    "training half so that the test half chooses nothing.",
    "folder-captioning": "As for classes; all sentences of an image go where it goes, and shares are of images.",
    "folder-classification": "Whoever has a folder of images and no split of their own gets one that any machine finds "
    "again from the names of the files; a split that is there is followed.",
    "folder-vqa": "As for classes, but by image: two questions about one image are never in two parts.",
    "in-domain-60-20-20-refit": "For probes, which choose one setting on validation images: what was chosen is fitted "
    "to these as well, as benchmarks of frozen features do. It has a board of its own, since more labels are used.",
    "helber-80-20": "The ratio is that of the paper which introduced EuroSAT, and with no validation part the last "
    "epoch counts; the draw was not published, so a second decimal cannot be compared with the paper's.",
    "in-domain-60-20-20": "Its lists of files are published and torchgeo reads them, so results of others on the same "
    "images exist.",
    "ms-in-domain-60-20-20": "The same lists as for RGB, so that the gain of the other ten bands is measured on the "
    "same places.",
    "official-split": "Whoever made the dataset said which images are for testing; a split of ours would only make "
    "results less comparable.",
    "rsvqa-lr-official": "Questions are split by image, so that no image is both learned and tested; intervals are "
    "drawn by image, since the hundred questions of one are not independent.",
    "rsvqa-lr-val-to-test": "It needs no images and shows how far the words of a question go alone, which any system "
    "that sees must beat.",
    "scenes-captions-standard": "Generated and small: it is for trying captioning models without a download.",
    "scenes-standard": "Generated and small: anyone can run it without a download.",
    "scenes-vqa-standard": "Types of questions and their numbers are those of RSVQA-LR, so that a VQA model can be "
    "tried before its images are fetched.",
    "ucm-captions-standard": "The published split, with captions scored against the raw sentences: references in which "
    "rare words are replaced would raise every score.",
    "ucm-landuse": "The classes of the same images on the same split, so that captioning and classification can be "
    "trained together without a test image of one being a training image of the other.",
}


def protocols() -> dict[str, ProtocolSpec]:
    """Return the protocols of the plugins that come with rsbench, by name."""
    found, names = registry(), registry().names("protocol")
    return {n: found.get("protocol", n) for n in names if found.origin("protocol", n).distribution == DISTRIBUTION}


def page() -> str:
    """Return the page."""
    found = protocols()
    datasets = sorted({spec.dataset for spec in found.values()})
    parts = [INTRODUCTION]
    for dataset in datasets:
        parts.append(f"## {dataset.replace('*', 'NAME')}\n")
        parts += [_section(spec) for spec in found.values() if spec.dataset == dataset]
    return "\n".join(parts)


def _section(spec: ProtocolSpec) -> str:
    rows = [(name, value) for name, value in _facts(spec).items() if value]
    why = f"**Why:** {WHY[spec.name]}" if spec.name in WHY else ""
    return f"### {spec.name}\n\n{spec.summary}\n\n{why}\n\n{table(('fixed', 'value'), rows)}\n"


def _facts(spec: ProtocolSpec) -> dict[str, Any]:
    chosen = {"last": "the last epoch", "best_val": "the best epoch on the validation part"}
    options = ", ".join(f"{key} = {value}" for key, value in spec.split_options.items())
    return {
        "task": spec.task,
        "split": code(spec.split) + (f" with {options}" if options else ""),
        "bands": ", ".join(spec.bands) if spec.bands is not None else "all of the dataset",
        "input size": f"{spec.size} pixels" if spec.size is not None else "that of the dataset",
        "ranked by": code(spec.primary),
        "also measured": ", ".join(code(m) for m in spec.metrics if m != spec.primary),
        "checkpoint": chosen[spec.selection],
        "default seeds": ", ".join(map(str, spec.seeds)),
        "standard recipe (closed division)": code(spec.recipe),
        "times are taken to": ", ".join(map(str, spec.targets)),
        "source": spec.citation,
    }
