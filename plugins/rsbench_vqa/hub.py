"""Downloads that fail soon and in one sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import shorten
from typing import Final

from rsbench.errors import UserError

PATIENCE: Final = 5.0  # seconds


@contextmanager
def downloading(backbone: str) -> Iterator[None]:
    """Look for cached weights alone where the hub does not answer: its client would try for a minute, and noisily.

    Raises:
        UserError: in place of whatever goes wrong within.
    """
    import requests
    from huggingface_hub import constants

    logger = logging.getLogger("huggingface_hub")
    offline, level = constants.HF_HUB_OFFLINE, logger.level
    try:
        requests.head(constants.ENDPOINT, timeout=PATIENCE)
    except requests.RequestException:
        constants.HF_HUB_OFFLINE = True
    logger.setLevel(logging.ERROR)
    try:
        yield
    except Exception as error:  # of many kinds
        reason = shorten(str(error), 160, placeholder=" ...")
        raise UserError(
            f"The weights of backbone={backbone} cannot be downloaded ({type(error).__name__}: {reason}): "
            "give the path of a local file as the option weights, or weights=none."
        ) from None
    finally:
        constants.HF_HUB_OFFLINE = offline
        logger.setLevel(level)
