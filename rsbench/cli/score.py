"""``score``: metrics of predictions made elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from rsbench.cli import complete, hints, lazy
from rsbench.errors import UserError
from rsbench.registry import registry


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "score", score, chosen)


def score(
    dataset: Annotated[
        str | None,
        typer.Argument(
            help="Take the references from this prepared dataset.", autocompletion=complete.names("dataset")
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option(
            help="JSON, JSON lines, CSV or parquet: id and label or probabilities; id and caption; id and answer."
        ),
    ] = None,
    references: Annotated[
        Path | None,
        typer.Option(help="The same of the truth: id and label; id and captions; id, image, type and answer."),
    ] = None,
    task: Annotated[
        str, typer.Option(help="Task of --references (rsbench list tasks).", autocompletion=complete.names("task"))
    ] = "classification",
    protocol: Annotated[
        str | None,
        typer.Option(help="Whose test split. Default: the dataset's.", autocompletion=complete.names("protocol")),
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Class names with commas, in the order of the probabilities.")
    ] = None,
    logits: Annotated[bool, typer.Option("--logits", help="Predictions are logits: take their softmax.")] = False,
    save: Annotated[Path | None, typer.Option(help="Keep the result as a record of division 'external' here.")] = None,
    system: Annotated[str | None, typer.Option(help="Name of what predicted, for --save.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Which training of the system it was, for --save.")] = 0,
    data_root: Annotated[Path | None, typer.Option(help="Data root.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score predictions from anywhere by the task's metrics, with intervals.

    Files are read by content: JSON, JSON lines, CSV with a line of headings, or parquet, in UTF-8 or UTF-16.

    Examples:

      rsbench score --predictions P.csv --references R.csv --classes "forest, river"

      rsbench score --predictions logits.parquet --references R.json --logits --json

      rsbench score --task captioning --predictions coco_results.json --references coco_annotations.json

      rsbench score --task vqa --predictions answers.jsonl --references R.json --json

      rsbench score eurosat --protocol in-domain-60-20-20 --predictions P.json --save results --system my-net --seed 1
    """
    if dataset is None:
        registry().get("task", task)
    if predictions is None or (dataset is None) == (references is None):
        raise UserError("Give --predictions, and either --references FILE or the name of a prepared dataset.")
    if dataset is not None:
        if classes is not None:
            raise UserError("--classes belongs to --references; a prepared dataset has its own.")
        result = _against_dataset(dataset, protocol, predictions, save, system, seed, data_root, logits)
    else:
        if save is not None:
            raise UserError("--save needs a prepared dataset to score against, not a file of references.")
        from rsbench.tasks.scoring import score_files

        assert references is not None
        names = None if classes is None else classes.split(",")
        result = score_files(task, predictions, references, names, logits=logits)
    _print(result, as_json)


def _against_dataset(
    name: str,
    protocol: str | None,
    predictions: Path,
    save: Path | None,
    system: str | None,
    seed: int,
    data_root: Path | None,
    logits: bool,
) -> dict[str, Any]:
    from rsbench.api import prepare_generated
    from rsbench.data import location, splits
    from rsbench.data.store import find
    from rsbench.plan import choose_protocol
    from rsbench.records import external
    from rsbench.tasks.entries import predictions_in
    from rsbench.tasks.scoring import outcome_against, score_outcome
    from rsbench.tasks.task import get_task

    if save is not None and not system:
        raise UserError("--save needs --system NAME, the name of what predicted.")
    prepare_generated(name, data_root)
    spec = registry().get("dataset", name)
    stored = find(location.data_root(data_root), spec)
    chosen = choose_protocol(spec, protocol, stored.manifest)
    test = splits.resolve(stored, chosen).test
    specs = [registry().get("metric", metric) for metric in chosen.metrics]
    task = get_task(chosen.task)
    entries = predictions_in(predictions, task)
    outcome = outcome_against(task, entries, stored, test, specs, logits=logits)
    result = score_outcome(task, outcome, specs, task.context(stored.manifest), chosen.primary)
    if save is not None:
        assert system is not None
        path = external.save(system, outcome, result, stored.path, stored.manifest, chosen, save, seed)
        hints.files(path)
        hints.following(f"rsbench leaderboard {save}")
    return result


def _print(result: dict[str, Any], as_json: bool) -> None:
    for text in result.get("warnings", ()):
        typer.echo(f"rsbench: {text}", err=True)
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    from rich.console import Console

    from rsbench.leaderboard.render.sheet import Sheet, terminal

    rows, names = [], ("metric", "value", "95 % CI", "unit", "better")
    for name, entry in result["metrics"].items():
        value = "undefined" if entry["value"] is None else f"{entry['value']:.4f}"
        interval = "{:.4f} to {:.4f}".format(*entry["ci95"]) if entry["ci95"] else ""
        if entry.get("note"):
            value = "not available"
            typer.echo(f"rsbench: {name}: {entry['note']}", err=True)
        better = {True: "higher", False: "lower", None: ""}[entry["higher_is_better"]]
        rows.append([name, value, interval, entry["unit"], better])
    made = [Sheet(_title(result), names, rows, [name for name in names if name != "value"])]
    typer.echo(terminal(lambda room: made, "", Console().width), nl=False)


def _title(result: dict[str, Any]) -> str:
    classes = result.get("classes")
    return f"{result['n']} samples" + (f", {len(classes)} classes" if classes else "")
