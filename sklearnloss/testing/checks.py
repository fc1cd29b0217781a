"""The checks: what "conformant" means for a component, each a function that raises on a fault."""

from collections.abc import Callable
from dataclasses import dataclass

from sklearnloss.component import Component
from sklearnloss.registry import lookup
from sklearnloss.testing import calibrators, common, losses, mining, parts, strategies

__all__ = ["CHECKS", "Check", "check_component", "checks_for"]


@dataclass(frozen=True)
class Check:
    """A named check of components of some kinds.

    Attributes
    ----------
    name : str
        Reads after "conformant means: ".
    function : callable
        ``function(component)``, raising AssertionError with what is wrong.
    applies : callable
        ``applies(component) -> bool``.
    """

    name: str
    function: Callable[[Component], None]
    applies: Callable[[Component], bool]

    def __call__(self, component: Component) -> None:
        """Run the check."""
        self.function(component)

    run = __call__

    def __repr__(self) -> str:
        return self.name


CHECKS: tuple[Check, ...] = tuple(
    Check(name, function, applies)
    for module in (common, losses, parts, mining, calibrators, strategies)
    for name, (function, applies) in module.CHECKS.items()
)


def checks_for(component: Component) -> list[Check]:
    """Return the checks that apply to a component.

    Examples
    --------
    >>> from sklearnloss.registry import lookup
    >>> "gradient_is_that_of_the_value" in [check.name for check in checks_for(lookup("loss", "ldr"))]
    True
    """
    return [check for check in CHECKS if check.applies(component)]


def check_component(component: object, kind: str = "loss") -> None:
    """Run every check on a component, given as itself, as a marked function, or by name.

    Parameters
    ----------
    component : Component, callable or str
        What to check.
    kind : str, default="loss"
        Kind of a name.

    Raises
    ------
    AssertionError
        At the first fault; the message says which check and why.

    Examples
    --------
    >>> check_component("cross_entropy")
    """
    if isinstance(component, str):
        component = lookup(kind, component)
    found = component if isinstance(component, Component) else getattr(component, "component", None)
    assert isinstance(found, Component), f"{component!r} is no component; mark it with a decorator such as @loss"
    for check in checks_for(found):
        try:
            check(found)
        except AssertionError as error:
            raise AssertionError(f"{found.title} fails {check.name}: {error}") from error
