"""CloudFormation's YAML: its short tags read into plain data, and its functions resolved for given parameters."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from scripts.local.failure import LocalStackError

_PLACEHOLDER = re.compile(r"\$\{(!?)([A-Za-z0-9:.]+)\}")


class TemplateError(LocalStackError):
    """The template holds something that cannot be read here; the message names it."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """SafeLoader that reads `!Ref X` as {"Ref": X} and any `!Name X` as {"Fn::Name": X}."""


def _read_tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    value = _plain(loader, node)
    if name == "Fn::GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {name: value}


def _plain(loader: _Loader, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    raise TemplateError(f"The template has a YAML node of an unknown kind at line {node.start_mark.line + 1}.")


_Loader.add_multi_constructor("!", _read_tag)


def parse(text: str) -> dict[str, Any]:
    """The template as plain data; intrinsic functions stay as their long form."""
    document = yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader)
    if not isinstance(document, dict):
        raise TemplateError("The template is not a YAML mapping.")
    return document


class _Nothing:
    """What AWS::NoValue stands for: the member or item that it would be is left out."""


NO_VALUE = _Nothing()


class Resolver:
    """Replaces Ref, Fn::Sub, Fn::Join, Fn::GetAtt, Fn::If, Fn::Split and Fn::Select by values; any other function is
    refused by name. `conditions` are the template's, unresolved.
    """

    def __init__(
        self,
        names: Mapping[str, Any],
        attributes: Mapping[tuple[str, str], str],
        conditions: Mapping[str, Any] | None = None,
    ) -> None:
        self._names = {"AWS::NoValue": NO_VALUE, **names}
        self._attributes = attributes
        self._conditions = conditions or {}
        self._functions: dict[str, Callable[[Any], Any]] = {
            "Ref": self._ref,
            "Fn::Sub": self._sub,
            "Fn::Join": self._join,
            "Fn::GetAtt": self._get_att,
            "Fn::If": self._if,
            "Fn::Split": self._split,
            "Fn::Select": self._select,
        }

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        name = next(iter(value), "")
        if len(value) == 1 and (name == "Ref" or str(name).startswith("Fn::")):
            return self._call(name, value[name])
        members = {key: self.resolve(item) for key, item in value.items()}
        return {key: item for key, item in members.items() if item is not NO_VALUE}

    def holds(self, condition: str) -> bool:
        """Whether the template's condition of that name is true. Raises TemplateError where there is none."""
        if condition not in self._conditions:
            raise TemplateError(f"The template has no condition {condition}.")
        return self._is_true(self._conditions[condition])

    def _is_true(self, stated: Mapping[str, Any]) -> bool:
        ((name, argument),) = stated.items()
        match name:
            case "Condition":
                return self.holds(argument)
            case "Fn::Not":
                return not self._is_true(argument[0])
            case "Fn::And":
                return all(self._is_true(item) for item in argument)
            case "Fn::Or":
                return any(self._is_true(item) for item in argument)
            case "Fn::Equals":
                one, other = self.resolve(argument)
                return str(one) == str(other)
        raise TemplateError(f"The template has a condition with {name}, which the laptop stack cannot resolve.")

    def _call(self, name: str, argument: Any) -> Any:
        function = self._functions.get(name)
        if function is None:
            raise TemplateError(f"The template uses {name}, which the laptop stack cannot resolve.")
        return function(argument)

    def _if(self, argument: list[Any]) -> Any:
        condition, one, other = argument
        return self.resolve(one if self.holds(condition) else other)

    def _split(self, argument: list[Any]) -> list[str]:
        separator, text = argument
        return str(self.resolve(text)).split(separator)

    def _select(self, argument: list[Any]) -> Any:
        place, items = argument
        return self.resolve(items)[int(place)]

    def _ref(self, name: str) -> Any:
        if name not in self._names:
            raise TemplateError(f"The template refers to {name}, for which no value is known.")
        return self._names[name]

    def _get_att(self, path: list[str]) -> str:
        resource, attribute = path
        value = self._attributes.get((resource, attribute))
        if value is None:
            raise TemplateError(f"The template asks for {resource}.{attribute}, for which no value is known.")
        return value

    def _join(self, argument: list[Any]) -> str:
        separator, items = argument
        return str(separator).join(str(item) for item in self.resolve(items))

    def _sub(self, argument: str | list[Any]) -> str:
        text, extra = (argument, {}) if isinstance(argument, str) else argument
        own = {key: self.resolve(item) for key, item in extra.items()}
        return _PLACEHOLDER.sub(lambda match: self._placeholder(match, own), text)

    def _placeholder(self, match: re.Match[str], own: Mapping[str, Any]) -> str:
        literal, name = match.groups()
        if literal:
            return f"${{{name}}}"
        if name in own:
            return str(own[name])
        return self._get_att(name.split(".", 1)) if "." in name else str(self._ref(name))
