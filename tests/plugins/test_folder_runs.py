"""Commands and runs on folders of one's own images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rsbench_scenes.source import SceneSource
from typer.testing import CliRunner, Result

from rsbench import api
from rsbench.cli.app import build
from rsbench.engine.run.run import execute
from rsbench.plan import RunPlan
from rsbench.tasks.task import get_task

Run = Callable[..., Result]
SHOWN = 3  # classes of scenes


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of three classes, 40 of each, as PNG in folders of classes."""
    place, source = tmp_path_factory.mktemp("place") / "my fields", SceneSource()
    wanted = [i for i in range(10 * 40) if i % 10 < SHOWN]
    image = np.empty((1, *source.shape), np.uint8)
    for i in wanted:
        folder = place / source.classes[i % 10]
        folder.mkdir(parents=True, exist_ok=True)
        source.read(i, i + 1, image)
        Image.fromarray(image[0].transpose(1, 2, 0)).save(folder / f"{i:04d}.png")
    return place


@pytest.fixture
def within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("RSBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(build(), arguments)


def plans(dataset: str, model: str, tmp_path: Path, **changes: object) -> list[RunPlan]:
    changes = {"precision": "fp32", "batch": 16, **changes}
    request = api.make_requests(
        model,
        dataset,
        changes=changes,
        seeds=0,
        data_root=tmp_path / "data",
        out=tmp_path / "out",
        device="cpu",
        threads=1,
    )
    return api.make_plans(request)


def run(plan: RunPlan) -> dict[str, Any]:
    record = execute(plan, lambda event: None)
    assert record["status"] == "ok", record["error"]
    return record


def test_a_small_network_beats_chance_on_a_folder_in_one_call(fields: Path, tmp_path: Path) -> None:
    (plan,) = plans(f"folder:{fields}", "tiny-cnn", tmp_path, epochs=10, lr=4e-3)
    assert plan.protocol["split_sizes"] == {"train": 72, "val": 24, "test": 24}
    assert (plan.dataset["name"], plan.protocol["name"]) == ("folder:my-fields", "folder-classification")
    assert plan.run_id.startswith("folder-my-fields-tiny-cnn-folder-classification-s0-")
    record = run(plan)
    assert record["metrics"]["overall_accuracy"]["ci95"][0] > 1 / SHOWN
    assert str(fields) not in json.dumps(record)


def test_commands_take_a_path(fields: Path, within: Run, tmp_path: Path) -> None:
    name = f"folder:{fields}"
    done = within("run", "majority-class,pixel-statistics", name, "--threads", "1")
    assert done.exit_code == 0, done.output
    assert (
        "folder:my-fields: 120 images for classification, folders of classes, split 60/20/20 by seed 0." in done.output
    )
    assert "120 images are as prepared" in within("data", "verify", "folder:my-fields").output
    assert "72 training, 24 validation and 24 test samples" in within("data", "audit", name).output
    assert "leave out --source" in str(within("data", "prepare", name, "--source", ".").exception)
    shown = json.loads(within("show", name, "--json").output)
    assert (shown["name"], shown["place"]) == ("folder:my-fields", str(fields))
    page = tmp_path / "board.html"
    assert within("leaderboard", "--format", "html", "--samples", "2", "--output", str(page)).exit_code == 0
    assert page.read_text().count("data:image/jpeg") == 2
    assert "folder:my-fields" in within("leaderboard").output
    assert "folder:*" in within("list", "datasets").output
    wrong = within("run", "majority-class", "folder:./nowhere")
    assert "There is no folder or file './nowhere'" in str(wrong.exception)


def test_predictions_are_scored_against_a_folder(fields: Path, within: Run, tmp_path: Path) -> None:
    (plan,) = plans(f"folder:{fields}", "majority-class", tmp_path)
    run(plan)
    found = api.load_records(tmp_path / "out")[0].artifact("predictions")
    assert found is not None
    ids = get_task("classification").read(found).predictions.ids
    (tmp_path / "p.json").write_text(json.dumps([{"id": i, "label": i.split("/")[0]} for i in ids]))
    result = json.loads(within("score", f"folder:{fields}", "--predictions", "p.json", "--json").output)
    assert result["metrics"]["overall_accuracy"]["value"] == 1.0
    refused = within("run", "commonest-caption", f"folder:{fields}")
    assert "'commonest-caption' is for captioning" in str(refused.exception)
    refused = within("run", "majority-class", f"folder:{fields}", "--protocol", "folder-vqa")
    assert "not for 'folder:my-fields': folder-classification." in str(refused.exception)


def test_controls_of_captions_and_questions_run(tmp_path: Path) -> None:
    lines = []
    (tmp_path / "texts" / "imgs").mkdir(parents=True)
    for i in range(40):
        Image.new("RGB", (16, 16), (6 * i, 99, 40)).save(tmp_path / "texts" / "imgs" / f"{i}.png")
        lines.append({"image": f"imgs/{i}.png", "captions": ["a field by a road", f"there are {i} trees on a field"]})
    (tmp_path / "texts" / "captions.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (plan,) = plans(f"folder:{tmp_path / 'texts' / 'captions.jsonl'}", "commonest-caption", tmp_path)
    assert (plan.task, plan.dataset["name"]) == ("captioning", "folder:captions")
    assert run(plan)["metrics"]["BLEU-4"]["value"] > 0
    rows = [
        {"image": f"imgs/{i}.png", "question": q, "answer": a, "type": t}
        for i in range(40)
        for q, a, t in (("Is it day?", "yes" if i % 4 else "no", "light"), ("How many lakes?", str(i % 2), "count"))
    ]
    (tmp_path / "texts" / "questions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    place = f"folder:{tmp_path / 'texts' / 'questions.jsonl'}"
    (plan,) = plans(place, "commonest-answer-per-type", tmp_path)
    assert (plan.task, plan.protocol["primary"]) == ("vqa", "OA")
    record = run(plan)
    assert set(record["metrics"]) == {"OA", "AA", "unparsable_rate"}
    assert record["metrics"]["OA"]["value"] >= 0.5
