"""Losses beside other packages, whose values `make oracles` froze in oracles.json.

Where the peer does something else, the reason is a formula here: two of them in plain loops, of which one gives our
value and the other the peer's, so that what the file says of the difference is known to be all of it.
"""

import json
import math
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from sklearnloss import Loss, components
from sklearnloss.registry import lookup

HERE = Path(__file__).parent
FILE = json.loads((HERE / "oracles.json").read_text())
CASES = {case["name"]: case for case in FILE["cases"]}
WANTED = {  # the losses that each peer has something to say about
    "torch": {
        "cross_entropy", "label_smoothing", "kd", "hinge", "logit_adjusted", "cut_cross_entropy", "bce", "mse", "mae",
        "huber", "poisson", "gaussian_nll", "laplace_nll", "student_t_nll", "gamma", "mixture_density", "triplet",
        "contrastive",
    },
    "pytorch-metric-learning": {
        "arcface", "cosface", "subcenter_arcface", "normalized_softmax", "sphereface", "proxy_nca", "proxy_anchor",
        "soft_triple", "circle", "multi_similarity", "ntxent", "supcon", "nca", "contrastive", "triplet", "tuplet",
        "fastap", "histogram", "margin", "intra_pair_variance", "tcm", "ranked_list", "snr_contrastive", "angular",
        "lifted", "npairs", "smoothap", "vicreg", "multiple_negatives", "symmetric_infonce",
    },
    "timm": {"label_smoothing", "asl_single", "poly1", "asl", "bce"},
    "monai": {
        "multiclass_dice", "multiclass_tversky", "focal", "dice", "tversky", "ntxent", "barlow_twins",
    },
    "kornia": {"focal", "cauchy", "pseudo_huber"},
    "libauc": {"mann_whitney", "macro_auc_pairwise", "aucm"},
    "scikit-learn": {"cross_entropy", "brier", "hinge", "bce", "mse", "mae", "poisson", "tweedie", "pinball"},
    "scoringrules": {"pinball", "wis", "afcrps", "energy_score", "crps_normal", "gaussian_nll"},
}  # fmt: skip


# -- our side ---------------------------------------------------------------------------------------------------------


def inputs_of(case):
    return {name: torch.tensor(np.array(FILE["inputs"][source])) for name, source in case["inputs"].items()}


def mean_of(result):
    """Return a loss as it is reduced: the sum over the units by their number."""
    if not isinstance(result, tuple):
        return result.mean()
    totals, valid = result
    return totals.sum() / valid.sum().clamp(min=1)


def ours(case, inputs):
    """Call our loss, with the vectors of the classes that the case gives."""
    choice = Loss(case["loss"], **case["params"]).choose()
    facts = dict(inputs)
    if choice.component.role == "cosines":
        rows, proxies = facts.pop("embeddings"), facts.pop("proxies")
        facts["cosines"] = normalize(rows, dim=1) @ normalize(proxies, dim=1).T
    if "distance" in case:
        facts["distance"] = lookup("distance", case["distance"]).obj
    classes = facts.get("proxies", facts.get("centers"))
    shape = {} if classes is None else {"n_classes": len(classes), "embedding_dim": classes.shape[-1]}
    loss = choice.build(shape)
    if isinstance(loss, torch.nn.Module):
        for name in [name for name, _ in loss.named_parameters() if name in facts]:
            delattr(loss, name)  # a plain tensor stands in for the parameter, so that gradients reach it
            setattr(loss, name, facts.pop(name))
    return loss(*[facts.pop(name) for name in choice.component.data], **facts)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "differs" not in case])
def test_value_and_gradient_are_those_of_the_peer(name):
    case = CASES[name]
    inputs = inputs_of(case)
    leaves = [inputs[key].requires_grad_() for key in case["gradient"]]
    found, value = ours(case, inputs), torch.tensor(np.array(case["value"]))
    close = {"rtol": case["rtol"], "atol": case["rtol"] * value.abs().max().item()}
    assert_close(mean_of(found) if value.ndim == 0 else found, value, **close)
    if not leaves:
        return
    gradients = torch.autograd.grad(mean_of(found), leaves)
    for gradient, wanted in zip(gradients, case["gradient"].values(), strict=True):
        wanted = torch.tensor(wanted, dtype=torch.float64)
        assert_close(gradient, wanted, rtol=case["rtol"], atol=case["rtol"] * wanted.abs().max().item())


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "differs" in case])
def test_value_is_not_that_of_the_peer_for_the_reason_that_is_given(name):
    case = CASES[name]
    arrays = {key: value.numpy() for key, value in inputs_of(case).items()}
    peer = float(np.mean(case["value"]))
    found = mean_of(ours(case, inputs_of(case))).item()
    ours_in_loops, peer_in_loops = FORMULAS[name](**arrays, **case["params"])
    assert found == pytest.approx(ours_in_loops, rel=1e-10)
    assert peer == pytest.approx(peer_in_loops, rel=case["rtol"])
    assert found != pytest.approx(peer, rel=1e-3)


