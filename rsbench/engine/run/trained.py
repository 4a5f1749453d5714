"""The network of a run that is over: built again with the weights that the run kept, for images of any origin."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import nn

from rsbench.data.location import data_root
from rsbench.data.places import of_fingerprint
from rsbench.engine.input.loader import ArrayLoader
from rsbench.engine.input.normalization import Normalization
from rsbench.engine.input.run_data import new_data, open_data
from rsbench.engine.run import build, checkpoint_run
from rsbench.engine.step.snapshot import random_state, set_random_state
from rsbench.engine.training.checkpoint import CONTEXT
from rsbench.engine.training.device import make_fabric, select_device, select_precision
from rsbench.errors import RunError, UserError
from rsbench.evaluation import KINDS, value_of
from rsbench.plan import RunPlan, source_sha256
from rsbench.records.store import LoadedRecord
from rsbench.records.weights import weights_of
from rsbench.registry import registry
from rsbench.tasks.context import ModelContext
from rsbench.tasks.task import get_task
from rsbench.tasks.weights import read_metadata

TOGETHER: Final = 512  # images in memory at once: a multiple of every batch of evaluation


@dataclass(frozen=True)
class Trained:
    """What one must know of a trained network to use it; it is the attribute ``rsbench`` of the module.

    Attributes:
        run_id: of the run.
        classes: names in label order; for question answering the answers.
        bands: names of the channels that are taken of an image, in the network's order.
        shape: [C, H, W] of an image as it is stored; *dtype* is its type.
        size: side in pixels of what the network gets.
        mean, std: of each band, in stored units; subtracted and divided by.
        vocabulary: words by token number, where the task has some.
        device: of the network.
        notes: what may make predictions differ from those of the run.
    """

    run_id: str
    classes: tuple[str, ...]
    bands: tuple[str, ...]
    shape: tuple[int, int, int]
    dtype: str
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    vocabulary: tuple[str, ...]
    device: torch.device
    notes: tuple[str, ...]
    plan: RunPlan
    context: ModelContext

    def preprocess(self, images: Any) -> torch.Tensor:
        """Return images as the network takes them, float32 [N, bands, size, size] on its device: bands chosen, resized
        bilinearly with antialiasing where the protocol has another size, and normalized.

        Args:
            images: [N, C, H, W], or one [C, H, W], in the units, type and size of :attr:`shape` and :attr:`dtype`.

        Raises:
            UserError: they have another shape or type.
        """
        array = self.checked(images)
        data = new_data(self.plan, array, [str(k) for k in range(len(array))], {})
        loader = ArrayLoader(
            array,
            np.arange(len(array)),
            np.zeros(len(array), dtype=np.int64),
            np.arange(len(array)),
            batch=max(len(array), 1),
            device=self.device,
            normalization=Normalization(self.mean, self.std),
            bands=data.bands,
            size=data.size,
        )
        made = [batch.images.clone() for batch in loader.in_order()]
        return made[0] if made else torch.empty(0, len(self.bands), self.size, self.size, device=self.device)

    def checked(self, images: Any) -> np.ndarray:
        """Return images as an array [N, C, H, W] of the stored shape and type.

        Raises:
            UserError: they have another.
        """
        array = np.asarray(images.cpu() if isinstance(images, torch.Tensor) else images)
        array = array[None] if array.ndim == 3 else array
        if array.shape[1:] != self.shape or array.dtype != np.dtype(self.dtype):
            wanted = f"{self.dtype} [N, {', '.join(map(str, self.shape))}]"
            raise UserError(f"The images are {array.dtype} {list(array.shape)}; the run was trained on {wanted}.")
        return array


def load(loaded: LoadedRecord, device: str = "auto", root: Path | None = None) -> nn.Module:
    """Return a run's network in evaluation mode, with its :class:`Trained` as attribute ``rsbench``.

    What a network is built from comes from its file; data are needed where that was written by an older rsbench, or the
    network is made from training sentences.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        root: folder of the prepared data; default: where commands look for them.

    Raises:
        UserError: the run did not finish or has kept no weights, or they are not those of its record; its model is not
            installed, or no longer takes them.
    """
    path = weights_of(loaded)
    facts = read_metadata(path)
    plan, notes = _plan(loaded.record["plan"], data_root(root))
    if "fit" in facts:
        fitted = value_of(facts["fit"], "fit", KINDS["fit"], path)
        plan = dataclasses.replace(plan, recipe={**plan.recipe, **fitted})
    place = select_device(device)
    before = random_state(), np.random.get_state()
    try:
        context = _context(plan, facts, path)
        network = build.network(plan, context, place)
        checkpoint_run.load(network, dataclasses.replace(plan, checkpoint=str(path)))
    except RunError as error:
        raise UserError(str(error)) from None
    finally:
        set_random_state(before[0])
        np.random.set_state(before[1])
    norm = value_of(facts["normalization"], "normalization", KINDS["normalization"], path)
    known = Trained(
        run_id=loaded.record["run_id"],
        classes=context.classes,
        bands=context.bands,
        shape=tuple(plan.dataset["image_shape"]),
        dtype=plan.dataset["dtype"],
        size=context.size,
        mean=tuple(norm["mean"]),
        std=tuple(norm["std"]),
        vocabulary=context.vocabulary,
        device=place,
        notes=tuple(notes),
        plan=plan,
        context=context,
    )
    network.rsbench = known  # type: ignore[assignment]
    return network.eval()


def predict(
    network: nn.Module,
    images: Sequence[Any],
    names: Sequence[str],
    read: Callable[[Any], np.ndarray],
    *,
    top: int = 1,
    question: str | None = None,
    question_type: str | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Iterator[dict[str, Any]]:
    """Yield for each image what a loaded network predicts of it, by columns of the task's choice.

    Images go through the run's own evaluation: its preprocessing, its batches, its precision.

    Args:
        network: as :func:`load` returns it.
        images: what *read* takes.
        names: of the images.
        read: returns an image as it is stored, [C, H, W].
        top: the most probable classes that are told, where there are any.
        question, question_type: what is asked of every image, where the task asks.
        on_progress: called with (images done, images in all).

    Raises:
        UserError: an image is of another shape or type, or the task does not predict new images, or not so.
    """
    known: Any = network.rsbench
    plan, context, task = known.plan, known.context, get_task(known.plan.task)
    asked = {"question": question, "question_type": question_type}
    given = {name: text for name, text in asked.items() if text is not None}
    fabric = make_fabric(known.device, select_precision(plan.recipe["precision"], known.device))
    task.blank_columns(0, context.outputs, plan.dataset, **given)  # what is wrong with a question shows at once
    for start in range(0, len(images), TOGETHER):
        part, called = images[start : start + TOGETHER], names[start : start + TOGETHER]
        stored = known.checked(np.stack([*_read(part, read)]))
        columns = task.blank_columns(len(part), context.outputs, plan.dataset, **given)
        trained = build.make_task(plan, new_data(plan, stored, called, columns))
        trained.restore(context)
        loader = trained.make_loader(
            trained.data.test, known.device, Normalization(known.mean, known.std), training=False
        )
        try:
            outcome = trained.evaluate(network, loader, fabric).outcome
        except RunError as error:
            raise UserError(str(error)) from None
        told = task.predicted(outcome, known.classes, top)
        for row, name in enumerate(called):
            yield {"file": name} | {column: values[row] for column, values in told.items()}
        on_progress(start + len(part), len(images))


def _read(images: Sequence[Any], read: Callable[[Any], np.ndarray]) -> Iterator[np.ndarray]:
    from concurrent.futures import ThreadPoolExecutor

    from rsbench.cores import usable_cores

    with ThreadPoolExecutor(usable_cores()) as pool:  # decoders leave the interpreter to others
        yield from pool.map(read, images)


def _plan(recorded: Mapping[str, Any], root: Path) -> tuple[RunPlan, list[str]]:
    """Return a record's plan with the installed model, without the weights that training began with, and with its data
    in their place; and what has changed since."""
    spec = registry().get("model", recorded["model"]["name"])
    options = {k: v for k, v in recorded["model"]["options"].items() if k in spec.options}
    options |= {name: option.file_unless[0] for name, option in spec.options.items() if option.file_unless}
    model = {**recorded["model"], "factory": spec.factory, "options": options}
    dataset = dict(recorded["dataset"])
    with suppress(UserError):  # its plugin or folder may be gone, and most networks need no data
        spec_of = registry().get("dataset", dataset["name"])
        dataset["store"] = str(of_fingerprint(root, spec_of, dataset["fingerprint"]))
    plan = RunPlan.from_record(recorded)
    now = dataclasses.replace(plan, model=model, dataset=dataset, data_root=str(root), checkpoint=None)
    same = source_sha256(spec.factory) == recorded["model"].get("source_sha256")
    notes = [] if same else [f"The code of model '{spec.name}' has changed since the run; predictions may differ."]
    return now, notes


def _context(plan: RunPlan, facts: Mapping[str, str], path: Path) -> ModelContext:
    """Return what the factory was told."""
    if CONTEXT not in facts:
        return build.make_task(plan, open_data(plan)).model_context()
    said = {key: value_of(facts[key], key, kind, path) for key, kind in KINDS.items() if key in facts}
    more: dict[str, Any] = value_of(facts[CONTEXT], CONTEXT, dict, path)
    told: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in more.items()}
    return ModelContext(
        task=plan.task,
        channels=len(said["bands"]),
        bands=tuple(said["bands"]),
        size=int(facts["input_size"]),
        classes=tuple(said["classes"]),
        vocabulary=tuple(value_of(facts["vocabulary"], "vocabulary", list, path)),
        seed=plan.seed,
        weights_dir=str(Path(plan.data_root) / "weights"),
        extra=_OfData(plan),
        **told,
    )


class _OfData(Mapping[str, Any]):
    """What a factory is told of the training split itself, looked up only where it asks."""

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self.found: Mapping[str, Any] | None = None

    def _all(self) -> Mapping[str, Any]:
        if self.found is None:
            self.found = build.make_task(self.plan, open_data(self.plan)).model_context().extra
        return self.found

    def __getitem__(self, key: str) -> Any:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
