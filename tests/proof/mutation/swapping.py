"""A mutant in a process that has everything imported: the functions that a module made get the mutant's code."""

import functools
import gc
from collections import defaultdict
from collections.abc import Iterator
from importlib import import_module
from types import CodeType, FunctionType

from . import scope
from .mutants import Mutant, code_of


class Live:
    """Every function that src has made so far, closures and decorated ones too, and what they remember."""

    def __init__(self) -> None:
        for module in scope.modules():
            import_module(scope.import_name(module))
        self._functions: dict[str, list[FunctionType]] = defaultdict(list)
        self._caches: list[functools._lru_cache_wrapper[object]] = []
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType) and _is_of_src(thing):
                self._functions[thing.__code__.co_filename].append(thing)
            elif isinstance(thing, functools._lru_cache_wrapper) and _is_of_src(thing.__wrapped__):
                self._caches.append(thing)

    def become(self, mutant: Mutant) -> int:
        """Give the functions of the mutant's module its code; how many that has changed."""
        return self.exchange(code_of(mutant))

    def exchange(self, module: CodeType) -> int:
        """Give the functions of a module their code in this one; what they remember is of the code before."""
        made = {_identity(code): code for code in _codes_in(module)}
        exchanged = 0
        for function in self._functions[module.co_filename]:
            code = made.get(_identity(function.__code__))
            if code is not None and code != function.__code__:
                function.__code__ = code
                exchanged += 1
        for cache in self._caches:
            cache.cache_clear()
        return exchanged


def _is_of_src(thing: object) -> bool:
    return isinstance(thing, FunctionType) and thing.__code__.co_filename.startswith(str(scope.SOURCE))


def _identity(code: CodeType) -> tuple[str, int, tuple[str, ...], tuple[str, ...]]:
    """What tells a function from the others of its module: a mutant moves no line, and adds no variable to share."""
    return code.co_qualname, code.co_firstlineno, code.co_freevars, code.co_varnames[: code.co_argcount]


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes_in(constant)
