"""Notes by which the processes of one launch, on whatever node, tell each other things in the folder of a run."""

from __future__ import annotations

import glob
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsbench.files import write_atomically


@dataclass(frozen=True, slots=True)
class Board:
    """Notes of the launch *key* in *folder*, which all nodes see."""

    folder: Path
    key: str

    def put(self, name: str, value: Any) -> None:
        """Show a JSON-able value."""
        write_atomically(self._path(name), json.dumps(value))

    def get(self, name: str) -> Any:
        """Return the value that is shown, or ``None``."""
        try:
            return json.loads(self._path(name).read_text(encoding="utf-8"))
        except OSError:
            return None

    def all(self) -> dict[str, Any]:
        """Return the values of all notes by name."""
        start = f".note-{self.key}-"
        names = [path.name.removeprefix(start) for path in self.folder.glob(f"{glob.escape(start)}*")]
        return {name: self.get(name) for name in names}

    def clear(self, others: bool = False) -> None:
        """Take down all notes; with *others* only those of other launches."""
        for path in self.folder.glob(".note-*"):
            if not (others and path.name.startswith(f".note-{self.key}-")):
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f".note-{self.key}-{name}"
