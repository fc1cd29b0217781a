"""What load refuses, and how it says so."""

import json
import re
import sys
from collections import Counter
from functools import partial

import numpy as np
import pytest
import torch
from skorch.callbacks import EpochTimer, GradientNormClipping
from torch import nn
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, LossClassifier, load, loss, register, registry, sampler
from sklearnloss.estimators._saving import saved
from sklearnloss.exceptions import LoadError, PluginWarning
from sklearnloss.plugins import Plugin
from sklearnloss.training.archive import pack, read_archive


def spoilt(raw, draw):
    """Return the bytes of a file with one fault of a random sort, and the sort."""
    raw = bytearray(raw)
    place = int(draw.integers(len(raw)))
    length = int(draw.integers(1, 200))
    # half of the faults strike the header, where a reader is most easily led astray
    if draw.random() < 0.5:
        place = int(draw.integers(120))
    sort = ["bit", "byte", "cut", "insertion", "deletion", "zeroes", "header length", "swap"][int(draw.integers(8))]
    match sort:
        case "bit":
            raw[place] ^= 1 << int(draw.integers(8))
        case "byte":
            raw[place] = int(draw.integers(256))
        case "cut":
            del raw[place:]
        case "insertion":
            raw[place:place] = draw.bytes(length)
        case "deletion":
            del raw[place : place + length]
        case "zeroes":
            raw[place : place + length] = bytes(len(raw[place : place + length]))
        case "header length":
            raw[:8] = int(draw.integers(1 << 63)).to_bytes(8, "little")
        case "swap":
            raw[place : place + 2 * length] = raw[place + length : place + 2 * length] + raw[place : place + length]
    return bytes(raw), sort


def test_a_file_changed_anywhere_is_refused_or_loads_the_same(quick, two_blobs, tmp_path):
    X, y = two_blobs
    model = quick(hidden_layer_sizes=(2,), max_epochs=1, calibrate="sigmoid", validation_fraction=0.3).fit(X, y)
    place = tmp_path / "model"
    model.save(place)
    raw, expected = place.read_bytes(), model.predict_proba(X)
    draw, counts, reasons = np.random.default_rng(0), Counter(), Counter()
    for _ in range(500):
        changed, sort = spoilt(raw, draw)
        place.write_bytes(changed)
        try:
            again = load(place)
        except LoadError as error:
            counts[sort, "refused"] += 1
            reasons[re.sub(r"\d+", "N", str(error).rpartition("' ")[2])] += 1
            assert changed != raw
            continue
        np.testing.assert_array_equal(again.predict_proba(X), expected)
        counts[sort, "the same"] += 1
        assert changed == raw
    print(dict(counts), dict(reasons), sep="\n")
    assert sum(counts.values()) == 500
    assert sum(n for (_, fate), n in counts.items() if fate == "refused") > 450
    assert len({sort for sort, _ in counts}) == 8
    assert len(reasons) >= 5


def forged(path, change):
    """Write a file whose content was changed, with a right checksum."""
    content, tensors = read_archive(path)
    change(content)
    path.write_bytes(pack(content, tensors))


def test_a_file_gives_a_factory_no_argument_that_no_fit_gives(quick, blobs, tmp_path):
    given = []

    def factory(n_features, n_outputs, weights=None):
        given.append(weights)
        return nn.Linear(n_features, n_outputs)

    quick(module=factory).fit(*blobs).save(tmp_path / "m")
    given.clear()
    forged(tmp_path / "m", lambda content: content["network"]["module_from"].update(weights="http://somewhere"))
    with pytest.raises(LoadError, match="a module is made with n_classes, n_features, n_outputs, random_state"):
        load(tmp_path / "m", module=factory)
    assert given == []


def test_a_state_replaces_no_method_and_no_parameter(quick, two_blobs, tmp_path):
    quick("ensloss").fit(*two_blobs).save(tmp_path / "m")
    metric = {"component": ["metric", "core:ece"]}
    key = next(iter(read_archive(tmp_path / "m")[0]["net"]["losses"]))
    forged(tmp_path / "m", lambda content: content["net"]["losses"][key]["attributes"].update(forward=metric))
    with pytest.raises(LoadError, match="has 'forward' itself; a state cannot replace it"):
        load(tmp_path / "m")
    quick("ensloss").fit(*two_blobs).save(tmp_path / "m")
    forged(tmp_path / "m", lambda content: content["attributes"].update(lr="x"))
    with pytest.raises(LoadError, match="has 'lr' itself"):
        load(tmp_path / "m")


