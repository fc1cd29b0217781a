from sklearnloss.testing import parametrize_components


@parametrize_components(plugin="example")
def test_conforms(component, check):
    check(component)
