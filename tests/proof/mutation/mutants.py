"""All mutants of src, generated from its syntax, and the code of each."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from types import CodeType

from . import scope
from .operators import Found, Place, checks_at

PROBE = "_reached_checks"
"""What probed code calls, as a builtin: `set.update` will do."""

_LONGEST_TEXT = 90
_OF_TYPES = ("annotation", "returns")
_OUTSIDE = ("decorator_list", "bases", "keywords")
"""Of a class or function: what is evaluated where it stands, not inside it."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one check taken out. Its name stays as it is where lines move, and another's code changes."""

    module: str
    function: str
    """Qualified; of no name at a module's or a class's own level."""

    change: str
    """What becomes of what, and which of several alike."""

    kind: str
    node: int
    """The node's place in the order in which the module is walked."""

    choice: int
    """Which of the checks at that node."""

    lines: tuple[int, int]

    @property
    def name(self) -> str:
        return f"{self.module}::{self.function}::{self.change}"

    @property
    def place(self) -> str:
        return f"src/{self.module}:{self.lines[0]}"

    @property
    def is_of_function(self) -> bool:
        """Whether it changes what a function does; else what a module makes as it is imported."""
        return bool(self.function) and not self.function.endswith(".")


@lru_cache
def all_mutants() -> tuple[Mutant, ...]:
    return tuple(mutant for module in scope.modules() for mutant in mutants_of(module, source_of(module)))


@lru_cache
def source_of(module: str) -> str:
    return (scope.SOURCE / module).read_text(encoding="utf-8")


def mutants_of(module: str, source: str) -> list[Mutant]:
    """Those of a module with this source, each under a name of its own."""
    seen: Counter[str] = Counter()
    mutants = []
    for index, choice, found in _found(module, ast.parse(source)):
        text = f"{found.operator}: {_text(found.node)}"
        mutant = Mutant(module, found.qualname, text, found.kind, index, choice, _lines(found.node))
        seen[mutant.name] += 1
        number = seen[mutant.name]
        mutants.append(mutant if number == 1 else replace(mutant, change=f"{text} #{number}"))
    return mutants


def mutant_named(name: str) -> Mutant:
    """The mutant of that name. Raises LookupError where there is none."""
    module = name.partition("::")[0]
    for mutant in mutants_of(module, source_of(module)):
        if mutant.name == name:
            return mutant
    raise LookupError(f"no mutant is called {name}")


def unchanged_code(module: str) -> CodeType:
    """The module's code by way of its syntax, as a mutant's is made, with nothing taken out."""
    return _compiled(module, ast.parse(source_of(module)))


def code_of(mutant: Mutant) -> CodeType:
    """The code of the mutant's module, with this one check taken out."""
    return _compiled(mutant.module, tree_of(mutant, source_of(mutant.module)))


def tree_of(mutant: Mutant, source: str) -> ast.Module:
    """The module's syntax without the check. Raises LookupError where there is none at its place."""
    tree = ast.parse(source)
    for index, choice, found in _found(mutant.module, tree):
        if (index, choice) == (mutant.node, mutant.choice):
            _Exchanging(found).visit(tree)
            return ast.fix_missing_locations(tree)
    raise LookupError(mutant.name)


def _compiled(module: str, tree: ast.Module) -> CodeType:
    return compile(tree, str(scope.SOURCE / module), "exec")


def _found(module: str, tree: ast.Module) -> Iterator[tuple[int, int, Found]]:
    """Every check, with its node's place and its own among those of that node."""
    start = Place(
        in_handlers=module.startswith("handlers/"), is_checked=scope.is_looked_at(module), kind=scope.kind_of(module)
    )
    for index, (node, place) in enumerate(_walk(tree, start)):
        for choice, found in enumerate(checks_at(node, place)):
            yield index, choice, found


def _walk(node: ast.AST, place: Place) -> Iterator[tuple[ast.AST, Place]]:
    """Nodes with where they stand, but for annotations, and what errors say."""
    yield node, place
    if isinstance(node, ast.Raise):
        return
    inner = _inside(node, place)
    for name, value in ast.iter_fields(node):
        if name in _OF_TYPES:
            continue
        at = place if name in _OUTSIDE and inner is not place else inner
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _walk(child, at)


def _inside(node: ast.AST, place: Place) -> Place:
    """Where what is inside this node stands."""
    if isinstance(node, ast.ClassDef):
        return replace(place, qualname=f"{_joined(place.qualname, node.name)}.")
    if isinstance(node, ast.FunctionDef):
        returns = ast.unparse(node.returns) if node.returns else ""
        return replace(
            place,
            qualname=_joined(place.qualname, node.name),
            judges=returns == "bool" or returns.startswith("TypeGuard"),
            makes_condition=returns == "Condition",
        )
    return place


def _joined(outer: str, name: str) -> str:
    return f"{outer}{name}" if not outer or outer.endswith(".") else f"{outer}.{name}"


def probed_code(module: str, first: int) -> tuple[CodeType, list[Mutant]]:
    """The module's code with a call of `PROBE` at each check, which tells its mutants' numbers from `first` on."""
    tree = ast.parse(source_of(module))
    mutants = mutants_of(module, source_of(module))
    numbers: dict[int, list[int]] = {}
    for number, (_, _, found) in enumerate(_found(module, tree), first):
        numbers.setdefault(id(found.node), []).append(number)
    _Probing(numbers).visit(tree)
    return _compiled(module, ast.fix_missing_locations(tree)), mutants


class _Probing(ast.NodeTransformer):
    """Has `PROBE` called with the numbers of what is about to be evaluated."""

    def __init__(self, numbers: dict[int, list[int]]) -> None:
        self._numbers = numbers

    def visit(self, node: ast.AST) -> ast.AST:
        numbers = self._numbers.get(id(node))
        visited: ast.AST = self.generic_visit(node)
        if numbers is None:
            return visited
        arguments: list[ast.expr] = [ast.Constant(number) for number in numbers]
        call = ast.Call(ast.Name(PROBE, ast.Load()), arguments, [])
        if isinstance(visited, ast.expr):
            pair = ast.Tuple([call, visited], ast.Load())
            return ast.copy_location(ast.Subscript(pair, ast.Constant(1), ast.Load()), node)
        assert isinstance(visited, ast.stmt)
        always = ast.BoolOp(ast.Or(), [call, ast.Constant(True)])
        return ast.copy_location(ast.If(always, [visited], []), node)


class _Exchanging(ast.NodeTransformer):
    """Puts the mutant's syntax in the place of what was found."""

    def __init__(self, found: Found) -> None:
        self._found = found

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self._found.node:
            return ast.copy_location(self._found.edit(node), node)
        visited: ast.AST = self.generic_visit(node)
        return visited


def _text(node: ast.AST) -> str:
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 3]}..."


def _lines(node: ast.AST) -> tuple[int, int]:
    first = getattr(node, "lineno", 1)
    return first, getattr(node, "end_lineno", first) or first
