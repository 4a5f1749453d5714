from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rsbench_scenes import text_sources
from rsbench_scenes.fixed import PIXEL, TURN
from rsbench_scenes.questions import questions, scene_number
from rsbench_scenes.sentences import captions
from rsbench_scenes.source import SceneSource
from rsbench_scenes.specs import SCENES

from rsbench.data import splits
from rsbench.data.prepare import check_columns
from rsbench.tasks.answers import TYPES_LR
from rsbench.tasks.text import words

Thing = dict[str, Any]
NUMBERS = {
    "no": (0, 0),
    "a": (1, 1),
    "two": (2, 2),
    "three": (3, 3),
    "four": (4, 4),
    "several": (5, 9),
    "many": (10, 999),
}
CATEGORIES = ("tree", "house", "hall", "road", "pond", "lake", "river", "field")


@pytest.fixture(scope="module")
def graphs() -> list[dict[str, Any]]:
    """Scenes of all classes in turn."""
    source = SceneSource(seed=5)
    return [source.scene_graph(k) for k in range(160)]


@pytest.fixture(scope="module")
def mixed() -> list[dict[str, Any]]:
    """Scenes for questions."""
    source = SceneSource(seed=6)
    return [source.scene_graph(scene_number(k)) for k in range(280)]


# Geometry by brute force: roads and rivers as rows of points, everything else as a disc.


def points(thing: Thing) -> np.ndarray:
    t = np.linspace(-150, 150, 6001)[:, None]
    angle = thing["angle"] * 2 * np.pi / TURN
    return np.array([thing["x"], thing["y"]]) / PIXEL + t * np.array([np.cos(angle), np.sin(angle)])


def middle(thing: Thing) -> np.ndarray:
    return np.array([thing["x"], thing["y"]]) / PIXEL


def radius(thing: Thing) -> float:
    return float(thing["width"] + thing["height"]) / 4 / PIXEL


def is_strip(thing: Thing) -> bool:
    return thing["category"] in ("road", "river")


def next_to(a: Thing, b: Thing) -> bool:
    if a is b or "field" in (a["category"], b["category"]) or (is_strip(a) and is_strip(b)):
        return False
    if is_strip(a):
        return next_to(b, a)
    if is_strip(b):
        gap = np.hypot(*(points(b) - middle(a)).T).min() - b["height"] / 2 / PIXEL - radius(a)
    else:
        gap = np.hypot(*(middle(a) - middle(b))) - radius(a) - radius(b)
    return bool(gap <= 4 + 1e-3)


def beyond(a: Thing, b: Thing, side: str) -> bool:
    if a is b or any(is_strip(t) or t["category"] == "field" for t in (a, b)):
        return False
    right, down = middle(a) - middle(b)
    along = {"left": -right, "right": right, "top": -down, "bottom": down}[side]
    aside = down if side in ("left", "right") else right
    return along > radius(b) and abs(aside) <= along


# Captions


def noun_of(thing: Thing) -> str:
    return "highway" if thing["category"] == "road" and thing["height"] > 6 * PIXEL else str(thing["category"])


