"""Model cards for the Hugging Face Hub, with evaluation results in their metadata (``model-index``)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from rsbench.errors import UserError
from rsbench.foreign import in_markdown as escape
from rsbench.metrics.display import factor, shown
from rsbench.records.store import LoadedRecord
from rsbench.registry import registry
from rsbench.tasks.task import get_task

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

CARD: Final = "README.md"
# Metrics that the Hub knows by another name, with its configuration.
METRICS: Final = {
    "overall_accuracy": ("accuracy", None),
    "macro_f1": ("f1", "macro"),
    "weighted_f1": ("f1", "weighted"),
    "mcc": ("matthews_correlation", None),
    "OA": ("accuracy", None),
    "METEOR": ("meteor", None),
    "ROUGE-L": ("rouge", "rougeL"),
}


def export(records: Sequence[LoadedRecord]) -> dict[str, str]:
    """Return a card for each record, in a folder of its run id where there are several."""
    cards = {r.record["run_id"]: card(r.record) for r in records}
    return {f"{run_id}/{CARD}" if len(cards) > 1 else CARD: text for run_id, text in cards.items()}


def card(record: dict[str, Any]) -> str:
    """Return the text of a model card: metadata, results with intervals, and how they came about."""
    from huggingface_hub import ModelCardData

    plan = record["plan"]
    spec = None
    with suppress(UserError):  # a model from elsewhere
        spec = registry().get("model", plan["model"]["name"])
    data = ModelCardData(
        model_name=plan["model"]["label"],
        eval_results=results(record),
        library_name="pytorch",
        license=spec.license.lower() if spec else None,
        pipeline_tag=get_task(plan["task"]).hub,
        tags=["remote-sensing", "rsbench", plan["dataset"]["name"], *plan["model"].get("tags", ())],
    )
    return f"---\n{data.to_yaml()}\n---\n\n{body(record)}"


def results(record: dict[str, Any]) -> list[EvalResult]:
    """Return an entry for each metric that has a value; interval, method and sample size are its arguments."""
    from huggingface_hub import EvalResult

    plan = record["plan"]
    protocol = plan["protocol"]
    found = []
    for name, entry in record["metrics"].items():
        if entry["value"] is None:
            continue
        kind, configuration = METRICS.get(name, (name.lower(), None))
        found.append(
            EvalResult(
                task_type=get_task(plan["task"]).hub or plan["task"],
                dataset_type=plan["dataset"]["name"],
                dataset_name=plan["dataset"]["name"],
                dataset_config=protocol["name"],
                dataset_split="test",
                dataset_args={"protocol_fingerprint": protocol["fingerprint"], "seed": plan["seed"]},
                metric_type=kind,
                metric_name=name,
                metric_config=configuration,
                metric_value=entry["value"],
                metric_args={"ci95": entry["ci95"], "method": entry["method"], "n": entry["n"]},
            )
        )
    return found


def body(record: dict[str, Any]) -> str:
    """Return the card without its metadata."""
    from tabulate import tabulate

    plan = record["plan"]
    protocol, recipe = plan["protocol"], plan["recipe"]
    rows = [_row(name, entry) for name, entry in record["metrics"].items()]
    table = tabulate(rows, ("metric", "value", "95 % CI", "n"), tablefmt="github", disable_numparse=True)
    train = record["train"]
    trained = (
        f"Trained for {train['epochs']} epochs with the recipe `{escape(recipe.get('name', ''))}` "
        f"from seed {plan['seed']}; the weights are those of epoch {train['selected_epoch'] or train['epochs']}."
        if train
        else "How the weights were trained is not known."
    )
    return (
        f"# {escape(plan['model']['label'])} on {escape(plan['dataset']['name'])}\n\n"
        f"Evaluated by rsbench under the protocol `{escape(protocol['name'])}` "
        f"(fingerprint `{protocol['fingerprint']}`), division *{plan['division']}*, on "
        f"{protocol['split_sizes']['test']} test samples.\n\n{table}\n\n"
        "Intervals are those of the test sample.\n\n"
        f"## Training\n\n{trained}\n\n"
        f"## Input\n\nBands {', '.join(protocol['bands'] or plan['dataset']['bands'])} in the unit "
        f"{plan['dataset']['units'][0]}, {protocol['size'] or plan['dataset']['image_shape'][-1]} pixels a side; "
        f"normalization: {plan['model'].get('accepts', {}).get('normalisation', 'not known')}.\n\n"
        f"## Source\n\nRun `{record['run_id']}` of {escape(record['created'])}; "
        "`rsbench verify` recomputes the numbers from its predictions.\n"
    )


def _row(name: str, entry: dict[str, Any]) -> list[str]:
    unit = entry["unit"]
    interval = " to ".join(shown(bound, unit) for bound in entry["ci95"]) if entry["ci95"] else ""
    sign = factor(unit)[1]
    return [f"{name} ({sign})" if sign else name, shown(entry["value"], unit), interval, str(entry["n"])]
