"""Questions about a generated scene, in the types and the wording of RSVQA-LR (Lobry et al. 2020).

A *kind* is a noun with or without an adjective ("small houses"); a *phrase* is a kind that may stand in a relation to
any object of a noun ("small houses next to a road").  What is asked of a scene is drawn such that the words of a
question do not give its answer away: see :meth:`_Pool.choose`.  All that decides is counted in integers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np

from rsbench_scenes.draws import Draws
from rsbench_scenes.fixed import ONE, PIXEL, direction
from rsbench_scenes.source import SceneSource
from rsbench_scenes.specs import CLASSES

NOUNS: Final[dict[str, tuple[str, ...]]] = {
    "tree": ("tree",),
    "house": ("house",),
    "building": ("house", "hall"),
    "pond": ("pond",),
    "water area": ("pond", "lake", "river"),
    "field": ("field",),
    "hall": ("hall",),
    "road": ("road",),
    "lake": ("lake",),
    "river": ("river",),
}
SIZED: Final = 6  # the first nouns come in several sizes
SIZES: Final = {"small": (0, 20), "medium": (20, 80), "large": (80, 4097)}  # pixels, upper bound exclusive
SHAPED: Final = ("house", "building", "hall")
ELONGATED: Final = (5, 4)  # a rectangular building is longer than wide by this ratio, a square one is not
RELATIONS: Final = ("next to", "on the left of", "on the right of", "at the top of", "at the bottom of")
NEAR: Final = 4 * PIXEL  # at most between objects that are next to each other

RURAL_URBAN: Final = "Is it a rural or an urban area"  # without a question mark in the original
PRESENCE: Final = ("Is there a {}{place}?", "Is a {} present{place}?")
COUNT: Final = ("How many {} are there{place}?", "What is the number of {}{place}?", "What is the amount of {}{place}?")
COMPARISONS: Final = (
    "Are there more {} than {}{place}?",
    "Are there less {} than {}{place}?",
    "Is the number of {} equal to the number of {}{place}?",
)
MENTIONS_IMAGE: Final = 12  # percent
SHARES: Final = (17_008, 17_089, 22_554)  # presence, count, comp: training questions of RSVQA-LR
YES: Final = ("no", "yes")

MIXTURE: Final = (*range(len(CLASSES)), *(CLASSES.index(name) for name in ("residential", "industrial") * 2))
REFERENCE_SEED: Final = 20_264
REFERENCE_SCENES: Final = 20 * len(MIXTURE)
ODDS: Final = 1 << 10  # what odds of 1 are, for a plainness of 1
RARE: Final = REFERENCE_SCENES * 4 // 100  # what is true, or false, of fewer scenes is not asked
STREAM: Final = 1  # of random numbers; drawing a scene takes stream 0


@dataclass(frozen=True)
class Phrase:
    """Objects of a noun, with an ``adjective`` or any, and in a ``relation`` to any ``other`` or anywhere."""

    noun: str
    adjective: str = ""
    relation: str = ""
    other: str = ""

    def say(self, plural: bool) -> str:
        """Return the words, without an article."""
        kind = f"{self.adjective} {self.noun}".strip() + "s" * plural
        return f"{kind} {self.relation} a {self.other}" if self.relation else kind

    @property
    def plainness(self) -> int:
        """How much oftener it is to be asked than others; 10,000 for a noun alone."""
        return (35 if self.adjective else 100) * (4 if self.relation else 100)


KINDS: Final = (
    *(Phrase(noun) for noun in NOUNS),
    *(Phrase(noun, size) for size in SIZES for noun in tuple(NOUNS)[:SIZED]),
    *(Phrase(noun, shape) for shape in ("square", "rectangular") for noun in SHAPED),
)
PHRASES: Final = (
    *KINDS,
    *(Phrase(k.noun, k.adjective, relation, noun) for relation in RELATIONS for k in KINDS for noun in NOUNS),
)


def scene_number(index: int) -> int:
    """Return which scene of a ``SceneSource`` is image ``index`` of a set for questions: three in seven are urban."""
    return index * len(CLASSES) + MIXTURE[index % len(MIXTURE)]


def relations(objects: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return bool [5, n, n]: whether object i stands in each of :data:`RELATIONS` to object j.

    Left of j means beyond its edge, and rather beside it than above or below.  Roads and rivers count by their
    straight axis: something can be next to them, but not left or right.  Fields have no relations.
    """
    x, y, width, height = (np.array([o[key] for o in objects], dtype=np.int64) for key in ("x", "y", "width", "height"))
    cosine, sine = np.array([direction(o["angle"]) for o in objects], dtype=np.int64).T
    category = np.array([o["category"] for o in objects])
    strip, radius = np.isin(category, ("road", "river")), width + height  # four times the mean radius
    compact = ~strip & (category != "field")
    dx, dy = 4 * (x[:, None] - x), 4 * (y[:, None] - y)
    pairs = compact[:, None] & compact & ~np.eye(len(x), dtype=bool)
    near = pairs & (dx**2 + dy**2 <= (radius[:, None] + radius + 4 * NEAR) ** 2)
    across = np.abs(cosine * dy - sine * dx)
    beside = compact[:, None] & strip & (across <= (2 * height + radius[:, None] + 4 * NEAR) * ONE)
    directions = ((-dx, dy), (dx, dy), (-dy, dx), (dy, dx))
    sides = [pairs & (along > radius) & (np.abs(aside) <= along) for along, aside in directions]
    return np.stack([near | beside | beside.T, *sides])


