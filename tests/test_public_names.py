import ast
import importlib
import importlib.metadata
import inspect
import subprocess
import sys

import pytest

import sklearnloss

NAMES = [name for name in sklearnloss.__all__ if name != "__version__"]


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_is_found_where_it_is_said_to_be_and_says_what_it_is(name):
    value = getattr(sklearnloss, name)
    assert value is getattr(importlib.import_module(sklearnloss._MODULE_OF[name]), name)
    assert value.__doc__  # its own, not an inherited one
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__module__ == sklearnloss._MODULE_OF[name]


def test_the_list_of_names_is_the_table_of_places_sorted():
    assert sorted(NAMES) == sorted(sklearnloss._MODULE_OF)
    assert len(set(sklearnloss.__all__)) == len(sklearnloss.__all__)
    assert dir(sklearnloss) == sorted(sklearnloss.__all__)


def test_a_type_checker_is_told_the_same_names_in_the_same_places():
    told = {
        alias.name: node.module
        for node in ast.walk(ast.parse(inspect.getsource(sklearnloss)))
        if isinstance(node, ast.ImportFrom) and node.module.startswith("sklearnloss.")
        for alias in node.names
    }
    assert told == sklearnloss._MODULE_OF


def test_a_star_import_brings_every_public_name():
    space = {}
    exec("from sklearnloss import *", space)
    assert set(sklearnloss.__all__) <= space.keys()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"^module 'sklearnloss' has no attribute 'LossClasifier'$"):
        _ = sklearnloss.LossClasifier
    with pytest.raises(ImportError):
        exec("from sklearnloss import nothing_of_this_name")


def test_the_version_is_that_of_the_distribution():
    assert sklearnloss.__version__ == importlib.metadata.version("sklearnloss")


def test_importing_the_package_imports_no_torch_and_no_scikit_learn():
    heavy = "'torch', 'sklearn', 'skorch', 'numpy', 'pluggy'"
    assert run(f"import sklearnloss, sys; print([m for m in ({heavy}) if m in sys.modules])") == "[]"


def test_looking_at_names_loads_no_plugin():
    code = (
        "import sklearnloss; from sklearnloss import Loss, LossClassifier; from sklearnloss.registry import registry; "
        "model = LossClassifier(Loss('ldr')); repr(model); print(registry._plugins)"
    )
    assert run(code) == "None"
