"""Options that commands which train have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Changes = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe.")]
ModelOptions = Annotated[
    list[str] | None, typer.Option("--option", metavar="KEY=VALUE", help="Set an option of the model.")
]
Device = Annotated[str, typer.Option(help="auto | cpu | cuda | cuda:N")]
Precision = Annotated[str | None, typer.Option(help="auto | fp32 | bf16 | fp16")]
Threads = Annotated[int, typer.Option(min=0, help="CPU threads; 0: all usable cores.")]
Overfit = Annotated[
    int | None, typer.Option(min=1, help="Train and test on this many training images, to see that a model learns.")
]
Out = Annotated[Path, typer.Option(help="Folder of the records.", envvar="RSBENCH_OUT")]
DataRoot = Annotated[Path | None, typer.Option(help="Data root.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plans and stop.")]
Json = Annotated[bool, typer.Option("--json", help="Print outcomes as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