def test_a_generator_beyond_its_end_and_an_array_larger_than_its_text_are_refused(quick, blobs, tmp_path):
    model = quick(random_state=np.random.RandomState(0)).fit(*blobs)
    model.save(tmp_path / "m")

    def beyond(content):
        pairs = dict(content["params"]["random_state"]["random_state"]["dict"])
        (place,) = [pair for pair in pairs["state"]["dict"] if pair[0] == "pos"]
        place[1] = 10**8

    forged(tmp_path / "m", beyond)
    with pytest.raises(LoadError, match="a generator stands beyond its end"):
        load(tmp_path / "m")
    model.save(tmp_path / "m")
    many = {"array": {"dtype": "<U262144", "shape": [1000], "values": [""] * 1000}}
    forged(tmp_path / "m", lambda content: content["attributes"].update(classes_=many))
    with pytest.raises(LoadError, match="an array has 1000 items of 1048576 bytes"):
        load(tmp_path / "m")


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # of torch's own, where compile is forged
def test_content_that_nobody_wrote_is_refused_even_with_a_right_checksum(quick, two_blobs, tmp_path):
    model = quick(hidden_layer_sizes=(2,), max_epochs=1).fit(*two_blobs)
    content, tensors = saved(model)
    draw, place = np.random.default_rng(0), tmp_path / "model"
    strange = [None, -1, 1e300, "x", [], {}, {"tuple": 3}, {"eval": "exit()"}, {"tensor": "nowhere"}, [[[]]], True]
    fates = Counter()
    for _ in range(150):
        forged = json.loads(json.dumps(content))
        spot = forged
        while isinstance(spot, dict | list) and spot:
            key = list(spot)[int(draw.integers(len(spot)))] if isinstance(spot, dict) else int(draw.integers(len(spot)))
            if not isinstance(spot[key], dict | list) or not spot[key] or draw.random() < 0.2:
                spot[key] = strange[int(draw.integers(len(strange)))]
                break
            spot = spot[key]
        place.write_bytes(pack(forged, tensors))
        try:
            load(place)
            fates["loaded"] += 1
        except LoadError:
            fates["refused"] += 1
    assert fates["refused"] > 50


def test_a_forged_size_of_a_layer_allocates_nothing(quick, two_blobs, tmp_path):
    model = quick(hidden_layer_sizes=(2,), max_epochs=1).fit(*two_blobs)
    content, tensors = saved(model)
    content["network"]["backbone"] = [["Linear", 10**9, 10**9], ["relu"]]
    (tmp_path / "model").write_bytes(pack(content, tensors))
    with pytest.raises(LoadError, match=r"the network is not what was saved: .*'backbone"):
        load(tmp_path / "model")


@pytest.mark.parametrize("name", ["predict", "get_params", "_fit", "__class__"])
def test_a_file_cannot_replace_a_method(quick, two_blobs, tmp_path, name):
    content, tensors = saved(quick(max_epochs=1).fit(*two_blobs))
    content["attributes"][name] = 1
    (tmp_path / "model").write_bytes(pack(content, tensors))
    with pytest.raises(LoadError, match=f"LossClassifier has '{name}' itself"):
        load(tmp_path / "model")


@pytest.mark.parametrize("place", ["os:path", "sklearnloss.cli.app:App", "subprocess:Popen", "antigravity:x"])
def test_a_file_cannot_make_a_class_of_elsewhere_nor_import_its_module(quick, two_blobs, tmp_path, place):
    content, tensors = saved(quick(max_epochs=1).fit(*two_blobs))
    content["class"] = place
    (tmp_path / "model").write_bytes(pack(content, tensors))
    module, _, name = place.partition(":")
    assert "antigravity" not in sys.modules
    with pytest.raises(LoadError, match=f"it holds {name} of {module}, which is not imported; import it first$"):
        load(tmp_path / "model")
    assert "antigravity" not in sys.modules


def test_a_parameter_of_another_version_is_named(quick, two_blobs, tmp_path):
    content, tensors = saved(quick(max_epochs=1).fit(*two_blobs))
    content["params"]["zeal"] = 1
    content["versions"]["sklearnloss"] = "9.0"
    (tmp_path / "model").write_bytes(pack(content, tensors))
    with pytest.raises(LoadError, match=r"has no parameter 'zeal' in sklearnloss .*; the file was saved by 9\.0$"):
        load(tmp_path / "model")


