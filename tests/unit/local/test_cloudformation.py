"""CloudFormation's tags and functions, and what is refused."""

from typing import Any

import pytest

from scripts.local.cloudformation import Resolver, TemplateError, parse

CONDITIONS = """
HasName: !Not [!Equals [!Ref Name, ""]]
IsOther: !Equals [!Ref Name, other]
Both: !And [!Condition HasName, !Condition IsOther]
Either: !Or [!Condition HasName, !Condition IsOther]
IsSeven: !Equals [!Ref Number, 7]
Odd: !Contains [[a], a]
"""
RESOLVER = Resolver(
    {"Name": "k9", "Items": ["a", "b"], "Listed": "a,b", "Number": "7", "AWS::Region": "eu-west-1"},
    {("Table", "Arn"): "arn:table"},
    parse(CONDITIONS),
)


def resolved(text: str) -> Any:
    return RESOLVER.resolve(parse(f"value: {text}")["value"])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("!Ref Name", "k9"),
        ("!Ref Items", ["a", "b"]),
        ('!Join ["-", [!Ref Name, x]]', "k9-x"),
        ('!Join [",", !Ref Items]', "a,b"),
        ("!Sub ${Name}-${AWS::Region}", "k9-eu-west-1"),
        ('!Sub "${Table.Arn}/index/*"', "arn:table/index/*"),
        ('!Sub ["${Own}-${Name}", {Own: !Ref Name}]', "k9-k9"),
        ('!Sub "${!Name}"', "${Name}"),
        ("!GetAtt Table.Arn", "arn:table"),
        ("{Fn::GetAtt: [Table, Arn]}", "arn:table"),
        ("[!Ref Name, {deep: !Ref Name}]", ["k9", {"deep": "k9"}]),
        ("!If [HasName, !Ref Name, !Ref Nobody]", "k9"),
        ("!If [IsOther, [!Ref Nobody], [x]]", ["x"]),
        ("{kept: 1, left: !If [IsOther, 2, !Ref AWS::NoValue]}", {"kept": 1}),
        ("[1, !If [IsOther, 2, !Ref AWS::NoValue]]", [1]),
        ('!Split [",", !Ref Listed]', ["a", "b"]),
        ('!Select [1, !Split [",", !Ref Listed]]', "b"),
        ("!Select ['0', [a]]", "a"),
        ("plain", "plain"),
        ("7", 7),
    ],
)
def test_functions(text: str, value: Any) -> None:
    assert resolved(text) == value


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("!Ref Nobody", "Nobody"),
        ("!GetAtt Table.StreamArn", "Table.StreamArn"),
        ("!Cidr [x]", "Fn::Cidr"),
        ("!If [Nothing, a, b]", "no condition Nothing"),
        ("!If [Odd, a, b]", "Fn::Contains"),
    ],
)
def test_what_is_unknown_is_named(text: str, named: str) -> None:
    with pytest.raises(TemplateError, match=named):
        resolved(text)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [("HasName", True), ("IsOther", False), ("Both", False), ("Either", True), ("IsSeven", True)],
)
def test_conditions(condition: str, holds: bool) -> None:
    assert RESOLVER.holds(condition) is holds


def test_a_template_is_a_mapping() -> None:
    with pytest.raises(TemplateError, match="mapping"):
        parse("- just\n- a list")


def test_a_template_cannot_make_objects() -> None:
    with pytest.raises(Exception, match="could not determine a constructor"):
        parse("value: !!python/object/apply:os.getcwd []")
