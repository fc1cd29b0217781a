"""Python that does the best loss's part of a comparison again, with scikit-learn alone."""

import re
from typing import Any

import sklearn.model_selection

from sklearnloss.comparison.findings import Findings
from sklearnloss.spec import Loss, Sum

__all__ = ["reproduction"]

TEMPLATE = """\
{imports}

torch.set_num_threads(1)  # as in the comparison; more threads may change the last digits

{source}
{ordered}

def model(seed):
    return make_pipeline(
        {preprocessor},
        {estimator}.set_params(loss={loss}, random_state=seed),
    )


scores = []
for seed in range({first}, {end}):
    folds = {splitter}
    scores.extend(cross_val_score(model(seed), X, y, cv=folds, scoring="{metric}"{more}))
print(f"{{sum(scores) / len(scores):.4f}}")  # {score:.4f}

best = model({first}).fit(X, y{fit})  # {name}, on all rows
"""


def reproduction(comparison: Findings) -> str:
    """Return a script that prints the mean score of the best loss, and fits it on all rows.

    Parameters
    ----------
    comparison : Findings
        With a loss that has a score; fits that a budget left out are done by the script all the same.
    """
    settings, name = comparison.settings, comparison.best
    spec = next(c.spec for c in comparison.candidates if c.name == name)
    row = next(r for r in comparison.rows if r.loss == name)
    facts = {f"{settings.estimator.partition('(')[0].lower()}__{fact}": fact for fact in settings.fit_facts}
    params = ", ".join(f'"{key}": {value}' for key, value in facts.items())
    more = (", groups=groups" if settings.grouped else "") + (f", params={{{params}}}" if params else "")
    return TEMPLATE.format(
        imports=_imports(comparison, spec),
        source=settings.source.rstrip(),
        ordered=f"{ORDER_FRAME if settings.frame else ORDER}\n" if settings.ordered else "",
        preprocessor=settings.preprocessor,
        estimator=settings.estimator,
        loss=_written(spec),
        first=settings.random_state,
        end=settings.random_state + settings.repeats,
        splitter=settings.splitter,
        metric=comparison.metric,
        more=more,
        score=row.score,
        fit="".join(f", {key}={value}" for key, value in facts.items()),
        name=" ".join(name.split()),  # a line break would end the comment
    )


ORDER = "order = np.argsort(times, kind='stable')\nX, y = X[order], y[order]".replace("'", '"')
ORDER_FRAME = ORDER.replace("X[order]", "X.iloc[order]")


def _written(spec: Any) -> str:
    if isinstance(spec, str):
        return f'"{spec}"'
    return repr(spec) if isinstance(spec, Loss | Sum) else str(getattr(spec, "__name__", spec))


def _imports(comparison: Findings, spec: Any) -> str:
    settings, names = comparison.settings, {("sklearn.model_selection", "cross_val_score")}
    names |= {(_public(module), name) for module, name in settings.imports}
    names.add(("sklearn.pipeline", "make_pipeline"))
    splitter = re.match(r"\w+", settings.splitter)
    if splitter and hasattr(sklearn.model_selection, splitter[0]):
        names.add(("sklearn.model_selection", splitter[0]))
    written = _written(spec)
    names |= {("sklearnloss", cls) for cls in ("Loss", "Sum") if re.search(rf"\b{cls}\(", written)}
    by_module = {module: sorted(n for m, n in names if m == module) for module, _ in sorted(names)}
    lines = [f"from {module} import {', '.join(group)}" for module, group in by_module.items()]
    return "\n".join([*(["import numpy as np"] if settings.ordered else []), "import torch", *lines])


def _public(module: str) -> str:
    """Return from where users import what a module of ours holds."""
    return "sklearnloss" if module.startswith("sklearnloss.") else module
