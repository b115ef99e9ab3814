"""The rules by which checks are found in a module's syntax, each with what a mutant makes of what it finds.

A rule knows no module by name, and no function but those whose very name says that they check.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from .edits import (
    Edit,
    always,
    as_template,
    has_boundary,
    never,
    skipped,
    with_other_boundary,
    without_element,
    without_side,
)
from .scope import CONDITION, INPUT, OBJECT, OWNER, STATE, TOKEN

_CHECKS = re.compile(r"_?(check|require|ensure|verify|validate|refuse|forbid|deny|admit|raise_if)(_\w+)?")
_JUDGES = re.compile(r"_?(is|has)_\w+")
_OWNERS = frozenset({"user_id", "owner", "owner_id", "account", "tenant", "_user_id", "_owner", "_owner_model"})
_KEY_MAKERS = re.compile(r"quote|owned_by|index_key|\w*_(prefix|key|digest|owner)|_prefix")
_CONDITION_PARAMETERS = frozenset({"ConditionExpression", "FilterExpression"})
_PRECONDITIONS = frozenset({"IfMatch", "IfNoneMatch"})

_ALWAYS_TRUE = as_template("(lambda condition: condition | ~condition)(it)")
_ALWAYS_TRUE_TEXT = as_template("(lambda text: f'({text} OR (NOT {text}))')(it)")
_NOTHING = as_template("None if True else it")
_NO = as_template("False if True else it")
_NO_MEMBERS = as_template("{} if True else it")
_ANOTHER = as_template("'shared' if True else it")
_NEVER_SETTLED = as_template("(lambda row: False) if True else it")

_KEYWORDS: dict[str, tuple[str, Edit, str]] = {
    "versions": ("any version", _NOTHING, CONDITION),
    "guard": ("no guard", _NOTHING, CONDITION),
    "if_match": ("any object", _NOTHING, OBJECT),
    "if_absent": ("also over an object", _NO, OBJECT),
    "etag": ("any object", _NOTHING, OBJECT),
}
"""Arguments that narrow what a call may do, and that a call does without."""

_STRICT = {
    "extra": ("more members", as_template("'ignore' if True else it")),
    "strict": ("lenient", _NO),
    "validate": ("lenient", _NO),
    "object_pairs_hook": ("lenient", _NOTHING),
    "parse_constant": ("lenient", _NOTHING),
    "safe": ("not encoded", as_template("'/' if True else it")),
}
"""Arguments that make a reader strict, or a key's part unmistakable."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node stands: the function around it, and whether that is one of a class or one that judges."""

    qualname: str = ""
    judges: bool = False
    makes_condition: bool = False
    in_handlers: bool = False
    is_checked: bool = True
    """Whether each refusal here is a check (see `scope`)."""
    kind: str = STATE


@dataclass(frozen=True, slots=True)
class Found:
    """A check, and the mutant without it."""

    operator: str
    kind: str
    node: ast.AST
    edit: Edit
    qualname: str


def is_constant(node: ast.expr, *values: object) -> bool:
    return isinstance(node, ast.Constant) and node.value in values


