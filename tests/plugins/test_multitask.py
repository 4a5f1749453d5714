"""Several tasks trained at once: one encoder, one step, a record each; and the same task alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rsbench_multitask import run as multitask_run
from rsbench_multitask.compare import compare
from rsbench_multitask.plan import MultitaskRequest, expand_multitask
from rsbench_multitask.training import JointLoader, JointTask, MultitaskNetwork

from rsbench.engine.input.run_data import open_data
from rsbench.engine.run import run
from rsbench.engine.run.build import make_task, normalization
from rsbench.engine.training import trainer
from rsbench.engine.training.device import make_fabric
from rsbench.errors import RunError, UserErrors
from rsbench.leaderboard.board import build
from rsbench.plan import RunPlan, RunRequest, expand, groups
from rsbench.records.store import load_all
from rsbench.records.verify import verify

CPU = torch.device("cpu")
SMALL = {"dim": 32, "depth": 1, "heads": 2, "mlp": 64, "input_size": 32, "text_layers": 1}
CHANGES = {"precision": "fp32", "epochs": 2, "batch": 8, "warmup": 0.0}
CAPTIONS, LAND_USE, QUESTIONS = ("ucm-captions", "ucm-captions-standard"), ("ucm-captions", "ucm-landuse"), "rsvqa-lr"


@pytest.fixture(autouse=True)
def _no_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")


def plans_of(root: Path, out: Path, **changes: Any) -> list[RunPlan]:
    settings: dict[str, Any] = {
        "model": "spatialnet-vit",
        "members": (("ucm-captions", None), (QUESTIONS, None)),
        "options": SMALL,
        "recipe": "spatialnet-short",
        "changes": CHANGES,
        "threads": 1,
        "device": "cpu",
        "data_root": root,
        "out": str(out),
    }
    return expand_multitask(MultitaskRequest(**settings | changes))


def parts_of(plans: list[RunPlan]) -> tuple[MultitaskNetwork, list[Any], list[Any]]:
    tasks = [make_task(plan, open_data(plan)) for plan in plans]
    loaders = [
        task.make_loader(task.data.train, CPU, normalization(plan, task.data), training=True)
        for task, plan in zip(tasks, plans, strict=True)
    ]
    return multitask_run.build(tasks, CPU), tasks, loaders


def test_gradient_is_that_of_the_weighted_sum(text_root: Path, tmp_path: Path) -> None:
    plans = plans_of(text_root, tmp_path, weights={QUESTIONS: 0.25}, options={**SMALL, "dropout": 0.0})
    family, tasks, loaders = parts_of(plans)
    losses = [task.build_loss() for task in tasks]
    (first, second) = [next(loader.training_epoch(0)) for loader in loaders]
    shared = family.members[0].encoder.embed.weight
    assert family.members[1].encoder is family.members[0].encoder
    separate = []
    for member, task, loss, batch in zip(family.members, tasks, losses, (first, second), strict=True):
        (gradient,) = torch.autograd.grad(task.loss(member, batch, loss), shared)
        separate.append(gradient)
    work = JointTask(["a", "b"], tasks, losses, [1.0, 0.25])
    round_ = next(JointLoader(loaders, 3).training_epoch(0))
    (together,) = torch.autograd.grad(work.loss(family, round_, None), shared)
    torch.testing.assert_close(together, separate[0] + 0.25 * separate[1])
    logs = work.logs()
    assert logs["a/train_loss"] == pytest.approx(
        float(tasks[0].loss(family.members[0], first, losses[0]).detach()), rel=1e-5
    )
    assert work.logs() == {}


def test_streams_pass_over_their_data_in_turn_and_go_on_where_they_stood(text_root: Path, tmp_path: Path) -> None:
    _, _, loaders = parts_of(plans_of(text_root, tmp_path))
    rounds = 2 * len(loaders[0]) + 3
    stream = JointLoader(loaders, rounds)
    shown = [[b.index.tolist() for b in r.batches] for epoch in range(2) for r in stream.training_epoch(epoch)]
    for k, loader in enumerate(loaders):
        passes = [b.index.tolist() for turn in range(50) for b in loader.training_epoch(turn)]
        assert [s[k] for s in shown] == passes[: 2 * rounds]
    resumed = [[b.index.tolist() for b in r.batches] for r in stream.training_epoch(1, 5)]
    assert resumed == shown[rounds + 5 :]


def test_a_group_of_one_is_the_same_run_as_the_task_alone(text_root: Path, tmp_path: Path) -> None:
    twin = [p for p in plans_of(text_root, tmp_path, single_task=True, steps_per_epoch=4) if p.task == "vqa"][-1]
    assert twin.group is not None
    assert twin.group["members"] == [QUESTIONS]
    alone = RunRequest(
        models=(("spatialnet-vit", SMALL),),
        dataset=QUESTIONS,
        recipe="spatialnet-short",
        changes=CHANGES,
        seeds=(0,),
        threads=1,
        device="cpu",
        data_root=text_root,
        out=str(tmp_path / "alone"),
    )
    (plan,) = expand(alone)
    _, _, loaders = parts_of([plan])
    (twin,) = [
        p
        for p in plans_of(text_root, tmp_path, single_task=True, steps_per_epoch=len(loaders[0]))
        if p.task == "vqa" and p.group and len(p.group["members"]) == 1
    ]
    ours = run.execute(plan, lambda e: None)
    (theirs,) = run.execute_together([twin], lambda e: None)
    assert theirs["error"] is None
    assert theirs["artifacts"]["predictions"]["sha256"] == ours["artifacts"]["predictions"]["sha256"]
    for mine, yours in zip(ours["train"]["curve"], theirs["train"]["curve"], strict=True):
        assert mine["val_loss"] == yours["val_loss"]
        assert mine["train_loss"] == pytest.approx(yours["train_loss"], rel=1e-6)
        assert yours["family_loss"] == pytest.approx(yours["train_loss"], rel=1e-6)


def test_three_tasks_leave_three_verified_records_and_a_comparison(text_root: Path, tmp_path: Path) -> None:
    members = (CAPTIONS, LAND_USE, (QUESTIONS, None))
    plans = plans_of(text_root, tmp_path, members=members, single_task=True, steps_per_epoch=3, seeds=(0, 1))
    together_ = list(groups(plans))
    assert [len(g) for g in together_] == [3, 3, 1, 1, 1, 1, 1, 1]
    made = [run.execute_together(members_, lambda e: None) for members_ in together_]
    assert [r["error"] for records in made for r in records] == [None] * 12
    together = made[0]
    assert [r["plan"]["task"] for r in together] == ["captioning", "classification", "vqa"]
    assert [r["train"]["steps"] for r in together] == [6, 6, 6]
    assert together[1]["train"]["samples"] == 48
    assert {"val_loss", "val_score", "train_loss", "family_loss"} <= set(together[0]["train"]["curve"][0])
    loaded = load_all([tmp_path])
    assert len(loaded) == 12
    assert all(verify(one) == [] for one in loaded)
    tables = build(loaded).tables
    assert len(tables) == 3
    for table in tables:
        assert {r.company for r in table.rows} == {1, 3}
        assert {r.seeds for r in table.rows} == {(0, 1)}
        (found,) = compare(table)
        family, twin = sorted(table.rows, key=lambda r: -r.company)
        assert (found.together, found.alone) == (family.mean, twin.mean)
        assert found.interval is not None
        assert found.interval[0] <= found.together - found.alone <= found.interval[1]


def test_each_record_takes_the_epoch_that_its_own_protocol_selects(text_root: Path, tmp_path: Path) -> None:
    plans = plans_of(text_root, tmp_path, steps_per_epoch=2, changes={**CHANGES, "epochs": 6, "lr": 3e-3})
    records = run.execute_together(plans, lambda e: None)
    for record, score in zip(records, ("val_score", "val_accuracy"), strict=True):
        values = [logs[score] for logs in record["train"]["curve"]]
        assert record["train"]["selected_epoch"] == 1 + values.index(max(values))


@pytest.mark.parametrize("stop_after", [2, 7])
def test_an_interrupted_family_goes_on_to_the_same_predictions(
    text_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int
) -> None:
    whole = run.execute_together(plans_of(text_root, tmp_path / "whole", steps_per_epoch=4), lambda e: None)
    monkeypatch.setattr(trainer, "PROGRESS_SECONDS", -1.0)
    calls = iter(range(10**6))
    plans = plans_of(text_root, tmp_path / "parts", steps_per_epoch=4)
    with pytest.raises(trainer.Interrupted):
        run.execute_together(plans, lambda e: None, lambda: next(calls) >= stop_after)
    assert not list((tmp_path / "parts").glob("*/record.json"))
    rest = run.execute_together(plans, lambda e: None)
    assert not list((tmp_path / "parts").glob("*/resume.pt"))
    for one, other in zip(whole, rest, strict=True):
        assert one["artifacts"]["predictions"]["sha256"] == other["artifacts"]["predictions"]["sha256"]
        assert one["train"]["steps"] == other["train"]["steps"]
        for before, after in zip(one["train"]["curve"], other["train"]["curve"], strict=True):
            assert before | {"seconds": 0} == after | {"seconds": 0}


def test_a_finished_member_is_not_touched(text_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an attempt in which the other member failed."""
    plans = plans_of(text_root, tmp_path, steps_per_epoch=2)
    done = multitask_run.MultitaskRun.evaluate

    def fails(self: multitask_run.MultitaskRun, number: int) -> dict[str, Any]:
        if number == 1:
            raise RunError("no", "evaluate")
        return done(self, number)

    monkeypatch.setattr(multitask_run.MultitaskRun, "evaluate", fails)
    assert [record["status"] for record in run.execute_together(plans, lambda e: None)] == ["ok", "failed"]
    monkeypatch.setattr(multitask_run.MultitaskRun, "evaluate", done)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in (tmp_path / plans[0].run_id).iterdir()}
    assert len(before) == 3
    records = run.execute_together(plans, lambda e: None)
    assert [record["status"] for record in records] == ["ok", "ok"]
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in before} == before
    assert all(verify(loaded) == [] for loaded in load_all([tmp_path]))


