"""Work of a network: multiply-accumulates by torch's FlopCounterMode."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode


def count_macs(work: Callable[[], object]) -> int:
    """Return the multiply-accumulates of *work*; FLOPs are twice as many, and element-wise work is not counted.

    *work* is done in float32: the counter takes layers apart below autocast, which then no longer brings types together.
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
