"""BatchNorm whose statistics are those of the global batch."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def share_statistics(model: nn.Module, device: torch.device) -> nn.Module:
    """Replace each BatchNorm of *model* by one over the batches of all ranks, with the same parameters and buffers."""
    if device.type == "cuda":
        from timm.layers import convert_sync_batchnorm

        return convert_sync_batchnorm(model)
    if isinstance(model, _BatchNorm):
        return GlobalBatchNorm.like(model)
    for name, child in model.named_children():
        setattr(model, name, share_statistics(child, device))
    return model


class GlobalBatchNorm(_BatchNorm):
    """BatchNorm over the batches of all ranks, for CPUs: torch's own SyncBatchNorm runs on GPUs alone."""

    @classmethod
    def like(cls, norm: _BatchNorm) -> GlobalBatchNorm:
        """Return a module with the tensors of *norm*, and with what timm's BatchNormAct does after it."""
        made = cls(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
        made._parameters, made._buffers, made._modules = norm._parameters, norm._buffers, norm._modules
        made.training = norm.training
        return made

    def _check_input_dim(self, input: torch.Tensor) -> None:
        del input

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return *input* [b, C, ...] normalized by mean and variance of all ranks' inputs, or by the running ones."""
        shared = self.training or self.running_mean is None
        normalized = self._normalize(input) if shared else super().forward(input)
        for module in self._modules.values():
            assert module is not None
            normalized = module(normalized)
        return normalized

    def _normalize(self, x: torch.Tensor) -> torch.Tensor:
        given, x = x.dtype, x.to(torch.promote_types(x.dtype, torch.float32))
        around = [0, *range(2, x.ndim)]
        shape = (1, -1, *[1] * (x.ndim - 2))
        count = _Summed.apply(x.new_tensor(x.numel() / x.shape[1]))
        mean = _Summed.apply(x.sum(around)) / count
        centered = x - mean.view(shape)
        variance = _Summed.apply((centered * centered).sum(around)) / count
        if self.running_mean is not None:
            self._track(mean.detach(), (variance * count / (count - 1).clamp_min(1)).detach())
        scaled = centered * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            scaled = scaled * self.weight.view(shape) + self.bias.view(shape)
        return scaled.to(given)

    def _track(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance, share)


class _Summed(torch.autograd.Function):
    """The sum over ranks; so is its gradient."""

    @staticmethod
    def forward(ctx: Any, value: torch.Tensor) -> torch.Tensor:
        del ctx
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        del ctx
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total