def check_sentence(sentence: str, graph: dict[str, Any]) -> int:
    """Check all that a sentence says; return how many statements that were."""
    things = defaultdict(list)
    for thing in graph["objects"]:
        things[noun_of(thing)].append(thing)
    said = re.findall(
        r"\b(no|a|two|three|four|several|many)(?: (?:wide|large|curved))? (highway|" + "|".join(CATEGORIES) + r")s?\b"
        r"(?: (?:can|is|are|runs?|running|stands?|grows?|lies?) ?)?(?: ?(on the left|on the right|at the top|at the bottom"
        r"|in the middle|beside the (\w+)|near trees|divided by the (\w+)|from left to right|from top to bottom"
        r"|towards the (?:upper|lower) right))?",
        sentence.lower(),
    )
    for number, noun, place, landmark, divider in said:
        low, high = NUMBERS[number]
        group = things[noun]
        assert low <= len(group) <= high, sentence
        x, y = np.array([middle(t) for t in group]).reshape(-1, 2).T - 32
        sides = {"on the left": x < 0, "on the right": x >= 0, "at the top": y < 0, "at the bottom": y >= 0}
        if place in sides:
            assert sides[place].all(), sentence
        elif place == "in the middle":
            assert np.hypot(x, y).max() < 15, sentence
        elif landmark or place == "near trees":
            assert all(any(next_to(t, other) for other in things[landmark or "tree"]) for t in group), sentence
        elif divider:
            nearest = [points(things[divider][0]) - middle(t) for t in group]
            offsets = [p[np.hypot(*p.T).argmin()] for p in nearest]
            assert min(float(o @ offsets[0]) for o in offsets) < 0, sentence
        elif place:
            ways = {"from left to right": (1, 0), "from top to bottom": (0, 1), "towards the upper right": (1, -1)}
            way = np.array(ways.get(place, (1, 1))) / np.hypot(*ways.get(place, (1, 1)))
            angles = [t["angle"] * 2 * np.pi / TURN for t in group]
            turns = [abs(way @ [np.cos(a), np.sin(a)]) for a in angles]
            assert min(turns) > np.cos(np.pi / 8) - 1e-3, sentence
    if "landscape" in sentence:
        colors = {"green": ("grass", "meadow"), "brown": ("heath", "soil"), "yellow": ("stubble",)}
        color = sentence.split(" landscape")[0].split()[-1]
        assert graph["ground"] in colors.get(color, ()) or (color == "open" and things["field"])
    return len(said)


def test_sentences_are_true_of_the_scene(graphs: list[dict[str, Any]]) -> None:
    vocabulary, found = set(), 0
    for k, graph in enumerate(graphs):
        said = captions(graph, 1, k)
        assert len(said) == len(set(said)) == 5
        for sentence in said:
            assert 8 <= len(words(sentence)) <= 18, sentence
            found += check_sentence(sentence, graph)
            vocabulary |= set(words(sentence))
    assert found > 2 * 5 * len(graphs)
    assert 80 <= len(vocabulary) <= 150
    assert captions(graphs[3], 1, 3) == captions(graphs[3], 1, 3) != captions(graphs[3], 1, 4)


def test_a_false_sentence_is_found_out(graphs: list[dict[str, Any]]) -> None:
    """The check above can fail: sentences of one image are mostly false of the next of the same class."""
    wrong = 0
    for k in range(100):
        for sentence in captions(graphs[k], 1, k):
            try:
                check_sentence(sentence, graphs[k + 10])
            except AssertionError:
                wrong += 1
    assert wrong > 200


def precision(sentences: Sequence[str], references: Sequence[list[str]]) -> float:
    """Share of the 4-grams of sentences that one of their references has."""
    hits, total = 0, 0
    for sentence, of_image in zip(sentences, references, strict=True):
        known = {g for reference in of_image for g in grams(reference)}
        hits += sum(g in known for g in grams(sentence))
        total += len(grams(sentence))
    return hits / total


def grams(sentence: str) -> list[tuple[str, ...]]:
    w = words(sentence)
    return list(zip(w, w[1:], w[2:], w[3:], strict=False))


def test_captions_depend_on_the_image(graphs: list[dict[str, Any]]) -> None:
    references = [captions(graph, 1, k) for k, graph in enumerate(graphs)]
    common = [s for s, _ in Counter(s for r in references for s in r).most_common(20)]
    constant = max(precision([s] * len(graphs), references) for s in common)
    told_again = precision([captions(graph, 2, k)[0] for k, graph in enumerate(graphs)], references)
    assert constant < 0.35
    assert told_again > 0.65


# Questions


def fits(thing: Thing, kind: str) -> bool:
    adjective, _, noun = kind.rpartition(" ") if not kind.endswith("water area") else kind.rpartition(" water area")
    if kind.endswith("water area"):
        adjective, noun = kind.removesuffix("water area").strip(), "water area"
    groups = {"building": ("house", "hall"), "water area": ("pond", "lake", "river")}
    if thing["category"] not in groups.get(noun, (noun,)):
        return False
    ratio = max(thing["width"], thing["height"]) / min(thing["width"], thing["height"])
    small, large = thing["pixels"] < 20, thing["pixels"] >= 80
    attributes = {"small": small, "large": large, "medium": not small and not large}
    return {**attributes, "square": ratio < 1.25, "rectangular": ratio >= 1.25, "": True}[adjective]


