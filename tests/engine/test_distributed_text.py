"""Captioning and VQA shared by two gloo processes, against the same runs of one process."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from test_distributed import assert_record_of, in_ranks
from torch import nn

from rsbench.engine.parallel.world import RankInfo
from rsbench.engine.run import run
from rsbench.plan import RunPlan, RunRequest, expand
from rsbench.tasks.captioning import CaptionTargets, token_loss
from rsbench.tasks.context import ModelContext
from rsbench.tasks.vqa import Questions

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "captioning": ("vgg19-lstm", "ucm-captions", {"task_options.sentences": 2, "task_options.min_count": 1}),
    "vqa": ("lobry2020", "rsvqa-lr", {"task_options.questions_per_image": 2}),
    "encoded-once": ("structured-attention", "ucm-captions", {"task_options.min_count": 1, "augmentation": {}}),
    "own-loss": ("rasg", "ucm-captions", {"task_options.min_count": 1}),
}


class Speaker(nn.Module):
    """Says the words that a mean color and the last word suggest."""

    def __init__(self, context: ModelContext, **_: Any) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(context.vocabulary), 16)
        self.look = nn.Linear(context.channels, 16)
        self.norm = nn.BatchNorm1d(16)
        self.say = nn.Linear(16, len(context.vocabulary))

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean((2, 3))

    def start(self, images: torch.Tensor) -> torch.Tensor:
        return self.norm(self.look(images if images.ndim == 2 else self.encode(images)))

    def step(self, tokens: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.say(torch.tanh(self.embed(tokens) + state)), state

    def forward(self, images: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        state = self.start(images).repeat_interleave(len(tokens) // len(images), 0)
        return self.say(torch.tanh(self.embed(tokens) + state[:, None]))


class Frozen(Speaker):
    frozen = True


class Minded(Speaker):
    def training_loss(self, images: torch.Tensor, targets: CaptionTargets, loss: Any) -> torch.Tensor:
        return token_loss(loss, self(images, targets.tokens), targets.tokens) + self.start(images).square().mean()


class Answerer(nn.Module):
    """Answers, and counts, by mean color and words."""

    def __init__(self, context: ModelContext, **_: Any) -> None:
        super().__init__()
        self.embed = nn.Embedding(len(context.vocabulary), 16, padding_idx=0)
        self.look = nn.Linear(context.channels, 16)
        self.norm = nn.BatchNorm1d(16)
        self.answer = nn.Linear(16, context.num_classes)

    def forward(self, images: torch.Tensor, questions: Questions) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self.norm(self.look(images.mean((2, 3)))[questions.image])
        joint = torch.tanh(seen + self.embed(questions.tokens).sum(1))
        return self.answer(joint), joint.detach().abs().sum(1)


def plan_of(root: Path, out: Path, case: str) -> RunPlan:
    model, dataset, changes = CASES[case]
    recipe = {"epochs": 3, "batch": 10, "optimizer": "sgd", "lr": 0.5, "schedule": "constant", "schedule_options": {}}
    request = RunRequest(
        models=((model, {}),),
        dataset=dataset,
        data_root=root,
        out=str(out / case),
        seeds=(0,),
        changes=recipe | {"warmup": 0.0, "precision": "fp32", "augmentation": {"hflip": 0.5}} | changes,
        threads=1,
        device="cpu",
    )
    return expand(request)[0]


def everything(root: Path, out: Path, place: RankInfo | None) -> dict[str, Any]:
    """Do all that is compared, as one rank of a world or alone."""
    import rsbench_captioners.rasg
    import rsbench_captioners.show_and_tell
    import rsbench_captioners.structured_attention
    import rsbench_vqa.lobry

    torch.set_num_threads(1)
    patched = pytest.MonkeyPatch()
    patched.setenv("PATH", "/nonexistent")  # METEOR would start Java
    patched.setattr(rsbench_captioners.show_and_tell, "vgg19_lstm", Speaker)
    patched.setattr(rsbench_captioners.structured_attention, "structured_attention", Frozen)
    patched.setattr(rsbench_captioners.rasg, "rasg", Minded)
    patched.setattr(rsbench_vqa.lobry, "Lobry2020", Answerer)
    cases = [case for case in CASES if case != "own-loss" or place is not None]
    try:
        return {case: run.execute(plan_of(root, out, case), lambda event: None, place=place) for case in cases}
    finally:
        patched.undo()


@pytest.fixture(scope="module")
def alone(text_root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return everything(text_root, tmp_path_factory.mktemp("alone"), None)


@pytest.fixture(scope="module")
def together(text_root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    out = tmp_path_factory.mktemp("together")
    return out, in_ranks(partial(everything, text_root, out), 2)


@pytest.mark.parametrize("case", ["captioning", "encoded-once", "vqa"])
def test_losses_are_those_of_one_process(
    alone: dict[str, Any], together: tuple[Path, list[dict[str, Any]]], case: str
) -> None:
    ours, other = together[1][0][case]["train"], alone[case]["train"]
    assert together[1][0][case]["error"] is None
    expected = [epoch["train_loss"] for epoch in other["curve"]]
    assert [epoch["train_loss"] for epoch in ours["curve"]] == pytest.approx(expected, abs=1e-5)
    assert [epoch["val_loss"] for epoch in ours["curve"]] == pytest.approx(
        [epoch["val_loss"] for epoch in other["curve"]], abs=1e-5
    )
    assert ours["initial_loss"] == pytest.approx(other["initial_loss"], abs=1e-5)
    assert expected[0] != pytest.approx(expected[-1], abs=1e-3)  # it learns: the same is not nothing


@pytest.mark.parametrize("case", ["captioning", "encoded-once", "vqa"])
def test_records_differ_in_times_and_machine_alone(
    alone: dict[str, Any], together: tuple[Path, list[dict[str, Any]]], case: str
) -> None:
    out, results = together
    assert_record_of(results[0][case], out / case, alone[case], 2)


def test_a_loss_of_the_networks_own_is_refused(together: tuple[Path, list[dict[str, Any]]]) -> None:
    for result in together[1]:
        error = result["own-loss"]["error"]
        assert error["type"] == "UserError"
        assert "leave --devices and --nodes out" in error["message"]
