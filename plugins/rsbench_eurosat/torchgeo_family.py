"""Any classification dataset of torchgeo as ``torchgeo:<Name>``, by one adapter.

torchgeo is imported only when a member is built.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np

from rsbench.data.images import decode_rgb
from rsbench.data.source import SampleError
from rsbench.errors import UserError
from rsbench.specs import DatasetSpec

PARTS: Final = ("train", "val", "test")
_BASES: Final = {"NonGeoClassificationDataset"}


@cache
def _classification_classes() -> tuple[str, ...]:
    """Names of torchgeo's classification datasets, read from its source text, since importing it takes seconds."""
    spec = find_spec("torchgeo")
    if spec is None or not spec.submodule_search_locations:
        return ()
    bases = {}
    for path in (Path(spec.submodule_search_locations[0]) / "datasets").glob("*.py"):
        for name, parents in re.findall(r"^class (\w+)\(([^)]*)\)", path.read_text(encoding="utf-8"), re.MULTILINE):
            bases[name] = {p.strip() for p in parents.split(",")}
    known = set(_BASES)
    while more := {n for n, parents in bases.items() if parents & known} - known:
        known |= more
    return tuple(sorted(known - _BASES))


def members(pattern: str = "*") -> list[str]:
    """Names that match a shell pattern."""
    return [n for n in _classification_classes() if fnmatch(n, pattern)]


def resolve(member: str) -> DatasetSpec | None:
    """Return the spec of one torchgeo dataset, or ``None`` where torchgeo has no classification dataset of the name."""
    if member not in _classification_classes():
        return None
    return DatasetSpec(
        name=f"torchgeo:{member}",
        summary=f"{member} as torchgeo reads it.",
        source="rsbench_eurosat.torchgeo_family:source",
        default_protocol="official-split",
        citation="see torchgeo's documentation of the dataset",
        homepage="https://torchgeo.readthedocs.io",
    )


def source(root: Path, spec: DatasetSpec) -> TorchgeoSource:
    """Return the source over torchgeo's own files at *root* (downloaded by torchgeo or by hand).

    Raises:
        UserError: torchgeo does not find its files there.
    """
    from torchgeo import datasets
    from torchgeo.datasets import DatasetNotFoundError

    cls = getattr(datasets, spec.name.partition(":")[2])
    try:
        parts = _open_parts(cls, root)
    except (DatasetNotFoundError, FileNotFoundError, RuntimeError) as error:
        text = " ".join(str(error).split())
        raise UserError(f"torchgeo does not find {cls.__name__} in {root}: {text}") from None
    return TorchgeoSource(parts)


def _open_parts(cls: Any, root: Path) -> dict[str, Any]:
    """Open the splits that the dataset has; one without splits is all training data."""
    import inspect

    if "split" not in inspect.signature(cls.__init__).parameters:
        return {"train": _without_loss(cls(root=str(root)))}
    parts = {}
    for part in PARTS:
        try:
            parts[part] = _without_loss(cls(root=str(root), split=part))
        except AssertionError:  # torchgeo asserts that the split is one of the dataset's
            continue
    return parts