# -- the file ---------------------------------------------------------------------------------------------------------


def test_every_case_names_a_registered_loss_with_its_hyperparameters():
    known = {component.name: component for component in components("loss") if component.plugin == "core"}
    for case in CASES.values():
        assert case["loss"] in known, case["name"]
        assert set(case["params"]) <= {parameter.name for parameter in known[case["loss"]].parameters}


def test_every_case_says_which_peer_in_which_version_was_called_how():
    assert len(CASES) == len(FILE["cases"])
    for name, case in CASES.items():
        assert case["peer"] in WANTED, name
        assert case["version"][0].isdigit(), name
        assert set(case["inputs"].values()) <= set(FILE["inputs"]), name
        assert set(case["gradient"]) <= set(case["inputs"]), name
        assert "(" in case["call"], name
        assert np.isfinite(case["value"]).all(), name
        assert (case["rtol"] > 1e-10) == ("because" in case), name
        for key, gradient in case["gradient"].items():
            assert np.shape(gradient) == np.shape(FILE["inputs"][case["inputs"][key]]), name


def test_the_file_holds_all_that_the_peers_have_to_say():
    found = {peer: {case["loss"] for case in CASES.values() if case["peer"] == peer} for peer in WANTED}
    assert found == WANTED
    assert set(FORMULAS) == {name for name, case in CASES.items() if "differs" in case}


def test_the_file_is_that_of_the_script():
    script = runpy.run_path(str(HERE / "make_oracles.py"))
    assert [case.name for case in script["CASES"]] == list(CASES)
    for case in script["CASES"]:
        kept = CASES[case.name]
        told = {key: getattr(case, key) for key in ("loss", "peer", "call", "inputs", "params", "rtol")}
        assert told == {key: kept[key] for key in told}, case.name
        assert case.by == tuple(kept["gradient"]), case.name
        assert case.differs == kept.get("differs", ""), case.name
    for name, array in script["make_inputs"]().items():
        assert_close(
            torch.tensor(np.array(FILE["inputs"][name])), array.double() if array.is_floating_point() else array
        )


# -- what differs, in plain loops -------------------------------------------------------------------------------------


