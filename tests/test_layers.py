"""Arrows between modules point down only; read from the source, so that nothing has to be imported."""

import ast
from pathlib import Path

import pytest

import sklearnloss

ROOT = Path(sklearnloss.__file__).parent
DOORS = 7  # what stands in front of everything
COMPONENTS = 3
LAYERS = {
    "": DOORS, "__main__": DOORS, "demo": DOORS,
    "testing": 6, "comparison": 6, "cli": 6, "labeling": 6,
    "estimators": 5, "calibrators": 5, "diagnostics": 5, "callbacks": 5, "modes": 5,
    "active": 5, "noise": 5,
    "training": 4, "bags": 4,
    "losses": 3, "reductions": 3, "samplers": 3, "miners": 3, "distances": 3, "mixups": 3, "views": 3, "strategies": 3,
    "selection": 3, "metrics": 3, "optimizers": 3,
    "spec": 2, "registry": 2, "plugins": 2, "hookspecs": 2,
    "component": 1, "functional": 1, "scorers": 1,
    "exceptions": 0, "constraints": 0, "facts": 0, "typing": 0, "files": 0, "figures": 0,
}  # fmt: skip


def name_of(path):
    parts = ("sklearnloss", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py")) if "template" not in path.parts}


def part_of(module):
    """Return what stands in LAYERS for a module."""
    return module.partition(".")[2].partition(".")[0]


def layer_of(module):
    return LAYERS[part_of(module)]


def imported(source):
    """Return the modules of the package that a source imports, those inside functions too."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                public = sklearnloss._MODULE_OF.get(alias.name) if node.module == "sklearnloss" else None
                found.append(inner if inner in MODULES else public or node.module)
    return [name for name in found if name.partition(".")[0] == "sklearnloss"]


def faults(module, source):
    """Return the imports of a module that the layers do not allow."""
    wrong = []
    for target in imported(source):
        here, there = layer_of(module), layer_of(target)
        upward = there > here and not (here == 6 and target == "sklearnloss")  # the command line reads the version
        folder, _, own = target.rpartition(".")
        shared = own.startswith("_") and module.startswith(f"{folder}.")  # what the components of one folder share
        by_name = there == COMPONENTS and target.count(".") > 1 and not shared and here != DOORS
        beside = here == COMPONENTS and there > 1 and not shared
        if upward or by_name or beside:
            wrong.append(f"{module} imports {target}")
    return wrong


def test_every_module_has_a_layer():
    assert {part_of(module) for module in MODULES} <= LAYERS.keys()


@pytest.mark.parametrize("part", sorted({part_of(module) for module in MODULES}))
def test_arrows_point_down_and_no_component_is_imported_by_name(part):
    wrong = [f for module, path in MODULES.items() if part_of(module) == part for f in faults(module, path.read_text())]
    assert wrong == []


def test_algebra_knows_tensors_and_nothing_above():
    above = [
        (module, target)
        for module, path in MODULES.items()
        if module.startswith("sklearnloss.functional")
        for target in imported(path.read_text())
        if layer_of(target) > 0 and not target.startswith("sklearnloss.functional")
    ]
    assert above == []


def test_no_module_imports_itself_in_a_circle():
    graph = {
        module: set(imported(path.read_text())) - {module} for module, path in MODULES.items() if module.count(".")
    }
    done, path = set(), []

    def visit(module):
        if module in done or module not in graph:
            return
        assert module not in path, f"circle: {' -> '.join([*path, module])}"
        path.append(module)
        for target in sorted(graph[module]):
            visit(target)
        done.add(path.pop())

    for module in graph:
        visit(module)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sklearnloss.training.net", "from sklearnloss.losses.multiclass.ldr import ldr"),
        ("sklearnloss.estimators.classifier", "import sklearnloss.samplers.shuffle"),
        ("sklearnloss.losses.multiclass.ldr", "from sklearnloss.losses.multiclass import gce"),
        ("sklearnloss.losses.multiclass.ldr", "from sklearnloss.spec import Loss"),
        ("sklearnloss.losses.multiclass.ldr", "from sklearnloss import Loss"),
        ("sklearnloss.component", "def late():\n    from sklearnloss import registry"),
        ("sklearnloss.spec", "from sklearnloss.estimators import classifier"),
        ("sklearnloss.facts", "from sklearnloss.component import loss"),
    ],
)
def test_a_forbidden_import_is_noticed(module, source):
    assert len(faults(module, source)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("sklearnloss.losses.multiclass.ldr", "import torch\nfrom sklearnloss.component import loss"),
        ("sklearnloss.losses.multiclass.ldr", "from sklearnloss.functional.links import softmax"),
        ("sklearnloss.training.net", "from sklearnloss.spec import choose"),
        ("sklearnloss.cli.app", "from sklearnloss import LossClassifier, registry"),
    ],
)
def test_an_allowed_import_is_none_of_its_business(module, source):
    assert faults(module, source) == []
