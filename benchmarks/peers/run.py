"""Runs all measurements, each in a fresh process, peers shuffled within each round, and writes the table."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from benchmarks.peers.dataset import Selection, prepare_store, select
from benchmarks.peers.measure import MEASURES, Job
from benchmarks.peers.networks import RESNET, SMALL, TINY
from benchmarks.peers.peer import PEERS
from benchmarks.peers.table import markdown
from rsbench.errors import UserError

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = (
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "torchgeo",
    "kornia",
    "rasterio",
    "pillow",
    "simplejpeg",
)
RESNET_IMAGES: Final = (320, 64)
"""Images for training and validation of the large network, whose steps outweigh all else."""

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def main(
    data: Annotated[Path, typer.Option(help="Folder of EuroSAT.zip and the official split lists.")],
    out: Annotated[Path, typer.Option(help="Folder for peers.json and peers.md.")],
    cache: Annotated[Path, typer.Option(help="Folder for the images in each peer's format (2 GB at most).")],
    rounds: Annotated[int, typer.Option(min=1, help="Repetitions of every measurement.")] = 5,
    only: Annotated[str, typer.Option(help="Measures, separated by commas.")] = ",".join(MEASURES),
    peers: Annotated[str, typer.Option(help="Peers, separated by commas.")] = ",".join(PEERS),
    workers: Annotated[str, typer.Option(help="DataLoader workers of the data measure.")] = "0,2",
    train: Annotated[int, typer.Option(help="Training images.")] = 6_400,
    val: Annotated[int, typer.Option(help="Validation images.")] = 1_600,
    target: Annotated[float, typer.Option(help="Validation accuracy to be reached.")] = 0.8,
    epochs: Annotated[int, typer.Option(help="Epochs at most until then.")] = 30,
    layout: Annotated[str, typer.Option(help="Memory layout: channels_last or contiguous.")] = "channels_last",
    threads: Annotated[int, typer.Option(min=1, help="Threads of each process.")] = 1,
) -> None:
    """Compare rsbench with PyTorch, timm, Lightning and torchgeo on real EuroSAT images.

    Example: python -m benchmarks.peers --data eurosat --cache cache --out results --rounds 3 --only data,epoch
    """
    try:
        names = chosen(peers, PEERS)
        measures = chosen(only, MEASURES)
        seconds = prepare_store(data, cache)
        selections = {"": select(data, cache, train, val), RESNET: select(data, cache, *RESNET_IMAGES)}
    except UserError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    missing = {name: PEERS[name].missing for name in names if PEERS[name].missing}
    for name, packages in missing.items():
        typer.echo(f"Left out: {name}, which needs {', '.join(packages)}.", err=True)
    base = Job("", "", "", str(cache), layout=layout, threads=threads, target=target)
    present = [n for n in names if n not in missing]
    jobs = [
        job
        for measure in measures
        for job in planned(measure, present, selections, base, [int(w) for w in workers.split(",")], epochs)
    ]
    out.mkdir(parents=True, exist_ok=True)
    report = {"schema": "rsbench.peers/1", **circumstances(), "prepare_seconds": seconds, "left_out": missing}
    report |= {"train": train, "val": val, "resnet_images": RESNET_IMAGES, "results": []}
    for result in measured(jobs, rounds):
        report["results"].append(result)
        (out / "peers.json").write_text(json.dumps(report, indent=1) + "\n")
        (out / "peers.md").write_text(markdown(report["results"]))
    typer.echo((out / "peers.md").read_text())


def chosen(text: str, known: Any) -> list[str]:
    """Split a list of names.

    Raises:
        UserError: a name is not known.
    """
    names = text.split(",")
    for name in names:
        if name not in known:
            raise UserError(f"'{name}' is not one of {', '.join(known)}.")
    return names


def planned(
    measure: str,
    peers: list[str],
    selections: dict[str, Selection],
    base: Job,
    workers: list[int],
    epochs: int,
) -> Iterator[Job]:
    """Yield the jobs of one round of one measure."""
    networks = {"data": [("", 1)], "epoch": [(TINY, 4), (RESNET, 2)], "accuracy": [(SMALL, epochs)]}[measure]
    for network, passes in networks:
        folder = str((selections.get(network) or selections[""]).root)
        for peer in peers:
            for count in workers if measure == "data" and PEERS[peer].has_workers else [0]:
                job = replace(base, measure=measure, peer=peer, selection=folder, network=network)
                yield replace(job, workers=count, epochs=passes)


def measured(jobs: list[Job], rounds: int) -> Iterator[dict[str, Any]]:
    """Run every job once a round, in an order drawn anew each time."""
    for number in range(rounds):
        for job in random.Random(number).sample(jobs, len(jobs)):
            value = in_process(replace(job, seed=number))
            typer.echo(f"{number} {job.measure} {job.peer} {job.network} w{job.workers}: {value['value']}", err=True)
            described = {k: v for k, v in vars(job).items() if k not in ("selection", "data_root")}
            yield {"round": number, "job": described | {"seed": number}, **value}


def in_process(job: Job) -> dict[str, Any]:
    """Measure in a fresh interpreter, so that no peer inherits another's memory, threads or imports.

    Raises:
        subprocess.CalledProcessError: the peer failed; what it said has been shown.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(job.threads))
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.peers.measure", job.to_json()]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def circumstances() -> dict[str, Any]:
    """When and on what this was measured."""
    import torch

    from rsbench.engine.run.environment import describe

    env = describe(torch.device("cpu"), {"precision": "fp32"})
    env["packages"] = {name: version(name) for name in PACKAGES}
    return {"created": datetime.now(UTC).isoformat(timespec="seconds"), "env": env}


def version(package: str) -> str | None:
    """Installed version."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