def name_of(node: ast.AST) -> str:
    """The last name of a name or of a dotted one."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def is_owner(node: ast.AST) -> bool:
    return name_of(node) in _OWNERS


def checks_at(node: ast.AST, place: Place) -> Iterator[Found]:
    """What can be taken out at this very node."""
    yield from _conditions(node, place)
    yield from _objects_and_readers(node, place)
    yield from _owners(node, place)
    if place.is_checked:
        yield from _refusals(node, place)
        yield from _judgements(node, place)


def _conditions(node: ast.AST, place: Place) -> Iterator[Found]:
    def found(operator: str, what: ast.AST, edit: Edit) -> Found:
        return Found(operator, CONDITION, what, edit, place.qualname)

    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd) and is_condition(node):
        yield found("without right", node, without_side("right"))
        yield found("without left", node, without_side("left"))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and is_condition(node):
        yield found("always", node, _ALWAYS_TRUE)
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.BitAnd):
        yield found("skipped", node, skipped)
    if isinstance(node, ast.Return) and node.value is not None and place.makes_condition:
        yield found("always", node.value, _ALWAYS_TRUE)
    if _makes_condition(node):
        yield found("always", node, _ALWAYS_TRUE)
    if isinstance(node, ast.Call) and name_of(node.func) == "Guard" and len(node.args) == 2:
        if not _makes_condition(node.args[0]):
            yield found("always", node.args[0], _ALWAYS_TRUE)
        yield found("never settled", node.args[1], _NEVER_SETTLED)
    for name, value in _named_values(node):
        if name in _CONDITION_PARAMETERS:
            yield found(f"{name} always", value, _ALWAYS_TRUE_TEXT)


def _makes_condition(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func).startswith("conditions.")


def is_condition(node: ast.AST) -> bool:
    """Whether an operation is on conditions: they are told by the names of what makes them."""
    return bool(
        re.search(r"\bconditions?\b|\bowned\b|\broom\b|\bmay_write\b|\bpartition\b|\bmissing\b &", ast.unparse(node))
    )


def _objects_and_readers(node: ast.AST, place: Place) -> Iterator[Found]:
    for name, value in _named_values(node):
        if name in _PRECONDITIONS and isinstance(node, ast.Dict):
            yield Found("no precondition", OBJECT, node, _NO_MEMBERS, place.qualname)
        elif name == "Conditions" and isinstance(value, ast.List):
            for index, element in enumerate(value.elts):
                yield Found(
                    f"form without {ast.unparse(element)}", OBJECT, value, without_element(index), place.qualname
                )
    if isinstance(node, ast.Assign) and _sets_precondition(node):
        yield Found("skipped", OBJECT, node, skipped, place.qualname)
    if not isinstance(node, ast.Call):
        return
    for keyword in node.keywords:
        if keyword.arg in _KEYWORDS and not is_constant(keyword.value, None, False):
            operator, edit, kind = _KEYWORDS[keyword.arg]
            yield Found(f"{keyword.arg}: {operator}", kind, keyword.value, edit, place.qualname)
        if keyword.arg in _STRICT and _is_strict(node, keyword) and (place.is_checked or keyword.arg != "safe"):
            operator, edit = _STRICT[keyword.arg]
            kind = OWNER if keyword.arg == "safe" else place.kind if place.kind == TOKEN else INPUT
            yield Found(f"{keyword.arg}: {operator}", kind, keyword.value, edit, place.qualname)


def _sets_precondition(node: ast.Assign) -> bool:
    target = node.targets[0]
    return isinstance(target, ast.Subscript) and is_constant(target.slice, *_PRECONDITIONS)


def _is_strict(call: ast.Call, keyword: ast.keyword) -> bool:
    if name_of(call.func) in ("zip", "partial"):
        return False
    if keyword.arg == "extra":
        return is_constant(keyword.value, "forbid")
    if keyword.arg == "safe":
        return is_constant(keyword.value, "")
    return not is_constant(keyword.value, False, None)


def _named_values(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The arguments of a call, or the members of a display, that have names."""
    if isinstance(node, ast.Call):
        yield from ((keyword.arg, keyword.value) for keyword in node.keywords if keyword.arg)
    if isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value


def _owners(node: ast.AST, place: Place) -> Iterator[Found]:
    """Keys and addresses that hold an owner get another one; in a handler, what is the caller's becomes another's."""
    for part in _parts_of_keys(node):
        if is_owner(part):
            yield Found("another owner", OWNER, part, _ANOTHER, place.qualname)
    if place.in_handlers and ast.unparse(node) == "caller.user_id" and isinstance(node, ast.Attribute):
        yield Found("another owner", OWNER, node, _ANOTHER, place.qualname)
    if isinstance(node, ast.Call) and name_of(node.func) in ("owner_to_read", "owner_to_write"):
        yield Found("unasked", OWNER, node, _unasked, place.qualname)
    if isinstance(node, ast.Call) and name_of(node.func) == "own_account":
        yield Found("unasked", OWNER, node, _own_unasked, place.qualname)


