"""Lets the server that runs are forked from end with the process that has started it, and not by a signal to their
group, which is for the runs to answer.  Imported by the server before all else."""

import signal

for _number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(_number, signal.SIG_IGN)
