"""The pair kernel against plain torch over the whole matrix: blocks, weights, derivatives, columns, extras, miners."""

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from sklearnloss.functional import pairs
from sklearnloss.functional.pairs import Batch, Extra, Kept, Mined, OnPartners, Rule, Window, per_anchor

# -- rules, once over a block and once over the whole matrix ----------------------------------------------------------


def soft(block):
    """Squares of positives, and the log-sum-exp of one and the negatives."""
    push = torch.cat([torch.zeros_like(block.values[:, :1]), block.negatives(-torch.inf)], 1).logsumexp(1)
    return block.positives(0.0).square().sum(1) + push, torch.ones_like(push)


def soft_dense(values, positive, negative):
    zero = torch.zeros_like(values[:, :1])
    push = torch.cat([zero, values.masked_fill(~negative, -torch.inf)], 1).logsumexp(1)
    return torch.where(positive, values, 0.0).square().sum(1) + push, torch.ones_like(push)


def soft_slope(block):
    positives = block.positives(0.0)
    shares = block.negatives_(-torch.inf)
    push = torch.cat([torch.zeros_like(shares[:, :1]), shares], 1).logsumexp(1)
    shares.sub_(push[:, None]).exp_()
    slopes = [block.add_to_partners_(shares, 2 * positives)]
    return positives.square().sum(1) + push, torch.ones_like(push), slopes


def apart(block):
    """The same kinds of terms, each in a part of its own."""
    parts = [block.positives(0.0).square().sum(1), block.negatives(0.0).exp().sum(1) - block.values.shape[1]]
    return torch.stack(parts, 1), torch.stack([block.n_positives, block.n_negatives], 1)


def apart_dense(values, positive, negative):
    parts = [torch.where(positive, values, 0.0).square().sum(1), torch.where(negative, values, 0.0).exp().sum(1)]
    return torch.stack([parts[0], parts[1] - values.shape[1]], 1), torch.stack([positive.sum(1), negative.sum(1)], 1)


def apart_slope(block):
    positives, n = block.positives(0.0), block.values.shape[1]
    values = block.negatives_(0.0)
    exists = torch.stack([block.n_positives, block.n_negatives], 1)
    totals = torch.stack([positives.square().sum(1), values.exp().sum(1) - n], 1)
    return totals, exists, [OnPartners(2 * positives), values.exp() * (values != 0)]


def powers(block):
    """Sums of three powers over all pairs."""
    others = block.others(0.0)
    return torch.stack([others, others**2, others**3], 2).sum(1), (block.n_positives + block.n_negatives)[:, None] + (
        torch.zeros(3, dtype=torch.long)
    )


def powers_dense(values, positive, negative):
    others = torch.where(positive | negative, values, 0.0)
    counts = (positive | negative).sum(1, keepdim=True).expand(-1, 3)
    return torch.stack([others, others**2, others**3], 2).sum(1), counts


def gaps(block):
    """Products over (anchor, positive, negative)."""
    products = block.positives(0.0)[:, :, None] * block.negatives(0.0)[:, None] ** 2
    exists = block.triples()
    return torch.where(exists, products, 0.0).sum((1, 2)), exists.sum((1, 2))


def sums(block):
    """Products over (anchor, positive, negative) of what both are to the negative."""
    products = (block.negatives(0.0)[:, None] * block.partner_values).sum(2)
    return torch.where(block.is_positive, products, 0.0).sum(1), block.n_positives


def gaps_dense(values, positive, negative, kept=None):
    exists = positive[:, :, None] & negative[:, None]
    exists = exists if kept is None else exists & kept
    return torch.where(exists, values[:, :, None] * values[:, None] ** 2, 0.0).sum((1, 2)), exists.sum((1, 2))


