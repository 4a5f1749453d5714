"""What a run tells its parent, and how it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Emit = Callable[[dict[str, Any]], None]


class Interrupted(Exception):
    """The run was stopped; a state to resume from has been written."""
