"""CloudFormation's tags and functions, and what is refused."""

from typing import Any

import pytest

from scripts.local.cloudformation import Resolver, TemplateError, parse

RESOLVER = Resolver({"Name": "k9", "Items": ["a", "b"], "AWS::Region": "eu-west-1"}, {("Table", "Arn"): "arn:table"})


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
        ("plain", "plain"),
        ("7", 7),
    ],
)
def test_functions(text: str, value: Any) -> None:
    assert resolved(text) == value


@pytest.mark.parametrize(
    ("text", "named"),
    [("!Ref Nobody", "Nobody"), ("!GetAtt Table.StreamArn", "Table.StreamArn"), ("!Select [0, [a]]", "Fn::Select")],
)
def test_what_is_unknown_is_named(text: str, named: str) -> None:
    with pytest.raises(TemplateError, match=named):
        resolved(text)


def test_a_template_is_a_mapping() -> None:
    with pytest.raises(TemplateError, match="mapping"):
        parse("- just\n- a list")


def test_a_template_cannot_make_objects() -> None:
    with pytest.raises(Exception, match="could not determine a constructor"):
        parse("value: !!python/object/apply:os.getcwd []")
