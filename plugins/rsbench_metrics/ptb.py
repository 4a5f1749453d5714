"""Words as the caption benchmarks count them: Penn Treebank tokens, lower-cased, without punctuation.

The scores of captions that papers print come from Stanford's ``PTBTokenizer`` (CoreNLP 3.4.1) with ``-lowerCase``,
after which punctuation tokens are dropped.  This is the same in Python, for one sentence at a time, written from what
that program answers.  It differs in telephone numbers, in mark-up with attributes and where words run together.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# Tokens under other names.  Dropped upstream are -LRB- and the like in capitals, so that the lower-case ones stay.
_BRACKETS: Final = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_EYES: Final = [eyes + nose for eyes in ":;=" for nose in ("", "-", "o", "*", "'")]
_NAMES: Final = {
    **{mouth: (name,) for mouth, name in _BRACKETS.items()},
    **{eyes + mouth: (eyes + _BRACKETS[mouth],) for eyes in _EYES for mouth in "()"},
    **{"£": ("#",), "€": ("$",), "¤": ("$",), "₠": ("$",), "¢": ("cents",)},
    **{"½": ("1/2",), "¼": ("1/4",), "¾": ("3/4",), "⅓": ("1/3",), "⅔": ("2/3",)},
    "": (),
    **{"&amp;": ("&",), "&lt;": ("<",), "&gt;": (">",)},
    **{"cannot": ("can", "not"), "gonna": ("gon", "na"), "gotta": ("got", "ta"), "wanna": ("wan", "na")},
    **{"gimme": ("gim", "me"), "lemme": ("lem", "me")},
}
_BREAKS: Final = re.compile("[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]")
# Quotation marks and dashes as ASCII; a soft hyphen is nothing.
_PLAIN: Final = str.maketrans(
    {**dict.fromkeys("\u2019\u203a", "'"), **dict.fromkeys("\u2018\u201b\u2039", "`")}
    | {**dict.fromkeys("\u201c\u201d«»", '"'), **dict.fromkeys("\u2013\u2014\u2015", "--")}
    | {"\u00a0": " ", "\u00ad": ""}
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
_CAPITALISED: Final = "Ark|Az|Del|Ill|La|Mass|Miss|Ore|Pa|Tex|Wash"
_NUMBERED: Final = "art|ca|fig|figs|no|nos|op|pp|prop"
# After these a single letter with a dot ends a sentence, and its dot goes.
_STARTERS: Final = (
    "A|About|According|Additionally|After|An|As|At|But|Earlier|He|Her|Here|However|If|In|It|Last|Many|More|Now|"
    "Once|One|Other|Our|She|Since|So|Some|Such|That|The|Their|Then|There|These|They|This|We|When|While|What|Yet|You"
)

# Superscripts, fractions and circled numbers are alphanumeric to Python and are symbols here.
_NO_LETTER: Final = "²³¹¼-¾\u2070-\u209c\u2150-\u218b\u2460-\u24ff\u2776-\u2793\U00010000-\U0010ffff"
_LETTER: Final = rf"[^\W\d_{_NO_LETTER}]"
_ALNUM: Final = rf"[^\W_{_NO_LETTER}]"
_SYMBOL: Final = (
    r"[#$%&+/<=>@\\^|~()\[\]{}]"
    "|[\u00a1-\u00a9\u00ac\u00ae-\u00b4\u00b6-\u00b9\u00bc-\u00bf\u00d7\u00f7]"
    "|[\u2016\u2017\u201a\u201e-\u2023\u2030-\u2038\u203b\u203e-\u2042\u2070\u2074-\u207e\u2080-\u208e\u20a0\u20a4\u20ac"
    "\u2100\u2101\u2103-\u2106\u2108\u2109\u2114\u2116-\u2118\u211e-\u2123\u2125\u2127\u2129\u212e\u2140-\u2144"
    "\u214a-\u214d\u214f\u2153-\u215e\u2190-\u2bff\u3001\u3002\u3012\u30fb\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40"
    "\uff5b-\uff65\uffe0\uffe1\uffe5\uffe6]"
)
_JOINED: Final = "[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*+"
_HYPHENS: Final = rf"(?:[-\u2010\u2011]{_ALNUM}+)+"


# The first alternatives that fit count.  Nearly all words take the very first, and most gaps go without a search.
_TOKEN: Final = re.compile(
    r"(?:[,;]?\ )*+("
    + "|".join(
        (
            r"[A-Za-z]+(?=[,;]?\ |\Z)",
            # Mark-up, addresses, names.
            r"</?[A-Za-z!?][\w:.-]*/?>",
            r"(?i:https?)://[^\s\"<>|(){}]+[^\s\"'<>|.!?(){},-]",
            r"(?:www\.(?:[^\s\"<>|.!?(){},]+\.)+[a-zA-Z]{2,4}|(?:[^\s\"`'<>|.!?(){},_$/:-]{1,60}\.){1,5}(?:com|net|org|edu))\b"
            r"(?:/[^\s\"<>|()]+[^\s\"<>|.!?(){},-])?",
            r"[A-Za-z0-9][^\s\"<>|(){}@]{0,60}@(?:[^\s\"<>|(){}.]+\.)*[^\s\"<>|(){}\[\].,;:]+",
            rf"@[A-Za-z_]\w*|#{_LETTER}+",
            # Apostrophes.
            rf"{_LETTER}+?(?=[nN]'[tT])|[nN]'[tT]{_LETTER}*",
            rf"'(?:[sSmMdD]|[rR][eE]|[vV][eE]|[lL][lL])(?!{_LETTER})",
            rf"'[nN]'|'[tT](?=(?i:is|was)\b)|'\d0s|'(?i:em|till?|cause)|'[nN](?!{_LETTER})|[yY]'(?=(?i:all)\b)",
            rf"[dDoOlL]'{_LETTER}+|[A-HJ-XZ]'{_LETTER}{{2,}}|{_LETTER}+[aeiouyA-Z]'[aeiouA-Z]{_LETTER}*",
            # Slashes join three at most; hyphens join what is between them, dots and commas before them included.
            rf"{_JOINED}(?:/{_JOINED}){{1,2}}",
            rf"[A-Za-z0-9][A-Za-z0-9_.,]{{0,60}}+{_HYPHENS}|{_LETTER}+{_HYPHENS}",
            # Dots.
            rf"(?:(?i:ph\.d|ed\.d)|[A-Za-z](?:\.[A-Za-z])+)(?:\.|(?![\w.]))(?!{_LETTER})",
            rf"[A-Za-z]\.(?!{_LETTER}|\ +(?:{_STARTERS})\b)",
            rf"\b(?:(?i:{_ABBREVIATIONS})|{_CAPITALISED})\.(?!{_LETTER})",
            rf"\b(?i:{_NUMBERED})\.(?=\ ?\d)",
            # Numbers.
            r"\d{1,4}\ \d{1,4}/\d{1,4}",
            r"[-+]?\d*(?:[.,:]\d+)+|[-+]\d+",
            # Words.
            r"[cCfF]#|[cC]\+\+|[A-Z]+&[A-Z]+|[A-Z]+\$",
            r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)+",
            rf"{_LETTER}{_ALNUM}*(?:[.!?]{_LETTER}{_ALNUM}*)*",
            rf"{_ALNUM}+",
            # Symbols.
            r"[:;=][-o*']?[()dDpPO\\{@|\[\]](?![A-Za-z0-9])",
            r"[!?]{2,}|\*+|_+|#+|-{5,}|<<|>>|&(?:amp|lt|gt);",
            _SYMBOL,
        )
    )
    + ")"
)


@lru_cache(maxsize=2**15)
def _tokens(text: str) -> tuple[str, ...]:
    text = _BREAKS.sub(" ", text)
    if not text.isascii():
        text = text.translate(_PLAIN)
    tokens = "\n".join(_TOKEN.findall(text)).lower().split("\n")
    if "/" in text:  # "3 1/2" is one token, joined by a space that does not break
        tokens = [t.replace(" ", "\u00a0") for t in tokens]
    if not _NAMES.keys().isdisjoint(tokens):
        tokens = [name for t in tokens for name in _NAMES.get(t, (t,))]
    return tuple(tokens)


def tokenize(text: str) -> list[str]:
    """Return the lower-case tokens of *text* without punctuation.

    Line breaks of all kinds count as spaces; characters beyond the basic plane are dropped.
    """
    return list(_tokens(text))
