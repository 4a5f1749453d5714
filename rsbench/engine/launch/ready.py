"""What stands in the way of a run's start, found before a process is started for it; a dry run finds it too.

Imports neither torch nor NumPy.
"""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from rsbench.engine.launch.run_result import LOCK, PLAN
from rsbench.engine.parallel import world
from rsbench.engine.training import resume
from rsbench.errors import UserError
from rsbench.files import regular
from rsbench.records import store

# A folder of such a name would be found when the work is done; plugins may have others.
FILES: Final = (store.FILE, store.PREDICTIONS, store.WEIGHTS, PLAN, LOCK, world.LOG, resume.FILE, resume.PREVIOUS)
LONGEST_TEMPORARY: Final = 70  # bytes; of the 107 of a socket's name, the rest is Python's


def ensure_ready(folder: Path) -> None:
    """See whether a run can write its files to its folder, which need not be there yet, and speak with its process.

    Raises:
        OSError: the folder cannot be written to, which a worker could not even log, or something lies where a file of
            the run would, such as a pipe that would wait for ever or a link by which another file would be lost.
        UserError: temporary files cannot be where they should.
    """
    if os.path.lexists(folder):
        if not folder.is_dir():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(folder))
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))
        for path in folder.iterdir():
            with suppress(FileNotFoundError):  # another process, which is at the run, has removed it
                if path.name in FILES or not (path.is_dir() or path.name.startswith(".")):
                    regular(path, links=False)
    if len(os.fsencode(tempfile.gettempdir())) > LONGEST_TEMPORARY:
        raise UserError(
            f"Processes cannot speak by sockets in '{tempfile.gettempdir()[:40]}...', whose name is too long: set "
            "TMPDIR to another folder."
        )
