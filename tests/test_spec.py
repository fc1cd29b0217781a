import copy
import functools
import math
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import make_blobs, make_multilabel_classification
from torch import nn
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier, Optimizer, Reduction, Sampler, Sum, components, loss, register
from sklearnloss.exceptions import ComponentError, MissingFactError, ParameterError, TaskError, UnknownNameError
from sklearnloss.losses.multiclass.ldr import ldr
from sklearnloss.spec import choose, choose_terms

SPECS = [
    Loss("ldr"),
    Loss("ldr", lam=0.5, margin=2.0),
    Loss("core:ldr", lam=0.5),
    Loss("ldr", coef=0.25, lam=0.5),
    0.1 * Loss("focal", gamma=1.0),
    Loss("cross_entropy") + 0.1 * Loss("focal", gamma=1.0),
    Loss("ldr") + Loss("ldr", lam=2.0) + 3 * Loss("gce"),
    Sum([Loss("ldr", lam=2.0)]),
    Sampler("per_class", n_per_class=2),
    Reduction("mean"),
    Optimizer("sgd", momentum=0.9),
]


@loss("scaled", task="multiclass")
class Scaled(nn.Module):
    def __init__(self, *, n_classes: int, base: float = 2.0) -> None:
        super().__init__()
        self.factor = base**n_classes

    def forward(self, logits, y, *, priors=None):
        return self.factor * logits.gather(1, y[:, None])[:, 0]


@loss("penalty", task="any", unit="batch")
def penalty(*, module, power: float = 2.0):
    """Return a penalty on the weights of the head."""
    return module.head.weight.abs().pow(power).sum()


@loss("only_valid", task="any", unit="pair")
def only_valid(logits, y):
    """Pairs of one class: their totals and how many units each entry stands for."""
    valid = (y[:, None] == y).long()
    return (logits[:, None] - logits).square().sum(-1) * valid, valid


@pytest.fixture
def blobs():
    return make_blobs(60, n_features=3, centers=3, cluster_std=1.5, random_state=0)


def trained(spec, X, y, **params):
    return LossClassifier(spec, hidden_layer_sizes=(), lr=0.1, max_epochs=20, random_state=0, **params).fit(X, y)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_the_repr_evaluates_back(spec):
    names = {"Loss": Loss, "Sum": Sum, "Sampler": Sampler, "Reduction": Reduction, "Optimizer": Optimizer}
    back = eval(repr(spec), names)
    assert back == spec
    assert type(back) is type(spec)
    assert back.get_params(deep=False).keys() == spec.get_params(deep=False).keys()


