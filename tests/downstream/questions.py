"""What is asked of an environment with plugins: ``python questions.py NAME`` prints the answers as JSON."""

import json
import os
import sys
import warnings


def healthy():
    """Use a plugin's components in every way that users do."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        from sklearnloss import Loss, LossClassifier, components, load

        LossClassifier(loss=Loss("acme_margin", margin=2.0), max_epochs=20, random_state=0)
        imported_early = os.path.exists(os.environ["ACME_TRACE"])
        found = [f"{c.kind} {c.full_name} {c.version}" for c in components() if c.plugin == "acme"]
        components()
    import numpy as np
    from sklearn.datasets import load_iris
    from sklearn.model_selection import GridSearchCV

    X, y = load_iris(return_X_y=True)
    model = LossClassifier(max_epochs=50, lr=1e-2, random_state=0)
    short = model.set_params(loss="acme_margin").fit(X, y).decision_function(X)
    full = model.set_params(loss="acme:acme_margin").fit(X, y).decision_function(X)
    grid = GridSearchCV(model, {"loss": ["acme_margin"], "loss__margin": [0.5, 1.0]}, n_jobs=2, cv=2).fit(X, y)
    mask = np.arange(len(y)) % 2 == 0
    wrong = np.where(mask, y, (y + 1) % 3)
    trusting = model.set_params(loss="cross_entropy").fit(X, wrong, mask=mask).score(X, y)  # no term names it
    model.set_params(loss="acme_margin").fit(X, y).save("acme-model")
    masked = model.set_params(loss="acme_masked").fit(X, wrong, mask=mask.astype(float)).score(X, y)
    return {
        "found": found,
        "imported_early": imported_early,
        "imported": os.path.exists(os.environ["ACME_TRACE"]),
        "warnings": [[w.category.__name__, str(w.message)] for w in caught],
        "score": float(np.mean(short.argmax(1) == y)),
        "same_by_full_name": bool((short == full).all()),
        "grid": [float(s) for s in grid.cv_results_["mean_test_score"]],
        "sampler": model.set_params(loss="acme_margin", sampler="acme_turns").fit(X, y).score(X, y),
        "loaded": bool((load("acme-model").decision_function(X) == short).all()),
        "masked": masked,
        "trusting": trusting,
        "without_mask": error(model.set_params(loss="acme_masked").fit, X, y),
    }


def disabled():
    """Look for a plugin that was turned off."""
    from sklearnloss import Loss
    from sklearnloss.registry import plugins

    (acme,) = [p for p in plugins() if p.name == "acme"]
    return {
        "status": acme.status,
        "reason": acme.reason,
        "imported": os.path.exists(os.environ["ACME_TRACE"]),
        "short": error(Loss("acme_margin").choose),
    }


def changed():
    """Look for a plugin that was uninstalled, and for a name that two plugins have."""
    import torch

    from sklearnloss import Loss, components, load
    from sklearnloss.registry import plugins

    rows = torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0])
    return {
        "plugins": [p.name for p in plugins()],
        "losses": len(components("loss")),
        "acme": error(Loss("acme_margin").choose),
        "load": error(load, "acme-model"),
        "ldr": error(Loss("ldr").choose),
        "core:ldr": Loss("core:ldr")(*rows).tolist(),
        "twin:ldr": Loss("twin:ldr")(*rows).tolist(),
    }


def error(function, *arguments):
    """Return class and message of what the function raises."""
    try:
        function(*arguments)
    except Exception as raised:
        return [type(raised).__name__, str(raised)]
    return None


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]]()))
