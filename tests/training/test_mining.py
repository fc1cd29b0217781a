import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from sklearnloss import Loss, MetricEmbedder, Miner, distance, loss, miner, mixup
from sklearnloss.exceptions import TaskError, TrainingError
from sklearnloss.functional.pairs import Extra, Kept, Mined, Mixed, Window
from sklearnloss.losses.embedding.contrastive import contrastive
from sklearnloss.losses.embedding.supcon import supcon
from sklearnloss.losses.embedding.triplet import triplet
from sklearnloss.spec import Choice, choose
from sklearnloss.training.mining import Memory, Mining, listed_triplets


def batch(n=12, d=5, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64), torch.arange(n) % classes


def mining(*, miner=None, mixup=None, distance=None, memory=0, takes=("pairs",)):
    chosen = {
        name: None if given is None else choose(name, given)
        for name, given in (("miner", miner), ("mixup", mixup), ("distance", distance))
    }
    made = Mining(**chosen, memory=memory, width=5).double()
    made.takes = frozenset(takes)
    return made


def facts(y):
    return {"y": y, "index": torch.arange(len(y)), "rng": torch.Generator().manual_seed(0), "epoch": 0}


# -- miners of each form ----------------------------------------------------------------------------------------------


def near(block):
    return block.cosines > -0.2


def half(block):
    return Window(0.0, 0.5)


def third_negative(block):
    kept = block.triples()
    kept[:, :, 1::3] = False
    return Kept(triplets=kept)


def mask(embeddings, y):
    unit = normalize(embeddings.detach(), dim=1)
    return unit @ unit.T > -0.2


def as_pairs(embeddings, y):
    return mask(embeddings, y).nonzero()


def as_triplets(embeddings, y):
    anchor, positive, negative = listed_triplets(embeddings, y).T
    kept = negative % 3 != 1
    return torch.stack([anchor, positive, negative], dim=1)[kept]


def test_a_mask_by_blocks_a_whole_mask_and_pairs_say_the_same():
    embeddings, y = batch()
    wanted = None
    for form in (near, mask, as_pairs):
        made = mining(miner=form)(embeddings, facts(y))
        values = supcon(embeddings, y, pairs=made["pairs"])
        wanted = values if wanted is None else wanted
        assert_close(values, wanted)
    assert not torch.allclose(wanted[0], supcon(embeddings, y)[0])


def test_triplets_by_blocks_and_as_a_list_say_the_same():
    embeddings, y = batch()
    by_block = Mined(select=lambda block: third_negative(block), unit="triplet")
    wanted = triplet(embeddings, y, margin=0.5, pairs=by_block)
    made = mining(miner=as_triplets)(embeddings, facts(y))
    assert_close(triplet(embeddings, y, margin=0.5, pairs=made["pairs"]), wanted)
    assert not torch.allclose(wanted[0], triplet(embeddings, y, margin=0.5)[0])


def test_a_window_is_kept_as_one():
    embeddings, y = batch()
    spec = miner("half", unit="window")(half)
    made = mining(miner=spec)(embeddings, facts(y))
    assert made["pairs"].unit == "window"
    found = listed_triplets(embeddings, y, made["pairs"])
    unit = normalize(embeddings, dim=1)
    distances = torch.cdist(unit, unit)
    gap = distances[found[:, 0], found[:, 2]] - distances[found[:, 0], found[:, 1]]
    assert ((gap > 0) & (gap < 0.5)).all()
    everything = listed_triplets(embeddings, y)
    gaps = distances[everything[:, 0], everything[:, 2]] - distances[everything[:, 0], everything[:, 1]]
    assert len(found) == int(((gaps > 0) & (gaps < 0.5)).sum())


