"""Options that commands which run plans have in common: how these are run, where, and what is shown of them."""

from __future__ import annotations

import functools
import inspect
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from rsbench.cli import complete, options
from rsbench.errors import UserErrors
from rsbench.execution import OPTION_FIELDS, Execution

if TYPE_CHECKING:
    from rsbench.engine.launch.launch import Launch

HOW, DOING, WHERE = "how", "doing", "where"  # parameters of a command in whose places the options come
Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Doing:
    """What is to be done with plans beside running them."""

    observers: Sequence[str] = ()
    only_show: bool = False
    as_json: bool = False
    quiet: bool = False

    @classmethod
    def of(cls, values: dict[str, Any]) -> Doing:
        """Return what the options of a command say.

        Raises:
            UserErrors: there is no such observer.
        """
        from rsbench import observing

        observers = values.pop("observer") or ()
        observing.require(observers)
        return cls(observers, **values)


def takes(*names: str) -> Callable[[Command], Command]:
    """Let the command line give a command its parameter ``how``, an Execution, by options of the fields *names*;
    without names, of all."""

    def mark(function: Command) -> Command:
        function.how = tuple(f for f in OPTION_FIELDS if not names or f.name in names)  # type: ignore[attr-defined]
        return function

    return mark


def with_options(function: Command) -> Command:
    """Return a command with its options in place of ``how``; one that takes none as it is."""
    said: tuple[Field[Any], ...] | None = getattr(function, HOW, None)
    if said is None:
        return function
    known = inspect.signature(function).parameters
    function = spread(function, DOING, _parameters(options.DOING), Doing.of) if DOING in known else function
    function = spread(function, WHERE, _parameters(options.where()), _launch) if WHERE in known else function

    def execution(values: dict[str, Any]) -> Execution:
        places = {f.name: str(values[f.name] or "") for f in said if f.metadata["place"]}
        how = Execution(**values | places, command="rsbench " + shlex.join(sys.argv[1:]))
        if found := how.misfits():
            raise UserErrors(found.values())
        return how

    return spread(function, HOW, [*map(_parameter, said)], execution)


def spread(
    function: Command, name: str, options: Sequence[inspect.Parameter], gather: Callable[[dict[str, Any]], Any]
) -> Command:
    """Return a command with options in place of one parameter.

    Args:
        function: the command.
        name: of the parameter.
        options: what the command line gives for it.
        gather: makes its value of theirs.
    """
    parameters: list[inspect.Parameter] = []
    for one in inspect.signature(function, eval_str=True).parameters.values():
        parameters += options if one.name == name else [one]

    @functools.wraps(function)
    def command(**given: Any) -> Any:
        return function(**{name: gather({p.name: given.pop(p.name) for p in options})}, **given)

    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in parameters}
    return command


def _launch(values: dict[str, Any]) -> Launch:
    """Where plans run; see :class:`rsbench.engine.launch.pool.Launch`."""
    from rsbench.engine.launch.launch import Launch

    names = {"ray_address": "address", "cpus_per_run": "cpus", "gpus_per_run": "gpus"}
    return Launch(**{names.get(name, name): value for name, value in values.items()})


def _parameters(declared: dict[str, tuple[Any, Any]]) -> list[inspect.Parameter]:
    return [parameter(name, default, annotation) for name, (annotation, default) in declared.items()]


def _parameter(field: Field[Any]) -> inspect.Parameter:
    """A field as Typer takes an option."""
    facts, hint = field.metadata, get_type_hints(Execution)[field.name]
    default = (field.default or None) if facts["place"] else field.default
    if facts["place"]:
        hint = Path if default else Path | None
    option = typer.Option(
        *([f"--{field.name.replace('_', '-')}"] if hint is bool else []),
        help=": ".join(filter(None, (" | ".join(facts["choices"]), facts["help"]))),
        min=facts["least"],
        envvar=facts["variable"],
        autocompletion=complete.among(facts["examples"]) if facts["examples"] else None,
    )
    return parameter(field.name, default, Annotated[hint, option])


def parameter(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    """Return a parameter as functions have them."""
    return inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default, annotation=annotation)