class TorchgeoSource:
    """Concatenates torchgeo's splits; images of other sizes than the most frequent are resized to it bilinearly.

    All images are looked at before: what is stored holds the values of each, and no single image decides size or type.
    """

    def __init__(self, parts: dict[str, Any]) -> None:
        self.parts = parts
        first = next(iter(parts.values()))
        self.classes: tuple[str, ...] = tuple(getattr(first, "classes", ()))
        self.where = [(part, i) for part, data in parts.items() for i in range(len(data))]
        self.image_ids = [self._id(part, i) for part, i in self.where]
        self.shape, self.dtype = self._survey()
        self.columns: dict[str, list[Any]] = {
            "id": self.image_ids,
            "label": [self._label(part, i) for part, i in self.where],
            "official_split": [part for part, _ in self.where],
        }

    def _survey(self) -> tuple[tuple[int, int, int], str]:
        """Return the shape and the type in which all images are stored."""
        with ThreadPoolExecutor() as pool:  # decoders leave the interpreter to others
            facts = [found for found in pool.map(self._facts, range(len(self.where))) if found]
        if not facts:
            raise UserError("torchgeo finds no image that can be read.")
        (bands, height, width), _ = Counter(shape for shape, *_ in facts).most_common(1)[0]
        low, high = min(low for _, low, _, _ in facts), max(high for *_, high, _ in facts)
        whole = all(whole for *_, whole in facts) and low >= 0 and high <= np.iinfo(np.uint16).max
        dtype = ("uint8" if high <= np.iinfo(np.uint8).max else "uint16") if whole else "float32"
        return (bands, max(height, width), max(height, width)), dtype

    def _facts(self, number: int) -> tuple[tuple[int, ...], float, float, bool] | None:
        """Return an image's shape, least and greatest value, and whether its values are whole numbers; ``None`` for one
        that cannot be read, which is named later."""
        try:
            image = self._image(number)
        except SampleError:
            return None
        whole = bool((image == np.round(image)).all()) or self._was_resized(number, image.shape)
        return image.shape, float(image.min()), float(image.max()), whole

    def _was_resized(self, number: int, shape: tuple[int, ...]) -> bool:
        """Whether torchgeo has made an image of another size from a file of whole numbers."""
        part, i = self.where[number]
        samples = getattr(self.parts[part], "samples", None)
        if samples is None:
            return False
        with _opened(samples[i][0]) as file:
            return (file.height, file.width) != shape[1:] and all(kind.startswith("uint") for kind in file.dtypes)

    def _image(self, number: int) -> np.ndarray:
        """Return an image as torchgeo reads it, float32 [C, H, W].

        Raises:
            SampleError: torchgeo cannot read it, or would lose values (see :func:`_without_loss`).
        """
        part, i = self.where[number]
        try:
            return _array(self.parts[part][i]["image"])
        except SampleError:
            raise
        except (OSError, ValueError, RuntimeError) as error:
            raise SampleError(f"{self.image_ids[number]} cannot be read ({error})") from None

    def _id(self, part: str, i: int) -> str:
        """The file's class and name where torchgeo has a folder dataset, else split and number."""
        samples = getattr(self.parts[part], "samples", None)
        if samples is None:
            return f"{part}/{i}"
        return "/".join(Path(samples[i][0]).parts[-2:])

    def _label(self, part: str, i: int) -> int:
        targets = getattr(self.parts[part], "targets", None)
        return int(targets[i]) if targets is not None else int(self.parts[part][i]["label"])

    def read(self, start: int, stop: int, out: np.ndarray) -> None:
        """Read images into ``out`` [n, C, H, W].

        Raises:
            SampleError: torchgeo cannot read a file, or it has another number of bands.
        """
        import torch
        import torch.nn.functional as F

        for k in range(stop - start):
            image = self._image(start + k)
            if image.shape[0] != self.shape[0]:
                raise SampleError(f"{self.image_ids[start + k]} has {image.shape[0]} bands, not {self.shape[0]}")
            if image.shape != self.shape:
                batch = torch.from_numpy(image.astype(np.float32))[None]
                image = F.interpolate(batch, size=self.shape[1:], mode="bilinear", antialias=True)[0].numpy()
            low, high = (
                (np.iinfo(out.dtype).min, np.iinfo(out.dtype).max) if out.dtype.kind in "ui" else (-np.inf, np.inf)
            )
            out[k] = np.clip(np.round(image) if out.dtype.kind in "ui" else image, low, high)


def _without_loss(data: Any) -> Any:
    """Return a dataset of torchgeo with other loaders in place of those that make 8 bits or whole numbers of all."""
    from torchgeo.datasets.utils import rasterio_loader
    from torchvision.datasets.folder import default_loader, pil_loader

    ours = {rasterio_loader: _load_bands, pil_loader: _load_rgb, default_loader: _load_rgb}
    if getattr(data, "loader", None) in ours:
        data.loader = ours[data.loader]
    return data


def _load_rgb(path: str) -> np.ndarray:
    return decode_rgb(Path(path).read_bytes(), Path(path).name)


def _load_bands(path: str) -> np.ndarray:
    with _opened(path) as file:
        return file.read().transpose(1, 2, 0)


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as file:
            yield file


def _array(image: Any) -> np.ndarray:
    array = np.asarray(image)
    return array if array.ndim == 3 else array[None]