def membership(objects: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return bool [n, K]: whether object i is of each of :data:`KINDS`."""
    category = np.array([o["category"] for o in objects])
    pixels = np.array([o["pixels"] for o in objects])[:, None]
    sides = np.sort([[o["width"], o["height"]] for o in objects], axis=1)
    nouns = np.stack([np.isin(category, names) for names in NOUNS.values()], axis=1)
    sized = [nouns[:, :SIZED] & (pixels >= low) & (pixels < high) for low, high in SIZES.values()]
    shaped = nouns[:, [list(NOUNS).index(noun) for noun in SHAPED]]
    square = (ELONGATED[1] * sides[:, 1] < ELONGATED[0] * sides[:, 0])[:, None]
    return np.concatenate([nouns, *sized, shaped & square, shaped & ~square], axis=1)


def count_phrases(objects: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Return int64 [P]: how many objects fit each of :data:`PHRASES`."""
    if not objects:
        return np.zeros(len(PHRASES), dtype=np.int64)
    kinds = membership(objects).astype(np.float32)  # for a fast product: whole numbers this small are exact
    related = relations(objects).astype(np.float32) @ kinds[:, : len(NOUNS)] > 0
    counts = kinds.T @ related.astype(np.float32)
    return np.concatenate([kinds.sum(0), counts.ravel()]).astype(np.int64)


def compare(counts: np.ndarray, comparisons: np.ndarray) -> np.ndarray:
    """Return bool [B]: whether comparisons int [B, 3] (phrase, phrase, number in :data:`COMPARISONS`) hold."""
    first, second, how = counts[comparisons[:, 0]], counts[comparisons[:, 1]], comparisons[:, 2]
    return np.choose(how, [first > second, first < second, first == second])


@dataclass(frozen=True)
class _Pool:
    """Statements that can be put as questions: their numbers int [A], or comparisons int [A, 3]; of how many of the
    reference scenes each is true; and its plainness."""

    items: np.ndarray
    held: np.ndarray
    plainness: np.ndarray

    def choose(self, true: np.ndarray, count: int, draws: Draws) -> list[int]:
        """Draw *count* places in the pool, without replacement, for a scene of which statements are *true* [A].

        The odds make a statement be asked as often where it is true as where it is false, and one that is mostly true,
        or mostly false, seldom.
        """
        failed = REFERENCE_SCENES - self.held
        odds = self.plainness * np.minimum(self.held, failed) * ODDS // np.where(true, self.held, failed)
        ends = odds.cumsum()
        chosen: dict[int, None] = {}
        while len(chosen) < count:
            chosen[int(ends.searchsorted(draws.below(int(ends[-1])), side="right"))] = None
        return list(chosen)


def _comparable() -> np.ndarray:
    """All that is compared: kinds with kinds, and related nouns with nouns, in either order."""
    kinds, nouns = range(len(KINDS)), range(len(NOUNS))
    related = [k for k, p in enumerate(PHRASES) if p.relation and not p.adjective]
    pairs = [(a, b) for a in kinds for b in kinds if a != b]
    pairs += [pair for a in related for b in nouns for pair in ((a, b), (b, a))]
    return np.array([(a, b, how) for a, b in pairs for how in range(len(COMPARISONS))])


@lru_cache(maxsize=1)
def _pools() -> tuple[_Pool, _Pool]:
    """Try all phrases and comparisons on reference scenes; keep what is now true (of a phrase: any at all), now not."""
    source, comparisons = SceneSource(REFERENCE_SEED), _comparable()
    found, held = np.zeros(len(PHRASES), dtype=np.int64), np.zeros(len(comparisons), dtype=np.int64)
    for k in range(REFERENCE_SCENES):
        counts = count_phrases(source.scene_graph(scene_number(k))["objects"])
        found += counts > 0
        held += compare(counts, comparisons)
    plainness = np.array([p.plainness for p in PHRASES], dtype=np.int64)
    varies = np.minimum(found, REFERENCE_SCENES - found) >= RARE
    phrases = np.flatnonzero(varies)
    varies[: len(KINDS)] = True
    kept = varies[comparisons[:, :2]].all(axis=1) & (np.minimum(held, REFERENCE_SCENES - held) >= RARE)
    both = plainness[comparisons[kept, :2]].prod(axis=1)
    return _Pool(phrases, found[phrases], plainness[phrases]), _Pool(comparisons[kept], held[kept], both)


def questions(graph: Mapping[str, Any], seed: int, index: int, count: int = 100) -> list[dict[str, str]]:
    """Return questions about a scene, of which no two are the same.

    Args:
        graph: the scene (see :mod:`rsbench_scenes.compose`).
        seed, index: what the choice depends on besides the scene.
        count: how many; the first is of type ``rural_urban``, the types of the others are drawn as in RSVQA-LR.

    Returns:
        dicts with ``type``, ``question`` and ``answer``: ``yes``, ``no``, ``rural``, ``urban`` or an exact number.
    """
    draws = Draws(seed, index, STREAM)
    counts, (phrases, comparisons) = count_phrases(graph["objects"]), _pools()
    here = counts[phrases.items]
    found, held = here > 0, compare(counts, comparisons.items)
    types = Counter(draws.weighted(SHARES) for _ in range(count - 1))
    asked = []
    for k in phrases.choose(found, types[0], draws):
        text = _put(PRESENCE, draws, PHRASES[phrases.items[k]].say(plural=False))
        asked.append(("presence", text, YES[int(found[k])]))
    for k in phrases.choose(found, types[1], draws):
        asked.append(("count", _put(COUNT, draws, PHRASES[phrases.items[k]].say(plural=True)), str(here[k])))
    for k in comparisons.choose(held, types[2], draws):
        first, second, how = comparisons.items[k]
        said = PHRASES[first].say(plural=True), PHRASES[second].say(plural=True)
        asked.append(("comp", _put(COMPARISONS[how : how + 1], draws, *said), YES[int(held[k])]))
    order = [("rural_urban", RURAL_URBAN, str(graph["setting"])), *(asked[k] for k in draws.permutation(len(asked)))]
    return [{"type": kind, "question": text, "answer": answer} for kind, text, answer in order]


def _put(forms: Sequence[str], draws: Draws, *said: str) -> str:
    """Put what is said into one of the forms, now and then with mention of the image."""
    place = " in the image" if draws.chance(MENTIONS_IMAGE) else ""
    return draws.choice(forms).format(*said, place=place)
