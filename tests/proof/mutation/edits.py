"""What becomes of a piece of syntax in a mutant.

Whatever is taken out is still named where it cannot be reached: a function then has the same free variables as before,
so that its code can be exchanged while others hold the function.
"""

import ast
from collections.abc import Callable

Edit = Callable[[ast.AST], ast.AST]

_BOUNDARIES: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}


def as_template(template: str) -> Edit:
    """The expression that the template makes of the one that it calls `it`."""

    def edit(node: ast.AST) -> ast.AST:
        made: ast.AST = _Filling(node).visit(ast.parse(template, mode="eval").body)
        return made

    return edit


class _Filling(ast.NodeTransformer):
    def __init__(self, it: ast.AST) -> None:
        self._it = it

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self._it if node.id == "it" else node


always = as_template("True or it")
never = as_template("False and it")


def skipped(node: ast.AST) -> ast.AST:
    """A statement that is not reached."""
    assert isinstance(node, ast.stmt)
    return ast.If(ast.Constant(False), [node], [])


def without_side(side: str) -> Edit:
    """A binary operation's other side; this one is still evaluated."""

    def edit(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.BinOp)
        parts = (node.left, node.right) if side == "right" else (node.right, node.left)
        return ast.Subscript(ast.Tuple(list(parts), ast.Load()), ast.Constant(0), ast.Load())

    return edit


def without_element(place: int) -> Edit:
    def edit(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.List)
        node.elts = [element for index, element in enumerate(node.elts) if index != place]
        return node

    return edit


def has_boundary(operator: ast.cmpop) -> bool:
    return type(operator) in _BOUNDARIES


def with_other_boundary(place: int) -> Edit:
    """A comparison that judges equality the other way."""

    def edit(node: ast.AST) -> ast.AST:
        assert isinstance(node, ast.Compare)
        node.ops[place] = _BOUNDARIES[type(node.ops[place])]()
        return node

    return edit