class Sub(LossClassifier):
    """A subclass of a user's."""


def test_a_subclass_that_is_imported_comes_back(two_blobs, tmp_path):
    model = Sub(max_epochs=1, random_state=0).fit(*two_blobs)
    model.save(tmp_path / "model")
    assert type(load(tmp_path / "model")) is Sub


# -- code of the user's -----------------------------------------------------------------------------------------------


class Net(nn.Module):
    """A backbone with a tied weight, dropout and a batch norm."""

    def __init__(self, n_features, width=6):
        super().__init__()
        self.first, self.second = nn.Linear(n_features, width), nn.Linear(width, width)
        self.third = nn.Linear(width, width)
        self.third.weight = self.second.weight
        self.norm, self.drop = nn.BatchNorm1d(width), nn.Dropout(0.3)

    def forward(self, X):
        return self.drop(self.norm(self.third(self.second(self.first(X)).relu())))


class Complete(nn.Module):
    """From rows to outputs."""

    def __init__(self, n_features, n_outputs):
        super().__init__()
        self.layer = nn.Linear(n_features, n_outputs)

    def forward(self, X):
        return self.layer(X)


def lazy(random_state):
    """A factory whose layers find their widths themselves."""
    torch.manual_seed(random_state)
    return nn.Sequential(nn.LazyLinear(5), nn.Tanh())


def wider(n_features):
    return Net(n_features, width=7)


def my_loss(logits, y, *, tau: float = 1.0):
    return cross_entropy(logits / tau, y, reduction="none")


def my_scores(scores, y):
    return (1 - (2 * y - 1) * scores).relu()


def halving(progress):
    return 0.5**progress


def my_head(width, n_outputs):
    return nn.Sequential(nn.Linear(width, 4), nn.Linear(4, n_outputs))


def agreement(estimator, X, y):
    return estimator.score(X, y)


@loss("keeping", task="multiclass")
class Keeping(nn.Module):
    def __init__(self, *, n_classes):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n_classes))

    def forward(self, logits, y):
        return cross_entropy(logits + self.bias, y, reduction="none")


@sampler("backwards")
def backwards(y, *, batch_size, rng):
    yield from np.array_split(np.arange(len(y) - 1, -1, -1), -(-len(y) // batch_size))


OWN = {
    "a class": {"module": Net},
    "an instance": {"module": nn.Sequential(nn.Linear(4, 8), nn.ReLU())},
    "a complete class": {"module": Complete},
    "a factory": {"module": lazy},
    "a function": {"loss": my_loss},
    "a class of loss": {"loss": Keeping},
    "a partial": {"loss": partial(my_loss, tau=2.0)},
    "torch's loss": {"loss": nn.MultiMarginLoss()},
    "a schedule": {"lr_schedule": halving},
    "a head": {"head": my_head},
    "a head on a module": {"head": my_head, "module": Net},
    "callbacks": {"callbacks": [GradientNormClipping(1.0), ("timer", EpochTimer())]},
    "a score": {"scoring": agreement, "early_stopping": True},
    "a sampler": {"sampler": backwards},
    "an optimizer": {"optimizer": torch.optim.RMSprop},
    "several": {"module": Net, "loss": my_loss, "lr_schedule": halving, "optimizer": torch.optim.RMSprop},
}


@pytest.mark.parametrize("case", OWN)
def test_code_that_is_handed_back_makes_the_same_model(quick, blobs, tmp_path, case):
    X, y = blobs
    params = OWN[case]
    model = quick(max_epochs=3).set_params(**params).fit(X, y)
    model.save(tmp_path / "model")
    given = {key: value for key, value in params.items() if key not in ("module", "early_stopping")}
    again = load(tmp_path / "model", module=params.get("module"), components=given)
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))
    model.set_params(early_stopping=False).partial_fit(X, y)
    again.set_params(early_stopping=False).partial_fit(X, y)
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))
    with pytest.raises(LoadError, match=r"code of yours is not stored, and '\w+'(, '\w+')* must be handed back: "):
        load(tmp_path / "model")


