"""Every example in a docstring runs and gives what it says."""

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

import sklearnloss

ROOT = Path(sklearnloss.__file__).parent
MODULES = sorted(
    ".".join(("sklearnloss", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")
    for path in ROOT.rglob("*.py")
    if "template" not in path.parts and path.stem != "__main__"
)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(name):
    module = importlib.import_module(name)
    space = {**vars(module), "torch": torch, "np": np}
    result = doctest.testmod(module, globs=space, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def test_examples_are_found():
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(name) for name in MODULES]
    count = sum(bool(test.examples) for module in modules for test in finder.find(module))
    assert count > 40