RULES = {
    "plain": (Rule(soft, scale=3.0), soft_dense),
    "by hand": (Rule(soft, soft_slope, scale=3.0), soft_dense),
    "two parts": (Rule(apart, parts=2), apart_dense),
    "two parts by hand": (Rule(apart, apart_slope, parts=2), apart_dense),
    "three parts": (Rule(powers, parts=3), powers_dense),
    "triplets": (Rule(gaps, triplets=True, arrays=True), gaps_dense),
}
LABELS = (0, 1, 0, 2, 1, 0, 2, 1, 0, 3)
COMPARE = ("cosine", "dot", "euclidean", "callable")


def manhattan(a, b):
    return (a[:, None] - b[None]).abs().sum(2)


def batch(labels=LABELS, d=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(labels), d, generator=generator, dtype=torch.float64)
    return rows.requires_grad_(), torch.tensor(labels)


def measure(a, b, compare, scale=1.0):
    if compare == "callable":
        return manhattan(a, b)
    if compare == "dot":
        return scale * (a @ b.T)
    a, b = normalize(a, dim=-1), normalize(b, dim=-1)
    if compare == "cosine":
        return scale * (a @ b.T)
    return ((a[:, None] - b[None]).square().sum(2) + 1e-300).sqrt()


def masks(y, y_columns=None, alone=True):
    same = y[:, None] == (y if y_columns is None else y_columns)[None]
    itself = torch.eye(*same.shape, dtype=torch.bool) if alone else torch.zeros_like(same)
    return same & ~itself, ~same


def dense(name, embeddings, y, compare="cosine"):
    rule, whole = RULES[name]
    scale = rule.scale if compare in ("cosine", "dot") else 1.0
    return whole(measure(embeddings, embeddings, compare, scale), *masks(y))


def blockwise(name, embeddings, y, compare="cosine", **options):
    compare = manhattan if compare == "callable" else compare
    return per_anchor(RULES[name][0], embeddings, y, compare=compare, **options)


def gradient(totals, *inputs):
    return torch.autograd.grad(totals, inputs)


@pytest.fixture
def low(monkeypatch):
    """Blocks of two or three rows."""
    monkeypatch.setitem(pairs.HIGHEST, "cpu", 3)
    monkeypatch.setitem(pairs.ENTRIES, "cpu", 40)


@pytest.fixture
def runs(monkeypatch):
    """How often the blocks were walked over."""
    calls = []
    run = Batch.run
    monkeypatch.setattr(Batch, "run", lambda self, *a, **k: calls.append(1) or run(self, *a, **k))
    return calls


# -- blocks and weights -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("compare", COMPARE)
@pytest.mark.parametrize("name", RULES)
def test_blocks_give_the_values_and_gradients_of_the_whole_matrix(name, compare):
    embeddings, y = batch()
    totals, counts = blockwise(name, embeddings, y, compare)
    wanted, wanted_counts = dense(name, embeddings, y, compare)
    assert_close(totals, wanted)
    assert_close(counts, wanted_counts.double())
    assert_close(gradient(totals.sum(), embeddings), gradient(wanted.sum(), embeddings))


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("compare", ["cosine", "euclidean"])
@pytest.mark.parametrize("d", [2, 40])
def test_the_slope_of_partners_is_that_of_a_matrix_in_few_dimensions_and_in_many(d, compare):
    embeddings, y = batch(d=d)
    found, wanted = (
        gradient(whole("two parts by hand", embeddings, y, compare)[0].sum(), embeddings)
        for whole in (blockwise, dense)
    )
    assert_close(found, wanted)


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("compare", COMPARE)
@pytest.mark.parametrize("name", RULES)
def test_anchors_and_parts_may_weigh_differently(name, compare):
    embeddings, y = batch()
    totals, wanted = blockwise(name, embeddings, y, compare)[0], dense(name, embeddings, y, compare)[0]
    weights = torch.linspace(-1, 2, totals.numel(), dtype=torch.float64).view_as(totals)
    found = gradient((weights * totals).sum(), embeddings)
    assert_close(found, gradient((weights * wanted).sum(), embeddings))


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize(
    ("name", "times"), [("plain", 1), ("by hand", 1), ("two parts", 1), ("two parts by hand", 1), ("three parts", 2)]
)
def test_equal_weights_take_one_pass_where_there_are_few_parts(name, times, runs):
    embeddings, y = batch()
    totals, counts = blockwise(name, embeddings, y)
    (totals.sum(0) / counts.sum(0)).sum().backward()
    assert len(runs) == times


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("name", ["plain", "by hand", "two parts"])
def test_different_weights_take_a_second_pass(name, runs):
    embeddings, y = batch()
    totals, _ = blockwise(name, embeddings, y)
    (totals * torch.arange(totals.numel()).view_as(totals)).sum().backward()
    assert len(runs) == 2


