"""What the server that runs are forked from imports once.  It never runs an operation of torch and never touches a
device, so a fork of it may do both."""

import contextlib

import torch  # noqa: F401

import rsbench.engine.run.run
import rsbench.engine.run.scored_run  # noqa: F401
from rsbench.engine.input import kernels
from rsbench.registry import HOME, entries
from rsbench.specs import load_attribute

for _distribution, _, _entry in entries():
    if _distribution == HOME:  # code of others may change between runs
        with contextlib.suppress(Exception):
            for _spec in getattr(_entry.load(), "rsbench_tasks", list)():
                load_attribute(_spec.training)
with contextlib.suppress(ImportError):
    import timm  # noqa: F401
with contextlib.suppress(ImportError):
    import pyarrow.parquet  # noqa: F401
    import scipy.stats  # noqa: F401

with contextlib.suppress(Exception):  # a run that needs it says what is wrong
    kernels.prepare()
