# SPDX-License-Identifier: Apache-2.0
"""Host: what lower rooms know of the controller; and the one form of code that runs only while a clip is open.

Nothing is open when a window starts and after a clip was closed: `session` is None then, and nowhere else. Whatever
needs a session is a method that receives it as its first argument and is decorated:

    @while_open
    def _on_chosen(self, session: Session, key: str) -> None:
        session.choose(key)

It is called as `_on_chosen(key)`, by a signal or by hand, and does nothing while no clip is open. A method that returns
something names what it returns then: `@while_open_or(0)`. Both look at `self.session`, which an object has, or hands on
from its host. Only what must show that nothing is open, such as widgets that are disabled then, compares `session` with
None. What else exists only while a clip is open (layers, correction tools) is never None; without an open clip,
asking for it raises NothingOpenError.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from napari_vfss.session.session import Session
from vfss.errors import VfssError


class NothingOpenError(VfssError):
    """Something was asked for that exists only while a clip is open."""


class HasSession(Protocol):
    """An object with the open session; None while no clip is open."""

    @property
    def session(self) -> Session | None:
        """The open session."""


class Host(HasSession, Protocol):
    """One viewer with at most one open clip.

    Attributes:
        viewer: The napari viewer.
        session_changed: Signal without arguments, emitted after a clip was opened or closed.
    """

    viewer: Any
    session_changed: Any

    @property
    def layers(self) -> Any:
        """Layers of the open clip, a napari_vfss.viewer.layers.ClipLayers; raises NothingOpenError without one."""

    def parent(self) -> Any:
        """Return the widget that the host belongs to, or None."""

    def save(self) -> None:
        """Write the stroke in progress and the view; errors are shown."""

    def show_message(self, message: str, *, problem: bool = False) -> None:
        """Show a message to the user."""

    def showing_errors(self) -> AbstractContextManager[None]:
        """Return a context in which a VfssError or OSError is shown instead of raised."""


D = TypeVar("D")
P = ParamSpec("P")
R = TypeVar("R")
S_contra = TypeVar("S_contra", bound=HasSession, contravariant=True)


def while_open(method: Callable[Concatenate[S_contra, Session, P], None]) -> Callable[Concatenate[S_contra, P], None]:
    """Decorate a method so that it receives the open session, and is skipped while there is none."""
    return while_open_or(None)(method)


def while_open_or(
    otherwise: D,
) -> Callable[[Callable[Concatenate[S_contra, Session, P], R]], Callable[Concatenate[S_contra, P], R | D]]:
    """Return a decorator like `while_open` for methods that return something.

    Args:
        otherwise: Returned while no clip is open.
    """

    def decorate(method: Callable[Concatenate[S_contra, Session, P], R]) -> Callable[Concatenate[S_contra, P], R | D]:
        owner, _session, *others = inspect.signature(method).parameters.values()
        limit = _positional(others)

        def run(self: Any, *arguments: Any, **options: Any) -> R | D:
            session = self.session
            # Qt offers a slot everything that a signal carries, and tries with less only if the call itself fails.
            return otherwise if session is None else method(self, session, *arguments[:limit], **options)

        functools.update_wrapper(run, method)
        # psygnal asks for the signature of a slot instead.
        run.__signature__ = inspect.Signature([owner, *others])  # type: ignore[attr-defined]
        return run  # type: ignore[return-value]

    return decorate


def _positional(parameters: list[inspect.Parameter]) -> int | None:
    """Return the number of positional arguments that parameters take; None for any number."""
    if any(parameter.kind == parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    return sum(parameter.kind == parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
