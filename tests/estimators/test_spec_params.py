import functools

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid

from sklearnloss import Loss, LossClassifier, Optimizer, Sampler, Sum
from sklearnloss.exceptions import ComponentError, ParameterError, TaskError, UnknownNameError
from sklearnloss.losses.multiclass.ldr import ldr


def test_a_parameter_of_a_plain_name_makes_a_spec_of_it():
    model = LossClassifier("ldr").set_params(loss__lam=3.0)
    assert model.loss == Loss("ldr", lam=3.0)
    assert model.get_params()["loss"] == Loss("ldr", lam=3.0)


def test_init_keeps_what_it_was_given():
    spec, mapping = Loss("ldr", lam=2.0), {"spec": "ldr", "lam": 2.0}
    assert LossClassifier(spec).loss is spec
    assert LossClassifier(mapping).loss is mapping
    assert LossClassifier("ldr").loss == "ldr"


@pytest.mark.parametrize(
    "given",
    [
        "ldr",
        "core:ldr",
        {"spec": "ldr"},
        {"spec": "ldr", "lam": 9.0},
        Loss("ldr"),
        Loss("ldr", lam=9.0),
        ldr,
        Loss(ldr),
    ],
)
def test_every_way_of_naming_a_loss_takes_parameters(given):
    model = LossClassifier(given).set_params(loss__lam=3.0, loss__margin=0.5)
    params = model.loss.get_params()
    assert (params["lam"], params["margin"]) == (3.0, 0.5)


def test_a_partial_takes_parameters_that_win_over_its_own(quick, blobs):
    model = LossClassifier(functools.partial(ldr, lam=9.0, margin=0.25)).set_params(loss__lam=3.0)
    assert dict(model.loss.choose().params) == {"lam": 3.0, "margin": 0.25}


def test_the_name_may_be_set_together_with_its_parameters_in_any_order():
    for params in ({"loss": "ldr", "loss__lam": 3.0}, {"loss__lam": 3.0, "loss": "ldr"}):
        assert LossClassifier().set_params(**params).loss == Loss("ldr", lam=3.0)


def test_the_spec_of_a_user_is_never_changed():
    spec, total, mapping = Loss("ldr", lam=1.0), Loss("ldr") + Loss("focal"), {"spec": "ldr", "lam": 1.0}
    kept = repr(spec), repr(total), dict(mapping)
    LossClassifier(spec).set_params(loss__lam=3.0)
    LossClassifier(total).set_params(loss__ldr__lam=3.0, loss__focal__coef=0.5)
    LossClassifier(mapping).set_params(loss__lam=3.0)
    assert (repr(spec), repr(total), mapping) == kept


def test_a_fit_or_a_grid_changes_no_spec(quick, blobs):
    total = Loss("cross_entropy") + 0.5 * Loss("ldr", lam=2.0)
    before = repr(total)
    quick(total, max_epochs=1).fit(*blobs)
    grid = {"loss__ldr__lam": [0.5, 1.0], "loss__cross_entropy__coef": [0.5, 2.0]}
    GridSearchCV(quick(total, max_epochs=1), grid, cv=2, error_score="raise").fit(*blobs)
    assert repr(total) == before


def test_two_clones_share_no_spec():
    model = LossClassifier(Loss("ldr", lam=1.0))
    one, other = clone(model), clone(model)
    one.loss.set_params(lam=5.0)
    assert other.loss == model.loss == Loss("ldr", lam=1.0)


def test_a_list_of_grids_gives_each_loss_its_own_parameters(quick, blobs):
    grid = [
        {"loss": ["cross_entropy"]},
        {"loss": ["ldr"], "loss__lam": [0.5, 2.0], "loss__margin": [0.0]},
        {"loss": ["focal", Loss("focal", gamma=9.0)], "loss__gamma": [1.0]},
    ]
    search = GridSearchCV(quick(max_epochs=2), grid, cv=2, error_score="raise").fit(*blobs)
    assert len(search.cv_results_["params"]) == 5
    for params in ParameterGrid(grid):
        model = clone(search.estimator).set_params(**clone(params, safe=False))
        given = {key.removeprefix("loss__"): value for key, value in params.items() if key != "loss"}
        if given:
            assert model.loss.get_params().items() >= given.items()