def test_a_miner_that_draws_keeps_the_same_pairs_when_a_block_is_computed_again():
    def drawn(block, *, rng):
        return torch.rand(block.values.shape, generator=rng) < 0.5

    embeddings, y = batch()
    leaf = embeddings.clone().requires_grad_()
    weights = torch.linspace(0.1, 1, 12, dtype=torch.float64)  # not equal: the gradient takes a second pass
    given = mining(miner=drawn)(leaf, facts(y))["pairs"]
    (supcon(leaf, y, pairs=given)[0] * weights).sum().backward()
    step = 1e-6 * torch.randn(12, 5, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    up, down = ((supcon(embeddings + s * step, y, pairs=given)[0] * weights).sum() for s in (1, -1))
    assert_close((leaf.grad * step).sum(), (up - down) / 2, rtol=1e-5, atol=1e-12)
    again = mining(miner=drawn)(embeddings, facts(y) | {"rng": torch.Generator().manual_seed(1)})["pairs"]
    assert not torch.allclose(supcon(embeddings, y, pairs=again)[0], supcon(embeddings, y, pairs=given)[0])


def test_listed_triplets_are_all_there_are():
    _, y = batch(7)
    wanted = {(a, p, n) for a in range(7) for p in range(7) for n in range(7) if a != p and y[a] == y[p] != y[n]}
    assert {tuple(row) for row in listed_triplets(batch(7)[0], y).tolist()} == wanted


@pytest.mark.parametrize(
    "wrong",
    [[1, 1, 2], [0, 1, 2], [0, 3, 6], [0, 3, 12], [12, 0, 1]],
    ids=["itself", "positive of another class", "negative of the class", "no such negative", "no such anchor"],
)
def test_triplets_that_are_none_are_refused(wrong):
    embeddings, y = batch()
    with pytest.raises(TrainingError, match=r"miner 'told' gave the triplet \[.*\] for 12 rows"):
        mining(miner=miner("told")(lambda embeddings, y: torch.tensor([[0, 3, 1], wrong])))(embeddings, facts(y))


def test_what_is_none_of_the_forms_is_refused():
    embeddings, y = batch()
    with pytest.raises(TrainingError, match=r"returned a tensor of shape \(12, 5\) for 12 rows; a miner of embeddings"):
        mining(miner=lambda embeddings, y: embeddings)(embeddings, facts(y))
    with pytest.raises(TrainingError, match="returned str"):
        mining(miner=lambda embeddings, y: "all")(embeddings, facts(y))


# -- what is added ----------------------------------------------------------------------------------------------------


def test_further_negatives_of_each_anchor_stand_in_its_denominator_only():
    embeddings, y = batch()
    added = torch.randn(12, 2, 5, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    made = mining(miner=lambda embeddings, y: Extra(added))(embeddings, facts(y))
    values, _ = supcon(embeddings, y, tau=0.5, pairs=made["pairs"])
    unit, more = normalize(embeddings, dim=1), normalize(added, dim=2)
    for i in range(12):
        others = torch.cat([unit[torch.arange(12) != i] @ unit[i], more[i] @ unit[i]]) / 0.5
        positives = [float(unit[i] @ unit[j]) / 0.5 for j in range(12) if j != i and y[j] == y[i]]
        assert_close(values[i], others.logsumexp(0) - sum(positives) / len(positives))


def test_a_mixup_of_embeddings_reaches_the_loss_as_what_it_is():
    embeddings, y = batch()

    def columns(embeddings, y, *, rng):
        return Extra(embeddings.flip(0), y.flip(0))

    def mixed(embeddings, y, *, rng):
        lam = torch.full((len(y), 1), 0.5)
        return Mixed(embeddings[:, None], lam, lam > 0)

    made = mining(mixup=mixup("columns")(columns))(embeddings, facts(y))
    assert len(made["pairs"].extra) == 1
    made = mining(mixup=mixup("mixed")(mixed), takes=("pairs", "mixed"))(embeddings, facts(y))
    assert made["mixed"].embeddings.shape == (12, 1, 5)
    with pytest.raises(TaskError, match="mixup 'mixed' makes 'mixed', which no term of the loss takes"):
        mining(mixup=mixup("mixed")(mixed))(embeddings, facts(y))


def test_a_distance_is_handed_on():
    def manhattan(a, b):
        return torch.cdist(a, b, p=1)

    embeddings, y = batch()
    made = mining(distance=distance("manhattan")(manhattan))(embeddings, facts(y))
    values = contrastive(embeddings, y, neg_margin=3.0, distance=made["distance"])
    far = torch.cdist(embeddings, embeddings, p=1)
    same = (y[:, None] == y) & ~torch.eye(12, dtype=torch.bool)
    push = (3.0 - far[y[:, None] != y]).clamp(min=0)
    assert_close(values.mean(), far[same].mean() + push.sum() / (push > 0).sum())
    assert made.keys() == {"distance"}


# -- memory -----------------------------------------------------------------------------------------------------------


def test_a_memory_keeps_the_last_rows_in_a_ring():
    memory = Memory(5, 2)
    assert memory.columns() is None
    for start in (0, 3, 6):
        rows = torch.arange(start, start + 3)
        memory.write(rows[:, None] * torch.ones(1, 2), rows % 2, rows)
    held = memory.columns()
    assert sorted(held.index.tolist()) == [4, 5, 6, 7, 8]
    assert_close(held.embeddings[:, 0], held.index.float())
    assert_close(held.y, held.index % 2)
    memory.write(torch.ones(9, 2), torch.zeros(9, dtype=torch.int64), torch.arange(20, 29))
    assert sorted(memory.columns().index.tolist()) == [24, 25, 26, 27, 28]


def test_a_memory_adds_columns_but_no_anchors_and_no_older_self():
    embeddings, y = batch()
    made = mining(memory=24)
    first = made(embeddings, facts(y))
    assert first["pairs"] is None
    older = batch(seed=1)[0]
    made.memory.embeddings[:12] = older
    values, _ = supcon(embeddings, y, tau=0.5, pairs=made(embeddings, facts(y))["pairs"])
    unit, before = normalize(embeddings, dim=1), normalize(older, dim=1)
    for i in range(12):
        rest = torch.arange(12) != i
        others = torch.cat([unit[rest] @ unit[i], before[rest] @ unit[i]]) / 0.5
        same = torch.cat([(y == y[i])[rest], (y == y[i])[rest]])
        assert_close(values[i], others.logsumexp(0) - others[same].mean())


def test_a_memory_moves_in_training_only():
    embeddings, y = batch()
    made = mining(memory=24).eval()
    made(embeddings, facts(y))
    assert int(made.memory.written) == 0
    made.train()(embeddings, facts(y))
    assert int(made.memory.written) == 12


def test_a_step_that_looks_again_at_its_batch_meets_the_memory_of_before_it():
    embeddings, y = batch()
    made = mining(memory=24)
    made(batch(seed=1)[0], facts(y))
    first = made(embeddings, facts(y))["pairs"].extra[0]
    again = made.eval()(embeddings, facts(y))["pairs"].extra[0]
    assert_close(again.embeddings, first.embeddings)
    assert len(made.train()(embeddings, facts(y))["pairs"].extra[0].embeddings) == 24


# -- a loss over listed triplets --------------------------------------------------------------------------------------


@loss("listed", task="embedding", unit="triplet")
def listed(embeddings, y, *, triplets):
    anchor, positive, negative = embeddings[triplets].unbind(1)
    return ((anchor - positive).square().sum(1) - (anchor - negative).square().sum(1) + 1).clamp_min(0)


def test_a_loss_over_listed_triplets_is_fed_with_and_without_a_miner(blobs):
    X, y = blobs
    for given in (None, near, as_triplets):
        model = MetricEmbedder(listed, miner=given, embedding_dim=3, max_epochs=3, random_state=0).fit(X, y)
        assert model.loss_curve_[-1] < model.loss_curve_[0]
    lonely = MetricEmbedder(listed, sampler="shuffle", max_epochs=1, random_state=0).fit(X, range(90))
    assert lonely.loss_curve_ == [0.0]


def test_what_is_added_to_a_batch_is_refused_by_a_loss_over_listed_triplets(blobs):
    with pytest.raises(TaskError, match="the memory makes 'pairs', which no term of the loss takes"):
        MetricEmbedder(listed, memory=50, max_epochs=1).fit(*blobs)
    with pytest.raises(TaskError, match="mixup 'hard_pair_mix' makes 'pairs'"):
        MetricEmbedder(listed, mixup="hard_pair_mix", max_epochs=1).fit(*blobs)
    with pytest.raises(TaskError, match="miner 'mochi' makes 'pairs'"):
        MetricEmbedder(listed, miner=Miner("mochi", warmup_epochs=0), max_epochs=1).fit(*blobs)
    MetricEmbedder(Loss(listed) + Loss("supcon"), memory=50, max_epochs=1).fit(*blobs)


# -- miners that search all rows --------------------------------------------------------------------------------------


class Farthest:
    """The row of another class that lies farthest away, anew every second epoch."""

    def __init__(self, *, wait: int = 1):
        self.wait = wait
        self.found = None
        self.calls = []

    def due(self, epoch):
        return epoch >= self.wait and epoch % 2 == self.wait % 2

    def refresh(self, embeddings, y):
        self.calls.append(len(y))
        far = torch.cdist(embeddings, embeddings)
        self.found = far.masked_fill(y[:, None] == y, -1).argmax(1)

    def companions(self, index, y, *, rng):
        return None if self.found is None else self.found[index][:, None]


def test_companions_are_encoded_with_the_batch_and_are_negatives(blobs):
    seen = []

    @loss("watching", task="embedding", unit="anchor")
    def watching(embeddings, y, *, index, pairs=None):
        seen.append((index, embeddings.detach(), pairs))
        return supcon(embeddings, y, pairs=pairs)

    X, y = blobs
    model = MetricEmbedder(watching, miner=miner("farthest")(Farthest), max_epochs=4, random_state=0).fit(X, y)
    searcher = model.net_.criterion_.mining.miner
    assert searcher.calls == [90, 90]
    assert seen[0][2] is None
    index, embeddings, pairs = seen[-1]
    (extra,) = pairs.extra
    assert extra.embeddings.shape == (len(index), 1, 64)
    assert (torch.as_tensor(y)[searcher.found[index]] != torch.as_tensor(y)[index]).all()
    assert extra.embeddings.requires_grad
    place = {int(row): k for k, row in enumerate(index)}
    for k, row in enumerate(index.tolist()):
        other = int(searcher.found[row])
        if other in place:
            assert_close(extra.embeddings[k, 0].detach(), embeddings[place[other]])


@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_a_miner_that_searches_searches_the_rows_of_each_call(blobs, way):
    X, y = blobs
    rows = torch.randperm(90, generator=torch.Generator().manual_seed(0)).numpy()
    model = MetricEmbedder(
        "supcon", miner=Miner("ance", refresh=50, warmup_epochs=0), max_epochs=1, warm_start=True, random_state=0
    )
    go_on = model.partial_fit if way == "partial_fit" else model.fit
    go_on(X, y)
    go_on(X[rows[:40]], y[rows[:40]])  # fewer, and in another order
    searcher = model.net_.criterion_.mining.miner
    now = torch.as_tensor(y[rows[:40]])
    companions = searcher.companions(torch.arange(40), now, rng=torch.Generator())
    assert (now[companions[:, 0]] != now).all()


def test_a_miner_that_searches_is_refused_with_views(blobs):
    with pytest.raises(TaskError, match="searches the rows as they are"):
        MetricEmbedder("supcon", miner=miner("farthest")(Farthest), views="noise").fit(*blobs)


def test_choices_know_what_they_were_built_from():
    assert mining(memory=3).built_from != mining(memory=4).built_from
    assert mining(miner=near).built_from == mining(miner=near).built_from
    assert isinstance(choose("miner", near), Choice)