def test_terms_of_a_sum_and_parameters_of_a_spec_are_handed_back_by_their_place(quick, blobs, tmp_path):
    X, y = blobs
    model = quick(Loss(my_loss, tau=2.0) + 0.5 * Loss("ldr") + Loss(my_loss), max_epochs=2).fit(X, y)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model", components={"loss__my_loss": my_loss, "loss__my_loss_2": my_loss})
    assert again.loss == model.loss
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_what_is_missing_is_listed_with_the_call_that_gives_it(quick, blobs, tmp_path):
    place = tmp_path / "model"
    quick(my_loss, module=Net, lr_schedule=lambda p: 1 - p, max_epochs=1).fit(*blobs).save(place)
    with pytest.raises(LoadError) as caught:
        load(place, module=Net)
    name = "test_what_is_missing_is_listed_with_the_call_that_gives_it.<locals>.<lambda>"
    assert str(caught.value) == (
        f"'{place}': code of yours is not stored, and 'loss', 'lr_schedule' must be handed back: "
        f"sklearnloss.load('{place}', module=<the class Net of {__name__}>, components={{'loss': <the function my_loss "
        f"of {__name__}>, 'lr_schedule': <the function {name} of {__name__}>}})"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"module": Net}, "module= was given, but the file does not need it; it needs nothing"),
        (
            {"components": {"loss": my_loss}},
            "components['loss'] was given, but the file does not need it; it needs nothing",
        ),
    ],
)
def test_what_is_not_needed_is_refused(quick, blobs, tmp_path, given, message):
    quick(max_epochs=1).fit(*blobs).save(tmp_path / "model")
    with pytest.raises(LoadError, match=re.escape(message)):
        load(tmp_path / "model", **given)


def test_a_wrong_key_names_the_near_one(quick, blobs, tmp_path):
    quick(my_loss, max_epochs=1).fit(*blobs).save(tmp_path / "model")
    with pytest.raises(LoadError, match=r"components\['los'\] was given, .*; did you mean 'loss'\?; it needs 'loss'$"):
        load(tmp_path / "model", components={"los": my_loss})


