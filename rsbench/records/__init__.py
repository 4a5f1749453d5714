"""Records of runs, on disk and as what they hold."""

from typing import Final

FILE: Final = "record.json"
BOARD_CACHE: Final = ".rsbench-board"  # a folder beside records: what boards have read of them
