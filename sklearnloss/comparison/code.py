"""Python that does the best loss's part of a comparison again, with scikit-learn alone."""

import ast
import re
from collections.abc import Iterator
from typing import Any

import sklearn.model_selection
from sklearn import config_context

from sklearnloss.comparison.findings import Findings, Settings
from sklearnloss.spec import Loss, Sum, named_terms

__all__ = ["python_of", "reproduction"]

TEMPLATE = """\
{imports}

torch.set_num_threads(1)  # as in the comparison; more threads may change the last digits

{source}
{ordered}{target}{own}

def model(seed):
    return make_pipeline(
        {preprocessor},
        {estimator}.set_params(loss={loss}, random_state=seed),
    )


scores = []
for seed in range({first}, {end}):
    folds = {splitter}
    scores.extend(cross_val_score(model(seed), X, y, cv=folds, scoring={scoring}{more}))
print(f"{{sum(scores) / len(scores):.4f}}")  # {score:.4f}{over}

best = model({first}).fit(X, y{fit})  # {name}, on all rows
"""

OURS = frozenset(  # what expressions may name besides estimators
    "Loss Sum embedding_scorer bag_targets bag_kl_scorer bag_l1_scorer bag_interval_scorer "
    "BagKFold BagShuffleSplit StratifiedBagKFold".split()
)
ORDER = 'order = np.argsort(times, kind="stable")\nX, y = X[order], y[order]'
ORDER_FRAME = ORDER.replace("X[order]", "X.iloc[order]")


def reproduction(comparison: Findings) -> str:
    """Return a script that prints the mean score of the best loss, and fits it on all rows.

    What Python cannot write, such as a function or a module of the user's, is a line to fill in: ``splitter = ...``.

    Parameters
    ----------
    comparison : Findings
        With a loss that has a score; fits that a budget left out are done by the script all the same.
    """
    settings, name = comparison.settings, comparison.best
    spec = next(c.spec for c in comparison.candidates if c.name == name)
    row = next(r for r in comparison.rows if r.loss == name)
    own: dict[str, str] = {}
    facts = {f"{settings.estimator.partition('(')[0].lower()}__{fact}": fact for fact in settings.fit_facts}
    params = ", ".join(f'"{key}": {value}' for key, value in facts.items())
    more = (", groups=groups" if settings.grouped else "") + (f", params={{{params}}}" if params else "")
    scorer = settings.scorer
    scoring = _expression(scorer, "scorer", own) if scorer else _left_out(own, "scorer", comparison.metric)
    parts = {
        "preprocessor": _expression(settings.preprocessor, "preprocessor", own),
        "estimator": _expression(settings.estimator, "estimator", own),
        "loss": _loss(spec, own),
        "splitter": _expression(settings.splitter, "splitter", own),
        "scoring": scoring,
    }
    return TEMPLATE.format(
        imports=_imports(settings, " ".join(parts.values())),
        source=settings.source.rstrip(),
        ordered=_ordered(settings) if settings.ordered else "",
        target=f"{settings.target}\n" if settings.target else "",
        own="".join(f"{variable} = ...  # yours: {what}\n" for variable, what in own.items()),
        first=settings.random_state,
        end=settings.random_state + settings.repeats,
        more=more,
        score=row.score,
        over="" if row.fits == settings.splits else f" over {row.fits} of these {settings.splits} splits",
        fit="".join(f", {key}={value}" for key, value in facts.items()),
        name=" ".join(name.split()),  # a line break would end the comment
        **parts,
    )


def _ordered(settings: Settings) -> str:
    """Return the lines that bring the rows, and what goes with them, in the order of time."""
    lines = [ORDER_FRAME if settings.frame else ORDER]
    lines += [f"{fact} = {fact}[order]" for fact in settings.fit_facts if fact != "classes"]
    return "\n".join(lines) + "\n"


def _expression(text: str, variable: str, own: dict[str, str]) -> str:
    """Return an expression, or the variable that stands for one that Python cannot read back."""
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError:
        return _left_out(own, variable, text)
    cut = any(isinstance(node, ast.Constant) and node.value is ... for node in ast.walk(tree))  # scikit-learn cut it
    return _left_out(own, variable, text) if cut else text


def _left_out(own: dict[str, str], variable: str, what: str) -> str:
    own[variable] = " ".join(what.split())[:80]
    return variable


def _loss(spec: Any, own: dict[str, str]) -> str:
    """Return a loss as Python; functions of the user's are theirs to bring along."""
    if isinstance(spec, str):
        return f'"{spec}"'
    if not isinstance(spec, Loss | Sum):
        name = str(getattr(spec, "__name__", "loss"))
        return _left_out(own, name if name.isidentifier() else "loss", "the loss")
    text = _expression(repr(spec), "loss", own)
    for name in _functions(spec) if text != "loss" else ():
        _left_out(own, name, "the loss")
    return text


def _functions(spec: Any) -> Iterator[str]:
    for term in named_terms(spec).values():
        if not isinstance(term.spec, str) and (name := getattr(term.spec, "__name__", "")).isidentifier():
            yield name


def _imports(settings: Settings, expressions: str) -> str:
    used = {*re.findall(r"\w+", f"{expressions} {settings.target}")}
    names = {("sklearn.model_selection", "cross_val_score"), ("sklearn.pipeline", "make_pipeline")}
    names |= {(_public(module), name) for module, name in settings.imports}
    names |= {("sklearn.model_selection", name) for name in used & {*sklearn.model_selection.__all__}}
    names |= {("sklearnloss", name) for name in used & OURS}
    by_module = {module: sorted(n for m, n in names if m == module) for module, _ in sorted(names)}
    lines = [f"from {module} import {', '.join(group)}" for module, group in by_module.items()]
    arrays = settings.ordered or "np." in settings.target
    return "\n".join([*(["import numpy as np"] if arrays else []), "import torch", *lines])


def _public(module: str) -> str:
    """Return from where users import what a module of ours holds."""
    return "sklearnloss" if module.startswith("sklearnloss.") else module


def python_of(estimator: Any) -> str:
    """Return Python that makes an estimator like this one, in one line."""
    with config_context(print_changed_only=True):
        return re.sub(r"\n\s*", " ", estimator.__repr__(N_CHAR_MAX=100_000))
