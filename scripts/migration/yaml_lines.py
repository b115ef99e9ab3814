"""A YAML text with the line of everything in it, so that a fault can be found; members that are named twice are one."""

from typing import Any

import yaml

from scripts.migration.failure import MigrationError

Path = tuple[int | str, ...]


class YamlText:
    """The value of a YAML text. Raises MigrationError for what is no YAML, or no object."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self._lines: dict[Path, int] = {(): 1}
        self._loader = yaml.SafeLoader(text)
        try:
            node = self._loader.get_single_node()
            self.value: Any = self._build(node, ()) if node else None
        except yaml.YAMLError as error:
            raise MigrationError(f"{name} is not YAML: {error}") from error
        finally:
            self._loader.dispose()
        if not isinstance(self.value, dict):
            raise MigrationError(f"{name} is not a mapping: it needs source and collections.")

    def line(self, path: Path) -> int:
        return self._lines[path]

    def known_part(self, path: Path) -> Path:
        """The longest beginning of a path that the text itself has."""
        while path not in self._lines:
            path = path[:-1]
        return path

    def _build(self, node: yaml.Node, path: Path) -> Any:
        self._lines[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            return self._build_members(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(member, (*path, index)) for index, member in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _build_members(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in members:
                raise MigrationError(f"{self.name}, line {key.start_mark.line + 1}: {name} is there twice.")
            members[name] = self._build(value, (*path, name))
            self._lines[(*path, name)] = key.start_mark.line + 1
        return members
