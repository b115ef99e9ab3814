"""What takes the SDK and the emulator most of a test's time without doing anything, done once, or by a shorter way.

moto walks an update's syntax tree ten times, asking abstract classes about each node, and counts the clauses below
every node anew; the SDK looks through all its aliases for each event of each new client. What comes of it is the same.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any

import pytest
from botocore.hooks import EventAliaser
from moto.dynamodb.parsing.validators import ActionCountValidator

_nodes: Any = import_module("moto.dynamodb.parsing.ast_nodes")  # a module that type checkers are told to pass over


@pytest.fixture(scope="session", autouse=True)
def quickened() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_nodes.DepthFirstTraverser, "traverse", _traverse)
        patch.setattr(ActionCountValidator, "traverse", ActionCountValidator.verify_action_counts)
        aliaser: Any = EventAliaser
        patch.setattr(aliaser, "_alias_event_name", _aliased(aliaser._alias_event_name))
        yield


def _traverse(self: Any, root: Any) -> Any:
    """`traverse_node_recursively`, with the classes of nodes that it is after asked for once."""
    is_one = _membership(self.nodes_to_be_processed())

    def visit(node: Any, position: int) -> Any:
        if not isinstance(node, _nodes.Node):
            return node
        parent = node.parent
        for index, child in enumerate(node.children or ()):
            self.pre_processing_of_child(node, index)
            visit(child, index)
        if is_one(type(node)):
            node = self.process(node)
            node.parent = parent
            if parent:
                parent.children[position] = node
        return node

    return visit(root, -1)


@lru_cache
def _membership(kinds: tuple[type, ...]) -> Callable[[type], bool]:
    """Whether a class is one of these, or derived from one."""
    known: dict[type, bool] = {}

    def is_one(kind: type) -> bool:
        if kind not in known:
            known[kind] = issubclass(kind, kinds)
        return known[kind]

    return is_one


def _aliased(alias: Any) -> Any:
    """All emitters have the same aliases."""
    names: dict[str, str] = {}

    def alias_event_name(self: EventAliaser, event_name: str) -> str:
        if event_name not in names:
            names[event_name] = alias(self, event_name)
        return names[event_name]

    return alias_event_name
