"""Captions of generated scenes in the manner of UCM-captions (Qu et al. 2016): five sentences that are true of the
scene graph, the same facts in different order and words.

A caption tells what the scene is mainly made of and one or two *details*: other things, how many they are and where, or
what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from rsbench_scenes.draw import WIDTH
from rsbench_scenes.draws import Draws
from rsbench_scenes.fixed import PIXEL, TURN, direction
from rsbench_scenes.questions import STREAM, relations

Thing = Mapping[str, Any]

HIGHWAY_WIDTH: Final = 6 * PIXEL  # what is narrower is a road
NUMBERS: Final = ("no", "a", "two", "three", "four")
MANY: Final = 10  # five and more are several, below this
TELLING: Final = ("highway", "lake", "river", "hall", "pond", "road", "house", "field", "tree")
MISSED: Final = ("house", "road", "tree")
LANDMARKS: Final = ("lake", "river", "highway")
BURIED: Final = ("forest", "industrial", "residential")  # classes that hide the fields under them
VERBS: Final = {"road": "run", "tree": "grow", "house": "stand", "field": "lie", "pond": "lie"}
GROUND: Final = {"grass": "green", "meadow": "green", "heath": "brown", "soil": "brown", "stubble": "yellow"}
DIRECTIONS: Final = ("from left to right", "towards the lower right", "from top to bottom", "towards the upper right")
MIDDLE: Final = 10 * PIXEL  # from the center


@dataclass(frozen=True)
class _Manner:
    """How scenes of a class are told: their main things, what they are called, and openings."""

    main: str
    scene: str
    openings: tuple[str, str]


MANNERS: Final = {
    "cropland": _Manner(
        "field",
        "farmland",
        ("this is farmland with {main.short} side by side", "{main.short} of different colours make up the farmland"),
    ),
    "forest": _Manner(
        "tree",
        "forest",
        ("this is a dense forest with {main.short}", "{main.short} stand close together in the forest"),
    ),
    "highway": _Manner(
        "highway", "{ground} landscape", ("this is a highway running {main.place}", "a wide highway runs {main.place}")
    ),
    "industrial": _Manner(
        "hall",
        "industrial area",
        ("this is an industrial area with {main.short}", "{main.short} with large roofs stand side by side"),
    ),
    "lake": _Manner(
        "lake", "{ground} landscape", ("there is a lake {main.place} of the picture", "a large lake lies {main.place}")
    ),
    "orchard": _Manner(
        "tree", "orchard", ("this is an orchard with {main.short} in rows", "{main.short} are planted in straight rows")
    ),
    "pasture": _Manner(
        "tree",
        "{ground} pasture",
        ("this is a {ground} pasture with {main.short}", "{main.short} form hedges on the {ground} pasture"),
    ),
    "residential": _Manner(
        "house",
        "residential area",
        ("this is a residential area with {main.short}", "{main.short} are arranged neatly in rows"),
    ),
    "river": _Manner(
        "river", "{ground} landscape", ("this is a river running {main.place}", "a curved river runs {main.place}")
    ),
    "wetland": _Manner(
        "pond",
        "{ground} wetland",
        ("this is a wetland with {main.short}", "{main.short} are scattered over the {ground} land"),
    ),
}
SHAPES: Final = (
    "{opening} and there {one.be} {one.short} and {other.short}",
    "{opening} and {one.clause}",
    "{opening} while {one.clause}",
    "{one.clause} and {other.clause} in the picture",
    "besides {main.short} there {one.be} {one.full} and {other.short}",
    "in this {scene} there {main.be} {main.short} , {one.short} and {other.short}",
    "{one.full} can be seen in this {scene} with {main.short}",
)


@dataclass(frozen=True)
class _Detail:
    """Some things of a noun (none of them, perhaps) and where they are."""

    noun: str
    count: int
    place: str = ""

    @property
    def short(self) -> str:
        """How many."""
        return _quantity(self.count, self.noun)

    @property
    def full(self) -> str:
        """How many and where."""
        link = " running" if self.noun == "road" and self.place else ""
        return f"{self.short}{link} {self.place}".strip()

    @property
    def be(self) -> str:
        """``is`` or ``are``."""
        return "is" if self.count == 1 else "are"

    @property
    def clause(self) -> str:
        """The same with a verb."""
        if not self.count:
            return f"there are {self.short}"
        return f"{self.short} {VERBS[self.noun]}{'s' * (self.count == 1)} {self.place}"


def captions(graph: Mapping[str, Any], seed: int, index: int) -> list[str]:
    """Return five sentences about a scene (see :mod:`rsbench_scenes.compose`), of 8 to 18 words.

    Args:
        graph: the scene.
        seed, index: what the choice of words depends on besides the scene.
    """
    draws = Draws(seed, index, STREAM)
    manner, groups = MANNERS[graph["class"]], _groups(graph["objects"])
    ground = "open" if "field" in groups else GROUND[graph["ground"]]
    scene = manner.scene.format(ground=ground)
    things = groups.pop(manner.main)
    main = _Detail(manner.main, len(things), (_direction if manner.main in ("highway", "river") else _zone)(things))
    if graph["class"] in BURIED:
        groups.pop("field", None)
    details = _details(groups, manner.main, things)
    sentences = []
    for shape in draws.permutation(len(SHAPES))[:5]:
        one, other = (details[k] for k in sorted(draws.permutation(len(details))[:2]))
        opening = draws.choice(manner.openings).format(main=main, ground=ground)
        text = SHAPES[shape].format(opening=opening, main=main, scene=scene, one=one, other=other)
        sentences.append(f"{text[0].upper()}{text[1:]} .")
    return sentences


def _groups(objects: Sequence[Thing]) -> dict[str, list[Thing]]:
    """Things by noun, the most telling first."""
    groups: dict[str, list[Thing]] = {noun: [] for noun in TELLING}
    for thing in objects:
        wide = thing["category"] == "road" and thing["height"] >= HIGHWAY_WIDTH
        groups["highway" if wide else thing["category"]].append(thing)
    return {noun: things for noun, things in groups.items() if things}


def _details(groups: Mapping[str, list[Thing]], noun: str, main: list[Thing]) -> list[_Detail]:
    """The two or three most telling details besides the main things, which are of the given noun."""
    marks = {noun: main} if noun in LANDMARKS else {}
    if len(groups.get("road", ())) == 1:
        marks["road"] = groups["road"]
    found = []
    for name, things in groups.items():
        if name == "road":
            place = _direction(things)
        elif name == "field" and len(things) > 1:
            place = f"divided by the {noun}" if _divided(things, main[0]) else "side by side"
        else:
            near = [f"beside the {mark}" for mark, others in marks.items() if _near(things, others)]
            near += ["near trees"] * (name != "tree" and _near(things, groups.get("tree", [])))
            place = near[0] if near else _zone(things)
        found.append(_Detail(name, len(things), place))
    missed = [_Detail(name, 0) for name in MISSED if name not in groups and name != noun]
    return (found + missed)[: max(2, min(3, len(found)))]


def _near(things: list[Thing], others: list[Thing]) -> bool:
    """Whether each of the things is next to one of the others."""
    next_to = relations([*things, *others])[0, : len(things), len(things) :]
    return bool(next_to.any(axis=1).all())


def _divided(things: list[Thing], strip: Thing) -> bool:
    """Whether a road or river has things on either side."""
    if strip["category"] not in ("road", "river"):
        return False
    c, s = direction(strip["angle"])
    across = [c * (t["y"] - strip["y"]) - s * (t["x"] - strip["x"]) for t in things]
    return min(across) < 0 < max(across)


def _direction(strips: list[Thing]) -> str:
    """How roads or a river run, to the nearest multiple of 45 degrees."""
    names = {DIRECTIONS[(strip["angle"] + TURN // 16) // (TURN // 8) % 4] for strip in strips}
    return names.pop() if len(names) == 1 else "in different directions"


def _zone(things: list[Thing]) -> str:
    """The side of the picture on which all things are, or its middle, or else ``here and there``."""
    offsets = np.array([[t["x"], t["y"]] for t in things]) - WIDTH // 2
    if (np.abs(offsets) <= MIDDLE).all():
        return "in the middle"
    axis = int(np.abs(offsets.sum(axis=0)).argmax())
    below = offsets[:, axis] < 0
    if below.all():
        return ("on the left", "at the top")[axis]
    return "here and there" if below.any() else ("on the right", "at the bottom")[axis]


def _quantity(count: int, noun: str) -> str:
    number = NUMBERS[count] if count < len(NUMBERS) else "several" if count < MANY else "many"
    return f"{number} {noun}{'s' * (count != 1)}"
