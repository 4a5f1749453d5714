"""Notes by which the processes of one launch, on whatever node, tell each other things in the folder of a run."""

from __future__ import annotations

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

    def clear(self) -> None:
        """Take down all notes, of earlier launches too."""
        for path in self.folder.glob(".note-*"):
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f".note-{self.key}-{name}"