def test_sums_stand_in_grids_with_the_parameters_of_their_terms(quick, blobs):
    grid = [
        {"loss": [Loss("cross_entropy") + 0.1 * Loss("supcon")], "loss__supcon__coef": [0.01, 1.0]},
        {"loss": [Loss("ldr") + 0.1 * Loss("focal")], "loss__ldr__lam": [0.5], "loss__focal__gamma": [1.0, 2.0]},
    ]
    search = GridSearchCV(quick(max_epochs=3), grid, cv=2, error_score="raise").fit(*blobs)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_estimator_
    assert [best.loss.terms[0].name, best.loss.terms[1].name] in (["cross_entropy", "supcon"], ["ldr", "focal"])


def test_a_term_of_a_sum_can_be_exchanged():
    model = LossClassifier(Loss("ldr") + 0.1 * Loss("focal")).set_params(loss__focal=Loss("gce"), loss__ldr="hinge")
    assert repr(model.loss) == "Loss('hinge') + Loss('gce')"


def test_the_second_term_of_a_name_has_a_number():
    total = Loss("ldr") + Loss("ldr", lam=2.0) + Loss("ldr", lam=4.0)
    model = LossClassifier(total).set_params(loss__ldr__lam=0.5, loss__ldr_3__lam=8.0)
    assert [term.get_params().get("lam") for term in model.loss.terms] == [0.5, 2.0, 8.0]


def test_a_parameter_left_over_from_another_loss_is_refused():
    model = LossClassifier("ldr").set_params(loss__lam=3.0)
    with pytest.raises(ParameterError, match=r"^loss 'focal' has no parameter 'lam'; it has "):
        model.set_params(loss__spec="focal")
    assert LossClassifier("ldr").set_params(loss__spec="focal", loss__gamma=1.0).loss == Loss("focal", gamma=1.0)


def test_an_unknown_parameter_is_refused_with_those_that_there_are(quick, blobs):
    message = "^loss 'ldr' has no parameter 'gamma'; it has lam, margin$"
    with pytest.raises(ParameterError, match=message):
        LossClassifier("ldr").set_params(loss__gamma=1.0)
    with pytest.raises(ParameterError, match=message):
        quick(Loss("ldr", gamma=1.0)).fit(*blobs)
    with pytest.raises(ParameterError, match=r"^loss 'cross_entropy' has no parameter 'lam'; it has none$"):
        LossClassifier().set_params(loss__lam=1.0)
    with pytest.raises(ParameterError, match="the sum has no term 'focall'; did you mean 'focal'"):
        LossClassifier(Loss("ldr") + Loss("focal")).set_params(loss__focall__gamma=1.0)


def test_a_refused_set_params_changes_nothing():
    model = LossClassifier(Loss("ldr", lam=3.0))
    with pytest.raises(ParameterError, match="no parameter 'gamma'"):
        model.set_params(loss__gamma=1.0)
    assert model.loss == Loss("ldr", lam=3.0)


def test_a_value_out_of_range_is_refused_by_fit(quick, blobs):
    model = quick("ldr").set_params(loss__lam=-1)  # a search must be able to set anything; fit judges
    with pytest.raises(ParameterError, match=r"^loss 'ldr': lam must be a float in \(0, inf\), got -1$"):
        model.fit(*blobs)


def test_the_parameters_of_a_spec_are_listed_by_get_params():
    params = LossClassifier(Loss("ldr", lam=3.0), sampler=Sampler("per_class", n_per_class=2)).get_params()
    assert params["loss__lam"] == 3.0
    assert params["loss__coef"] == 1.0
    assert params["sampler__n_per_class"] == 2
    total = LossClassifier(Loss("ldr") + 0.5 * Loss("focal", gamma=1.0)).get_params()
    assert total["loss__focal__gamma"] == 1.0
    assert total["loss__focal__coef"] == 0.5
    assert "loss__lam" not in LossClassifier(Loss("ldr", lam=3.0)).get_params(deep=False)


