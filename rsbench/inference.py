"""What a run that is over can still do: give its network, and predict new images.

Importing this module imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rsbench.errors import UserError
from rsbench.execution import OUT
from rsbench.records.sources import Source

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

Path_ = str | PathLike[str]
HINT: Final = "give --resize (resize=True) to have it resized, which no run was tested with"


def load_model(run: Source, *, device: str = "auto", out: Path_ = OUT, data_root: Path_ | None = None) -> nn.Module:
    """Return the network of a finished run, in evaluation mode.

    Its attribute ``rsbench`` says what one must know to use it: ``classes``, ``bands``, ``shape`` and ``dtype`` of the
    images as they are stored, ``size``, ``mean`` and ``std``, ``vocabulary``, ``run_id`` (see
    :class:`rsbench.engine.run.trained.Trained`).  Its method ``preprocess`` turns images [N, C, H, W], as they are
    stored, into what the network takes::

        model = rsbench.load_model("0b9f31c2")
        logits = model(model.rsbench.preprocess(images))

    Args:
        run: id, the hash at its end, a beginning of either, folder, record, or an outcome of :func:`rsbench.run`.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        out: folder of the runs.
        data_root: folder of prepared data, which a few networks are built from.

    Raises:
        UserError: there is no such run, it has kept no weights, or they are not those of its record.
    """
    from rsbench.engine.launch.run_folders import record_of
    from rsbench.engine.run.trained import load

    return load(record_of(run, out), device, Path(data_root) if data_root else None)


def predict(
    run: Source | nn.Module,
    images: Path_ | Iterable[Path_] | np.ndarray,
    *,
    top: int = 1,
    question: str | None = None,
    question_type: str | None = None,
    resize: bool = False,
    device: str = "auto",
    out: Path_ = OUT,
    data_root: Path_ | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Return what a finished run's network predicts of images, one row an image with its ``file``.

    The task chooses the other columns: label and probability, caption, or answer.  Images go through the run's own
    preprocessing and evaluation.

    Args:
        run: as for :func:`load_model`, or what that returned.
        images: files, folders or patterns, one or many; or an array [N, C, H, W] of images as they are stored, whose
            ``file`` is their number.
        top: the most probable classes that are told.
        question, question_type: what is asked of every image, of tasks that ask.
        resize: bring images of another size to that of the run's dataset, bilinearly with antialiasing.
        device, out, data_root: as for :func:`load_model`.
        on_progress: called with (images done, images in all).

    Raises:
        UserError: as :func:`load_model`; or an image cannot be read, or has another size, other bands or another type.
    """
    from rsbench.engine.run import trained

    network: Any = run if hasattr(run, "rsbench") else None
    if network is None:
        network = load_model(run, device=device, out=out, data_root=data_root)  # type: ignore[arg-type]
    known = network.rsbench
    asked: dict[str, Any] = {"top": top, "question": question, "question_type": question_type}
    told = on_progress or (lambda done, total: None)
    if hasattr(images, "shape"):
        array = known.checked(images)
        names = [str(k) for k in range(len(array))]
        return [*trained.predict(network, array, names, lambda image: image, **asked, on_progress=told)]
    from rsbench.data.images import resized
    from rsbench.data.new_images import image_files, read_image

    files = image_files([images] if isinstance(images, str | PathLike) else images)

    def read(path: Path) -> np.ndarray:
        image = read_image(path, known.shape[0], known.dtype)
        if image.shape == known.shape:
            return image
        if not resize:
            (height, width), wanted = image.shape[1:], known.shape
            raise UserError(
                f"{path} is {width}x{height} pixels; the run was trained on {wanted[2]}x{wanted[1]}: {HINT}."
            )
        return resized(image, known.shape[1:])

    return [*trained.predict(network, files, [*map(str, files)], read, **asked, on_progress=told)]
