"""``embed``: the features of a dataset's images, as a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from rsbench.cli import complete, lazy, options
from rsbench.cli.how import takes
from rsbench.errors import UserError, UserErrors
from rsbench.execution import Execution

if TYPE_CHECKING:
    import numpy as np

    from rsbench.engine.input.run_data import RunData
    from rsbench.plan import RunPlan
    from rsbench_probes.embeddings import Embeddings

FORMATS: Final = (".npy", ".parquet")
Pooling = Annotated[
    str,
    typer.Option(
        help="network: what enters the classifier | mean of the last map or tokens | class token.",
        autocompletion=complete.among(("network", "mean", "class")),
    ),
]


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the command."""
    lazy.add(app, "embed", embed, chosen)


@takes("device", "threads", "data_root")
def embed(
    model: Annotated[str, typer.Argument(help="Model.", autocompletion=complete.names("model"))],
    dataset: Annotated[str, typer.Argument(help="Dataset.", autocompletion=complete.names("dataset"))],
    output: Annotated[Path, typer.Option("--output", "-o", help="A file: .npy or .parquet.")],
    protocol: Annotated[
        str | None,
        typer.Option(
            help="Of whose bands and size they are. Default: the dataset's own.", autocompletion=complete.protocols
        ),
    ] = None,
    option: options.ModelOptions = None,
    weights: options.Weights = None,
    pooling: Pooling = "network",
    layer: Annotated[
        list[str] | None, typer.Option(help="A layer, or a pattern of several, in place of the last. May be repeated.")
    ] = None,
    flips: Annotated[bool, typer.Option("--flips", help="Average over the flips of an image.")] = False,
    precision: options.Precision = None,
    how: Execution = Execution(),  # noqa: B008
    quiet: options.Quiet = False,
) -> None:
    """Write the features that a network has of a dataset's images; probes take the same ones from the same cache.

    Parquet has a row for each sample: id, split, label and embedding. An .npy file has the embeddings, float32 [N, D],
    and a .csv file beside it the rest, in the same order.

    Examples:

      rsbench embed timm:resnet50 eurosat --weights imagenet --output eurosat.parquet

      rsbench embed timm:vit_small_patch16_224 eurosat --pooling class --layer 'blocks.1?' --flips --output eurosat.npy
    """
    from rsbench import api
    from rsbench.cli import run
    from rsbench.config import parse_pairs

    if output.suffix not in FORMATS:
        raise UserError(f"--output takes a file that ends in {' or '.join(FORMATS)}; '{output.name}' does not.")
    changes = {"fit_options.pooling": pooling, "fit_options.layers": layer or [], "fit_options.flips": flips}
    requests = api.make_requests(
        model,
        dataset,
        protocol=protocol,
        recipe="linear-probe",
        seeds=0,
        changes=changes,
        options=parse_pairs(option or [], "--option") | options.given(weights=weights),
        precision=precision,
        **Execution.of(how),
    )
    plans = api.make_plans(requests, *(() if quiet else (run.drawing, run.said)))
    if len(plans) != 1 or plans[0].model["kind"] != "network":
        raise UserErrors([f"embed takes one network; {model} is none."])
    found, data = _embedded(plans[0])
    ids, columns = _columns(data)
    values = found.values[data.store.image_index]
    if output.suffix == ".npy":
        _write_numpy(output, values, ids, columns)
    else:
        _write_parquet(output, values, ids, columns)
    if not quiet:
        made = "taken from" if found.reused else f"computed in {found.seconds:.1f} s, kept in"
        typer.echo(f"{len(values):,} embeddings of {values.shape[1]:,} numbers in {output}; {made} {found.path}.")


def _embedded(plan: RunPlan) -> tuple[Embeddings, RunData]:
    from rsbench.engine.input.run_data import open_data
    from rsbench.engine.run.build import build_network, make_task, normalization
    from rsbench.engine.run.report import Machine
    from rsbench.engine.training.device import make_fabric
    from rsbench_probes.embeddings import embeddings

    machine = Machine.prepare(plan)
    data = open_data(plan)
    task = make_task(plan, data)
    model: Any = build_network(task, machine.device)
    fabric = make_fabric(machine.device, machine.precision)
    return embeddings(task, model.features, normalization(plan, data), machine, fabric), data


def _columns(data: RunData) -> tuple[list[str], dict[str, list[Any]]]:
    """Return ids of samples; and the part of the split, empty for none, and the label of each."""
    import numpy as np

    part = np.full(len(data.store.ids), "", dtype=object)
    for name in ("train", "val", "test"):
        part[getattr(data, name)] = name
    columns: dict[str, list[Any]] = {"split": part.tolist()}
    if "label" in data.store.columns:
        columns["label"] = [data.classes[label] for label in data.store.labels]
    return [*data.store.ids], columns


def _write_numpy(path: Path, values: np.ndarray, ids: list[str], columns: dict[str, list[Any]]) -> None:
    import csv
    import io

    import numpy as np

    from rsbench.files import write_atomically

    write_atomically(path, lambda stream: np.save(stream, values))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["id", *columns])
    writer.writerows(zip(ids, *columns.values(), strict=True))
    write_atomically(path.with_suffix(".csv"), text.getvalue())


def _write_parquet(path: Path, values: np.ndarray, ids: list[str], columns: dict[str, list[Any]]) -> None:
    import numpy as np
    import pyarrow as pa

    from rsbench.tasks import tables

    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ravel(values)), values.shape[1])
    tables.write(path, {"id": pa.array(ids), **{k: pa.array(v) for k, v in columns.items()}, "embedding": vectors})
