import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from sklearnloss import LossClassifier, MetricEmbedder
from sklearnloss.losses.multiclass.adaface import AdaFace
from sklearnloss.losses.multiclass.arcface import arcface
from sklearnloss.losses.multiclass.cosface import cosface


def built(**params):
    return AdaFace(**params).double()


def margined(cosine, quality, margin):
    angle = math.acos(max(-1.0, min(1.0, cosine))) - margin * quality
    return math.cos(min(max(angle, 0.0), math.pi)) - margin * (1 + quality)


def qualities(lengths, concentration, mean=None, deviation=None):
    lengths = [min(max(z, 0.001), 100.0) for z in lengths]
    mean = sum(lengths) / len(lengths) if mean is None else mean
    spread = math.sqrt(sum((z - mean) ** 2 for z in lengths) / len(lengths)) if deviation is None else deviation
    return [max(-1.0, min(1.0, concentration * (z - mean) / (spread + 1e-3))) for z in lengths]


def of_lengths(*lengths):
    """Embeddings of these lengths."""
    return torch.tensor(lengths, dtype=torch.float64)[:, None] * torch.tensor([[0.6, 0.8]], dtype=torch.float64)


@pytest.mark.parametrize(
    ("scale", "margin", "concentration"), [(4.0, 0.4, 0.333), (16.0, 1.0, 3.0), (64.0, 0.1, 1.0), (8.0, 2.5, 9.0)]
)
def test_equals_the_formula_in_plain_loops(sphere, cosine, loops, scale, margin, concentration):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    q = qualities(embeddings.norm(dim=1).tolist(), concentration)
    wanted = loops(cosines, y, scale, lambda c, i: margined(c, q[i], margin))
    loss = built(scale=scale, margin=margin, concentration=concentration)
    assert_close(loss(cosines, y, features=embeddings), wanted)


def test_is_cosface_where_all_embeddings_are_equally_long(sphere, cosine):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    found = built(margin=0.3)(cosines, y, features=of_lengths(*[2.0] * 12))
    assert_close(found, cosface(cosines, y, margin=0.3))


def test_short_embeddings_have_the_margin_of_arcface_and_long_ones_the_opposite():
    cosines, y = torch.tensor([[0.5, 0.1], [0.5, 0.1]], dtype=torch.float64), torch.tensor([0, 0])
    short, long = built(scale=8.0, margin=0.3, concentration=50.0)(cosines, y, features=of_lengths(1.0, 5.0))
    assert short.item() == pytest.approx(arcface(cosines, y, scale=8.0, margin=0.3)[0].item())
    wanted = math.log1p(math.exp(8 * (0.1 - (math.cos(math.acos(0.5) - 0.3) - 0.6))))
    assert long.item() == pytest.approx(wanted)


def test_is_the_normalized_softmax_without_margin(sphere, cosine):
    embeddings, proxies, y = sphere()
    cosines = cosine(embeddings, proxies)
    found = built(scale=9.0, margin=0.0)(cosines, y, features=embeddings)
    assert_close(found, cross_entropy(9 * cosines, y, reduction="none"))


def test_angles_end_at_zero_and_pi():
    cosines, y = torch.tensor([[0.99, 0.0], [-0.99, 0.0]], dtype=torch.float64), torch.tensor([0, 0])
    # the first is long and its angle of 0.14 less 1 is zero; the second is short, and its angle and 1 is pi
    found = built(scale=1.0, margin=1.0, concentration=50.0)(cosines, y, features=of_lengths(5.0, 1.0))
    assert found.tolist() == pytest.approx([math.log1p(math.exp(-(1.0 - 2.0))), math.log1p(math.exp(1.0))])