@pytest.mark.parametrize("spec", SPECS, ids=repr)
@pytest.mark.parametrize("way", [clone, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copy_is_equal_and_apart(spec, way):
    copied = way(spec)
    assert copied == spec
    assert copied is not spec
    assert hash(copied) == hash(spec)
    for key, value in spec.get_params().items():
        assert repr(copied.get_params()[key]) == repr(value)


def test_a_changed_copy_leaves_the_original():
    spec, total = Loss("ldr", lam=1.0), Loss("ldr") + Loss("focal")
    clone(spec).set_params(lam=2.0)
    clone(total).set_params(ldr__lam=2.0, focal__coef=3.0)
    assert repr(spec) == "Loss('ldr', lam=1.0)"
    assert repr(total) == "Loss('ldr') + Loss('focal')"


def test_parameters_are_read_and_set():
    spec = Loss("ldr", lam=1.0).set_params(lam=2.0, margin=0.0, coef=0.5)
    assert spec.get_params() == {"spec": "ldr", "coef": 0.5, "lam": 2.0, "margin": 0.0}
    assert spec.set_params(**spec.get_params()) == spec
    total = (Loss("ldr") + Loss("focal")).set_params(ldr__lam=2.0, focal="gce")
    assert repr(total) == "Loss('ldr', lam=2.0) + Loss('gce')"
    assert list(total.get_params()) == [
        "terms", "ldr", "ldr__spec", "ldr__coef", "ldr__lam", "gce", "gce__spec", "gce__coef"
    ]  # fmt: skip
    assert total.set_params(terms=[Loss("ldr")]) == Sum([Loss("ldr")])


def test_equality_looks_at_component_factor_and_parameters():
    assert Loss("ldr", lam=1.0) == Loss("ldr", lam=1.0)
    assert Loss("ldr", lam=1.0) != Loss("ldr", lam=2.0)
    assert Loss("ldr") != 0.5 * Loss("ldr")
    assert Loss("ldr") != Sum([Loss("ldr")])
    assert Loss("mean") != Reduction("mean")


def test_sums_are_built_by_plus_and_times_in_any_order():
    a, b, c = Loss("ldr"), Loss("focal"), Loss("gce")
    wanted = "Loss('ldr') + 0.5 * Loss('focal') + Loss('gce')"
    assert repr(a + 0.5 * b + c) == wanted
    assert repr(a + (b * 0.5 + c)) == wanted
    assert repr((a + b * 0.5) + c) == wanted
    assert repr(a + 0.5 * b + "gce") == wanted
    assert repr("ldr" + (0.5 * b + c)) == wanted
    assert repr(sum([a, 0.5 * b, c])) == wanted
    assert repr(2 * (a + 0.5 * b)) == "2.0 * Loss('ldr') + Loss('focal')"
    assert repr("ldr" + b) == "Loss('ldr') + Loss('focal')"


def test_building_a_sum_changes_no_term():
    a, b = Loss("ldr"), Loss("focal")
    _ = 0.5 * (a + 0.5 * b)
    assert repr(a) == "Loss('ldr')"
    assert repr(b) == "Loss('focal')"


def test_terms_are_named_and_counted():
    total = Loss("ldr") + Loss("focal") + Loss("ldr", lam=2.0) + Loss(ldr) + Loss("core:ldr")
    assert list(total.named()) == ["ldr", "focal", "ldr_2", "ldr_3", "ldr_4"]
    assert list(choose_terms(total)) == list(total.named())


# -- bare tensors -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["ldr", "core:ldr", ldr, functools.partial(ldr, lam=0.5)])
def test_on_bare_tensors_a_loss_returns_what_its_component_returns(three_rows, spec):
    logits, y = three_rows
    assert_close(Loss(spec, lam=0.5)(logits, y), ldr(logits, y, lam=0.5))


def test_a_partial_gives_defaults_that_the_spec_overrides(three_rows):
    partial = functools.partial(functools.partial(ldr, lam=9.0), margin=0.25)
    assert_close(Loss(partial)(*three_rows), ldr(*three_rows, lam=9.0, margin=0.25))
    assert_close(Loss(partial, lam=2.0)(*three_rows), ldr(*three_rows, lam=2.0, margin=0.25))
    with pytest.raises(ComponentError, match=r"^loss 'ldr': a partial may only fix keywords$"):
        Loss(functools.partial(ldr, torch.zeros(2, 2))).choose()


def test_on_bare_tensors_a_sum_returns_the_scalar(three_rows):
    logits, y = three_rows
    rows = [0.169846, 0.680270, 0.065884]  # cross entropy
    soft = [-0.691006, 0.195764, -0.928766]  # ldr
    total = Loss("cross_entropy") + 0.1 * Loss("ldr")
    wanted = sum(rows) / 3 + 0.1 * sum(soft) / 3
    assert_close(total(logits, y), torch.tensor(wanted, dtype=torch.float64), atol=1e-6, rtol=0)


def test_on_bare_tensors_a_sum_counts_each_valid_unit_once(three_rows):
    logits, _ = three_rows
    y = torch.tensor([0, 0, 1])
    pairs = [((logits[i] - logits[j]) ** 2).sum() for i in range(3) for j in range(3) if y[i] == y[j]]
    assert_close(Sum([Loss(only_valid)])(logits, y), torch.stack(pairs).mean())


def test_a_loss_with_state_is_built_from_fit_facts_given_by_keyword(three_rows):
    logits, y = three_rows
    assert_close(Loss(Scaled, base=3.0)(logits, y, n_classes=2), 9.0 * logits.gather(1, y[:, None])[:, 0])
    with pytest.raises(
        MissingFactError, match=r"^loss 'scaled' needs 'n_classes' when it is built; an estimator supplies"
    ):
        Loss(Scaled)(logits, y)


def test_each_term_of_a_sum_takes_the_facts_it_names(three_rows):
    logits, y = three_rows
    priors = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    total = (Loss("cross_entropy") + Loss("logit_adjusted"))(logits, y, priors=priors)
    adjusted = nn.functional.cross_entropy(logits + priors.log(), y)
    assert_close(total, nn.functional.cross_entropy(logits, y) + adjusted)


# -- callables, modules, mappings -------------------------------------------------------------------------------------


def quadratic(logits, y, *, weight: float = 1.0):
    return weight * (logits - nn.functional.one_hot(y, logits.shape[1])).square().sum(1)


def test_any_callable_whose_first_argument_is_a_role_is_a_loss(blobs):
    model = trained(Loss(quadratic, weight=2.0), *blobs)
    assert model.score(*blobs) > 0.8
    with pytest.raises(ParameterError, match=r"^loss 'quadratic' has no parameter 'height'; it has weight$"):
        trained(Loss(quadratic, height=2.0), *blobs)


def test_a_callable_that_names_no_role_is_refused_with_the_roles():
    def mine(logit, y):
        return logit

    wanted = "^loss 'mine': the first argument 'logit' must be one of logits, scores, .*; did you mean 'logits'"
    with pytest.raises(ComponentError, match=wanted):
        Loss(mine).choose()


def test_a_mapping_names_a_loss(blobs):
    X, y = blobs
    by_mapping = trained({"spec": "ldr", "lam": 0.5}, X, y)
    np.testing.assert_array_equal(by_mapping.predict_proba(X), trained(Loss("ldr", lam=0.5), X, y).predict_proba(X))


def test_the_modules_of_torch_train_as_losses(blobs):
    X, y = blobs
    same = trained(nn.CrossEntropyLoss(), X, y)
    np.testing.assert_array_equal(same.predict_proba(X), trained("cross_entropy", X, y).predict_proba(X))
    smooth = trained(nn.CrossEntropyLoss(label_smoothing=0.2), X, y)
    assert smooth.predict_proba(X).max() < same.predict_proba(X).max()
    margin = trained(nn.MultiMarginLoss(p=2), X, y)
    assert margin.score(X, y) > 0.9
    assert not hasattr(margin, "predict_proba")


def test_a_weighted_module_of_torch_keeps_its_weights(blobs):
    X, y = blobs
    heavy = trained(nn.CrossEntropyLoss(weight=torch.tensor([20.0, 1.0, 1.0], dtype=torch.float64)), X, y)
    assert (heavy.predict(X) == 0).sum() >= (trained("cross_entropy", X, y).predict(X) == 0).sum()


def test_the_binary_module_of_torch_trains_two_classes_and_several_labels(blobs):
    X, y = blobs
    two = y < 2
    model = trained(nn.BCEWithLogitsLoss(), X[two], y[two])
    np.testing.assert_allclose(model.predict_proba(X), trained("bce", X[two], y[two]).predict_proba(X), rtol=1e-6)
    X, Y = make_multilabel_classification(80, n_features=5, n_classes=3, random_state=0)
    many = trained(nn.BCEWithLogitsLoss(), X, Y)
    np.testing.assert_allclose(many.predict_proba(X), trained("bce", X, Y).predict_proba(X), rtol=1e-6)
    assert trained(nn.MultiLabelSoftMarginLoss(), X, Y).predict_proba(X).shape == (80, 3)


def test_a_module_of_torch_is_left_as_it_was(blobs):
    module = nn.CrossEntropyLoss(reduction="sum")
    trained(module, *blobs)
    assert module.reduction == "sum"


def test_a_module_of_the_user_is_read_by_the_names_in_forward(blobs):
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, logits, y):
            return nn.functional.cross_entropy(self.scale * logits, y, reduction="none")

    module = Mine()
    model = trained(module, *blobs)
    assert model.score(*blobs) > 0.9
    assert module.scale == 1  # a copy was trained
    assert model.net_.criterion_.terms[0].modules_[0].scale != 1


def test_a_regularizer_stands_in_a_sum(blobs):
    X, y = blobs
    plain = trained("cross_entropy", X, y)
    small = trained(Loss("cross_entropy") + 1.0 * Loss(penalty), X, y)
    assert small.net_.module_.head.weight.norm() < 0.5 * plain.net_.module_.head.weight.norm()
    with pytest.raises(
        TaskError, match=r"^loss 'penalty' works on no data and makes no prediction; LossClassifier needs a"
    ):
        trained(penalty, X, y)


def test_a_registered_name_is_found_in_this_process(blobs):
    @register
    @loss("of_this_test", task="multiclass")
    def of_this_test(logits, y):
        return nn.functional.cross_entropy(logits, y, reduction="none")

    assert choose("loss", "of_this_test").component.full_name == "local:of_this_test"
    assert trained("local:of_this_test", *blobs).score(*blobs) > 0.9


# -- the messages of the conventions ----------------------------------------------------------------------------------


def message(error, call):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def test_messages_say_who_what_was_given_what_is_allowed_and_what_to_do(three_rows, blobs):
    count = len(components("loss"))
    assert (
        message(UnknownNameError, Loss("lrd").choose)
        == f"unknown loss 'lrd'; did you mean 'ldr'? ({count} are registered: sklearnloss list)"
    )
    assert message(ParameterError, Loss("ldr", lam=-1).choose) == "loss 'ldr': lam must be a float in (0, inf), got -1"
    assert (
        message(ParameterError, Loss("ldr", gamma=1.0).choose)
        == "loss 'ldr' has no parameter 'gamma'; it has lam, margin"
    )
    assert (
        message(MissingFactError, lambda: trained("kd", *blobs))
        == "loss 'kd' needs 'teacher', an array with one row per sample: fit(X, y, teacher=...)"
    )


@pytest.mark.parametrize("value", [-1, 0, math.nan, math.inf, "1", True, None])
def test_what_a_range_does_not_hold_is_refused(value):
    with pytest.raises(ParameterError, match=r"^loss 'ldr': lam must be a float in \(0, inf\), got "):
        Loss("ldr", lam=value).choose()


def test_a_loss_of_another_task_is_refused_with_the_estimator_that_takes_it(blobs):
    @loss("pinned", task="quantiles")
    def pinned(prediction, y):
        return prediction[:, 0]

    wanted = (
        "loss 'pinned' is for quantiles; LossClassifier takes multiclass, binary, multilabel. "
        "Use LossRegressor or QuantileAggregator"
    )
    assert message(TaskError, lambda: trained(pinned, *blobs)) == wanted


def test_terms_that_want_different_heads_are_refused(blobs):
    X, y = blobs
    wanted = "^the terms of a sum share one head: 'cross_entropy' wants logits, 'bce' wants scores$"
    with pytest.raises(TaskError, match=wanted):
        trained(Loss("cross_entropy") + Loss("bce"), X, (y > 0).astype(int))


def test_nothing_is_looked_up_before_it_is_used():
    assert repr(Loss("no_such_loss", any=1)) == "Loss('no_such_loss', any=1)"
    assert clone(Loss("no_such_loss")) == Loss("no_such_loss")
