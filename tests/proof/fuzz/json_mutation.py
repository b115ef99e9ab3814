"""JSON texts that are almost those they were made of: also such as no encoder writes, with members named twice.

An object is a list of pairs here, so that it can name a member twice, and `Text` is JSON as it stands, valid or not.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from .target import Raw


@dataclass(frozen=True, slots=True)
class Text:
    """Goes into the text as it is."""

    text: str


@dataclass(slots=True)
class Members:
    """An object's members, in order."""

    pairs: list[tuple[str, Any]]


Node = Any
"""Members, a list, a str, bool, None, or Text (every number)."""

_ODD = (
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "0.1",
    "1e2",
    "1E400",
    "-1e-400",
    "1e-130",
    "9.99e125",
    "1e999999999999999999999",
    "NaN",
    "Infinity",
    "-Infinity",
    "123456789012345678901234567890123456789",
    "253402300800",
    "9007199254740993",
    "1" * 40,
    "[]",
    "{}",
    "[[]]",
    "[{}]",
    '{"":null}',
    '""',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"\\u0000"',
    '"\u2028\u00e9"',
    '"' + "x" * 300 + '"',
)
_ACTIONS = (*("value",) * 6, *("grow",) * 4, *("delete", "rename", "copy", "spoil") * 2, "nest", "repeat")
_LETTERS = "aZ09_-.$~/\\\"'{}[],: \t\n\x00\x7f\u00e9\u2028\ud7ff\U0001f600"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What is worth trying in JSON of one kind: names, values (JSON texts), and whole texts that are good."""

    names: Sequence[str]
    values: Sequence[str]
    good: Sequence[bytes]


def mutate(text: bytes, source: Random, raw: Raw, longest: int, known: Vocabulary) -> bytes:
    """A text made of `text`: mostly JSON again, else its bytes changed by the engine.

    What is wrong in one place would hide all others, so that a good text is taken instead now and then, and where it is
    no JSON at all.
    """
    chance = source.random()
    if chance < 0.06:
        return raw(text, longest)
    if chance > 0.8:
        text = source.choice(known.good)
    try:
        return mutated(text, source, known.names, known.values)
    except (ValueError, RecursionError):
        return mutated(source.choice(known.good), source, known.names, known.values)


def mutated(text: bytes, source: Random, names: Sequence[str], values: Sequence[str]) -> bytes:
    """A text made of `text` by one to three changes; `names` and `values` (JSON texts) are worth trying.

    Raises ValueError for what is no JSON, RecursionError for what is nested too deeply to be read.
    """
    root: list[Node] = [parse(text)]
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        _change(root, source, names, values)
    return dumps(root[0]).encode("utf-8", "surrogatepass")


def parse(text: bytes) -> Node:
    return json.loads(
        text.decode("utf-8", "surrogatepass"),
        object_pairs_hook=Members,
        parse_int=Text,
        parse_float=Text,
        parse_constant=Text,
    )


def dumps(node: Node) -> str:
    """The JSON text of a node, compact."""
    if isinstance(node, Text):
        return node.text
    if isinstance(node, Members):
        return "{" + ",".join(f"{json.dumps(name)}:{dumps(member)}" for name, member in node.pairs) + "}"
    if isinstance(node, list):
        return "[" + ",".join(map(dumps, node)) + "]"
    return json.dumps(node)


def _change(root: list[Node], source: Random, names: Sequence[str], values: Sequence[str]) -> None:
    holder, place = _place(root, source)
    action = source.choice(_ACTIONS)
    if action == "value":
        _put(holder, place, Text(source.choice(values) if values and source.random() < 0.8 else source.choice(_ODD)))
    elif action == "nest":
        _put(holder, place, _nested(_at(holder, place), source))
    elif action == "delete" and holder is not root:
        del _items(holder)[place]
    elif action == "repeat" and holder is not root:
        _items(holder).insert(place, _items(holder)[source.randrange(len(_items(holder)))])
    elif action == "rename" and isinstance(holder, Members):
        holder.pairs[place] = (source.choice(names) if names else "a", holder.pairs[place][1])
    elif action == "copy":
        _put(holder, place, Text(dumps(_at(*_place(root, source)))))  # as text, or it might become part of itself
    elif action == "spoil" and isinstance(_at(holder, place), str):
        _put(holder, place, _spoilt(_at(holder, place), source))
    else:
        _grow(_at(holder, place), source, names, values)


def _place(root: list[Node], source: Random) -> tuple[Any, int]:
    """Somewhere in the tree: what holds it, and where in that."""
    holder: Any = root
    place = 0
    while True:
        inner = _at(holder, place)
        if not isinstance(inner, Members | list) or not _items(inner) or source.random() < 0.25:
            return holder, place
        holder, place = inner, source.randrange(len(_items(inner)))


def _items(holder: Any) -> list[Any]:
    return holder.pairs if isinstance(holder, Members) else holder


def _at(holder: Any, place: int) -> Node:
    return holder.pairs[place][1] if isinstance(holder, Members) else holder[place]


def _put(holder: Any, place: int, node: Node) -> None:
    if isinstance(holder, Members):
        holder.pairs[place] = (holder.pairs[place][0], node)
    else:
        holder[place] = node


def _nested(node: Node, source: Random) -> Node:
    for _ in range(source.choice((1, 1, 1, 2, 2, 9, 10, 11, 30, 31, 32, 33))):
        node = [node] if source.random() < 0.8 else Members([("a", node)])
    return node


def _grow(node: Node, source: Random, names: Sequence[str], values: Sequence[str]) -> None:
    added = Text(source.choice(values) if values else "1")
    if isinstance(node, Members):
        node.pairs.insert(source.randint(0, len(node.pairs)), (source.choice(names) if names else "a", added))
    elif isinstance(node, list):
        node.insert(source.randint(0, len(node)), added)


def _spoilt(text: str, source: Random) -> str:
    place = source.randint(0, len(text))
    return text[:place] + source.choice(_LETTERS) + text[place + source.randint(0, 1) :]