def softmax(rows):
    powers = np.exp(rows - rows.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def log_sum(terms):
    return math.log(sum(math.exp(term) for term in terms))


def others(y, i, *, same):
    return [j for j in range(len(y)) if j != i and (y[j] == y[i]) == same]


def far(embeddings):
    rows = unit(embeddings)
    return [[math.dist(a, b) for b in rows] for a in rows]


def multi_margin(logits, y, kind, margin):
    assert kind == "weston_watkins"
    lacks = [
        sum(max(0.0, margin + z[j] - z[true]) for j in range(len(z)) if j != true)
        for z, true in zip(logits, y, strict=True)
    ]
    return np.mean(lacks), np.mean(lacks) / logits.shape[1]


def poisson_nll(prediction, y):
    short = np.exp(prediction) - y * prediction
    constant = [[n * math.log(n) - n if n else 0.0 for n in row] for row in y]
    return (short + constant).mean(), short.mean()


def sphereface(embeddings, y, proxies, factor, scale):
    cosines, lengths = unit(embeddings) @ unit(proxies).T, np.linalg.norm(embeddings, axis=1)

    def row(i, scale):
        angle = factor * math.acos(cosines[i, y[i]])
        turns = math.floor(angle / math.pi)
        z = scale * cosines[i]
        z[y[i]] = scale * ((-1) ** turns * math.cos(angle) - 2 * turns)
        return log_sum(z) - z[y[i]]

    return tuple(np.mean([row(i, scale * by[i]) for i in range(len(y))]) for by in (np.ones(len(y)), lengths))


def soft_triple(embeddings, y, centers, centers_per_class, la, gamma, margin, tau):
    rows, centers = unit(embeddings), unit(centers)
    values = []
    for row, true in zip(rows, y, strict=True):
        cosines = centers @ row  # (k, centers of a class)
        z = la * ((softmax(cosines / gamma) * cosines).sum(1) - margin * (np.arange(len(centers)) == true))
        values.append(log_sum(z) - z[true])
    apart = sum(math.sqrt(2 - 2 * own[s] @ own[t] + 1e-5) for own in centers for t in range(len(own)) for s in range(t))
    merging = tau * apart / (len(centers) * centers_per_class * (centers_per_class - 1))
    return np.mean(values) + merging, np.mean(values)


def multi_similarity(embeddings, y, alpha, beta, lam):
    s = unit(embeddings) @ unit(embeddings).T
    values = [
        math.log(1 + sum(math.exp(-alpha * (s[i, j] - lam)) for j in others(y, i, same=True))) / alpha
        + math.log(1 + sum(math.exp(beta * (s[i, j] - lam)) for j in others(y, i, same=False))) / beta
        for i in range(len(y))
    ]
    return np.mean([value for i, value in enumerate(values) if others(y, i, same=True)]), np.mean(values)


def angular(embeddings, y, angle):
    squared = math.tan(angle) ** 2
    rows = unit(embeddings)

    def value(negatives):
        return np.mean([
            math.log1p(sum(
                math.exp(4 * squared * (rows[i] + rows[j]) @ negatives[k] - 2 * (1 + squared) * rows[i] @ rows[j])
                for k in others(y, i, same=False)
            ))
            for i in range(len(y)) for j in others(y, i, same=True)
        ])  # fmt: skip

    return value(rows), value(embeddings)


def lifted_of_lone_rows(embeddings, y, margin):
    d = far(embeddings)
    values, with_positive = [], []
    for i in range(len(y)):
        positives, negatives = others(y, i, same=True), others(y, i, same=False)
        pull = log_sum(d[i][j] for j in positives) if positives else 0.0
        values.append(max(0.0, pull + log_sum(margin - d[i][k] for k in negatives)))
        with_positive += values[-1:] if positives else []
    return np.mean(with_positive), np.mean(values)


def lifted_of_pairs(embeddings, y, margin):
    d, terms = far(embeddings), []
    for i in range(len(y)):
        for j in others(y, i, same=True):
            push = log_sum(margin - d[row][k] for row in (i, j) for k in others(y, i, same=False))
            terms.append(max(0.0, d[i][j] + push) ** 2 / 2)
    return lifted_of_lone_rows(embeddings, y, margin)[0], np.mean(terms)


def n_pairs(embeddings, y, reg_weight):
    assert reg_weight == 0
    values, dots = [], embeddings @ embeddings.T
    for i in range(len(y)):
        rivals = sum(math.exp(dots[i, k]) / (y == y[k]).sum() for k in others(y, i, same=False))
        values.append(np.mean([math.log1p(rivals / math.exp(dots[i, j])) for j in others(y, i, same=True)]))
    anchors, positives = zip(*(np.flatnonzero(y == label)[:2] for label in np.unique(y)), strict=True)
    z = dots[np.ix_(anchors, positives)]
    return np.mean(values), np.mean([log_sum(row) - row[i] for i, row in enumerate(z)])


def n_pairs_of_unit_rows(embeddings, y, reg_weight):
    return n_pairs(embeddings, y, reg_weight)[0], n_pairs(unit(embeddings), y, reg_weight)[1]


def smooth_ap(embeddings, y, tau):
    s, n = unit(embeddings) @ unit(embeddings).T, len(y)
    per_group = len(np.unique(y))  # the peer's rows of a class

    def value(groups, *, itself):
        losses = []
        for i in range(n):
            positives = [j for j in range(n) if groups[j] == groups[i] and (itself or j != i)]
            ranked = [k for k in range(n) if itself or k != i]
            losses.append(1 - np.mean([
                (1 + sum(sigmoid((s[i, k] - s[i, j]) / tau) for k in positives if k != j))
                / (1 + sum(sigmoid((s[i, k] - s[i, j]) / tau) for k in ranked if k != j))
                for j in positives
            ]))  # fmt: skip
        return np.mean(losses)

    return value(y, itself=False), value(np.arange(n) // per_group, itself=True)


def vicreg(view_a, view_b, invariance_weight, variance_weight, covariance_weight):
    value, spread = invariance_weight * ((view_a - view_b) ** 2).mean(), 0.0
    for view in (view_a, view_b):
        covariance = np.cov(view.T)
        spread += np.maximum(0, 1 - np.sqrt(covariance.diagonal() + 1e-4)).mean()
        value += covariance_weight * (covariance[~np.eye(len(covariance), dtype=bool)] ** 2).sum() / len(covariance)
    return value + variance_weight * spread, value + variance_weight * spread / 2


def asymmetric(label_logits, y, gamma_neg, gamma_pos, shift):
    p = sigmoid(label_logits)
    shifted = np.maximum(p - shift, 0)
    terms = -np.where(y == 1, (1 - p) ** gamma_pos * np.log(p), shifted**gamma_neg * np.log(1 - shifted))
    return terms.mean(), terms.sum(1).mean()


def overlap(logits, y, smooth, alpha, beta):
    p, labels = softmax(logits), np.eye(logits.shape[1])[y]
    shared, added = (p * labels).sum(0), smooth * len(y)
    index = (shared + added) / (shared + alpha * (p * (1 - labels)).sum(0) + beta * ((1 - p) * labels).sum(0) + added)
    return 1 - index[labels.any(0)].mean(), 1 - index.mean()


def dice(logits, y, smooth):
    return overlap(logits, y, smooth / 2, 0.5, 0.5)


def focal(logits, y, gamma):
    p = softmax(logits)[np.arange(len(y)), y]
    values = -((1 - p) ** gamma) * np.log(p)
    return values.mean(), values.mean() / logits.shape[1]


def barlow_twins(view_a, view_b, weight):
    n, d = view_a.shape

    def value(of_n, slack):
        scaled = [(v - v.mean(0)) / (v.std(0, ddof=n - of_n) + slack) for v in (view_a, view_b)]
        c = scaled[0].T @ scaled[1] / n
        return sum((c[j, k] - 1) ** 2 if j == k else weight * c[j, k] ** 2 for j in range(d) for k in range(d))

    return value(n, 0.0), value(n - 1, 1e-6)


def aucm(scores, y, a, b, alpha, mode, version_2=False):
    assert mode == "min_max"
    h = sigmoid(scores)
    high, low = h[y == 1], h[y == 0]

    def value(mean_low):
        spread = ((high - a) ** 2).mean() + ((low - b) ** 2).mean()
        return spread + 2 * alpha * (1 + mean_low - high.mean()) - alpha**2

    share = y.mean()
    peer = value(low.sum() / len(y)) if version_2 else share * (1 - share) * value(low.mean())
    return value(low.mean()), peer


def weighted_interval(columns, y, levels):
    k = len(levels) // 2
    total = np.zeros_like(y)
    for j, level in enumerate(levels[:k]):
        low, high = columns[..., j], columns[..., -1 - j]
        total += level * (high - low) + np.maximum(low - y, 0) + np.maximum(y - high, 0)
    median = columns[..., k]
    return tuple(np.mean((total + half / 2) / (k + 0.5)) for half in (abs(y - median), median))


FORMULAS = {
    "torch_multi_margin": multi_margin,
    "torch_poisson_nll": poisson_nll,
    "pml_sphereface": sphereface,
    "pml_soft_triple_regularized": soft_triple,
    "pml_multi_similarity_with_a_lone_row": multi_similarity,
    "pml_angular": angular,
    "pml_lifted_with_a_lone_row": lifted_of_lone_rows,
    "pml_lifted_structure": lifted_of_pairs,
    "pml_n_pairs_of_equal_rows_normalized": n_pairs_of_unit_rows,
    "pml_n_pairs": n_pairs,
    "pml_smooth_ap": smooth_ap,
    "pml_smooth_ap_of_fewer_classes_than_rows": smooth_ap,
    "pml_vicreg": vicreg,
    "timm_asymmetric_multi_of_rows": asymmetric,
    "monai_dice_without_a_class": dice,
    "monai_tversky_without_a_class": overlap,
    "monai_focal": focal,
    "monai_barlow_twins": barlow_twins,
    "kornia_focal": focal,
    "libauc_aucm": aucm,
    "libauc_aucm_v2": lambda **given: aucm(**given, version_2=True),
    "scoringrules_weighted_interval_score": weighted_interval,
}
