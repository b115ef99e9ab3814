"""One definition of a method, two surfaces: the Client's, which blocks, and the AsyncClient's, which is awaited.

A method is written once, as a plan. `operation` and `iteration` are descriptors that look at the group on which they
are found, and their overloads tell a type checker the same: neither surface can drift from the other.
"""

import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import update_wrapper
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from .api import Api
from .drivers import AsyncDriver, Driver
from .effects import Flow, Plan

P = ParamSpec("P")
T = TypeVar("T")


class Group:
    """Methods that belong together; what they send goes through the Api."""

    _api: Api


class SyncGroup(Group):
    """Its methods return what they end in."""

    def __init__(self, api: Api, driver: Driver) -> None:
        self._api = api
        self._driver = driver


class AsyncGroup(Group):
    """Its methods are to be awaited, or iterated over with `async for`."""

    def __init__(self, api: Api, driver: AsyncDriver) -> None:
        self._api = api
        self._driver = driver


class operation(Generic[P, T]):
    """Makes a method of a plan."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Plan[T]]) -> None:
        self.plan = plan
        self.__doc__ = plan.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: SyncGroup, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, instance: AsyncGroup, owner: type) -> Callable[P, Coroutine[Any, Any, T]]: ...

    def __get__(self, instance: SyncGroup | AsyncGroup | None, owner: type) -> Any:
        if instance is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return instance._driver.run(self.plan(instance, *args, **kwargs))

        return _like(method, self.plan)


class iteration(Generic[P, T]):
    """Makes a method of a flow: an iterator over its items."""

    def __init__(self, flow: Callable[Concatenate[Any, P], Flow[T]]) -> None:
        self.flow = flow
        self.__doc__ = flow.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: SyncGroup, owner: type) -> Callable[P, Iterator[T]]: ...
    @overload
    def __get__(self, instance: AsyncGroup, owner: type) -> Callable[P, AsyncIterator[T]]: ...

    def __get__(self, instance: SyncGroup | AsyncGroup | None, owner: type) -> Any:
        if instance is None:
            return self

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return instance._driver.iterate(self.flow(instance, *args, **kwargs))

        return _like(method, self.flow)


def _like(method: Callable[..., Any], plan: Callable[..., Any]) -> Callable[..., Any]:
    """For help() and inspect: the plan's name, words and parameters, but for `self`."""
    update_wrapper(method, plan)
    signature = inspect.signature(plan)
    method.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])  # type: ignore[attr-defined]
    return method
