"""The conformance suite, generated from the registry; plugins run it on themselves.

The whole test of a plugin::

    from sklearnloss.testing import parametrize_components

    @parametrize_components(plugin="acme")
    def test_conforms(component, check):
        check(component)
"""

from sklearnloss.testing.cases import Case, cases
from sklearnloss.testing.checks import CHECKS, Check, check_component, checks_for
from sklearnloss.testing.parametrize import components_to_check, parametrize_components

__all__ = [
    "CHECKS",
    "Case",
    "Check",
    "cases",
    "check_component",
    "checks_for",
    "components_to_check",
    "parametrize_components",
]