def count(graph: dict[str, Any], phrase: str) -> int:
    """Count the objects that a phrase in the singular or plural means."""
    relation = re.fullmatch(r"(.+?) (next to|(?:on|at) the (\w+) of) a (.+)", phrase)
    kind = (relation[1] if relation else phrase).removesuffix("s")
    found = [t for t in graph["objects"] if fits(t, kind)]
    if not relation:
        return len(found)
    others = [t for t in graph["objects"] if fits(t, relation[4])]
    stands: Callable[[Thing, Thing], bool] = next_to if not relation[3] else lambda a, b: beyond(a, b, relation[3])
    return sum(any(stands(t, other) for other in others) for t in found)


def solve(question: str, graph: dict[str, Any]) -> tuple[str, str]:
    """Return type and answer of a question, worked out from its words."""
    text = question.removesuffix("?").removesuffix(" in the image")
    if text == "Is it a rural or an urban area":
        return "rural_urban", "urban" if graph["class"] in ("residential", "industrial") else "rural"
    if match := re.fullmatch(r"Are there (more|less) (.+) than (.+)", text):
        first, second = count(graph, match[2]), count(graph, match[3])
        return "comp", "yes" if (first > second if match[1] == "more" else first < second) else "no"
    if match := re.fullmatch(r"Is the number of (.+) equal to the number of (.+)", text):
        return "comp", "yes" if count(graph, match[1]) == count(graph, match[2]) else "no"
    if match := re.fullmatch(r"(?:How many (.+) are there|What is the (?:number|amount) of (.+))", text):
        return "count", str(count(graph, match[1] or match[2]))
    match = re.fullmatch(r"Is (?:there )?a (.+?)(?: present)?(?: in the image)?", text)
    assert match, question
    return "presence", "yes" if count(graph, match[1]) else "no"


def test_answers_are_right(mixed: list[dict[str, Any]]) -> None:
    related = set()
    for k in range(30):
        asked = questions(mixed[k], 1, k, 101)
        assert len(asked) == len({q["question"] for q in asked}) == 101
        assert asked[0]["question"] == "Is it a rural or an urban area"
        assert [q["type"] for q in asked].count("rural_urban") == 1
        assert asked == questions(mixed[k], 1, k, 101) != questions(mixed[k], 1, k + 1, 101)
        for q in asked:
            assert (q["type"], q["answer"]) == solve(q["question"], mixed[k]), (q, mixed[k]["class"])
            related |= set(re.findall(r"(road|house)s? (next to|(?:on|at) the \w+ of) a (road|tree)", q["question"]))
    sides = {f"{where} of" for where in ("on the left", "on the right", "at the top", "at the bottom")}
    assert related >= {("road", "next to", "tree"), ("house", "next to", "road")}
    assert related >= {("house", side, "tree") for side in sides}
    assert not any(side in sides and "road" in (a, b) for a, side, b in related)


def test_words_of_a_question_do_not_tell_its_answer(mixed: list[dict[str, Any]]) -> None:
    """The most frequent answer of half of the images to a question, or to its beginning, is of little use for the others."""
    asked = [(k, q) for k, graph in enumerate(mixed) for q in questions(graph, 1, k)]
    shares = {kind: np.mean([q["type"] == kind for _, q in asked]) for kind in TYPES_LR}
    assert shares == pytest.approx({"rural_urban": 0.01, "presence": 0.297, "count": 0.299, "comp": 0.394}, abs=0.015)
    seen = np.random.default_rng(0).random(len(mixed)) < 0.5
    for kind in ("presence", "comp"):
        rows = [
            (seen[k], q["question"].replace(" in the image", ""), q["answer"]) for k, q in asked if q["type"] == kind
        ]
        assert 0.4 < np.mean([answer == "yes" for *_, answer in rows]) < 0.6
        for part in (str, lambda text: re.split(r" (?:than|next|on|at|equal)\b", text)[0]):
            answers: dict[str, Counter[str]] = defaultdict(Counter)
            for known, text, answer in rows:
                answers[part(text)]["no"] += 0
                answers[part(text)][answer] += known
            right = [answers[part(t)].most_common(1)[0][0] == answer for known, t, answer in rows if not known]
            assert len(right) > 3000
            assert np.mean(right) < 0.62
    urban = np.mean([q["answer"] == "urban" for _, q in asked if q["type"] == "rural_urban"])
    assert urban == pytest.approx(3 / 7)


