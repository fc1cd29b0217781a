"""Every component of the package passes every check that applies to it."""

from sklearnloss.testing import parametrize_components


@parametrize_components(plugin="core")
def test_conforms(component, check):
    check(component)