def _unasked(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Call)
    caller, catalogue = map(ast.unparse, node.args)
    return ast.parse(f"('shared' if {catalogue} == 'shared' else {caller}.user_id)", mode="eval").body


def _own_unasked(node: ast.AST) -> ast.AST:
    assert isinstance(node, ast.Call)
    return ast.parse(f"{ast.unparse(node.args[0])}.user_id", mode="eval").body


def _parts_of_keys(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.FormattedValue):
        yield node.value
    elif isinstance(node, ast.Tuple | ast.List) and isinstance(node.ctx, ast.Load):
        yield from node.elts
    elif isinstance(node, ast.Dict):
        yield from (value for name, value in _named_values(node) if name in _OWNERS)
    elif isinstance(node, ast.Call):
        if _KEY_MAKERS.fullmatch(name_of(node.func)):
            yield from node.args
        if isinstance(node.func, ast.Attribute) and node.func.attr == "encode":
            yield node.func.value


def _refusals(node: ast.AST, place: Place) -> Iterator[Found]:
    def found(operator: str, what: ast.AST, edit: Edit) -> Found:
        return Found(operator, _kind(what, place), what, edit, place.qualname)

    if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise):
        yield found("no refusal", node.test, never)
    elif isinstance(node, ast.If) and isinstance(node.body[-1], ast.Return | ast.Continue):
        yield found("no exit", node.test, never)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _CHECKS.fullmatch(name_of(node.value.func)):
        yield found("skipped", node, skipped)
    if isinstance(node, ast.comprehension):
        for test in node.ifs:
            yield found("no filter", test, always)


def _judgements(node: ast.AST, place: Place) -> Iterator[Found]:
    def found(operator: str, what: ast.AST, edit: Edit) -> Found:
        return Found(operator, _kind(what, place), what, edit, place.qualname)

    if isinstance(node, ast.BoolOp) and is_judgement(node):
        edit = always if isinstance(node.op, ast.And) else never
        for operand in node.values:
            yield found("without operand", operand, edit)
    if (
        isinstance(node, ast.Return)
        and node.value is not None
        and place.judges
        and not isinstance(node.value, ast.Constant)
    ):
        yield found("taken for true", node.value, always)
    if isinstance(node, ast.Lambda) and is_judgement(node.body):
        yield found("taken for true", node.body, always)
        yield found("taken for false", node.body, never)
    if isinstance(node, ast.IfExp) and is_judgement(node.test):
        yield found("taken for true", node.test, always)
        yield found("taken for false", node.test, never)
    if isinstance(node, ast.Tuple):
        for element in node.elts:
            if isinstance(element, ast.Call) and _JUDGES.fullmatch(name_of(element.func)):
                yield found("taken for true", element, always)
    if isinstance(node, ast.Compare) and place.kind == TOKEN:
        for index, operator in enumerate(node.ops):
            if has_boundary(operator):
                yield found(f"other boundary {index}", node, with_other_boundary(index))


def is_judgement(node: ast.expr) -> bool:
    """Whether the expression tells true from false; `a or b` may as well choose a value."""
    if isinstance(node, ast.BoolOp):
        return any(map(is_judgement, node.values))
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.Not)
    if isinstance(node, ast.Call):
        return bool(_JUDGES.fullmatch(name_of(node.func)))
    return isinstance(node, ast.Compare)


def _kind(node: ast.AST, place: Place) -> str:
    """A check that looks at an owner is one of ownership, wherever it is."""
    text = ast.unparse(node)
    if place.kind != TOKEN and re.search(r"\bowner|user_id|SHARED_OWNER|_is_owned|_owner\b|catalogue", text):
        return OWNER
    return place.kind
