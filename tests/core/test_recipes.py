"""What may be said about a recipe, a loss or a model, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from rsbench.engine.training.phases import phases_of
from rsbench.recipes import resolve_options, resolve_recipe
from rsbench.registry import registry
from rsbench.specs import ModelSpec, Option, RecipeSpec, SpecError


def resolved(
    changes: dict[str, Any], recipe: str | None = None, **more: bool
) -> tuple[dict[str, Any], bool, list[str]]:
    protocol = registry().get("protocol", "in-domain-60-20-20")
    problems: list[str] = []
    found, closed = resolve_recipe(recipe, changes, protocol, registry().get("model", "bmta"), problems, **more)
    return found, closed, problems


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 0}, "Recipe field 'epochs' is a whole number; '0' is not."),
        ({"epochs": 2.5}, "Recipe field 'epochs' is a whole number; '2.5' is not."),
        ({"batch": True}, "Recipe field 'batch' is a whole number; 'True' is not."),
        ({"patience": 0}, "Recipe field 'patience' is a whole number or none; '0' is not."),
        ({"lr": -0.1}, "Recipe field 'lr' is a number; '-0.1' is not."),
        ({"lr": None}, "Recipe field 'lr' is a number; 'None' is not."),
        ({"ema": True}, "Recipe field 'ema' is a number or none; 'True' is not."),
        ({"drop_last": 1}, "Recipe field 'drop_last' is true or false; '1' is not."),
        ({"loss": "cross-entrpy"}, "There is no loss 'cross-entrpy'. Did you mean 'cross-entropy'?"),
        (
            {"loss": "focal", "loss_options": {"gamm": 2}},
            "The loss 'focal' has no option 'gamm'. Did you mean 'gamma'?",
        ),
        ({"lr.x": 1}, "Recipe field 'lr' has no parts: set it with --set lr=VALUE."),
        ({"task_options.beam": 3}, "classification has no task option 'beam'. Options: none."),
        ({"name": "mine"}, "A recipe has no field 'name'."),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], sentence: str) -> None:
    (problem,) = resolved(change)[2]
    assert problem.startswith(sentence)


def test_lengths_of_phases_are_fixed() -> None:
    assert resolved({"epochs": 9}, "finetune")[2] == [
        "The phases of this recipe have epochs of their own: set phases=[] as well to change its epochs."
    ]
    assert resolved({"phases": [], "epochs": 9}, "finetune")[2] == []


def test_phases_that_are_given_say_the_epochs_and_are_whole() -> None:
    given = [{"epochs": 2, "train_only": "classifier"}, {"epochs": 3, "overrides": {"lr": 0.1}}]
    for change in ({"phases": given}, {"epochs": 5, "phases": given}):
        recipe, _, problems = resolved(change, "finetune")
        assert problems == []
        assert recipe["epochs"] == 5
        assert phases_of(recipe)[0]["train_only"] == "classifier"
        assert [(phase["epochs"], phase["lr"]) for phase in phases_of(recipe)] == [(2, recipe["lr"]), (3, 0.1)]
    assert len(resolved({"epochs": 6, "phases": given}, "finetune")[2]) == 1


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        ("x", "it has epochs, train_only and overrides, a mapping; 'x' has not."),
        ({"epoch": 2}, "it has epochs, train_only and overrides"),
        ({"epochs": 2, "overrides": [1]}, "it has epochs, train_only and overrides"),
        ({"train_only": "head"}, "its epochs are a whole number; 'None' is not."),
        ({"epochs": "x"}, "its epochs are a whole number; 'x' is not."),
        ({"epochs": -1}, "its epochs are a whole number; '-1' is not."),
        ({"epochs": 2, "train_only": "("}, "train_only is a regular expression over names of parameters; '(' is not."),
        ({"epochs": 2, "train_only": 7}, "train_only is a regular expression over names of parameters; '7' is not."),
        ({"epochs": 2, "overrides": {"lr": "fast"}}, "Recipe field 'lr' is a number; 'fast' is not."),
        ({"epochs": 2, "overrides": {"augmentation.flip": 1}}, "it overrides whole fields, not 'augmentation.flip'."),
    ],
)
def test_a_phase_that_none_is(phase: Any, said: str) -> None:
    (problem,) = resolved({"phases": [{"epochs": 1}, phase]})[2]
    assert problem.startswith(f"Phase 2 of the recipe: {said}")


@pytest.mark.parametrize(
    "change",
    [{"warmup": 0}, {"lr": 1}, {"ema": None}, {"ema": 0.99}, {"patience": 3}, {"loss_options.label_smoothing": 0.1}],
)
def test_what_can_be_is_taken_and_opens_the_division(change: dict[str, Any]) -> None:
    found, closed, problems = resolved(change)
    (key,) = change
    part, _, rest = key.partition(".")
    assert problems == []
    assert not closed
    assert (found[part][rest] if rest else found[part]) == change[key]


def test_the_division_is_closed_for_the_protocols_recipe_as_it_is() -> None:
    own = registry().get("protocol", "in-domain-60-20-20").recipe
    assert [resolved({}, name)[1] for name in (None, own, "eurosat-short", "author")] == [True, True, False, False]


def test_a_loss_of_another_task_is_refused() -> None:
    protocol, problems = registry().get("protocol", "ucm-captions-standard"), []  # type: ignore[var-annotated]
    resolve_recipe(None, {"loss": "class-focal"}, protocol, registry().get("model", "vgg19-lstm"), problems)
    assert problems == ["Loss 'class-focal' is for classification, not for captioning."]


def test_a_recipe_of_several_tasks_leaves_out_what_is_of_others() -> None:
    found, _, problems = resolved({"task_options.beam": 3}, tolerant=True)
    assert (found["task_options"], problems) == ({}, [])


def test_options() -> None:
    declared = {
        "rate": Option(default=0.5, help=""),
        "norm": Option(default="post", help="", choices=("post", "pre")),
        "on": Option(default=True, help="", choices=(True, False)),
    }
    problems: list[str] = []
    assert resolve_options(declared, {"rate": 1, "norm": "pre"}, "x", problems) == {
        "rate": 1.0,
        "norm": "pre",
        "on": True,
    }
    assert isinstance(resolve_options(declared, {"rate": 1}, "x", problems)["rate"], float)  # 1 and 1.0 are one run
    assert resolve_options({"name": Option(default="a", help="")}, {"name": 1}, "x", problems) == {"name": "1"}
    assert problems == []
    resolve_options(declared, {"norm": "between", "rat": 1}, "model 'x'", problems)
    assert problems == [
        "Option 'norm' of model 'x' is one of post, pre; 'between' is not.",
        "The model 'x' has no option 'rat'. Did you mean 'rate'? Options: rate, norm, on.",
    ]


def test_what_is_ours_is_called_a_reconstruction() -> None:
    """Each system and recipe of a paper says where its parts are from; what has a part of ours says so by name."""
    with pytest.raises(SpecError, match="rotation is ours"):
        RecipeSpec(name="x", summary="x", provenance={"rotation": "paper: that; ours: by how much"})
    with pytest.raises(SpecError, match="lr is from 'somewhere'"):
        RecipeSpec(name="x", summary="x", provenance={"lr": "somewhere"})
    with pytest.raises(SpecError, match="head is ours"):
        ModelSpec(name="x", summary="x", factory="x:y", provenance={"head": "ours: a line"})
    models = [m for m in registry().specs("model").values() if "reconstruction" in m.tags]
    recipes = [r for r in registry().specs("recipe").values() if r.reconstruction]
    assert len(models) > 12
    assert len(recipes) > 10
    for spec in (*models, *recipes):
        assert any("ours" in source for source in spec.provenance.values()), spec.name


def test_plans_hold_no_provenance() -> None:
    """Better words about where a recipe is from make no new run of it."""
    protocol, model = registry().get("protocol", "in-domain-60-20-20"), registry().get("model", "baseline-cnn")
    recipe, _ = resolve_recipe("author", {}, protocol, model, [])
    assert "provenance" not in recipe
    assert recipe["reconstruction"] is True
