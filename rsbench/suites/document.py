"""YAML as plain data, with the line of every value: text, numbers, true, false and null, in lists and mappings.

Anchors and merge keys are followed as far as a file may be large; a date is the text that it was.
"""

from __future__ import annotations

from typing import Any, Final

import yaml
from yaml import Node
from yaml.constructor import SafeConstructor

from rsbench.errors import UserError, UserErrors

MOST_VALUES: Final = 100_000
KINDS: Final = ("seq", "map", "null", "bool", "int", "float", "str", "timestamp")
PLAIN: Final = tuple(f"tag:yaml.org,2002:{kind}" for kind in KINDS)
_TEXT, _DATE = PLAIN[-2:]
_MERGE: Final = "tag:yaml.org,2002:merge"

Lines = dict[tuple[str | int, ...], int]  # keys and numbers that lead to a value -> its line, from 1


def parse(text: str, where: str) -> tuple[Any, Lines]:
    """Return the value of a YAML document, and the lines of its parts.

    Raises:
        UserErrors: all that is wrong with it: another syntax, a key that is no text or occurs twice, an object of a
            program, a value that refers to itself, more than :data:`MOST_VALUES` values.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        reader = _Reader(where)
        content = None if root is None else reader.value(root, ())
    except yaml.YAMLError as error:
        raise UserErrors([f"{where} is not valid YAML: {' '.join(str(error).split())}."]) from None
    except RecursionError:
        raise UserErrors([f"{where} is not valid YAML: lists and mappings are nested too deeply."]) from None
    if reader.problems:
        raise UserErrors(reader.problems)
    return content, reader.lines


class _Reader:
    """Turns nodes into values, and notes what cannot be one."""

    def __init__(self, where: str) -> None:
        self.where = where
        self.lines: Lines = {}
        self.problems: list[str] = []
        self._scalars = SafeConstructor()
        self._count = 0
        self._open: set[int] = set()  # nodes that are being read

    def value(self, node: Node, place: tuple[str | int, ...]) -> Any:
        """Return the value of *node*, which stands at *place*."""
        self.lines[place] = node.start_mark.line + 1
        self._count += 1
        if self._count > MOST_VALUES:
            raise UserError(f"{self.where} holds more than {MOST_VALUES:,} values, those of its aliases among them.")
        if id(node) in self._open:
            return self._problem(node, "a value refers to itself")
        if node.tag not in PLAIN:
            return self._problem(node, f"'{node.tag:.80}' is no plain value")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.ScalarNode):
                return self._scalar(node)
            if isinstance(node, yaml.SequenceNode):
                return [self.value(item, (*place, number)) for number, item in enumerate(node.value)]
            return self._mapping(node, place)
        finally:
            self._open.remove(id(node))

    def _scalar(self, node: Node) -> Any:
        if node.tag == _DATE:
            return node.value
        try:
            return self._scalars.construct_object(node)
        except (ValueError, LookupError):
            return self._problem(node, f"'{node.value:.40}' is no {node.tag.rpartition(':')[2]}")

    def _mapping(self, node: Node, place: tuple[str | int, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, inner in node.value:
            if key.tag == _MERGE:
                merged |= self._merged(inner, place)
            elif not isinstance(key, yaml.ScalarNode) or key.tag not in (_TEXT, _DATE):
                self._problem(key, f"the key {key.value!r:.40} is no text: write it in quotes")
            elif key.value in found:
                self._problem(key, f"the key '{key.value}' occurs twice")
            else:
                found[key.value] = self.value(inner, (*place, key.value))
        return {**merged, **found}

    def _merged(self, node: Node, place: tuple[str | int, ...]) -> dict[str, Any]:
        """Return what a merge key brings, of several mappings the first one's value."""
        given = self.value(node, place)
        parts = given if isinstance(given, list) else [given]
        if not all(isinstance(part, dict) for part in parts):
            self._problem(node, "<< takes mappings")
            return {}
        return {key: value for part in reversed(parts) for key, value in part.items()}

    def _problem(self, node: Node, what: str) -> None:
        self.problems.append(f"{self.where}, line {node.start_mark.line + 1}: {what}.")
