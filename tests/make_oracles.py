"""Write tests/oracles.json: what other packages make of small inputs, in float64, with the gradient.

make oracles

Nothing here is run by the tests, which read the file, and nothing here imports sklearnloss: the peers live in an
environment of their own, `.venv-oracles`. A call is kept as text and evaluated from it, so that what the file says is
what was run. Its names are the inputs and those of `peers`; where weights are the peer's own, `holding` writes ours
into them. A value is the peer's number, or one per row; a gradient is that of its mean.

What is not here, and why: timm is used file by file, since its package does not import without torchvision, of which
there is no build for a CPU to go with the pinned torch, and a loss of its ``jsd.py`` has no counterpart here. libauc's
partial areas and its average precision keep running sums of many batches, where ours are of one. Of lightly and the
losses of images in monai and kornia nothing is needed.
"""

import importlib.util
import json
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

TARGET = Path(__file__).parent / "oracles.json"
SEED = 20
FLOAT32 = 1e-5  # of peers that leave float64 on the way


# -- inputs -----------------------------------------------------------------------------------------------------------


def make_inputs() -> dict[str, Tensor]:
    """Return all arrays by name, from one generator in this order."""
    rng = np.random.default_rng(SEED)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.tensor(scale * rng.standard_normal(shape))

    rows = normal(12, 5)
    counts = torch.tensor(rng.poisson(2.0, (8, 2)).astype(float))
    proxies = normal(4, 5)
    return {
        "rows": rows,
        "unit_rows": F.normalize(rows, dim=1),
        "grouped": torch.tensor([0, 1, 2, 0, 3, 1, 0, 2, 0, 1, 3, 0]),  # every class has two rows at least
        "lone": torch.tensor([0, 1, 2, 0, 1, 1, 0, 2, 0, 1, 3, 0]),  # class 3 has one
        "blocks": torch.arange(12) // 4,  # three classes one behind the other, four rows in each
        "square_rows": rows[:9],
        "square": torch.arange(9) // 3,  # as many classes as rows in each
        "pairs_of_classes": torch.arange(6).repeat(2),  # row i and row i + 6
        "twins": rows[:6].repeat(2, 1),
        "proxies": proxies,
        "opposite": normal(4, 5, scale=0.1) - proxies,
        "each": torch.arange(4),
        "sub_proxies": normal(12, 5),  # three of each class, side by side
        "centers": normal(4, 3, 5),
        "view_a": normal(8, 5),
        "view_b": normal(8, 5),
        "eight": torch.arange(8),
        "logits": normal(8, 4, scale=2.0),
        "teacher": normal(8, 4, scale=2.0),
        "labels": torch.tensor([0, 3, 1, 2, 2, 0, 3, 1]),
        "labels_without_3": torch.tensor([0, 0, 1, 2, 2, 0, 1, 1]),
        "hidden": normal(8, 5),
        "weight": normal(4, 5),
        "bias": normal(4),
        "priors": torch.tensor([0.5, 0.25, 0.15, 0.1]),
        "scores": normal(10, scale=2.0),
        "marks": torch.tensor([1.0, 0, 0, 1, 0, 0, 0, 1, 1, 0]),
        "label_logits": normal(6, 4, scale=2.0),
        "label_marks": torch.tensor(
            [[1.0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 1], [0, 0, 0, 0], [1, 0, 1, 0]]
        ),
        "a": torch.tensor(0.6),
        "b": torch.tensor(0.3),
        "alpha": torch.tensor(0.2),
        "prediction": normal(8, 2),
        "targets": normal(8, 2),
        "counts": counts,
        "amounts": counts * torch.tensor(rng.gamma(2.0, 1.0, (8, 2))),  # some are zero
        "sizes": torch.tensor(rng.gamma(2.0, 1.0, (8, 2))),
        "two_columns": normal(8, 2, 2),
        "three_columns": normal(8, 2, 3),
        "nine_columns": normal(8, 2, 9),
        "members": normal(8, 2, 6),
        "quantiles": normal(8, 2, 5).sort(dim=-1).values,
    }  # fmt: skip


# -- peers ------------------------------------------------------------------------------------------------------------


