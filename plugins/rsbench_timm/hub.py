"""Downloads of pretrained weights, with errors that say what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten
from typing import Final

import torch

from rsbench.errors import UserError

_PATIENCE: Final = 5.0  # seconds


@contextmanager
def downloading(name: str) -> Iterator[None]:
    """Turn whatever goes wrong within into one sentence; without a network only cached weights are looked for.

    Raises:
        UserError: in place of the hubs' many kinds of errors.
    """
    from huggingface_hub import constants

    before, logger = constants.HF_HUB_OFFLINE, logging.getLogger("huggingface_hub")
    level = logger.level
    try:
        # Else the hub tries again and again, for most of a minute.
        constants.HF_HUB_OFFLINE = before or not _reachable(constants.ENDPOINT)
        logger.setLevel(logging.ERROR)
        yield
    except Exception as error:
        reason = shorten(str(error), 160, placeholder=" ...")
        raise UserError(
            f"The pretrained weights of {name} cannot be downloaded ({type(error).__name__}: {reason}): "
            "give the path of a local file as the option weights, or weights=none."
        ) from None
    finally:
        constants.HF_HUB_OFFLINE = before
        logger.setLevel(level)


def _reachable(url: str) -> bool:
    """Whether a server answers at *url*, through proxies where they are set."""
    import requests

    try:
        requests.head(url, timeout=_PATIENCE)
    except requests.RequestException:
        return False
    return True


@contextmanager
def torch_hub_at(folder: str | None) -> Iterator[None]:
    """Let torch.hub keep its downloads below *folder*; ``None`` leaves its own place."""
    before = torch.hub.get_dir()
    if folder is not None:
        torch.hub.set_dir(folder)
    try:
        yield
    finally:
        torch.hub.set_dir(before)
