"""Words, vocabularies and token tables."""

from __future__ import annotations

import unicodedata
from typing import Literal

import pytest

from rsbench.tasks.text import END, PAD, START, UNKNOWN, Vocabulary, words


def test_words_are_lower_case_without_punctuation() -> None:
    assert words("There are TWO storage-tanks , aren't there ?") == [
        "there",
        "are",
        "two",
        "storage-tanks",
        "aren't",
        "there",
    ]
    assert words(" . , ! ") == []
    assert words("10 m² of 3.5 roofs_and snow") == ["10", "m²", "of", "3", "5", "roofs", "and", "snow"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Un café à São Paulo-Norte.", ["un", "café", "à", "são", "paulo-norte"]),
        ("nhiều máy bay ở Việt Nam", ["nhiều", "máy", "bay", "ở", "việt", "nam"]),
        ("नदी के किनारे हवाई अड्डा।", ["नदी", "के", "किनारे", "हवाई", "अड्डा"]),
        ("แม่น้ำ และ หมู่บ้าน", ["แม่น้ำ", "และ", "หมู่บ้าน"]),
        ("ஆறு, விமானம்", ["ஆறு", "விமானம்"]),
        ("שָׁלוֹם נָהָר", ["שָׁלוֹם", "נָהָר"]),
        ("mi\u200ckhaham — İzmir", ["mi\u200ckhaham", "i̇zmir"]),
        ("\u0301 a\u200b b\u0301", ["a", "b\u0301"]),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_marks_do_not_split_words(text: str, expected: list[str], form: Literal["NFC", "NFD"]) -> None:
    assert words(unicodedata.normalize(form, text)) == [unicodedata.normalize(form, word) for word in expected]


def test_vocabulary_is_ordered_by_count_then_alphabet_and_leaves_out_the_rare() -> None:
    found = Vocabulary.of(["b a a", "c b a"], min_count=2)
    assert found.words == ("<pad>", "<start>", "<end>", "<unk>", "a", "b")
    assert len(Vocabulary.of(["b a a", "c b a"])) == 7


def test_encoded_captions_have_marks_padding_and_unknown_words() -> None:
    table = Vocabulary.of(["a b c"]).encode(["a b c a", "z"], max_words=3, marks=True)
    assert table.tolist() == [[START, 4, 5, 6, END], [START, UNKNOWN, END, PAD, PAD]]


def test_encoded_questions_are_never_empty() -> None:
    assert Vocabulary.of(["a b"]).encode(["??", "b"], 5, marks=False).tolist() == [[UNKNOWN], [5]]


def test_decoding_stops_at_the_end() -> None:
    found = Vocabulary.of(["a b"])
    assert found.decode([START, 5, 4, END, 5, PAD]) == "b a"
    assert found.decode([END]) == ""
