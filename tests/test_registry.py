"""Names: what they find, and what the message says when they find nothing or too much."""

import multiprocessing

import pytest

from sklearnloss import Loss, loss, registry, sampler
from sklearnloss.exceptions import AmbiguousNameError, ComponentError, UnknownNameError
from sklearnloss.plugins import Plugin
from sklearnloss.registry import Registry, components, find, lookup, register


@loss("ldr", task="multiclass", aliases=["soft_gap"])
def ldr(logits, y):
    """One."""
    return logits.sum(1)


@loss("focal", task="multiclass")
def focal(logits, y):
    """Two."""
    return logits.sum(1)


@loss("focal", task="multiclass")
def acme_focal(logits, y):
    """Three."""
    return logits.sum(1)


@sampler("focal")
def focal_sampler(y, *, batch_size, rng):
    """Four."""
    yield from ()


@sampler("turns")
def turns(y, *, batch_size, rng):
    """Five."""
    yield from ()


def plugin(name, *objects):
    return Plugin(name, f"sklearnloss-{name}", "1.0", tuple(obj.component.owned_by(name, "1.0") for obj in objects))


@pytest.fixture(autouse=True)
def two_plugins(monkeypatch):
    """A registry in which two plugins have a loss of the same name; the list counts how often it was loaded."""
    loads = []

    def load():
        loads.append(1)
        return [plugin("core", ldr, focal, turns), plugin("acme", acme_focal, focal_sampler)]

    monkeypatch.setattr(registry, "load_plugins", load)
    monkeypatch.setattr(registry, "registry", Registry())
    return loads


def test_plugins_are_loaded_once_and_at_the_first_look_up(two_plugins):
    Loss("ldr", lam=1.0)
    assert two_plugins == []
    lookup("loss", "ldr")
    components()
    assert two_plugins == [1]


@pytest.mark.parametrize("name", ["ldr", "core:ldr", "soft_gap", "core:soft_gap"])
def test_a_name_a_full_name_and_an_alias_find_the_same(name):
    assert lookup("loss", name).obj is ldr


def test_a_full_name_tells_plugins_apart():
    assert lookup("loss", "core:focal").obj is focal
    assert lookup("loss", "acme:focal").obj is acme_focal


def test_kinds_are_apart():
    assert lookup("sampler", "focal").obj is focal_sampler


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("loss", "lrd", "unknown loss 'lrd'; did you mean 'ldr'? (3 are registered: sklearnloss list)"),
        ("loss", "nothing_near", "unknown loss 'nothing_near' (3 are registered: sklearnloss list)"),
        ("loss", "turns", "unknown loss 'turns'; it is a sampler (3 are registered: sklearnloss list)"),
        ("sampler", "turnz", "unknown sampler 'turnz'; did you mean 'turns'? (2 are registered: sklearnloss list)"),
        ("miner", "hard", "unknown miner 'hard' (0 are registered: sklearnloss list)"),
    ],
)
def test_an_unknown_name_says_what_was_given_what_is_near_and_how_many_there_are(kind, name, message):
    with pytest.raises(UnknownNameError) as caught:
        lookup(kind, name)
    assert str(caught.value) == message


def test_a_plugin_that_does_not_have_the_name_does_not_find_it():
    with pytest.raises(UnknownNameError, match=r"^unknown loss 'acme:ldr'"):
        lookup("loss", "acme:ldr")


def test_an_ambiguous_name_lists_the_full_names():
    with pytest.raises(AmbiguousNameError) as caught:
        Loss("focal").choose()
    assert str(caught.value) == "loss 'focal' is ambiguous: acme:focal, core:focal; write the full name"


def test_in_a_worker_the_message_says_why_a_name_may_be_missing(monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "a process")
    with pytest.raises(UnknownNameError) as caught:
        lookup("loss", "my_own")
    assert str(caught.value).endswith(
        "(3 are registered: sklearnloss list). Names given to sklearnloss.register live in one process: pass the "
        "function itself, or install it as a plugin"
    )


def test_components_are_sorted_by_kind_the_core_first_and_then_by_name():
    names = [f"{c.kind} {c.full_name}" for c in components()]
    assert names == ["loss core:focal", "loss core:ldr", "loss acme:focal", "sampler core:turns", "sampler acme:focal"]
    assert [c.full_name for c in components("sampler")] == ["core:turns", "acme:focal"]


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(UnknownNameError, match=r"^unknown kind 'losses'; did you mean 'loss'\?.*loss, reduction, "):
        components("losses")


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ("focal", [focal, acme_focal, focal_sampler]),
        ("loss:focal", [focal, acme_focal]),
        ("sampler:focal", [focal_sampler]),
        ("acme:focal", [acme_focal, focal_sampler]),
        ("acme:loss:focal", [acme_focal]),
        ("core:loss:soft_gap", [ldr]),
    ],
)
def test_find_takes_a_name_with_kind_and_plugin(text, objects):
    assert [c.obj for c in find(text)] == objects


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lrd", "unknown component 'lrd'; did you mean 'ldr'? (sklearnloss list)"),
        ("sampler:ldr", "unknown component 'sampler:ldr' (sklearnloss list)"),
        ("zzz:ldr", "unknown component 'zzz:ldr'; did you mean 'ldr'? (sklearnloss list)"),
        ("", "unknown component '' (sklearnloss list)"),
    ],
)
def test_find_says_what_is_near(text, message):
    with pytest.raises(UnknownNameError) as caught:
        find(text)
    assert str(caught.value) == message


def test_register_adds_a_name_to_this_process():
    @register
    @loss("my_own", task="multiclass", aliases=["mine"])
    def my_own(logits, y):
        return logits.sum(1)

    assert lookup("loss", "my_own").obj is lookup("loss", "local:mine").obj is my_own


def test_registering_a_name_again_replaces_it():
    def cell():
        @register
        @loss("my_own", task="multiclass")
        def my_own(logits, y):
            return logits.sum(1)

        return my_own

    first, second = cell(), cell()
    assert first is not second
    assert lookup("loss", "my_own").obj is second
    assert [c.name for c in components("loss")].count("my_own") == 1


def test_registering_a_name_of_the_core_makes_it_ambiguous():
    @register
    @loss("ldr", task="multiclass")
    def my_ldr(logits, y):
        return logits.sum(1)

    with pytest.raises(AmbiguousNameError, match="core:ldr, local:ldr"):
        lookup("loss", "ldr")
    assert lookup("loss", "local:ldr").obj is my_ldr


def test_only_what_a_decorator_marked_can_be_registered():
    with pytest.raises(ComponentError, match="is no component; mark it with a decorator"):
        register(lambda logits, y: logits)