@pytest.mark.parametrize("spec", [Loss("ldr", lam=3.0), Loss("ldr") + 0.5 * Loss("focal", gamma=1.0)], ids=repr)
def test_what_get_params_lists_set_params_takes(spec):
    model = LossClassifier(spec)
    given = {key: value for key, value in model.get_params().items() if key.startswith("loss__")}
    for key, value in given.items():
        assert repr(clone(model).set_params(**{key: value})) == repr(model)


def test_the_parameters_of_sampler_and_optimizer_are_set_by_name_too(quick, blobs):
    X, y = blobs
    model = quick(sampler="per_class", optimizer="sgd", batch_size=12)
    model.set_params(sampler__n_per_class=6, optimizer__momentum=0.9).fit(X, y)
    assert model.sampler == Sampler("per_class", n_per_class=6)
    assert model.net_.optimizer_.defaults["momentum"] == 0.9
    search = GridSearchCV(
        quick(optimizer="sgd", sampler="per_class"),
        {"optimizer__momentum": [0.0, 0.9], "sampler__n_per_class": [2, 4], "loss": ["ldr"], "loss__lam": [1.0]},
        cv=2,
        error_score="raise",
    ).fit(X, y)
    assert search.best_score_ > 0.8


def test_what_is_none_has_no_parameters_to_set():
    with pytest.raises(ParameterError, match=r"^LossClassifier: sampler is None, so sampler__n_per_class has nothing"):
        LossClassifier().set_params(sampler__n_per_class=4)
    model = LossClassifier().set_params(sampler="per_class", sampler__n_per_class=4)
    assert model.sampler == Sampler("per_class", n_per_class=4)


def test_rate_and_decay_belong_to_the_estimator(quick, blobs):
    for name in ("lr", "weight_decay"):
        wanted = f"^optimizer 'adam' has no parameter '{name}'; it has .*; {name} is a parameter of the estimator$"
        with pytest.raises(ParameterError, match=wanted):
            LossClassifier().set_params(**{f"optimizer__{name}": 1.0})


def test_a_fact_is_no_parameter():
    with pytest.raises(ParameterError, match=r"teacher is a fact, which the trainer or fit supplies$"):
        LossClassifier("kd").set_params(loss__teacher=1.0)


def test_specs_of_another_kind_are_refused(quick, blobs):
    with pytest.raises(TaskError, match=r"Sampler\('shuffle'\) is a sampler; a loss is wanted here, such as Loss"):
        quick(Sampler("shuffle")).fit(*blobs)
    with pytest.raises(TaskError, match=r"Loss\('ldr'\) is a loss; an optimizer is wanted here"):
        quick(optimizer=Loss("ldr")).fit(*blobs)


def test_what_names_nothing_is_refused(quick, blobs):
    with pytest.raises(
        UnknownNameError, match=r"^unknown loss 'lrd'; did you mean 'ldr'\? \(\d+ are registered: sklear"
    ):
        quick("lrd").fit(*blobs)
    with pytest.raises(UnknownNameError, match=r"unknown loss 'adam'.*; it is an optimizer"):
        quick("adam").fit(*blobs)
    for nothing in (3, None, ["ldr"]):
        with pytest.raises(ComponentError, match="is no loss; give a name, a callable, a mapping or Loss"):
            quick(nothing).fit(*blobs)
    with pytest.raises(ComponentError, match=r"names no loss; write {'spec': 'name'"):
        quick({"lam": 1.0}).fit(*blobs)
    with pytest.raises(ComponentError, match="a Sum needs at least one term"):
        quick(Sum([])).fit(*blobs)


def test_an_optimizer_may_be_a_class_of_torch_or_a_partial_of_one(quick, blobs):
    X, y = blobs
    by_class = quick(optimizer=torch.optim.RMSprop).fit(X, y)
    assert isinstance(by_class.net_.optimizer_, torch.optim.RMSprop)
    partial = quick(optimizer=functools.partial(torch.optim.SGD, momentum=0.9)).fit(X, y)
    assert partial.net_.optimizer_.defaults["momentum"] == 0.9
    spec = quick(optimizer=Optimizer(torch.optim.SGD, momentum=0.9)).fit(X, y)
    np.testing.assert_array_equal(partial.predict_proba(X), spec.predict_proba(X))
    assert by_class.score(X, y) > 0.9
