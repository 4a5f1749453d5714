"""Work of a network: multiply-accumulates by torch's FlopCounterMode."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from rsbench.engine.tasks.base import TrainingTask


def macs_of_sample(task: TrainingTask, model: nn.Module) -> int | None:
    """Return the multiply-accumulates of evaluating one sample; ``None`` where they cannot be counted, since counting
    must never cost a finished run its record."""
    parameter, training = next(model.parameters(), None), model.training
    if parameter is None:
        return None
    try:
        arguments = task.probe(parameter.device)
        with torch.no_grad():
            return count_macs(lambda: model.eval()(*arguments))
    except Exception:
        return None
    finally:
        model.train(training)


def count_macs(work: Callable[[], object]) -> int:
    """Return the multiply-accumulates of *work*; FLOPs are twice as many, and element-wise work is not counted.

    *work* is to be done in float32, without autocast: the counter takes layers apart below it, where nothing brings
    their types together any more.
    """
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = _Everything()  # type: ignore[assignment]
    with countable(), counter:
        work()
    return int(counter.get_total_flops() // 2)


class _Everything(AbstractContextManager[None]):
    """Counts for the whole alone: torch's tracker fails on a module that is given a parameter without autograd."""

    parents = frozenset({"Global"})

    def __exit__(self, *_: object) -> None:
        pass


@contextmanager
def countable() -> Iterator[None]:
    """Let recurrent layers, attention and transformer layers take the path whose products the counter sees.

    As one fused operation (cuDNN's or oneDNN's LSTM and GRU, the CPU's flash attention, the inference path of
    ``nn.TransformerEncoderLayer``) they would count as nothing, and a GPU's attention would count its recomputation.
    """
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # setting oneDNN's flags warns of GPUs that are not there
        mkldnn = torch.backends.mkldnn.flags(enabled=False)
        cudnn = torch.backends.cudnn.flags(enabled=False)
        try:
            with mkldnn, cudnn, sdpa_kernel(SDPBackend.MATH):
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
