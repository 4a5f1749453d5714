"""``data``: files become arrays."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from rsbench.cli import complete, hints, lazy
from rsbench.errors import UserError
from rsbench.registry import registry

Name = Annotated[str, typer.Argument(help="Dataset.", autocompletion=complete.names("dataset"))]
Root = Annotated[
    Path | None, typer.Option(help="Data root. Default: RSBENCH_DATA, else the platform's user data folder.")
]


def register(app: typer.Typer, chosen: str | None = None) -> None:
    """Add the commands."""
    group = typer.Typer(help="Download, prepare, verify and audit datasets.", no_args_is_help=True)
    for name, function in (("fetch", fetch), ("prepare", prepare), ("verify", verify), ("audit", audit)):
        lazy.add(group, name, function, None if chosen in (None, "data") else "")
    app.add_typer(group, name="data")


@contextmanager
def bar(label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    column = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = ("{task.description}", BarColumn(), column, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total or None)


def fetch(name: Name, data_root: Root = None) -> None:
    """Download a dataset's files, resuming and checking each.

    Example: rsbench data fetch eurosat
    """
    from rsbench.data import location
    from rsbench.data.fetch import fetch as fetch_files

    spec = registry().get("dataset", name)
    with bar(f"Fetching {name}", "bytes") as on_progress:
        folder = fetch_files(spec, location.data_root(data_root), on_progress=on_progress)
    typer.echo(f"Fetched {name} into {folder}. Next: rsbench data prepare {name}")


def prepare(
    name: Name,
    source: Annotated[
        Path | None, typer.Option(help="Folder or archive of its files. Default: the fetched ones.")
    ] = None,
    data_root: Root = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes. Default: all usable cores.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Prepare again.")] = False,
) -> None:
    """Turn a dataset's files into memory-mapped arrays, once.

    Example: rsbench data prepare eurosat --source ~/eurosat
    """
    from rsbench.data import location
    from rsbench.data.manifest import MANIFEST, is_complete, store_path
    from rsbench.data.prepare import open_source
    from rsbench.data.prepare import prepare as prepare_arrays

    spec, root = registry().get("dataset", name), location.data_root(data_root)
    path = store_path(root, spec)
    there = is_complete(path) and (path / MANIFEST).stat().st_mtime_ns
    if there and source is not None and not force:
        open_source(spec, source, root)  # says what is wrong with it
    with bar(f"Preparing {spec.name}", "images") as on_progress:
        store = prepare_arrays(
            spec,
            source,
            root,
            workers=workers,
            force=force,
            on_progress=on_progress,
            tell=lambda sentence: typer.echo(f"rsbench: {sentence}", err=True),
        )
    shape = "x".join(str(n) for n in store.manifest["shape"])
    about = f"{store.manifest['images']} images of {shape} {store.manifest['dtype']} in {store.path}"
    if there == (path / MANIFEST).stat().st_mtime_ns:
        when = datetime.fromtimestamp((path / MANIFEST).stat().st_mtime).strftime("%Y-%m-%d %H:%M")
        typer.echo(f"{name} is already prepared, since {when}: {about}. Nothing was read; --force prepares it again.")
    else:
        typer.echo(f"Prepared {name}: {about}")
    hints.following(f"rsbench run MODEL {name} --dry-run", "rsbench list models")


def verify(name: Name, data_root: Root = None) -> None:
    """Check a prepared dataset against the hashes taken when it was prepared, and its splits against its protocols.

    Example: rsbench data verify eurosat
    """
    from rsbench.data import integrity, location
    from rsbench.data.manifest import require, store_path

    spec, root = registry().get("dataset", name), location.data_root(data_root)
    found, path = require(root, spec), store_path(root, spec)
    wrong = integrity.verify(path) or _wrong_splits(path, name)
    for line in wrong:
        typer.echo(f"{name}: {line}", err=True)
    if wrong:
        raise typer.Exit(1)
    typer.echo(f"{name}: {found['images']} images are as prepared ({found['fingerprint'][:16]})")


def _wrong_splits(path: Path, dataset: str) -> list[str]:
    from rsbench.data import splits
    from rsbench.data.manifest import split_path
    from rsbench.data.store import PreparedStore

    store, wrong = PreparedStore(path), []
    for protocol in registry().specs("protocol").values():
        if fnmatchcase(dataset, protocol.dataset) and split_path(path, protocol).exists():
            try:
                splits.check(store, protocol)
            except UserError as error:
                wrong.append(str(error))
    return wrong


def audit(
    name: Name,
    protocol: Annotated[
        str | None,
        typer.Option(help="Whose split. Default: the dataset's.", autocompletion=complete.names("protocol")),
    ] = None,
    data_root: Root = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Report what the training and test parts of a split share: images, sentences, questions.

    Example: rsbench data audit ucm-captions
    """
    from rsbench.api import prepare_generated
    from rsbench.data import audit as audits
    from rsbench.data import location, splits
    from rsbench.data import store as stores
    from rsbench.plan import choose_protocol

    prepare_generated(name, data_root)
    spec = registry().get("dataset", name)
    found = stores.find(location.data_root(data_root), spec)
    chosen = choose_protocol(spec, protocol, found.manifest)
    report = audits.audit(found, splits.resolve(found, chosen))
    if as_json:
        typer.echo(json.dumps(report, indent=1))
        return
    typer.echo(f"{name}, protocol {chosen.name}")
    for line in audits.sentences_of(report):
        typer.echo(f"  {line}")