def test_encoders_of_different_sizes_are_not_shared(text_root: Path, tmp_path: Path) -> None:
    mixed = [plans_of(text_root, tmp_path, options={**SMALL, "input_size": size})[k] for k, size in enumerate((32, 64))]
    with pytest.raises(RunError, match=r"cannot share the encoder of 'spatialnet-vit': positions is 1x5x32 .* 1x17x32"):
        parts_of(mixed)
    failed = run.execute_together(mixed, lambda e: None)
    assert [r["status"] for r in failed] == ["failed", "failed"]
    assert "input_size" in failed[1]["error"]["message"]


def test_task_options_go_to_the_tasks_that_know_them(text_root: Path, tmp_path: Path) -> None:
    changes = {**CHANGES, "task_options.beam": 3, "task_options.questions_per_image": 4, "task_options.min_count": 2}
    captions, questions = plans_of(text_root, tmp_path, changes=changes)
    assert captions.recipe["task_options"] == {"beam": 3, "min_count": 2}
    assert questions.recipe["task_options"] == {"questions_per_image": 4, "min_count": 2}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": {"rsvqa": 1.0}}, "No task is called 'rsvqa'. Did you mean 'rsvqa-lr'"),
        ({"weights": {QUESTIONS: 0.0}}, "must be above 0"),
        ({"members": (CAPTIONS, CAPTIONS)}, "is named 2 times"),
        ({"model": "vgg19-lstm", "options": {}}, "does not say what its tasks would share"),
        ({"changes": {"task_options.beem": 3}}, "No task has an option 'beem'. Did you mean 'beam'"),
        ({"members": (("ucm-captions", None), ("rsvqa-rl", None))}, "Did you mean 'rsvqa-lr'"),
    ],
)
def test_mistakes_are_named(text_root: Path, tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserErrors) as caught:
        plans_of(text_root, tmp_path, **changes)
    assert message in " ".join(caught.value.problems)


def test_a_family_has_an_id_of_its_own_for_each_seed_and_weight(text_root: Path, tmp_path: Path) -> None:
    def run_ids(**changes: Any) -> set[str]:
        return {p.run_id for p in plans_of(text_root, tmp_path, **changes)}

    assert run_ids() == run_ids()
    assert len(run_ids() | run_ids(weights={QUESTIONS: 2.0}) | run_ids(steps_per_epoch=7) | run_ids(seeds=(1,))) == 8


def test_mixed_precision_takes_a_round(text_root: Path, tmp_path: Path) -> None:
    plans = plans_of(text_root, tmp_path)
    family, tasks, loaders = parts_of(plans)
    losses = [task.build_loss() for task in tasks]
    fabric = make_fabric(CPU, "bf16")
    optimizer = torch.optim.SGD(family.parameters(), lr=0.1)
    model, _ = fabric.setup(family, optimizer)
    round_ = next(JointLoader(loaders, 1).training_epoch(0))
    with fabric.autocast():
        loss = JointTask(["a", "b"], tasks, losses, [1.0, 1.0]).loss(model, round_, None)
    assert torch.isfinite(loss)
