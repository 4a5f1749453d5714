"""The gradients of a step, with less memory where memory has run out.

A step whose forward or backward pass finds no memory is done again: first with checkpointed activations, which changes
no number, then in twice as many micro-batches, and so on.  The step of the optimizer stays one for the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeVar

import torch
from torch import nn

from rsbench.engine.memory import is_out_of_memory, release
from rsbench.engine.step.activation_checkpointing import checkpoint_activations
from rsbench.engine.step.compiled import Compiled, reset_compiled
from rsbench.engine.step.micro_batches import can_split, slice_batch, split_batch
from rsbench.engine.step.snapshot import Snapshot
from rsbench.errors import RunError
from rsbench.execution import NONE

CHECK: Final = "engine:batch-back-off"
# In the first step gradients come to lie in memory and in the second the optimizer's state, beside what evaluation
# has left behind; from then on each step takes the same, unless batches differ.
WATCHED: Final = 3

Result = TypeVar("Result")


class StepRunner:
    """Takes the gradients of batches, in as few parts as memory allows.

    Random state and buffers are kept before the first :data:`WATCHED` steps of an epoch, and before each step once
    batches are cut, so that a step is done again as it was; other steps cost nothing more.

    Args:
        loss: ``(logits [B, K], targets [B]) -> scalar``.
        fabric: has ``backward`` and ``autocast``, of Lightning Fabric or what stands in for it.
        device: on which the network is.
        task: has ``loss(model, batch, loss)``.
        network: the network itself, without a wrapper for ranks.
        retries: whether to back off at all; ranks that wait for one another cannot.
        checkpointed: whether the network checkpoints its activations already.

    Attributes:
        parts: micro-batches of a batch.
        compiled: the network, where it is compiled for training.
    """

    def __init__(
        self,
        task: Any,
        loss: Any,
        fabric: Any,
        network: nn.Module,
        device: torch.device,
        *,
        retries: bool = True,
        checkpointed: bool = False,
    ) -> None:
        self.task, self.loss, self.fabric, self.network, self.device = task, loss, fabric, network, device
        self.retries, self.checkpointed, self._try_checkpoints = retries, checkpointed, not checkpointed
        self.compiled: Compiled | None = None
        self.parts = 1
        self._epoch, self._watched = 1, 0
        self._history: list[dict[str, Any]] = []

    def epoch_begins(self, epoch: int) -> None:
        """Call before the first step of an epoch (counted from 1) in this process."""
        self._epoch, self._watched = epoch, WATCHED if self.retries else 0

    def __call__(self, model: Any, batch: Any) -> torch.Tensor:
        """Add the gradients of *batch* to those of *model* (the network, or its wrapper); return its loss, detached.

        Raises:
            RunError: memory is too short even for one image at a time.
        """
        before = None
        if self._watched or self.parts > 1:
            before, self._watched = Snapshot(self.network), max(self._watched - 1, 0)
        try:
            return self._take(model, batch)
        except Exception as error:
            if not self.retries or not is_out_of_memory(error):
                raise
        self.network.zero_grad(set_to_none=True)  # only here: the error held on to the frames, and they to tensors
        (release if self.compiled is None else reset_compiled)(
            self.device
        )  # CUDA graphs of the whole batch hold memory
        if before is not None:
            before.restore()
        self._back_off(batch, "" if before is not None else ", the first of them with random numbers of its own")
        return self(model, batch)

    def _take(self, model: Any, batch: Any) -> torch.Tensor:
        if self.compiled is not None:
            torch.compiler.cudagraph_mark_step_begin()
        if self.parts == 1:
            return self._pass(model, batch, self.loss)
        total = torch.zeros((), device=self.device)
        for part in split_batch(
            batch, self.loss, min(self.parts, len(batch.index))
        ):  # the last batch may hold fewer images
            total += self._pass(model, part.batch, part.loss, part.weight)
        return total

    def _pass(self, model: Any, batch: Any, loss: Any, weight: Any = None) -> torch.Tensor:
        """Forward and backward, once."""
        with self.fabric.autocast():
            value = self.task.loss(model, batch, loss)
        if weight is not None:
            value = value * weight
        self.fabric.backward(value)
        return value.detach()

    def with_oom_retry(self, check: Callable[[Any], Result], batch: Any) -> Result:
        """Return what *check* gives of *batch* or, backing off, of the first micro-batch that memory holds."""
        try:
            return check(self.first(batch))
        except Exception as error:
            if not self.retries or not is_out_of_memory(error):
                raise
        release(self.device)
        self._back_off(batch)
        return self.with_oom_retry(check, batch)

    def eager(self) -> AbstractContextManager[None]:
        """Return a context in which the network is not compiled."""
        return nullcontext() if self.compiled is None else self.compiled.eager()

    def end(self) -> None:
        """Leave the network as its factory made it, but for checkpoints, which evaluation does not notice."""
        if self.compiled is not None:
            self.compiled.off()

    def first(self, batch: Any) -> Any:
        """Return the first and largest micro-batch of *batch*."""
        return batch if self.parts == 1 else slice_batch(batch, 0, -(-len(batch.index) // self.parts))

    def _back_off(self, batch: Any, remark: str = "") -> None:
        """Make the next attempt need less memory."""
        if self._try_checkpoints and self.compiled is None:
            self._try_checkpoints, self.checkpointed = False, checkpoint_activations(self.network) > 0
            if self.checkpointed:
                self._note(f"activations are checkpointed{remark}")
                return
        if not can_split(batch) or self.parts >= len(batch.index):
            raise RunError(
                "The device ran out of memory, and the batch cannot be cut further: use a smaller network, smaller "
                "images, a smaller batch (--set batch=...) or a device with more memory.",
                "train",
            )
        self.parts = min(2 * self.parts, len(batch.index))
        largest = -(-len(batch.index) // self.parts)
        self._note(f"steps take {self.parts} micro-batches of at most {largest} images{remark}")

    def _note(self, what: str) -> None:
        self._history.append({"epoch": self._epoch, "parts": self.parts, "what": what})

    def checks(self) -> list[dict[str, Any]]:
        """The record's check, where memory has run out."""
        if not self._history:
            return []
        steps = "; ".join(f"from epoch {h['epoch']} on {h['what']}" for h in self._history)
        note = " BatchNorm in training sees a micro-batch at a time." if self.parts > 1 else ""
        return [{"name": CHECK, "ok": True, "detail": f"Memory ran out: {steps}.{note}"}]

    def flags(self) -> dict[str, Any]:
        """What the record's ``env.flags`` say of training, at its end."""
        return {
            "compile": None if self.compiled is None else self.compiled.mode,
            "micro_batches": self.parts,
            "checkpoint_activations": self.checkpointed,
        }

    def state_dict(self) -> dict[str, Any]:
        """State to resume from."""
        compiled = NONE if self.compiled is None else self.compiled.mode
        return {
            "parts": self.parts,
            "checkpointed": self.checkpointed,
            "compile": compiled,
            "history": self._history,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on as before an interruption; what was compiled then is compiled again by whoever starts the run."""
        self._history = list(state.get("history", ()))
        if self.retries:  # ranks have a part of each batch already, and cannot cut it
            self.parts = state.get("parts", 1)
        if state.get("checkpointed") and not self.checkpointed:
            checkpoint_activations(self.network)
            self.checkpointed, self._try_checkpoints = True, False