def test_a_row_cannot_become_good_by_growing(sphere, cosine):
    embeddings, proxies, y = sphere()
    loss, leaf = built(), embeddings.clone().requires_grad_()
    loss(cosine(leaf, proxies), y, features=leaf).sum().backward()
    assert leaf.grad.norm(dim=1).min() > 0
    assert_close((leaf.grad * embeddings).sum(1), torch.zeros(12, dtype=torch.float64), atol=1e-12, rtol=0)
    longer = embeddings.clone()
    longer[0] *= 1.01
    changed = built()(cosine(longer, proxies), y, features=longer) - built()(cosine(leaf, proxies), y, features=leaf)
    assert changed[0].abs() > 1e-4


def test_has_the_gradient_of_its_value_at_a_fixed_quality(sphere, cosine):
    embeddings, proxies, y = sphere()
    loss = built(scale=4.0)
    q = torch.tensor(qualities(embeddings.norm(dim=1).tolist(), 0.333), dtype=torch.float64)

    def fixed(leaf):
        cosines = cosine(leaf, proxies)
        angle = torch.acos(cosines[range(12), y]) - 0.4 * q
        logits = 4 * cosines.index_put((torch.arange(12), y), angle.clamp(0, math.pi).cos() - 0.4 * (1 + q))
        return cross_entropy(logits, y, reduction="none")

    gradients = []
    for value in (lambda leaf: loss(cosine(leaf, proxies), y, features=leaf), fixed):
        leaf = embeddings.clone().requires_grad_()
        value(leaf).sum().backward()
        gradients.append(leaf.grad)
    assert_close(*gradients)


def test_the_moments_begin_at_those_of_the_first_batch_and_follow_slowly():
    # the published code begins at 20 and 100, and by its default keeps nothing of earlier batches
    loss, y = built(momentum=0.9), torch.tensor([0, 0])
    cosines = torch.zeros(2, 2, dtype=torch.float64)
    loss(cosines, y, features=of_lengths(1.0, 3.0))
    assert (loss.mean.item(), loss.deviation.item()) == pytest.approx((2.0, 1.0))
    loss(cosines, y, features=of_lengths(10.0, 14.0))
    assert (loss.mean.item(), loss.deviation.item()) == pytest.approx((0.9 * 2 + 0.1 * 12, 0.9 * 1 + 0.1 * 2))


def test_evaluation_goes_by_the_moments_of_training_and_leaves_them():
    loss, y, cosines = built(scale=8.0), torch.tensor([0]), torch.tensor([[0.5, 0.1]], dtype=torch.float64)
    loss.eval()
    assert_close(loss(cosines, y, features=of_lengths(4.0)), cosface(cosines, y, scale=8.0, margin=0.4))
    assert not loss.begun
    loss.train()(cosines.repeat(2, 1), torch.tensor([0, 0]), features=of_lengths(1.0, 3.0))
    (q,) = qualities([4.0], 0.333, mean=2.0, deviation=1.0)
    wanted = math.log1p(math.exp(8 * (0.1 - margined(0.5, q, 0.4))))
    assert loss.eval()(cosines, y, features=of_lengths(4.0)).item() == pytest.approx(wanted)
    assert loss.mean.item() == pytest.approx(2.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_row_embeddings_of_zeros_and_the_poles_are_finite(dtype):
    for lengths in ((2.0,), (0.0, 0.0), (0.0, 1e6)):
        n = len(lengths)
        cosines = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=dtype)[:n].requires_grad_()
        values = AdaFace().to(dtype)(cosines, torch.arange(n) % 2, features=of_lengths(*lengths).to(dtype))
        values.sum().backward()
        assert values.dtype == dtype
        assert values.isfinite().all()
        assert cosines.grad.isfinite().all()


def test_trains_by_name_and_predicts_without_margin():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("adaface", max_epochs=10, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.95
    wanted = torch.softmax(16 * torch.as_tensor(model.decision_function(X)), 1)
    assert_close(torch.as_tensor(model.predict_proba(X)), wanted)
    assert model.net_.criterion_.terms[0].modules_[0].mean > 0


def test_trains_an_embedding_by_name():
    X, y = load_digits(return_X_y=True)
    model = MetricEmbedder("adaface", embedding_dim=16, max_epochs=6, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.9