def from_file(package: str, path: str) -> ModuleType:
    """Run one file of a package without the package around it."""
    found = importlib.util.find_spec(package)
    assert found is not None
    assert found.origin is not None
    spec = importlib.util.spec_from_file_location(Path(path).stem, Path(found.origin).parent / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def holding(loss: nn.Module, **weights: Tensor) -> nn.Module:
    """Write weights into a loss, which keeps no others, and let the gradient reach them."""
    own = dict(loss.named_parameters())
    assert set(own) == set(weights)
    for name, value in weights.items():
        delattr(loss, name)
        setattr(loss, name, value.reshape(own[name].shape))
    return loss


def triplets(y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return anchor, positive and negative of every triplet."""
    same = y[:, None] == y
    chosen = (same & ~torch.eye(len(y), dtype=torch.bool))[:, :, None] & ~same[:, None]
    anchor, positive, negative = chosen.nonzero().unbind(1)
    return anchor, positive, negative


def pairs(y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return both rows of every pair in both orders, and 1 for a pair of one class or -1."""
    first, second = (~torch.eye(len(y), dtype=torch.bool)).nonzero().unbind(1)
    return first, second, torch.where(y[first] == y[second], 1, -1)


def positive_mean(x: Tensor) -> Tensor:
    """Return the mean of what is above zero."""
    return x[x > 0].mean()


def peers() -> dict[str, Any]:
    """Return what calls may name besides their inputs; only here are the peers imported."""
    import scoringrules
    from kornia import losses as kornia
    from libauc import losses as libauc
    from monai import losses as monai
    from pytorch_metric_learning import distances, losses, regularizers
    from sklearn import metrics

    return {
        "torch": torch,
        "F": F,
        "distributions": torch.distributions,
        "math": math,
        "losses": losses,
        "distances": distances,
        "regularizers": regularizers,
        "monai": monai,
        "kornia": kornia,
        "libauc": libauc,
        "scoringrules": scoringrules,
        "metrics": metrics,
        "cross_entropy": from_file("timm", "loss/cross_entropy.py"),
        "binary_cross_entropy": from_file("timm", "loss/binary_cross_entropy.py"),
        "asymmetric_loss": from_file("timm", "loss/asymmetric_loss.py"),
        "poly_loss": from_file("timm", "loss/poly_loss.py"),
        "holding": holding,
        "triplets": triplets,
        "pairs": pairs,
        "positive_mean": positive_mean,
    }


# -- cases ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One call of a peer.

    Attributes
    ----------
    name : str
        Of the case; no two are alike.
    loss : str
        Key of the loss that it is for.
    peer : str
        The distribution.
    call : str
        What is evaluated.
    inputs : dict
        From the names that the call and the loss use, to those of `make_inputs`.
    params : dict
        Hyperparameters of our loss that belong to the call.
    by : tuple of str
        Inputs by which there is a gradient; none where the peer is not differentiable.
    distance : str
        Key of the distance that our loss is given.
    rtol : float
        What the peer's own precision allows.
    because : str
        Why that is more than rounding.
    differs : str
        What the peer does otherwise, and why ours does not; empty where both should agree.
    """

    name: str
    loss: str
    peer: str
    call: str
    inputs: dict[str, str]
    params: dict[str, Any] = field(default_factory=dict)
    by: tuple[str, ...] = ()
    distance: str = ""
    rtol: float = 1e-10
    because: str = ""
    differs: str = ""


CASES: list[Case] = []
LOGITS = {"logits": "logits", "y": "labels"}
SCORES = {"scores": "scores", "y": "marks"}
LABELS = {"label_logits": "label_logits", "y": "label_marks"}
PREDICTION = {"prediction": "prediction", "y": "targets"}
ROWS = {"embeddings": "rows", "y": "grouped"}
LONE = {"embeddings": "rows", "y": "lone"}
UNIT = {"embeddings": "unit_rows", "y": "grouped"}
VIEWS = {"view_a": "view_a", "view_b": "view_b"}
PML = "pytorch-metric-learning"


def family(peer: str, inputs: dict[str, str], *by: str) -> Callable[..., None]:
    """Return what adds a case of this peer on these inputs."""

    def add(name: str, loss: str, call: str, **more: Any) -> None:
        CASES.append(Case(name, loss, peer, call, **{"inputs": inputs, "by": by, **more}))

    return add


add = family("torch", LOGITS, "logits")
add("torch_cross_entropy", "cross_entropy", "F.cross_entropy(logits, y, reduction='none')")
add(
    "torch_label_smoothing",
    "label_smoothing",
    "F.cross_entropy(logits, y, label_smoothing=0.2, reduction='none')",
    params={"smoothing": 0.2},
)
add(
    "torch_kl_div",
    "kd",
    "0.7 * F.cross_entropy(logits, y, reduction='none') + 0.3 * 9 * F.kl_div("
    "F.log_softmax(logits / 3, dim=1), F.log_softmax(teacher / 3, dim=1), log_target=True, reduction='none').sum(1)",
    inputs={**LOGITS, "teacher": "teacher"},
    params={"tau": 3.0, "alpha": 0.3},
)
add(
    "torch_cross_entropy_with_priors",
    "logit_adjusted",
    "F.cross_entropy(logits + 0.8 * priors.log(), y, reduction='none')",
    inputs={**LOGITS, "priors": "priors"},
    params={"tau": 0.8},
)
add(
    "torch_multi_margin",
    "hinge",
    "F.multi_margin_loss(logits, y, margin=1.5, reduction='none')",
    params={"kind": "weston_watkins", "margin": 1.5},
    differs="divides the sum over the wrong classes by the number of all classes, k; the published loss is the sum",
)
add(
    "torch_linear_cross_entropy",
    "cut_cross_entropy",
    "F.linear_cross_entropy(hidden, head_weight, y, linear_bias=head_bias, reduction='none')",
    inputs={"hidden": "hidden", "y": "labels", "head_weight": "weight", "head_bias": "bias"},
    by=("hidden", "head_weight", "head_bias"),
)

add = family("torch", SCORES, "scores")
add(
    "torch_bce_with_logits",
    "bce",
    "F.binary_cross_entropy_with_logits(scores, y, pos_weight=torch.tensor(3.0), reduction='none')",
    params={"pos_weight": 3.0},
)
add("torch_soft_margin", "bce", "F.soft_margin_loss(scores, 2 * y - 1, reduction='none')")
add(
    "torch_multilabel_soft_margin",
    "bce",
    "F.multilabel_soft_margin_loss(scores, y)",
    inputs={"scores": "label_logits", "y": "label_marks"},
)

add = family("torch", PREDICTION, "prediction")
add("torch_mse", "mse", "F.mse_loss(prediction, y, reduction='none')")
add("torch_l1", "mae", "F.l1_loss(prediction, y, reduction='none')")
add("torch_huber", "huber", "F.huber_loss(prediction, y, delta=0.7, reduction='none')", params={"delta": 0.7})
add(
    "torch_poisson_nll",
    "poisson",
    "F.poisson_nll_loss(prediction, y, log_input=True, full=False, reduction='none')",
    inputs={"prediction": "prediction", "y": "counts"},
    differs="leaves out the terms of y alone, y log y - y; ours is half the deviance, which is zero at the best",
)

add = family("torch", {"columns": "two_columns", "y": "targets"}, "columns")
SCALE = "(F.softplus(columns[..., 1]) + 0.01)"
SCALED = {"params": {"min_scale": 0.01}}
add(
    "torch_gaussian_nll",
    "gaussian_nll",
    f"F.gaussian_nll_loss(columns[..., 0], y, {SCALE}.square(), full=True, reduction='none')",
    **SCALED,
)
add("torch_laplace", "laplace_nll", f"-distributions.Laplace(columns[..., 0], {SCALE}).log_prob(y)", **SCALED)
add(
    "torch_student_t",
    "student_t_nll",
    f"-distributions.StudentT(2 + F.softplus(columns[..., 2]), columns[..., 0], {SCALE}).log_prob(y)",
    inputs={"columns": "three_columns", "y": "targets"},
    **SCALED,
)
add(
    "torch_gamma",
    "gamma",
    "-distributions.Gamma(0.05 + F.softplus(columns[..., 1]), (0.05 + F.softplus(columns[..., 1])) "
    "/ columns[..., 0].exp()).log_prob(y)",
    inputs={"columns": "two_columns", "y": "sizes"},
)
add(
    "torch_mixture_of_normals",
    "mixture_density",
    "-distributions.MixtureSameFamily(distributions.Categorical(logits=columns[..., :3]), distributions.Normal("
    "columns[..., 3:6], F.softplus(columns[..., 6:]) + 0.01)).log_prob(y)",
    inputs={"columns": "nine_columns", "y": "targets"},
    params={"n_components": 3, "min_scale": 0.01},
)

add = family("torch", ROWS, "embeddings")
ALL_TRIPLETS = "*(F.normalize(embeddings, dim=1)[rows] for rows in triplets(y))"
add(
    "torch_triplet_margin",
    "triplet",
    f"F.triplet_margin_loss({ALL_TRIPLETS}, margin=0.3, p=2, eps=0)",
    params={"margin": 0.3, "active": False},
)
add(
    "torch_cosine_embedding",
    "contrastive",
    "(lambda i, j, sign: (lambda costs: positive_mean(costs[sign > 0]) + positive_mean(costs[sign < 0]))("
    "F.cosine_embedding_loss(embeddings[i], embeddings[j], sign, margin=0.25, reduction='none')))(*pairs(y))",
    params={"pos_margin": 0.0, "neg_margin": 0.75},
    distance="cosine",
)

add = family(PML, {**ROWS, "proxies": "proxies"}, "embeddings", "proxies")
add(
    "pml_arcface",
    "arcface",
    "holding(losses.ArcFaceLoss(4, 5, margin=math.degrees(0.4), scale=16), W=proxies.T)(embeddings, y)",
    params={"margin": 0.4, "scale": 16.0},
)
add(
    "pml_arcface_of_opposite_rows",
    "arcface",
    "holding(losses.ArcFaceLoss(4, 5, margin=math.degrees(0.4), scale=16), W=proxies.T)(embeddings, y)",
    inputs={"embeddings": "opposite", "y": "each", "proxies": "proxies"},
    params={"margin": 0.4, "scale": 16.0},
)
add(
    "pml_cosface",
    "cosface",
    "holding(losses.CosFaceLoss(4, 5, margin=0.35, scale=16), W=proxies.T)(embeddings, y)",
    params={"margin": 0.35, "scale": 16.0},
)
add(
    "pml_subcenter_arcface",
    "subcenter_arcface",
    "holding(losses.SubCenterArcFaceLoss(num_classes=4, embedding_size=5, sub_centers=3, margin=math.degrees(0.4), "
    "scale=16), W=proxies.T)(embeddings, y)",
    inputs={**ROWS, "proxies": "sub_proxies"},
    params={"margin": 0.4, "scale": 16.0, "centers_per_class": 3},
)
add(
    "pml_normalized_softmax",
    "normalized_softmax",
    "holding(losses.NormalizedSoftmaxLoss(4, 5, temperature=0.0625), W=proxies.T)(embeddings, y)",
    params={"scale": 16.0},
)
add(
    "pml_sphereface_of_unit_rows",
    "sphereface",
    "holding(losses.SphereFaceLoss(4, 5, margin=3, scale=16), W=proxies.T)(F.normalize(embeddings, dim=1), y)",
    params={"factor": 3.0, "scale": 16.0},
)
add(
    "pml_sphereface",
    "sphereface",
    "holding(losses.SphereFaceLoss(4, 5, margin=3, scale=16), W=proxies.T)(embeddings, y)",
    params={"factor": 3.0, "scale": 16.0},
    differs="multiplies the scale of a row by its length, as the first paper has it; ours normalizes rows, as every "
    "later loss of this kind",
)
add(
    "pml_proxy_nca",
    "proxy_nca",
    "holding(losses.ProxyNCALoss(4, 5, softmax_scale=4), proxies=proxies)(embeddings, y)",
    params={"tau": 0.25},
)
add(
    "pml_proxy_anchor",
    "proxy_anchor",
    "holding(losses.ProxyAnchorLoss(4, 5, margin=0.1, alpha=32), proxies=proxies)(embeddings, y)",
    params={"margin": 0.1, "alpha": 32.0},
)
add(
    "pml_proxy_anchor_without_rows_of_a_class",
    "proxy_anchor",
    "holding(losses.ProxyAnchorLoss(4, 5, margin=0.2, alpha=8), proxies=proxies)(embeddings, y)",
    inputs={"embeddings": "rows", "y": "blocks", "proxies": "proxies"},
    params={"margin": 0.2, "alpha": 8.0},
)

add = family(PML, {**ROWS, "centers": "centers"}, "embeddings", "centers")
SOFT_TRIPLE = (
    "holding(losses.SoftTripleLoss(4, 5, centers_per_class=3, la=20, gamma=0.1, margin=0.01), "
    "fc=centers.flatten(0, 1).T)(embeddings, y)"
)
SOFT_PARAMS = {"centers_per_class": 3, "la": 20.0, "gamma": 0.1, "margin": 0.01}
add("pml_soft_triple", "soft_triple", SOFT_TRIPLE, params={**SOFT_PARAMS, "tau": 0.0})
add(
    "pml_soft_triple_regularized",
    "soft_triple",
    SOFT_TRIPLE,
    params={**SOFT_PARAMS, "tau": 0.2},
    differs="has no term that merges the centers of a class, which the paper adds with the weight 0.2",
)

add = family(PML, ROWS, "embeddings")
add("pml_circle", "circle", "losses.CircleLoss(m=0.4, gamma=80)(embeddings, y)", params={"margin": 0.4, "scale": 80.0})
add(
    "pml_circle_of_faces",
    "circle",
    "losses.CircleLoss(m=0.25, gamma=16)(embeddings, y)",
    params={"margin": 0.25, "scale": 16.0},
    rtol=1e-8,
    because="softplus is the identity from 20 on, 2e-9 less",
)
add(
    "pml_circle_with_a_lone_row",
    "circle",
    "losses.CircleLoss(m=0.4, gamma=80)(embeddings, y)",
    inputs=LONE,
    params={"margin": 0.4, "scale": 80.0},
)
MULTI_SIMILARITY = "losses.MultiSimilarityLoss(alpha=2, beta=50, base=0.5)(embeddings, y)"
MULTI_PARAMS = {"alpha": 2.0, "beta": 50.0, "lam": 0.5}
add("pml_multi_similarity", "multi_similarity", MULTI_SIMILARITY, params=MULTI_PARAMS)
add(
    "pml_multi_similarity_with_a_lone_row",
    "multi_similarity",
    MULTI_SIMILARITY,
    inputs=LONE,
    params=MULTI_PARAMS,
    differs="an anchor without a positive pushes its negatives and counts in the mean; ours leaves such anchors out, "
    "as the authors' code does",
)
for suffix, batch in (("", ROWS), ("_with_a_lone_row", LONE)):
    add(
        f"pml_ntxent{suffix}",
        "ntxent",
        "losses.NTXentLoss(temperature=0.07)(embeddings, y)",
        inputs=batch,
        params={"tau": 0.07},
    )
    add(
        f"pml_supcon{suffix}",
        "supcon",
        "losses.SupConLoss(temperature=0.1)(embeddings, y)",
        inputs=batch,
        params={"tau": 0.1},
    )
    add(f"pml_nca{suffix}", "nca", "losses.NCALoss(softmax_scale=2)(embeddings, y)", inputs=batch, params={"tau": 0.5})
    add(
        f"pml_contrastive{suffix}",
        "contrastive",
        "losses.ContrastiveLoss(pos_margin=0.2, neg_margin=0.9)(embeddings, y)",
        inputs=batch,
        params={"pos_margin": 0.2, "neg_margin": 0.9},
    )
    add(
        f"pml_triplet{suffix}",
        "triplet",
        "losses.TripletMarginLoss(margin=0.1)(embeddings, y)",
        inputs=batch,
        params={"margin": 0.1},
    )
    add(
        f"pml_triplet_smooth{suffix}",
        "triplet",
        "losses.TripletMarginLoss(margin=0.1, smooth_loss=True)(embeddings, y)",
        inputs=batch,
        params={"margin": 0.1, "smooth": True},
    )
    add(
        f"pml_tuplet{suffix}",
        "tuplet",
        "losses.TupletMarginLoss(margin=math.degrees(0.1), scale=64)(embeddings, y)",
        inputs=batch,
        params={"margin": 0.1, "scale": 64.0},
    )
    add(
        f"pml_fastap{suffix}",
        "fastap",
        "losses.FastAPLoss(num_bins=10)(embeddings, y)",
        inputs=batch,
        params={"bins": 10},
    )
    add(
        f"pml_histogram{suffix}",
        "histogram",
        "losses.HistogramLoss(n_bins=100)(embeddings, y)",
        inputs=batch,
        params={"bins": 100},
    )
    add(
        f"pml_margin{suffix}",
        "margin",
        "losses.MarginLoss(margin=0.2, beta=1.2)(embeddings, y)",
        inputs=batch,
        params={"margin": 0.2, "beta": 1.2},
    )
    add(
        f"pml_intra_pair_variance{suffix}",
        "intra_pair_variance",
        "losses.IntraPairVarianceLoss(pos_eps=0.1, neg_eps=0.2)(embeddings, y)",
        inputs=batch,
        params={"pos_eps": 0.1, "neg_eps": 0.2, "detach": False},
    )
    add(
        f"pml_threshold_consistent_margin{suffix}",
        "tcm",
        "losses.ThresholdConsistentMarginLoss(lambda_plus=2.0, lambda_minus=0.5, margin_plus=0.7, margin_minus=0.2)"
        "(embeddings, y)",
        inputs=batch,
        params={"pos_weight": 2.0, "neg_weight": 0.5, "pos_margin": 0.7, "neg_margin": 0.2},
    )
    add(
        f"pml_ranked_list{suffix}",
        "ranked_list",
        "losses.RankedListLoss(margin=0.4, Tn=10, imbalance=0.3, alpha=1.2, Tp=3)(embeddings, y)",
        inputs=batch,
        params={"margin": 0.4, "neg_sharpness": 10.0, "pos_sharpness": 3.0, "neg_weight": 0.3, "boundary": 1.2},
        rtol=1e-4,
        because="1e-5 a row is added to each sum of weights",
    )
    add(
        f"pml_snr_contrastive{suffix}",
        "snr_contrastive",
        "losses.SignalToNoiseRatioContrastiveLoss(pos_margin=0.1, neg_margin=1.2, "
        "distance=distances.SNRDistance(normalize_embeddings=False), "
        "embedding_regularizer=regularizers.ZeroMeanRegularizer(), embedding_reg_weight=0.01)(embeddings, y)",
        inputs=batch,
        params={"pos_margin": 0.1, "neg_margin": 1.2, "reg_weight": 0.01},
    )
    add(
        f"pml_angular_of_unit_rows{suffix}",
        "angular",
        "losses.AngularLoss(alpha=math.degrees(0.7))(F.normalize(embeddings, dim=1), y)",
        inputs=batch,
        params={"angle": 0.7},
    )
add(
    "pml_angular",
    "angular",
    "losses.AngularLoss(alpha=math.degrees(0.7))(embeddings, y)",
    params={"angle": 0.7},
    differs="normalizes anchors and positives and forgets the negatives, so that their length counts",
)
LIFTED = "losses.GeneralizedLiftedStructureLoss(neg_margin=1, pos_margin=0)(embeddings, y)"
add("pml_lifted", "lifted", LIFTED, params={"margin": 1.0})
add(
    "pml_lifted_with_a_lone_row",
    "lifted",
    LIFTED,
    inputs=LONE,
    params={"margin": 1.0},
    differs="takes the logarithm of an empty sum for zero, so that an anchor without a positive pushes its negatives "
    "and counts in the mean; ours leaves such anchors out",
)
add(
    "pml_lifted_structure",
    "lifted",
    "losses.LiftedStructureLoss(neg_margin=1, pos_margin=0)(embeddings, y)",
    params={"margin": 1.0},
    differs="is the first form, of pairs with the negatives of both rows, squared and halved; ours is the form of an "
    "anchor with all its positives (Hermans, Beyer, Leibe 2017)",
)
AS_THEY_ARE = "distance=distances.DotProductSimilarity(normalize_embeddings=False)"
TWINS = {"embeddings": "twins", "y": "pairs_of_classes"}
add(
    "pml_n_pairs_of_equal_rows",
    "npairs",
    f"losses.NPairsLoss({AS_THEY_ARE}, embedding_regularizer=regularizers.LpRegularizer(p=2, power=2), "
    "embedding_reg_weight=0.01)(embeddings, y)",
    inputs=TWINS,
    params={"reg_weight": 0.01},
    by=(),  # the peer's gradient is of one anchor and one positive a class
)
add(
    "pml_n_pairs_of_equal_rows_normalized",
    "npairs",
    "losses.NPairsLoss()(embeddings, y)",
    inputs=TWINS,
    params={"reg_weight": 0.0},
    differs="normalizes rows unless told not to; the paper takes dot products of rows as they are",
)
add(
    "pml_n_pairs",
    "npairs",
    f"losses.NPairsLoss({AS_THEY_ARE})(embeddings, y)",
    params={"reg_weight": 0.0},
    differs="takes the first row of each class for its anchor and the next for its positive, and no others; of ours "
    "each row is an anchor, each positive counts, and a rival class counts by the mean over its rows",
)
SMOOTH_AP = "losses.SmoothAPLoss(temperature=0.05)(embeddings, y)"
add(
    "pml_smooth_ap",
    "smoothap",
    SMOOTH_AP,
    inputs={"embeddings": "square_rows", "y": "square"},
    params={"tau": 0.05},
    differs="ranks the anchor among its own positives, the first of which it always is; ours leaves the anchor out, as "
    "average precision does",
)
add(
    "pml_smooth_ap_of_fewer_classes_than_rows",
    "smoothap",
    SMOOTH_AP,
    inputs={"embeddings": "rows", "y": "blocks"},
    params={"tau": 0.05},
    differs="besides, takes the rows of a class for the number of classes: of three classes of four rows it makes four "
    "of three",
)

add = family(PML, VIEWS, "view_a", "view_b")
add(
    "pml_vicreg_of_twice_the_variance",
    "vicreg",
    "losses.VICRegLoss(invariance_lambda=25, variance_mu=50, covariance_v=1)(view_a, ref_emb=view_b)",
    params={"invariance_weight": 25.0, "variance_weight": 25.0, "covariance_weight": 1.0},
)
add(
    "pml_vicreg",
    "vicreg",
    "losses.VICRegLoss(invariance_lambda=25, variance_mu=25, covariance_v=1)(view_a, ref_emb=view_b)",
    params={"invariance_weight": 25.0, "variance_weight": 25.0, "covariance_weight": 1.0},
    differs="halves the variance term, as the authors' code does; ours is the formula of the paper",
)
# the peer leaves out the pairs of a row with itself where both labels are the same object
ONE_WAY = "losses.NTXentLoss(temperature=0.05)({0}, eight, ref_emb={1}, ref_labels=eight.clone())"
add(
    "pml_ntxent_of_two_views",
    "multiple_negatives",
    ONE_WAY.format("view_a", "view_b"),
    params={"scale": 20.0},
)
add(
    "pml_ntxent_of_two_views_both_ways",
    "symmetric_infonce",
    f"({ONE_WAY.format('view_a', 'view_b')} + {ONE_WAY.format('view_b', 'view_a')}) / 2",
    params={"tau": 0.05, "label_smoothing": 0.0},
    rtol=1e-7,
    because="our temperature is a parameter in float32",
)

add = family("timm", LOGITS, "logits")
add(
    "timm_label_smoothing",
    "label_smoothing",
    "cross_entropy.LabelSmoothingCrossEntropy(smoothing=0.2)(logits, y)",
    params={"smoothing": 0.2},
)
add(
    "timm_asymmetric_single",
    "asl_single",
    "asymmetric_loss.AsymmetricLossSingleLabel(gamma_pos=1, gamma_neg=4, eps=0.1, reduction='none')(logits, y)",
    params={"gamma_pos": 1.0, "gamma_neg": 4.0, "smoothing": 0.1},
)
add(
    "timm_poly",
    "poly1",
    "poly_loss.PolyCrossEntropy(epsilon=2.0, reduction='none')(logits, y)",
    params={"epsilon": 2.0},
    rtol=FLOAT32,
    because="in float32 inside",
)
ASYMMETRIC = "asymmetric_loss.AsymmetricLossMultiLabel(gamma_neg=4, gamma_pos=1, clip=0.05, reduction={!r})({})"
ASL_PARAMS = {"gamma_neg": 4.0, "gamma_pos": 1.0, "shift": 0.05}
add(
    "timm_asymmetric_multi",
    "asl",
    ASYMMETRIC.format("none", "label_logits, y"),
    inputs=LABELS,
    by=("label_logits",),
    params=ASL_PARAMS,
    rtol=FLOAT32,
    because="in float32 inside",
)
add(
    "timm_asymmetric_multi_of_rows",
    "asl",
    ASYMMETRIC.format("batchmean", "label_logits, y"),
    inputs=LABELS,
    by=("label_logits",),
    params=ASL_PARAMS,
    rtol=FLOAT32,
    because="in float32 inside",
    differs="is the sum over the labels of a row by default, as in the authors' code; ours is their mean, so that the "
    "size of the loss does not depend on how many labels there are",
)
add(
    "timm_binary_cross_entropy",
    "bce",
    "binary_cross_entropy.BinaryCrossEntropy(smoothing=0.0, pos_weight=2.0, reduction='none')(scores, y)",
    inputs=SCORES,
    by=("scores",),
    params={"pos_weight": 2.0},
)

# rows are the pixels of one image, (1, k, n), and `smooth` is a share of them
add = family("monai", LOGITS, "logits")
IMAGE = "(logits.T[None], F.one_hot(y, 4).double().T[None])"
SMOOTH = "smooth_nr=0.08, smooth_dr=0.08"
DICE = f"monai.DiceLoss(softmax=True, {SMOOTH}){IMAGE}"
TVERSKY = f"monai.TverskyLoss(softmax=True, alpha=0.3, beta=0.7, {SMOOTH}){IMAGE}"
add("monai_dice_of_classes", "multiclass_dice", DICE, params={"smooth": 0.01})
add(
    "monai_dice_of_classes_squared",
    "multiclass_dice",
    DICE.replace("True,", "True, squared_pred=True,"),
    params={"smooth": 0.01, "squared": True},
)
add(
    "monai_tversky_of_classes",
    "multiclass_tversky",
    TVERSKY,
    params={"alpha": 0.3, "beta": 0.7, "smooth": 0.01},
)
ABSENT = (
    "averages over all classes, one without a row in the batch included, whose coefficient is nearly zero whatever the "
    "scores are; ours averages over the classes that come up"
)
WITHOUT = {"logits": "logits", "y": "labels_without_3"}
add("monai_dice_without_a_class", "multiclass_dice", DICE, inputs=WITHOUT, params={"smooth": 0.01}, differs=ABSENT)
add(
    "monai_tversky_without_a_class",
    "multiclass_tversky",
    TVERSKY,
    inputs=WITHOUT,
    params={"alpha": 0.3, "beta": 0.7, "smooth": 0.01},
    differs=ABSENT,
)
add(
    "monai_focal",
    "focal",
    "monai.FocalLoss(gamma=2.0, use_softmax=True)(logits, F.one_hot(y, 4))",
    params={"gamma": 2.0},
    rtol=FLOAT32,
    because="in float32 inside",
    differs="divides the sum over the rows by rows times classes; a row has one term, so ours divides by rows",
)
add = family("monai", SCORES, "scores")
BINARY_IMAGE = "(scores[None, None], y[None, None])"
SMOOTH = "smooth_nr=0.1, smooth_dr=0.1"
add("monai_dice", "dice", f"monai.DiceLoss(sigmoid=True, {SMOOTH}){BINARY_IMAGE}", params={"smooth": 0.01})
add(
    "monai_tversky",
    "tversky",
    f"monai.TverskyLoss(sigmoid=True, alpha=0.3, beta=0.7, {SMOOTH}){BINARY_IMAGE}",
    params={"alpha": 0.3, "beta": 0.7, "smooth": 0.01},
)
add = family("monai", VIEWS, "view_a", "view_b")
add(
    "monai_contrastive",
    "ntxent",
    "monai.ContrastiveLoss(temperature=0.3)(embeddings[:6], embeddings[6:])",
    inputs={"embeddings": "rows", "y": "pairs_of_classes"},
    by=("embeddings",),
    params={"tau": 0.3},
)
add(
    "monai_barlow_twins",
    "barlow_twins",
    "monai.BarlowTwinsLoss(lambd=0.01)(view_a, view_b)",
    params={"weight": 0.01},
    differs="divides by standard deviations over n - 1 but by n in the product, so that two equal views have the "
    "correlation (n - 1) / n and a loss; ours is the correlation, as with the authors' batch normalization",
)

add = family("kornia", LOGITS, "logits")
add(
    "kornia_focal",
    "focal",
    "kornia.focal_loss(logits, y, alpha=None, gamma=1.5, reduction='mean')",
    params={"gamma": 1.5},
    differs="divides the sum over the rows by rows times classes; a row has one term, so ours divides by rows",
)
add = family("kornia", PREDICTION, "prediction")
add("kornia_cauchy", "cauchy", "kornia.cauchy_loss(prediction, y)", params={"c": 1.0, "joint": False})
add("kornia_charbonnier", "pseudo_huber", "kornia.charbonnier_loss(prediction, y)", params={"c": 1.0, "joint": False})

add = family("libauc", SCORES, "scores")
for surrogate in ("logistic", "squared_hinge", "hinge", "squared"):
    add(
        f"libauc_pairwise_{surrogate}",
        "mann_whitney",
        f"libauc.PairwiseAUCLoss(surr_loss='{surrogate}')(scores[:, None], y[:, None])",
        params={"surrogate": surrogate},
    )
add(
    "libauc_pairwise_of_labels",
    "macro_auc_pairwise",
    "sum(libauc.PairwiseAUCLoss(surr_loss='logistic')(label_logits[:, [j]], y[:, [j]]) for j in range(4)) / 4",
    inputs=LABELS,
    by=("label_logits",),
    params={"surrogate": "logistic"},
)
MIN_MAX = {**SCORES, "a": "a", "b": "b", "alpha": "alpha"}
AUCM = "holding(libauc.AUCMLoss(version='{}'), a=a, b=b, alpha=alpha)(torch.sigmoid(scores)[:, None], y[:, None])"
add(
    "libauc_aucm_over_its_priors",
    "aucm",
    f"{AUCM.format('v1')}.squeeze() / (y.mean() * (1 - y.mean()))",
    inputs=MIN_MAX,
    by=("scores", "a", "b"),
    params={"mode": "min_max"},
    rtol=FLOAT32,
    because="the share of positives is in float32",
)
add(
    "libauc_aucm",
    "aucm",
    f"{AUCM.format('v1')}.squeeze()",
    inputs=MIN_MAX,
    params={"mode": "min_max"},
    rtol=FLOAT32,
    because="the share of positives is in float32",
    differs="has the product of the shares of both classes before the whole; ours weighs both classes alike",
)
add(
    "libauc_aucm_v2",
    "aucm",
    f"{AUCM.format('v2')}.squeeze()",
    inputs=MIN_MAX,
    params={"mode": "min_max"},
    differs="divides the sum of the negatives by the number of all rows, by a parenthesis in the wrong place",
)

add = family("scikit-learn", LOGITS)
add("sklearn_log_loss", "cross_entropy", "metrics.log_loss(y, logits.softmax(1))")
add(
    "sklearn_brier",
    "brier",
    "metrics.brier_score_loss(y, logits.softmax(1), scale_by_half=False)",
)
add("sklearn_hinge", "hinge", "metrics.hinge_loss(y, logits)", params={"kind": "crammer_singer", "margin": 1.0})
add = family("scikit-learn", SCORES)
add("sklearn_binary_log_loss", "bce", "metrics.log_loss(y, scores.sigmoid())")
add = family("scikit-learn", PREDICTION)
add("sklearn_mean_squared_error", "mse", "metrics.mean_squared_error(y, prediction)")
add("sklearn_mean_absolute_error", "mae", "metrics.mean_absolute_error(y, prediction)")
add(
    "sklearn_poisson_deviance",
    "poisson",
    "metrics.mean_poisson_deviance(y.flatten(), prediction.exp().flatten()) / 2",
    inputs={"prediction": "prediction", "y": "counts"},
)
add(
    "sklearn_tweedie_deviance",
    "tweedie",
    "metrics.mean_tweedie_deviance(y.flatten(), prediction.exp().flatten(), power=1.3) / 2",
    inputs={"prediction": "prediction", "y": "amounts"},
    params={"power": 1.3},
)
QUANTILES = {"columns": "quantiles", "y": "targets"}
LEVELS = [0.1, 0.3, 0.5, 0.7, 0.9]
add(
    "sklearn_pinball",
    "pinball",
    f"sum(metrics.mean_pinball_loss(y, columns[..., j], alpha=level) for j, level in enumerate({LEVELS})) / 5",
    inputs=QUANTILES,
    params={"levels": LEVELS},
)

add = family("scoringrules", {"columns": "members", "y": "targets"}, "columns")
add(
    "scoringrules_quantile_score",
    "pinball",
    f"scoringrules.quantile_score(y[..., None], columns, torch.tensor({LEVELS}), backend='torch').mean(-1)",
    inputs=QUANTILES,
    params={"levels": LEVELS},
)
INTERVALS = "columns[..., :2], columns[..., 3:].flip(-1), torch.tensor([0.2, 0.6])"
add(
    "scoringrules_interval_score",
    "wis",
    "(0.5 * (y - columns[..., 2]).abs() + (torch.tensor([0.1, 0.3]) * scoringrules.interval_score("
    f"y, {INTERVALS}, backend='torch')).sum(-1)) / 2.5",
    inputs=QUANTILES,
    params={"levels": LEVELS},
)
add(
    "scoringrules_weighted_interval_score",
    "wis",
    f"scoringrules.weighted_interval_score(y, columns[..., 2], {INTERVALS}, backend='torch')",
    inputs=QUANTILES,
    params={"levels": LEVELS},
    differs="adds half the median itself, in every backend but numba's, in place of half its distance from the target",
)
for estimator, alpha in (("fair", 1.0), ("nrg", 0.0)):
    add(
        f"scoringrules_crps_ensemble_{estimator}",
        "afcrps",
        f"scoringrules.crps_ensemble(y, columns, estimator='{estimator}', backend='torch')",
        params={"n_members": 6, "alpha": alpha},
    )
    add(
        f"scoringrules_energy_score_{estimator}",
        "energy_score",
        f"scoringrules.es_ensemble(y, columns, m_axis=-1, v_axis=-2, estimator='{estimator}', backend='torch')",
        params={"n_members": 6, "fair": estimator == "fair"},
    )
add(
    "scoringrules_crps_ensemble_almost_fair",
    "afcrps",
    "0.9 * scoringrules.crps_ensemble(y, columns, estimator='fair', backend='torch') "
    "+ 0.1 * scoringrules.crps_ensemble(y, columns, estimator='nrg', backend='torch')",
    params={"n_members": 6, "alpha": 0.9},
)
add = family("scoringrules", {"columns": "two_columns", "y": "targets"}, "columns")
add(
    "scoringrules_crps_normal",
    "crps_normal",
    f"scoringrules.crps_normal(y, columns[..., 0], {SCALE}, backend='torch')",
    **SCALED,
)
add(
    "scoringrules_logs_normal",
    "gaussian_nll",
    f"scoringrules.logs_normal(y, columns[..., 0], {SCALE}, backend='torch')",
    **SCALED,
)


# -- the file ---------------------------------------------------------------------------------------------------------


def evaluate(case: Case, arrays: dict[str, Tensor], names: dict[str, Any]) -> dict[str, Any]:
    """Return what the file says of a case."""
    inputs = {name: arrays[source].clone() for name, source in case.inputs.items()}
    leaves = [inputs[name].requires_grad_() for name in case.by]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = torch.as_tensor(eval(case.call, {**names, "eight": arrays["eight"], **inputs}))
        gradients = torch.autograd.grad(value.mean(), leaves) if leaves else ()
    assert value.dtype in (torch.float64, torch.float32)
    assert all(part.isfinite().all() and part.count_nonzero() > 0 for part in (value, *gradients))
    told: dict[str, Any] = {
        "name": case.name,
        "loss": case.loss,
        "params": case.params,
        "peer": case.peer,
        "version": version(case.peer),
        "call": case.call,
        "inputs": case.inputs,
        "value": value.tolist(),
        "gradient": {name: gradient.tolist() for name, gradient in zip(case.by, gradients, strict=True)},
        "rtol": case.rtol,
    }
    return told | {key: getattr(case, key) for key in ("distance", "because", "differs") if getattr(case, key)}


def on_lines(told: dict[str, Any], indent: str) -> str:
    """Return a mapping with one line a key, on which a change of the file is easy to see."""
    lines = (f"{indent} {json.dumps(key)}: {json.dumps(value)}" for key, value in told.items())
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"


def main() -> None:
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # or numbers that peers keep in tensors would be rounded to float32
    arrays, names = make_inputs(), peers()
    assert len({case.name for case in CASES}) == len(CASES)
    found = ",\n".join("  " + on_lines(evaluate(case, arrays, names), "  ") for case in CASES)
    made = {
        "by": "make oracles, which runs tests/make_oracles.py",
        "with": f"torch.set_default_dtype(torch.float64), numpy.random.default_rng({SEED})",
    }
    inputs = on_lines({name: array.tolist() for name, array in arrays.items()}, " ")
    TARGET.write_text(f'{{\n "made": {json.dumps(made)},\n "inputs": {inputs},\n "cases": [\n{found}\n ]\n}}\n')
    print(f"{len(CASES)} cases in {TARGET.name}")


if __name__ == "__main__":
    main()