# Files and sources


def test_questions_are_as_many_as_in_rsvqa() -> None:
    sizes = {"train": 57_223, "val": 10_005, "test": 10_004}
    for split, images in text_sources.QUESTIONS_SIZES.items():
        assert sum(text_sources.question_count(split, k) for k in range(images)) == sizes[split]


def test_written_files_hold_what_the_source_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"train": 3, "val": 1, "test": 2}
    text_sources.write_rsvqa(tmp_path, sizes)
    small = text_sources.QuestionScenes(sizes)
    monkeypatch.setattr(text_sources, "QuestionScenes", lambda: small)
    source = text_sources.questions_source(tmp_path, SCENES)
    check_columns(source, "scenes-vqa", complete=False)
    images = np.empty((6, 3, 64, 64), dtype=np.uint8)
    source.read(0, 6, images)
    for k in range(6):
        pixels = np.array(Image.open(tmp_path / "Images_LR" / f"{k}.tif"))
        assert pixels.shape == (256, 256, 3)
        assert all(np.array_equal(pixels[i::4, j::4], images[k].transpose(1, 2, 0)) for i in range(4) for j in range(4))

    columns = {name: iter(values) for name, values in source.columns.items()}
    bins = {
        "0": (0, 0),
        "between 0 and 10": (1, 10),
        "between 10 and 100": (11, 100),
        "between 100 and 1000": (101, 1000),
    }
    total = 0
    for split, members in (("train", {0, 1, 2}), ("val", {3}), ("test", {4, 5})):
        tables = {}
        for kind in ("questions", "answers", "images"):
            rows = json.loads((tmp_path / f"LR_split_{split}_{kind}.json").read_text())[kind]
            assert [row["id"] for row in rows] == list(range(len(rows)))
            tables[kind] = [row for row in rows if row["active"]]
            assert all(set(row) == {"id", "active"} for row in rows if not row["active"])
        assert {image["id"] for image in tables["images"]} == members
        owner = {q: image["id"] for image in tables["images"] for q in image["questions_ids"]}
        answers = {answer["id"]: answer for answer in tables["answers"]}
        for q in tables["questions"]:
            row = {name: next(values) for name, values in columns.items()}
            (number,) = q["answers_ids"]
            answer = answers[number]["answer"]
            assert answers[number]["question_id"] == q["id"]
            assert owner[q["id"]] == q["img_id"] == row["image"]
            assert (q["question"], q["type"], split) == (row["question"], row["kind"], row["official_split"])
            label = source.classes[row["label"]]
            if q["type"] == "count":
                low, high = bins[label]
                assert low <= int(answer) == row["count"] <= high
            else:
                assert (label, row["count"]) == (answer, None)
        total += len(tables["questions"])
    assert total == len(source.columns["id"]) == 603


def test_captions_come_with_their_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_sources, "CAPTIONS_SIZES", {"train": 10, "val": 5, "test": 5})
    source = text_sources.captions_source(Path(), SCENES)
    check_columns(source, "scenes-captions")
    parts = splits.from_column(source.image_ids, {k: np.array(v) for k, v in source.columns.items()})
    assert {part: len(members) for part, members in parts.items()} == text_sources.CAPTIONS_SIZES
    for k, said in enumerate(source.columns["sentences"]):
        assert sum(check_sentence(sentence, source.scene_graph(k)) for sentence in said) >= 5
    assert source.scene_graph(0) != SceneSource().scene_graph(0)
