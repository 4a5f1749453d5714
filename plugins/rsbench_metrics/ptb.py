"""Words as the caption benchmarks count them: Penn Treebank tokens, lower-cased, without punctuation.

The scores of captions that papers print come from Stanford's ``PTBTokenizer`` (CoreNLP 3.4.1) with ``-lowerCase``,
after which punctuation tokens are dropped.  This is the same in Python, for one sentence at a time, written from what
that program answers: the same for each character of the basic plane, and for 99.7 % of random mixtures of words,
scripts, entities and punctuation.  It differs in telephone numbers, in mark-up with attributes, around soft hyphens and
where words run together.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from rsbench_metrics.ptb_characters import DIGITS, LETTERS, MARKS, SYMBOLS

# Tokens under other names.  Dropped upstream are -LRB- and the like in capitals, so that the lower-case ones stay.
_BRACKETS: Final = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_EYES: Final = [eyes + nose for eyes in ":;=" for nose in ("", "-", "o", "*", "'")]
_NAMES: Final = {
    **{mouth: (name,) for mouth, name in _BRACKETS.items()},
    **{eyes + mouth: (eyes + _BRACKETS[mouth],) for eyes in _EYES for mouth in "()"},
    **{"£": ("#",), "\x80": ("$",), "€": ("$",), "¤": ("$",), "₠": ("$",), "¢": ("cents",)},
    **{"½": ("1/2",), "¼": ("1/4",), "¾": ("3/4",), "⅓": ("1/3",), "⅔": ("2/3",)},
    "": (),
    **{"&lt;": ("<",), "&gt;": (">",)},
    **{"cannot": ("can", "not"), "gonna": ("gon", "na"), "gotta": ("got", "ta"), "wanna": ("wan", "na")},
    **{"gimme": ("gim", "me"), "lemme": ("lem", "me")},
}
_BREAKS: Final = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]")
# Quotation marks and dashes as ASCII.
_PLAIN: Final = str.maketrans(
    {**dict.fromkeys("\u203a", "'"), **dict.fromkeys("\u2018\u201b\u2039", "`")}
    | {**dict.fromkeys("\u201c\u201d«»", '"'), **dict.fromkeys("\u2013\u2014\u2015", "-- ")}
    | {"\u00a0": " "}
)

# Abbreviations that keep their dot: in any case, with a capital only, before a number only.
_ABBREVIATIONS: Final = (
    "adj|adm|adv|al|ala|alex|apr|ariz|assn|assoc|asst|atty|attys|aug|ave|bancorp|bhd|bldg|blvd|brig|bros|calif|"
    "capt|cf|cie|cmdr|co|col|colo|comdr|conn|corp|cos|cpl|ct|dak|dec|dept|det|dr|drs|elec|ens|esq|est|etc|ext|feb|"
    "fla|fri|ft|ga|gen|gov|govs|hon|inc|ind|insp|intl|invt|jan|jos|jr|jul|jun|kan|kans|ky|lieut|lt|ltd|maj|mar|md|"
    "messrs|mfg|mich|minn|mlle|mme|mo|mon|mont|mr|mrs|ms|msgr|mt|mtg|natl|neb|nev|nov|oct|okla|penn|pfc|ph|plc|"
    "ppte|ppty|pres|prof|profs|pte|ptes|pty|ptys|pvt|rd|rep|reps|rev|rt|sen|sens|sep|sept|seq|sfc|sgt|spc|sq|sr|st|"
    "ste|supt|supts|sys|tel|tenn|thu|thurs|tue|tues|univ|va|vs|vt|wed|wis|wisc|wm|wyo"
)
_CAPITALIZED: Final = "Ark|Az|Del|Ill|La|Mass|Miss|Ore|Pa|Tex|Wash"
_NUMBERED: Final = "art|ca|fig|figs|no|nos|op|pp|prop"
# After these a single letter with a dot ends a sentence, and its dot goes.
_STARTERS: Final = (
    "A|About|According|Additionally|After|An|As|At|But|Earlier|He|Her|Here|However|If|In|It|Last|Many|More|Now|"
    "Once|One|Other|Our|She|Since|So|Some|Such|That|The|Their|Then|There|These|They|This|We|When|While|What|Yet|You"
)

_APOSTROPHE: Final = "['\u2019\ue000]"
_JOINED: Final = "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*+"

# Letters, marks, digits and symbols.
_ASCII: Final = ("A-Za-z", "", "0-9", r"#$%&*+/<=>@\\^_|~()\[\]{}")


@lru_cache(maxsize=4)
def _pattern(ascii_only: bool, html: bool) -> re.Pattern[str]:
    """Return the pattern of a token.

    The first alternatives that fit count.  Nearly all words take the very first, and most gaps go without a search.

    Args:
        ascii_only: for texts of ASCII, which is compiled ten times faster.
        html: with the entities of HTML that are letters.
    """
    letters, marks, digits, symbols = _ASCII if ascii_only else (LETTERS, MARKS, DIGITS, SYMBOLS)
    plain, letter, alnum = f"[{letters}]", f"[{letters}{marks}]", f"[{letters}{marks}{digits}]"
    if html:
        letter = f"(?:{letter}|&[aeiouAEIOU](?i:acute|grave|uml);)"
        alnum = f"(?:{letter}|[{digits}])"
    hyphens = rf"(?:[-\u058a\u2010\u2011][{letters}{digits}]+)+"
    return re.compile(
        r"(?:[,;]?\ )*+("
        + "|".join(
            (
                r"[A-Za-z]+(?=[,;]?\ |\Z)",
                # Mark-up, addresses, names.
                r"</?[A-Za-z!?][\w:.-]*/?>",
                r"(?i:https?)://[^\ \"<>|(){}]+[^\ \"'<>|.!?(){},-]",
                r"(?:www\.(?:[^\ \"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}"
                r"|(?:[^\ \"`'<>|.!?(){},_$/:-]{1,60}\.){1,5}(?:com|net|org|edu))\b"
                r"(?:/[^\ \"<>|()]+[^\ \"<>|.!?(){},-])?",
                r"[A-Za-z0-9][^\ \"<>|(){}@]{0,60}@(?:[^\ \"<>|(){}.]+\.)*[^\ \"<>|(){}\[\].,;:]+",
                rf"@[A-Za-z_][A-Za-z0-9_]*|#{letter}+",
                # Apostrophes.
                rf"[A-Za-z\u00ad]+?(?=[nN]{_APOSTROPHE}[tT])|[nN]{_APOSTROPHE}[tT]{plain}*",
                rf"{_APOSTROPHE}(?:[sSmMdD]|[rR][eE]|[vV][eE]|[lL][lL])(?!{letter})",
                rf"'[tT](?=(?i:is|was)\b)|{_APOSTROPHE}(?:[nN]{_APOSTROPHE}|\d(?:0s|\d(?!\w))|(?i:em|till?|cause)|[nN](?!{letter}))",
                rf"[yY]{_APOSTROPHE}(?=(?i:all)\b)",
                rf"[dDoOlL]{_APOSTROPHE}{letter}+|[A-HJ-XZ]{_APOSTROPHE}{letter}{{2,}}",
                rf"{letter}+[aeiouyA-Z]{_APOSTROPHE}[aeiouA-Z]{letter}*",
                # Slashes join three at most; hyphens join what is between them, dots and commas before them included.
                rf"{_JOINED}(?:/{_JOINED}){{1,2}}",
                rf"[A-Za-z0-9][A-Za-z0-9_.,]{{0,60}}+{hyphens}|{plain}+{hyphens}",
                # Dots.
                rf"(?:(?i:ph\.d|ed\.d)|[A-Za-z](?:\.[A-Za-z])+)(?:\.|(?![\w.]))(?!{letter})",
                rf"[A-Za-z]\.(?!{letter}|\ +(?:{_STARTERS})\b)",
                rf"\b(?:(?i:{_ABBREVIATIONS})|{_CAPITALIZED})\.(?!{letter})",
                rf"\b(?i:{_NUMBERED})\.(?=\ ?\d)",
                # Numbers.
                r"\d{1,4}\ \d{1,4}/\d{1,4}",
                r"[-+]?\d*(?:[.,:\u066b]\d+)+|[-+]\d+",
                # Words.
                r"[cCfF]#|[cC]\+\+|[A-Z]+&(?:(?i:amp);)?[A-Z]+|[A-Z]+\$",
                r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+",
                rf"{letter}{alnum}*(?:[.!?]{letter}{alnum}*)*",
                f"[{letters}{digits}]+",
                # Symbols.
                r"[:;=][-o*']?[()dDpPO\\{@|\[\]](?![A-Za-z0-9])",
                r"[!?]{2,}|\*+|_+|#+|-{5,}|-(?i:[lr][rsc]b)-|<<|>>|&(?i:amp|lt|gt|quot|apos|ht|tl|ur|lr|qc|ql|qr|odq|cdq|#[0-9]+);",
                f"[{symbols}]",
            )
        )
        + ")"
    )


_ENTITY: Final = re.compile("&(?:(?i:(nbsp)|(mdash|ndash|md))|(quot)|(apos));")
_WRITTEN: Final = (" ", "-- ", '"', "\ue000")
# Apostrophes of other forms, of which "&apos;" is one character here, are kept as they are outside these.
_CONTRACTION: Final = re.compile("(n?)[\u2019\ue000](t|s|m|d|re|ve|ll)")


@lru_cache(maxsize=2**15)
def _tokens(text: str) -> tuple[str, ...]:
    text = _BREAKS.sub(" ", text)
    if not text.isascii():
        text = text.translate(_PLAIN)
    html = "&" in text and ";" in text
    if html:
        text = _ENTITY.sub(lambda found: _WRITTEN[(found.lastindex or 1) - 1], text)
    pattern = _pattern(text.isascii(), html)
    tokens = "\n".join(pattern.findall(text)).lower().replace("\u00ad", "").split("\n")  # a soft hyphen is a letter
    if "/" in text:  # "3 1/2" is one token, joined by a space that does not break
        tokens = [t.replace(" ", "\u00a0") for t in tokens]
    if "\u2019" in text or html:
        tokens = [_CONTRACTION.sub(r"\1'\2", t) if _CONTRACTION.fullmatch(t) else t for t in tokens]
        tokens = [t.replace("\ue000", "&apos;").replace("&amp;", "&") for t in tokens]
    if not _NAMES.keys().isdisjoint(tokens):
        tokens = [name for t in tokens for name in _NAMES.get(t, (t,))]
    return tuple(tokens)


def tokenize(text: str) -> list[str]:
    """Return the lower-case tokens of *text* without punctuation.

    Line breaks of all kinds count as spaces; characters beyond the basic plane are dropped.
    """
    return list(_tokens(text))