def test_a_call_without_gradients_makes_none(runs):
    embeddings, y = batch()
    with torch.no_grad():
        totals, _ = blockwise("by hand", embeddings, y)
    assert not totals.requires_grad
    assert len(runs) == 1


def test_added_columns_without_row_numbers_stand_before_those_with():
    embeddings, y = batch()
    more, older = (torch.randn(len(y), 4, generator=torch.Generator().manual_seed(k), dtype=y_dtype) for k, y_dtype in
                   ((1, embeddings.dtype), (2, embeddings.dtype)))  # fmt: skip
    index = torch.arange(len(y))
    unknown, known = Extra(more, y), Extra(older, y, index)

    def counted(block):
        return block.positives(0.0).sum(1), block.n_positives

    both = [
        per_anchor(Rule(counted), embeddings, y, pairs=Mined(extra=extra, index=index))
        for extra in ((unknown, known), (known, unknown))
    ]
    assert_close(both[0], both[1])
    mates = (y[:, None] == y).sum(1)
    assert_close(both[0][1], (mates - 1 + mates + mates - 1).to(embeddings.dtype))


def test_counts_carry_no_gradient():
    _, counts = blockwise("plain", *batch())
    assert not counts.requires_grad


class Largest(TorchDispatchMode):
    """Remembers the most entries of a tensor that an operation made."""

    entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.entries = max(self.entries, tensor.numel())
        return result


