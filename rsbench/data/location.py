"""Where data live."""

from __future__ import annotations

import os
from pathlib import Path


def data_root(flag: Path | str | None = None) -> Path:
    """Return the data root: the flag, else ``RSBENCH_DATA``, else the platform's user data directory."""
    if flag:
        return Path(flag).expanduser().resolve()
    if os.environ.get("RSBENCH_DATA"):
        return Path(os.environ["RSBENCH_DATA"]).expanduser().resolve()
    from platformdirs import user_data_path

    return user_data_path("rsbench", appauthor=False)


def raw_folder(root: Path, name: str) -> Path:
    """Folder of a dataset's downloaded files."""
    return root / "raw" / name.replace(":", "-")
