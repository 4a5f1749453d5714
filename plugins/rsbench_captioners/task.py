"""Captioning: how captions are kept, scored and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.data.store import PreparedStore
from rsbench.metrics.contract import Metric, MetricContext
from rsbench.specs import MetricSpec
from rsbench.tasks import sanity_checks, tables
from rsbench.tasks.captioning import Captions
from rsbench.tasks.task import Entry, Outcome, Statistics, Task
from rsbench_captioners import score

ABOVE_MOST_FREQUENT: Final = "gate:above-commonest-caption"  # as records have always called it
STATISTICS: Final = "statistics:"
SENTENCES: Final = 5  # of a made-up image


class Captioning(Task):
    """References are sentences of a dataset: what is kept of them is each metric's statistics."""

    name = "captioning"
    unit = "captions"
    generative = keeps_statistics = True
    beside = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L")
    id_fields, value_field = ("image_id", "id"), "caption"
    hub, stac = "image-to-text", "image-captioning"

    def write(self, path: Path, outcome: Outcome) -> None:
        """Keep ``id``, ``caption`` and ``statistics:<metric>`` (lists of float64)."""
        import pyarrow as pa

        columns: dict[str, Any] = {
            "id": pa.array(list(outcome.predictions.ids), pa.string()),
            "caption": pa.array(list(outcome.predictions.captions), pa.string()),
        }
        for name, rows in outcome.kept.items():
            columns[STATISTICS + name] = pa.array(list(rows), pa.list_(pa.float64()))
        tables.write(path, columns)

    def read(self, path: Path) -> Outcome:
        """Return captions and statistics; there are no references."""
        table = tables.read(path, ("id", "caption"))
        kept = {
            name.removeprefix(STATISTICS): np.array(table[name].to_pylist(), dtype=np.float64)
            for name in table.column_names
            if name.startswith(STATISTICS)
        }
        return Outcome(Captions(table["id"].to_pylist(), table["caption"].to_pylist()), None, kept=kept)

    def statistics(self, columns: tables.Columns, spec: MetricSpec, metric: Metric) -> Statistics:
        """Return the rows that were kept of one metric."""
        name = STATISTICS + spec.name
        rows = np.array(columns.read((name,))[name].to_pylist(), dtype=np.float64)
        return Statistics(rows, lambda: columns.read(("id",))["id"].to_pylist(), columns.raw("id"))

    def by_group(self, outcome: Outcome, context: MetricContext) -> dict[str, Any]:
        """How varied the captions are."""
        del context
        said = [caption.split() for caption in outcome.predictions.captions]
        return {
            "captions": {
                "n": len(said),
                "distinct": len({" ".join(s) for s in said}),
                "mean_words": float(np.mean([len(s) for s in said])) if said else None,
                "empty": sum(not s for s in said),
            }
        }

    def sanity_checks(
        self, outcome: Outcome, metrics: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]
    ) -> list[sanity_checks.SanityCheck]:
        """Above the most frequent caption; more than one sentence said."""
        name, value = next(((n, m["value"]) for n, m in metrics.items() if m["primary"]), ("", None))
        floor = sanity_checks.floor_of(checks, ABOVE_MOST_FREQUENT)
        found = [several_captions(outcome.predictions.captions)]
        if floor is not None and value is not None and sanity_checks.decided(value, floor):
            found.append(above_most_frequent(name, value, floor))
        return found

    def merged(self, references: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Sentences of one image that are entries of their own, as COCO has them, become its ``captions``."""
        if not all("caption" in entry and "captions" not in entry for entry in references):
            return references
        sentences: dict[str, list[Any]] = {}
        for entry in references:
            sentences.setdefault(entry["id"], []).append(entry["caption"])
        return [{"id": name, "captions": captions} for name, captions in sentences.items()]

    def listed(self, values: Sequence[Any]) -> dict[str, Any]:
        """Sentences, or objects with one each."""
        return {"captions": [v.get("caption") if isinstance(v, dict) else v for v in values]}

    def references_of(
        self, entries: Sequence[Entry], classes: Sequence[str] | None, predictions: Sequence[Entry]
    ) -> tuple[dict[str, Any], MetricContext]:
        """Sentences."""
        del classes, predictions
        return score.references_of(entries), MetricContext(self.name)

    def references_in(self, store: PreparedStore, samples: np.ndarray) -> dict[str, Any]:
        """Sentences."""
        return {store.ids[i]: store.columns["sentences"][i] for i in samples}

    def outcome_of(
        self, entries: Sequence[Entry], references: Mapping[str, Any], context: MetricContext, *, logits: bool = False
    ) -> Outcome:
        """Captions; an empty one is scored as it is."""
        del context, logits
        made = score.predictions_of(entries, references)
        return Outcome(made, [*references.values()], notes=score.warnings_of(made))

    def details(self, outcome: Outcome, specs: Sequence[MetricSpec]) -> dict[str, Any]:
        """The value of each metric for each image."""
        return {"per_image": score.per_image(specs, outcome.predictions.ids, outcome.kept)}

    def blank_columns(
        self, samples: int, outputs: int, dataset: Mapping[str, Any], **asked: str
    ) -> dict[str, list[Any]]:
        """Sentences without words, and labels that nobody looks at."""
        self._unasked(asked)
        return {"sentences": [[""]] * samples, "label": [0] * samples}

    def truth(self, store: PreparedStore, sample: int) -> tuple[str, ...]:
        """Its reference sentences, each once."""
        return tuple(dict.fromkeys(store.columns["sentences"][sample]))

    def prediction_text(self, outcome: Outcome, row: int, classes: Sequence[str]) -> str:
        """The caption."""
        del classes
        return str(outcome.predictions.captions[row])

    def synthetic_columns(self, samples: int, texts: Sequence[str], dataset: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Five sentences an image."""
        del dataset
        rows = [[texts[(k + r * samples) % len(texts)] for r in range(SENTENCES)] for k in range(samples)]
        return {"sentences": rows}

    def workload(self, dataset: Mapping[str, Any], options: Mapping[str, Any]) -> list[str]:
        """Vocabulary, longest caption and search."""
        beam = f"beam {options['beam']}" if options["beam"] > 1 else "greedy"
        return [f"{dataset['words']} words known", f"up to {options['max_words']} a caption", beam]


def above_most_frequent(metric: str, value: float, floor: float) -> sanity_checks.SanityCheck:
    """The primary metric lies above that of the most frequent training sentence, predicted for every image."""
    detail = f"{metric} {value:.4f}, one caption for all {floor:.4f}"
    return {"name": ABOVE_MOST_FREQUENT, "ok": value > floor, "detail": detail}


def several_captions(captions: Sequence[str]) -> sanity_checks.SanityCheck:
    """More than one sentence is predicted."""
    distinct = len(set(captions))
    return {"name": sanity_checks.COLLAPSED, "ok": distinct > 1, "detail": f"{distinct} distinct captions"}


TASK: Final = Captioning()