@pytest.mark.parametrize("compare", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", RULES)
def test_no_tensor_is_larger_than_a_block(name, compare, monkeypatch):
    monkeypatch.setitem(pairs.ENTRIES, "cpu", 2_000)
    embeddings, y = batch([i // 4 for i in range(300)])
    with Largest() as largest:
        totals, counts = blockwise(name, embeddings, y, compare)
        (totals / counts.clamp(min=1)).sum().backward()
    most = 3 * 2_000  # three powers side by side
    assert embeddings.numel() <= largest.entries <= most < len(y) ** 2


# -- derivatives ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("compare", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", RULES)
def test_has_second_derivatives(name, compare):
    embeddings, y = batch(LABELS[:6], d=3)
    assert torch.autograd.gradgradcheck(lambda e: blockwise(name, e, y, compare)[0], embeddings)


@pytest.mark.parametrize("compare", COMPARE)
@pytest.mark.parametrize("name", RULES)
def test_vmap_equals_a_loop(name, compare):
    embeddings, y = batch()
    stack = torch.stack([embeddings.detach(), embeddings.detach().flip(0), embeddings.detach() ** 3])

    def value(e):
        return blockwise(name, e, y, compare)[0].sum()

    assert_close(torch.func.vmap(value)(stack), torch.stack([value(e) for e in stack]))
    wanted = torch.stack([gradient(value(leaf), leaf)[0] for leaf in (e.clone().requires_grad_() for e in stack)])
    assert_close(torch.func.vmap(torch.func.grad(value))(stack), wanted)


# -- columns and extras -----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("compare", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", RULES)
def test_anchors_may_be_compared_with_other_columns(name, compare):
    embeddings, y = batch()  # class 3 has no column, class 7 no anchor
    columns, y_columns = batch((0, 7, 1, 0, 2, 7, 1), seed=1)
    totals, counts = blockwise(name, embeddings, y, compare, columns=columns, y_columns=y_columns)
    rule, whole = RULES[name]
    values = measure(embeddings, columns, compare, rule.scale if compare in ("cosine", "dot") else 1.0)
    wanted, wanted_counts = whole(values, *masks(y, y_columns, alone=False))
    assert_close(totals, wanted)
    assert_close(counts, wanted_counts.double())
    assert_close(gradient(totals.sum(), embeddings, columns), gradient(wanted.sum(), embeddings, columns))


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("compare", COMPARE)
def test_extra_columns_are_more_positives_and_negatives(compare):
    embeddings, y = batch()
    more, y_more = batch((0, 5, 1, 3), seed=1)
    totals, _ = blockwise("two parts", embeddings, y, compare, pairs=Mined(extra=(Extra(more, y_more),)))
    values = measure(embeddings, torch.cat([embeddings, more]), compare)
    wanted, _ = apart_dense(values, *masks(y, torch.cat([y, y_more])))
    assert_close(totals, wanted)
    assert_close(gradient(totals.sum(), embeddings, more), gradient(wanted.sum(), embeddings, more))


@pytest.mark.usefixtures("low")
def test_a_column_is_no_positive_of_the_row_that_it_was_made_from():
    embeddings, y = batch()
    index = torch.arange(100, 100 + len(y))
    copies = Extra(embeddings.detach(), y, index)
    _, counts = blockwise("two parts", embeddings, y, pairs=Mined(extra=(copies,), index=index))
    size = (y[:, None] == y).sum(1).double()
    assert_close(counts[:, 0], 2.0 * (size - 1))
    assert_close(counts[:, 1], 2.0 * (len(y) - size))
    _, unaware = blockwise("two parts", embeddings, y, pairs=Mined(extra=(Extra(embeddings.detach(), y),)))
    assert_close(unaware[:, 0], 2.0 * size - 1)


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("compare", COMPARE)
@pytest.mark.parametrize("name", ["plain", "two parts"])
def test_each_anchor_may_have_negatives_of_its_own(name, compare):
    embeddings, y = batch()
    generator = torch.Generator().manual_seed(2)
    own = torch.randn(len(y), 3, 4, generator=generator, dtype=torch.float64).requires_grad_()
    totals, counts = blockwise(name, embeddings, y, compare, pairs=Mined(extra=(Extra(own),)))
    rule, whole = RULES[name]
    scale = rule.scale if compare in ("cosine", "dot") else 1.0
    values = [measure(embeddings, embeddings, compare, scale)]
    values.append(torch.cat([measure(e[None], o, compare, scale) for e, o in zip(embeddings, own, strict=True)]))
    positive, negative = masks(y)
    new = torch.ones(len(y), 3, dtype=torch.bool)
    wanted, wanted_counts = whole(torch.cat(values, 1), torch.cat([positive, ~new], 1), torch.cat([negative, new], 1))
    assert_close(totals, wanted)
    assert_close(counts, wanted_counts.double())
    assert_close(gradient(totals.sum(), embeddings, own), gradient(wanted.sum(), embeddings, own))


# -- miners -----------------------------------------------------------------------------------------------------------


def coins(*shape, seed=3):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.6


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("name", RULES)
def test_a_miner_of_pairs_leaves_the_others_out(name):
    embeddings, y = batch()
    kept = coins(len(y), len(y))
    totals, counts = blockwise(name, embeddings, y, pairs=Mined(lambda block: Kept(kept[block.rows])))
    positive, negative = masks(y)
    rule, whole = RULES[name]
    values = measure(embeddings, embeddings, "cosine", rule.scale)
    wanted, wanted_counts = whole(values, positive & kept, negative & kept)
    assert_close(totals, wanted)
    assert_close(counts, wanted_counts.double())
    assert_close(gradient(totals.sum(), embeddings), gradient(wanted.sum(), embeddings))


def triples_of(kind, embeddings, y):
    """A miner, and which (anchor, positive, negative) it keeps, (n, n, n)."""
    if kind == "triplet":
        kept = coins(len(y), len(y), len(y))

        def select(block):
            partners = block.partners[:, :, None].expand(-1, -1, len(y))
            return Kept(triplets=kept[block.rows].gather(1, partners))

        return Mined(select, unit="triplet"), kept
    distances = measure(embeddings, embeddings, "euclidean").detach()
    gap = distances[:, None] - distances[:, :, None]
    window = Window(-0.2, 0.5)
    return Mined(lambda _: Kept(triplets=window), unit="window"), (gap > window.low) & (gap < window.high)


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("compare", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["window", "triplet"])
def test_a_miner_of_triplets_is_asked_by_rules_of_triplets(kind, compare):
    embeddings, y = batch()
    mined, kept = triples_of(kind, embeddings, y)
    totals, counts = blockwise("triplets", embeddings, y, compare, pairs=mined)
    wanted, wanted_counts = gaps_dense(measure(embeddings, embeddings, compare), *masks(y), kept)
    assert 0 < counts.sum() < gaps_dense(measure(embeddings, embeddings, compare), *masks(y))[1].sum()
    assert_close(totals, wanted)
    assert_close(counts, wanted_counts.double())
    assert_close(gradient(totals.sum(), embeddings), gradient(wanted.sum(), embeddings))


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("compare", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["window", "triplet"])
def test_to_rules_of_pairs_a_miner_of_triplets_keeps_the_pairs_in_them(kind, compare):
    embeddings, y = batch()
    mined, kept = triples_of(kind, embeddings, y)
    totals, counts = blockwise("two parts", embeddings, y, compare, pairs=mined)
    positive, negative = masks(y)
    exists = kept & positive[:, :, None] & negative[:, None]
    wanted, wanted_counts = apart_dense(measure(embeddings, embeddings, compare), exists.any(2), exists.any(1))
    assert_close(totals, wanted)
    assert_close(counts, wanted_counts.double())


def test_what_a_miner_sees_are_cosines_and_distances_without_a_gradient():
    embeddings, y = batch()
    seen = []

    def select(block):
        seen.append((block.cosines, block.distances))
        return Kept()

    cosines, distances = (measure(embeddings, embeddings, c).detach() for c in ("cosine", "euclidean"))
    for compare, wanted in (
        ("cosine", distances),
        ("euclidean", distances),
        ("callable", manhattan(*[embeddings] * 2)),
    ):
        seen.clear()
        blockwise("plain", embeddings, y, compare, pairs=Mined(select))
        ((found_cosines, found_distances),) = seen
        assert not found_cosines.requires_grad
        assert not found_distances.requires_grad
        assert_close(found_cosines, cosines)
        assert_close(found_distances, wanted.detach(), atol=1e-7, rtol=0)


def test_an_anchor_remembers_that_it_had_a_positive_before_the_miner():
    embeddings, y = batch()
    nothing = Mined(lambda block: Kept(torch.zeros_like(block.values, dtype=torch.bool)))
    rule = Rule(lambda block: (block.values.sum(1) * 0, block.had_positive))
    _, counts = per_anchor(rule, embeddings, y, pairs=nothing)
    assert_close(counts, masks(y)[0].any(1).double())


# -- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("compare", ["cosine", "euclidean"])
@pytest.mark.parametrize("name", RULES)
def test_zero_vectors_duplicates_and_far_ones_keep_all_finite(name, compare, dtype):
    rows = [[0.0, 0.0], [0.0, 0.0], [200.0, -200.0], [200.0, -200.0], [1.0, 1.0], [1.0, 1.0], [1e-30, 0.0]]
    embeddings = torch.tensor(rows, dtype=dtype, requires_grad=True)
    totals, counts = blockwise(name, embeddings, torch.tensor([0, 1, 0, 0, 1, 0, 1]), compare)
    totals.sum().backward()
    assert totals.dtype == counts.dtype == dtype
    assert totals.isfinite().all()
    assert embeddings.grad.isfinite().all()


def test_duplicates_pull_each_other_nowhere():
    embeddings = torch.ones(2, 3, dtype=torch.float64, requires_grad=True)
    distances, _ = per_anchor(
        Rule(lambda block: (block.positives(0.0).sum(1), block.n_positives)),
        embeddings,
        torch.zeros(2, dtype=torch.long),
        compare="euclidean",
    )
    distances.sum().backward()
    assert (distances < 1e-7).all()
    assert (embeddings.grad == 0).all()


@pytest.mark.parametrize("name", RULES)
def test_low_precision_is_computed_in_float32_also_under_autocast(name):
    embeddings, y = batch()
    half = embeddings.detach().bfloat16().requires_grad_()
    full = half.detach().float().requires_grad_()
    wanted, _ = blockwise(name, full, y)
    wanted.sum().backward()
    for enabled in (False, True):
        half.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            totals, _ = blockwise(name, half, y)
        totals.sum().backward()
        assert totals.dtype == torch.bfloat16
        assert_close(totals, wanted.bfloat16())
        assert_close(half.grad, full.grad.bfloat16())


@pytest.mark.parametrize("labels", [(0,), (0, 0), (0, 1), (0, 1, 2, 3)])
@pytest.mark.parametrize("name", RULES)
def test_batches_without_positives_or_negatives_have_a_valid_gradient(name, labels):
    embeddings, y = batch(labels)
    totals, _ = blockwise(name, embeddings, y)
    totals.sum().backward()
    assert_close(totals, dense(name, embeddings, y)[0])
    assert embeddings.grad.isfinite().all()


# -- partners and columns ---------------------------------------------------------------------------------------------


INNER = Rule(sums, arrays=True, inner=True)


def sums_dense(unit, y, own=None):
    positive, negative = masks(y)
    s = unit @ unit.T
    products = torch.where(negative[:, None], s[:, None] * s[None], 0.0).sum(2)  # (n, n)
    if own is not None:
        own = normalize(own, dim=2)
        mine, theirs = torch.einsum("id,isd->is", unit, own), torch.einsum("jd,isd->ijs", unit, own)
        products = products + (mine[:, None] * theirs).sum(2)
    return torch.where(positive, products, 0.0).sum(1)


@pytest.mark.usefixtures("low")
@pytest.mark.parametrize("further", [False, True])
def test_a_rule_may_look_at_what_partners_are_to_the_columns(further):
    embeddings, y = batch()
    own = torch.sin(torch.arange(len(y) * 8.0, dtype=torch.float64)).reshape(len(y), 2, 4).requires_grad_()
    mined = Mined(extra=(Extra(own),)) if further else None
    totals, _ = per_anchor(INNER, embeddings, y, pairs=mined)
    wanted = sums_dense(normalize(embeddings, dim=1), y, own if further else None)
    assert_close(totals, wanted)
    leaves = (embeddings, own) if further else (embeddings,)
    for weights in (torch.ones(len(y)), torch.arange(len(y))):
        found, expected = (
            torch.autograd.grad((weights * t).sum(), leaves, retain_graph=True) for t in (totals, wanted)
        )
        assert_close(found, expected)


def test_such_a_rule_has_second_derivatives_and_maps():
    embeddings, y = batch(LABELS[:6], d=3)
    assert torch.autograd.gradgradcheck(lambda e: per_anchor(INNER, e, y)[0], embeddings)
    stack = torch.stack([embeddings.detach(), embeddings.detach().flip(0)])

    def value(e):
        return per_anchor(INNER, e, y)[0]

    assert_close(torch.func.vmap(value)(stack), torch.stack([value(e) for e in stack]))


def test_names_the_shapes_where_labels_do_not_fit():
    embeddings, y = batch()
    with pytest.raises(ValueError, match=r"one class per row, got \(9,\) for 10 embeddings"):
        blockwise("plain", embeddings, y[1:])
