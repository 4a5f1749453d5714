from __future__ import annotations

from typing import Any

from rsbench.leaderboard.recipe_labels import recipe_labels


def plan(label: str = "net", name: str = "short", **recipe: Any) -> dict[str, Any]:
    return {"model": {"label": label}, "recipe": {"name": name, "epochs": 5, "lr": 0.1, "citation": "", **recipe}}


def test_names_that_no_other_row_has_stay_as_they_are() -> None:
    plans = [plan(), plan("other", epochs=9), plan(name="long", epochs=9)]
    assert recipe_labels(plans) == ["short", "short", "long"]


def test_rows_of_one_name_say_what_sets_them_apart() -> None:
    assert recipe_labels([plan(), plan("other"), plan(epochs=9)]) == ["short (epochs=5)", "short", "short (epochs=9)"]


def test_options_in_groups_come_after_single_values_and_are_counted_beyond_two() -> None:
    plans = [
        plan(augmentation={"hflip": 0.5, "sizes": [[32, 1]]}, lr=0.1, warmup=1.0),
        plan(augmentation={"hflip": 0.5, "sizes": [[32, 2]]}, lr=0.2, warmup=2.0),
    ]
    assert recipe_labels(plans) == ["short (lr=0.1, warmup=1.0, +1)", "short (lr=0.2, warmup=2.0, +1)"]


def test_an_option_that_only_one_has() -> None:
    plans = [plan(augmentation={"hflip": 0.5}), plan(augmentation={})]
    assert recipe_labels(plans) == ["short (augmentation.hflip=0.5)", "short (augmentation.hflip=None)"]


def test_what_says_nothing_about_training_sets_nothing_apart() -> None:
    assert recipe_labels([plan(citation="A"), plan(citation="B", summary="b")]) == ["short", "short"]


def test_an_older_record_has_the_default_of_a_younger_field() -> None:
    assert recipe_labels([plan(), plan(drop_last=True)]) == ["short", "short"]
    assert recipe_labels([plan(), plan(drop_last=False)]) == ["short (drop_last=True)", "short (drop_last=False)"]


def test_three_rows_of_which_two_agree_in_an_option() -> None:
    labels = recipe_labels([plan(), plan(epochs=9), plan(epochs=9, lr=0.2)])
    assert labels == ["short (epochs=5, lr=0.1)", "short (epochs=9, lr=0.1)", "short (epochs=9, lr=0.2)"]
