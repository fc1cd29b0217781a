"""``sklearnloss info``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from sklearnloss.cli.query import find

if TYPE_CHECKING:
    from sklearnloss.component import Component, Parameter

__all__ = ["info"]

MINED = {  # what a miner of blocks returns
    "pair": "which pairs are kept",
    "window": "how much farther than the positive a negative may be",
    "triplet": "which negatives are kept for each positive",
}


def info(
    name: Annotated[str, typer.Argument(help="NAME, KIND:NAME, PLUGIN:NAME or PLUGIN:KIND:NAME.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell what there is to know about every component of that name."""
    from sklearnloss.cli.records import record
    from sklearnloss.cli.show import console, print_json

    found = find(name)
    if json:
        print_json([record(c) for c in found])
        return
    for number, component in enumerate(found):
        if number:
            console().print()
        _print(component)


def _print(component: "Component") -> None:
    from sklearnloss.cli.show import console, plain, print_fields
    from sklearnloss.cli.usage import usage
    from sklearnloss.component import KINDS

    out = console()
    out.print(f"{component.kind} {component.full_name} {component.version}", style="bold")
    print_fields([("", plain(component.summary))])
    out.print()
    print_fields(_fields(component))
    sections = {
        "parameters": [_parameter(p) for p in component.parameters],
        "takes": [(name, _data(component, name)) for name in component.data if KINDS[component.kind].facts],
        "needs": [(name, _about(name)) for name in (*component.fit_needs, *component.needs)],
        "wishes": [(name, _about(name)) for name in component.wishes],
        "references": [(f"[{i}]", text) for i, text in enumerate(component.references, 1)],
    }
    for title, fields in sections.items():
        fields = [(name, about) for name, about in fields if about]
        if fields:
            out.print(f"\n{title}", style="bold")
            print_fields(fields, indent=2)
    out.print("\nexample", style="bold")
    for line in usage(component):
        out.print(f"  {line}")  # never wrapped, so that it can be copied


def _fields(component: "Component") -> list[tuple[str, str]]:
    from sklearnloss.facts import ROLES

    role = ROLES.get(component.role) if component.kind == "loss" else None
    return [
        ("aliases", ", ".join(component.aliases)),
        ("task", component.task),
        ("role", f"{role.name} {role.shape}, {_head(role.head)}" if role else ""),
        ("unit", _unit(component)),
        *_prediction(component),
        ("sampler", f"{component.sampler}, unless you choose one" if component.sampler else ""),
        (
            "classes",
            "must have an order: numbers, ordered categories, or class_order=" if component.ordered else "",
        ),
        ("target", "as it is, never standardized" if component.target == "raw" else ""),
        ("gradient", "differs from that of the value, on purpose" if component.gradient == "surrogate" else ""),
        ("shapes", "" if component.static else "depend on the data"),
        ("value", "" if component.monitor else "says nothing about progress"),
        ("formula", component.status),
    ]


def _unit(component: "Component") -> str:
    from sklearnloss.facts import UNITS

    units: Mapping[str, str] = MINED if component.kind == "miner" else UNITS
    if not component.unit or (component.kind == "miner" and component.role != "block"):
        return ""
    return f"{component.unit}: {units.get(component.unit, '')}"


def _head(head: str) -> str:
    return {"none": "no head", "hidden": "a linear head that training does not apply"}.get(head, f"a {head} head")


def _prediction(component: "Component") -> list[tuple[str, str]]:
    from sklearnloss.cli.records import link_of

    link, probabilities = link_of(component)
    if component.kind != "loss" or link is None:
        return []
    if probabilities is None:
        return [("link", link)]
    if not probabilities:
        return [("predict_proba", "none: set calibrate=")]
    quality = "proper" if component.proper else "not proper: set calibrate= for calibrated ones"
    return [("predict_proba", f"yes ({link}), {quality}")]


def _parameter(parameter: "Parameter") -> tuple[str, str]:
    from sklearnloss.cli.show import plain

    constraint, search = parameter.constraint, parameter.constraint.search
    words = constraint.words
    if search is not None:
        words += f"; search {search.low:g} to {search.high:g}{', log scale' if search.log else ''}"
    return f"{parameter.name} = {parameter.default!r}", f"{words}\n{plain(parameter.about)}"


def _data(component: "Component", name: str) -> str:
    """Return what a positional argument is; the same name may be a fact of another kind."""
    from sklearnloss.facts import ROLES

    if component.kind == "miner" and name == "block":
        return "some rows of the batch, compared with every other"
    if name == "embeddings" and component.kind != "strategy":
        return f"{ROLES[name].shape} {ROLES[name].about}"
    return _about(name)


def _about(name: str) -> str:
    """Return what a fact is and who supplies it."""
    from sklearnloss.facts import FACTS, ROLES

    if name in FACTS:
        fact = FACTS[name]
        return f"{fact.about}; you give it: fit(X, y, {name}=...)" if fact.scope == "row" else fact.about
    if name in ROLES:
        return f"{ROLES[name].shape} {ROLES[name].about}"
    return "(n, d) embeddings of the second of two views" if name == "view_b" else ""