@pytest.mark.parametrize(
    ("params", "wrong", "message"),
    [
        ({"module": Net}, {"module": wider}, r"'backbone.first.weight' is \(7, 4\), and \(6, 4\) in"),
        ({"module": Net}, {"module": nn.Linear(4, 6)}, r"the module is not .*: the \w+ has 'backbone\.bias', and"),
        ({"module": Net}, {"module": Complete}, r"the module names n_outputs, and the one that was saved did not"),
        ({"module": Complete}, {"module": Net}, r"the module does not name n_outputs, and the one that was saved did"),
        ({"module": Net}, {"module": 3}, r"module must be None, an nn.Module, or a class or factory of one, got 3"),
        ({"module": Net}, {"module": Net(5)}, r"'backbone.first.weight' is \(6, 5\), and \(6, 4\) in the file"),
        ({"loss": my_loss}, {"loss": my_scores}, r"loss 'my_scores' works on scores, the one that was saved on logits"),
        ({"loss": Keeping}, {"loss": my_loss}, r"the loss is not .*: the file has 'terms\.0\.modules_\.0\.bias'"),
        ({"loss": my_loss}, {"loss": 7}, r"7 is no loss"),
        ({"head": my_head}, {"head": nn.Linear}, r"the network is not what was saved"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_what_is_wrong(quick, blobs, tmp_path, params, wrong, message):
    quick(max_epochs=1).set_params(**params).fit(*blobs).save(tmp_path / "model")
    given = {key: value for key, value in wrong.items() if key != "module"}
    with pytest.raises(LoadError, match=message):
        load(tmp_path / "model", module=wrong.get("module"), components=given)


def test_a_users_tied_weights_stay_tied(quick, blobs, tmp_path):
    X, y = blobs
    model = quick(module=Net, max_epochs=1).fit(X, y)
    model.save(tmp_path / "model")
    backbone = load(tmp_path / "model", module=Net).net_.module_.backbone
    assert backbone.third.weight is backbone.second.weight


def test_an_instance_that_is_handed_back_is_not_changed(quick, blobs, tmp_path):
    instance = nn.Linear(4, 6)
    quick(module=instance, max_epochs=1).fit(*blobs).save(tmp_path / "model")
    before = instance.weight.clone()
    load(tmp_path / "model", module=instance)
    assert torch.equal(instance.weight, before)


def test_loading_leaves_torchs_generator_as_it_was(quick, blobs, tmp_path):
    quick(module=Net, max_epochs=1).fit(*blobs).save(tmp_path / "model")
    before = torch.get_rng_state()
    load(tmp_path / "model", module=Net)
    assert torch.equal(before, torch.get_rng_state())


# -- plugins ----------------------------------------------------------------------------------------------------------


@loss("acme_margin", task="multiclass")
def acme_margin(logits, y, *, margin: float = 1.0):
    return cross_entropy(margin * logits, y, reduction="none")


@loss("acme_margin", task="multiclass")
def without_margin(logits, y):
    return cross_entropy(logits, y, reduction="none")


@loss("other", task="multiclass")
def other(logits, y):
    return logits.sum(1)


@loss("ldr", task="multiclass")
def twin(logits, y):
    return logits.sum(1)


def acme(*objects, version="0.3.0", reason="", name="acme"):
    owned = tuple(obj.component.owned_by(name, version) for obj in objects)
    return Plugin(name, f"sklearnloss-{name}", version, owned, reason)


@pytest.fixture
def install(monkeypatch):
    """Return a function that puts plugins beside the core."""
    core = registry.plugins()[0]

    def put(*plugins):
        fresh = registry.Registry()
        monkeypatch.setattr(registry, "load_plugins", lambda: [core, *plugins])
        monkeypatch.setattr(registry, "registry", fresh)

    return put


NEEDS = "this file needs plugin 'acme' (sklearnloss-acme 0.3.0)"


@pytest.fixture
def acme_file(install, quick, blobs, tmp_path):
    """The file of a model with a plugin's loss."""
    install(acme(acme_margin))
    quick(Loss("acme_margin", margin=2.0), max_epochs=2).fit(*blobs).save(tmp_path / "model")
    return tmp_path / "model"


def test_a_plugin_that_is_there_serves(acme_file, blobs):
    assert load(acme_file).loss == Loss("acme_margin", margin=2.0)


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ([], f"{NEEDS}, which is not installed: pip install sklearnloss-acme"),
        ([acme(reason="disabled by you")], f"{NEEDS}, which was not loaded: disabled by you"),
        ([acme(reason="No module named 'faiss'")], f"{NEEDS}, which was not loaded: No module named 'faiss'"),
        (
            [acme(other, version="0.4.0")],
            "sklearnloss-acme 0.4.0 has no loss 'acme_margin'; the file was saved with sklearnloss-acme 0.3.0: "
            "pip install sklearnloss-acme==0.3.0",
        ),
    ],
    ids=["missing", "disabled", "broken", "without the loss"],
)
def test_a_plugin_that_does_not_serve_is_named_with_distribution_and_version(install, acme_file, plugins, message):
    install(*plugins)
    with pytest.raises(LoadError) as caught:
        load(acme_file)
    assert str(caught.value) == f"'{acme_file}': {message}"


def test_a_parameter_that_a_plugin_has_dropped_is_named(install, acme_file):
    install(acme(without_margin, version="1.0"))
    wanted = r"sklearnloss-acme 1\.0 has no parameter 'margin' of loss 'acme_margin'; the file was saved with"
    with pytest.raises(LoadError, match=wanted):
        load(acme_file)


def test_another_version_of_a_plugin_is_a_warning(install, acme_file, blobs):
    install(acme(acme_margin, version="0.5.0"))
    wanted = (
        r"^the file was saved with plugin 'acme' \(sklearnloss-acme 0\.3\.0\), and here is version 0\.5\.0; results may"
    )
    with pytest.warns(PluginWarning, match=wanted) as caught:
        load(acme_file)
    assert caught[0].filename == __file__


def test_a_short_name_that_became_ambiguous_is_written_in_full(install, quick, blobs, tmp_path):
    X, y = blobs
    models = [quick("ldr", max_epochs=1).fit(X, y), quick(Loss("ldr", lam=2.0) + Loss("focal"), max_epochs=1).fit(X, y)]
    for number, model in enumerate(models):
        model.save(tmp_path / str(number))
    expected = [model.predict_proba(X) for model in models]
    install(acme(twin, name="twin"))
    again = [load(tmp_path / str(number)) for number in range(2)]
    assert again[0].loss == "core:ldr"
    assert again[1].loss == Loss("core:ldr", lam=2.0) + Loss("focal")
    for model, proba in zip(again, expected, strict=True):
        np.testing.assert_array_equal(model.predict_proba(X), proba)


def test_a_name_of_one_process_must_be_registered_again(install, quick, blobs, tmp_path):
    install()
    register(acme_margin)
    quick("acme_margin", max_epochs=1).fit(*blobs).save(tmp_path / "model")
    load(tmp_path / "model")
    install()
    wanted = r"loss 'acme_margin' was known to one process by sklearnloss\.register; register it before loading$"
    with pytest.raises(LoadError, match=wanted):
        load(tmp_path / "model")
