import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import sklearnloss
from sklearnloss import Loss, LossClassifier, MetricEmbedder
from sklearnloss.exceptions import MissingFactError, ParameterError, SaveError, TaskError


def digits(n=500):
    X, y = load_digits(return_X_y=True)
    return X[:n], y[:n]


def quick(loss=None, **params):
    small = {"embedding_dim": 4, "hidden_layer_sizes": (16,), "lr": 0.01, "max_epochs": 5, "random_state": 0}
    return MetricEmbedder(loss, **(small | params))


def test_passes_every_check_of_scikit_learn():
    results = check_estimator(MetricEmbedder(), on_fail=None, on_skip=None)
    assert {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"} == {}
    assert {r["check_name"] for r in results if r["status"] == "skipped"} <= {"check_array_api_input"}
    assert len(results) > 40


# -- use --------------------------------------------------------------------------------------------------------------


def test_gives_unit_vectors_by_name_in_the_precision_of_x(blobs):
    X, y = blobs
    model = quick().fit(X, y)
    embedded = model.transform(X)
    assert embedded.shape == (90, 4)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1)
    assert embedded.dtype == np.float64
    assert quick().fit(X.astype(np.float32), y).transform(X.astype(np.float32)).dtype == np.float32
    assert model.get_feature_names_out().tolist() == [f"metricembedder{j}" for j in range(4)]
    assert list(model.set_output(transform="pandas").transform(X).columns) == list(model.get_feature_names_out())


def test_gives_the_network_s_own_vectors_without_normalize(blobs):
    X, y = blobs
    raw, unit = (quick(normalize=on).fit(X, y).transform(X) for on in (False, True))
    np.testing.assert_allclose(raw / np.linalg.norm(raw, axis=1, keepdims=True), unit)


def test_a_vector_of_zeros_stays_one(blobs):
    X, y = blobs
    model = quick().fit(X, y)
    with torch.no_grad():
        for parameter in model.net_.module_.head.parameters():
            parameter.zero_()
    assert (model.transform(X) == 0).all()


def test_scores_the_share_of_rows_whose_nearest_other_row_is_of_their_class(blobs):
    X, y = blobs
    model = quick(max_epochs=1).fit(X, y)
    distances = euclidean_distances(model.transform(X))
    np.fill_diagonal(distances, np.inf)
    assert model.score(X, y) == pytest.approx((y[distances.argmin(1)] == y).mean())
    with pytest.raises(ValueError, match=r"nearest neighbour and needs y"):
        model.score(X)


def test_brings_classes_together_that_lie_apart_in_x():
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (400, 2))
    y = (X[:, 0] > 0) ^ (X[:, 1] > 0)
    model = quick(hidden_layer_sizes=(64,), max_epochs=40).fit(X[:300], y[:300])
    nearest = KNeighborsClassifier(1).fit(model.transform(X[:300]), y[:300])
    assert nearest.score(model.transform(X[300:]), y[300:]) > 0.93


def test_works_in_a_grid_over_losses_miners_and_distances_with_a_nearest_neighbour_classifier():
    def nearer(block, *, share: float = 0.5):
        return block.cosines > -share

    pipeline = make_pipeline(StandardScaler(), quick(), KNeighborsClassifier())
    grid = {
        "metricembedder__loss": ["multi_similarity", Loss("triplet", margin=0.2), "supcon"],
        "metricembedder__miner": [None, nearer],
    }
    search = GridSearchCV(pipeline, grid, cv=3).fit(*digits(300))
    assert len(search.cv_results_["params"]) == 6
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.8


def test_parameters_of_specs_are_set_by_name():
    model = quick("triplet", views="noise").set_params(loss__margin=0.3, views__sigma=0.2)
    assert model.get_params()["loss"] == Loss("triplet", margin=0.3)
    with pytest.raises(ParameterError, match="has no parameter 'alpha'"):
        model.set_params(loss__alpha=1.0).fit(*make_blobs(20, random_state=0))


# -- with and without y -----------------------------------------------------------------------------------------------


def test_the_loss_is_multi_similarity_with_y_and_ntxent_on_two_views_without(blobs):
    X, y = blobs
    named, alone = quick().fit(X, y), quick().fit(X)
    assert [term.name for term in named.net_.criterion_.terms] == ["multi_similarity"]
    assert [term.name for term in alone.net_.criterion_.terms] == ["ntxent"]
    assert not hasattr(alone, "classes_")
    np.testing.assert_array_equal(quick("ntxent", views="noise").fit(X).transform(X), alone.transform(X))


def test_without_y_views_of_a_row_come_to_lie_together():
    X, _ = digits()
    model = quick(max_epochs=10, embedding_dim=16, hidden_layer_sizes=(64,)).fit(X)
    noisy = X + 0.1 * X.std(0) * np.random.default_rng(0).normal(0, 1, X.shape)
    found = euclidean_distances(model.transform(noisy), model.transform(X)).argmin(1)
    assert (found == np.arange(len(X))).mean() > 0.9


@pytest.mark.parametrize("loss", ["vicreg", "barlow_twins", "multiple_negatives", "symmetric_infonce"])
def test_losses_of_two_views_train_with_and_without_y(loss, blobs):
    X, y = blobs
    for target in (None, y):
        model = quick(loss, views="noise").fit(X, target)
        assert np.isfinite(model.transform(X)).all()
    with pytest.raises(TaskError, match="compares two views of each row; set views='noise'"):
        quick(loss).fit(X, y)


def test_without_y_a_loss_of_pairs_asks_for_y_or_views(blobs):
    X, _ = blobs
    with pytest.raises(MissingFactError, match=r"fit\(X, y\); or set views='noise'"):
        quick("supcon").fit(X)
    assert quick("supcon", views="noise").fit(X).n_iter_ == 5


@pytest.mark.parametrize("loss", ["proxy_anchor", "supremix"])
def test_without_y_a_loss_that_learns_from_y_says_so(loss, blobs):
    with pytest.raises(MissingFactError, match=f"loss '{loss}' learns from y, which is missing"):
        quick(loss, views="noise").fit(blobs[0])


def test_proxies_are_learnt_beside_the_network(blobs):
    X, y = blobs
    model = quick("proxy_anchor").fit(X, y)
    (proxies,) = model.net_.criterion_.parameters()
    assert proxies.shape[0] == 3
    assert model.score(X, y) > 0.9


def test_numbers_are_targets_of_a_loss_that_learns_from_numbers():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 5))
    y = np.round(X[:, 0] * 2) / 2
    model = quick("supremix", max_epochs=30).fit(X, y)
    near = euclidean_distances(model.transform(X))
    np.fill_diagonal(near, np.inf)
    missed = np.square(y - y[near.argmin(1)]).sum() / np.square(y - y.mean()).sum()
    assert model.score(X, y) == pytest.approx(1 - missed)
    assert model.score(X, y) > 0.8
    with pytest.raises(ValueError, match="could not convert string to float"):
        quick("supremix").fit(X, np.where(y > 0, "high", "low"))


# -- bad input --------------------------------------------------------------------------------------------------------


def test_one_class_is_refused_with_what_to_do(blobs):
    with pytest.raises(ValueError, match=r"at least two classes, got one class: \[0\]; without labels, leave y out"):
        quick().fit(blobs[0], np.zeros(90, int))


def test_a_loss_of_another_estimator_is_named(blobs):
    with pytest.raises(TaskError, match="works on logits; MetricEmbedder takes losses on embeddings"):
        quick("cross_entropy").fit(*blobs)
    with pytest.raises(TaskError, match="LossClassifier needs a term with a head"):
        LossClassifier("supcon").fit(*blobs)


@pytest.mark.parametrize("y", [np.arange(90), np.arange(90) % 45])
def test_classes_with_a_row_or_two_train_without_nan(y, blobs):
    model = quick().fit(blobs[0], y)
    assert np.isfinite(model.transform(blobs[0])).all()
    assert np.isfinite(model.loss_curve_).all()


@pytest.mark.parametrize("loss", ["multi_similarity", "supcon", "triplet", "contrastive", "ntxent"])
def test_equal_rows_and_rows_of_zeros_train_without_nan(loss):
    X = np.zeros((40, 3))
    X[20:30] = 1.0
    model = quick(loss).fit(X, np.arange(40) % 4)
    assert np.isfinite(model.transform(X)).all()


def test_nan_in_x_and_a_wrong_number_of_labels_are_refused(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        quick().fit(X, y[:-1])
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        quick().fit(X, y)


def test_several_labels_per_row_are_refused(labels):
    with pytest.raises(ValueError, match="takes one class per row"):
        quick().fit(*labels)


def test_a_miner_that_finds_nothing_leaves_the_network_as_it_was(blobs):
    def nothing(block):
        return torch.zeros_like(block.values, dtype=torch.bool)

    X, y = blobs
    for loss in ("triplet", "multi_similarity", "contrastive", "supcon", "ntxent"):
        model = quick(loss, miner=nothing).fit(X, y)
        assert model.loss_curve_ == [0.0] * 5
        np.testing.assert_allclose(model.transform(X), quick(loss, lr=1e-30).fit(X, y).transform(X))


def test_a_miner_for_a_loss_that_takes_no_pairs_is_refused(blobs):
    def everything(block):
        return torch.ones_like(block.values, dtype=torch.bool)

    with pytest.raises(TaskError, match="makes 'pairs', which no term of the loss takes"):
        quick("proxy_anchor", miner=everything).fit(*blobs)


def test_a_distance_for_a_loss_that_compares_in_its_own_way_is_refused(blobs):
    with pytest.raises(TaskError, match="'supcon' compares in its own way and takes no distance"):
        quick("supcon", distance=lambda a, b: torch.cdist(a, b)).fit(*blobs)
    with pytest.raises(TaskError, match="no term of the loss takes a distance"):
        quick(Loss("supcon") + Loss("tcm"), distance="squared").fit(*blobs)
    quick(Loss("supcon") + Loss("triplet"), distance="squared").fit(*blobs)


# -- memory, weights, going on ----------------------------------------------------------------------------------------


def test_a_memory_holds_the_last_rows_and_travels_with_the_model(blobs, tmp_path):
    X, y = blobs
    model = quick("contrastive", memory=50, batch_size=32).fit(X, y)
    memory = model.net_.criterion_.mining.memory
    assert int(memory.written) >= 5 * 90
    assert memory.embeddings.shape == (50, 4)
    assert set(memory.y.tolist()) <= {0, 1, 2}
    assert not torch.equal(memory.embeddings[0], memory.embeddings[1])
    model.save(tmp_path / "model.safetensors")
    again = sklearnloss.load(tmp_path / "model.safetensors")
    for one in (model, again, pickle.loads(pickle.dumps(model))):
        one.partial_fit(X, y)
    np.testing.assert_array_equal(model.transform(X), again.transform(X))
    assert not np.allclose(
        model.transform(X), quick("contrastive", batch_size=32).fit(X, y).partial_fit(X, y).transform(X)
    )


def test_parameters_of_mining_that_were_changed_since_fit_are_not_saved(blobs, tmp_path):
    model = quick("contrastive", memory=50).fit(*blobs).set_params(memory=10)
    with pytest.raises(SaveError, match="memory was changed since fit"):
        model.save(tmp_path / "model.safetensors")


def test_a_row_of_weight_zero_is_no_anchor_and_no_partner(blobs):
    X, y = blobs
    weights = np.ones(90)
    weights[::3] = 0
    X = X.copy()
    weighted = quick(standardize=False).fit(X, y, sample_weight=weights)
    X[::3] = 1e6
    np.testing.assert_array_equal(
        weighted.net_.module_.head.weight.detach(),
        quick(standardize=False).fit(X, y, sample_weight=weights).net_.module_.head.weight.detach(),
    )


def test_partial_fit_goes_on_and_a_warm_start_too(blobs):
    X, y = blobs
    model = quick(max_epochs=1).partial_fit(X, y).partial_fit(X[y > 0], y[y > 0])
    assert model.n_iter_ == 2
    assert model.classes_.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="not among the classes"):
        model.partial_fit(X, y + 5)
    assert quick(warm_start=True).fit(X, y).fit(X, y).n_iter_ == 10
    with pytest.raises(ValueError, match="was trained with y and cannot go on without it"):
        model.partial_fit(X)


def test_a_fit_is_the_same_again_to_the_bit_and_leaves_global_generators_alone(blobs):
    X, y = blobs
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    first, second = (clone(quick(views="noise", memory=20)).fit(X, y).transform(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()


def test_early_stopping_watches_recall_on_rows_held_out(blobs):
    X, y = blobs
    with pytest.raises(ValueError, match="watches recall@1, which needs y"):
        quick(early_stopping=True).fit(X)
    model = quick(early_stopping=True, validation_fraction=0.3, max_epochs=8).fit(X, y)
    assert all(0 <= row["valid_score"] <= 1 for row in model.history_)


def test_a_checkpoint_ends_where_the_same_fit_ends(blobs, tmp_path):
    X, y = blobs
    plain = quick("contrastive", memory=30).fit(X, y).transform(X)
    kept = quick("contrastive", memory=30, checkpoint=tmp_path)
    np.testing.assert_array_equal(kept.fit(X, y).transform(X), plain)
    np.testing.assert_array_equal(kept.fit(X, y).transform(X), plain)


# -- modules ----------------------------------------------------------------------------------------------------------


def test_a_user_s_backbone_gets_a_linear_layer_and_one_that_names_n_outputs_is_complete(blobs, tmp_path):
    X, y = blobs

    def complete(n_features, n_outputs):
        return torch.nn.Linear(n_features, n_outputs)

    backbone = torch.nn.Sequential(torch.nn.Linear(4, 7), torch.nn.Tanh())
    for module, count in ((backbone, 4 * 7 + 7 + 7 * 4 + 4), (complete, 4 * 4 + 4)):
        model = quick(module=module).fit(X, y)
        assert model.transform(X).shape == (90, 4)
        assert sum(p.numel() for p in model.net_.module_.parameters()) == count
        model.save(tmp_path / "model.safetensors")
        again = sklearnloss.load(tmp_path / "model.safetensors", module=module)
        np.testing.assert_array_equal(again.transform(X), model.transform(X))


def test_sparse_rows_and_rows_read_from_a_file_give_the_same_embeddings(blobs, tmp_path):
    from scipy.sparse import csr_matrix

    X, y = blobs
    plain = quick().fit(X, y).transform(X)
    np.testing.assert_allclose(quick().fit(csr_matrix(X), y).transform(csr_matrix(X)), plain, rtol=1e-6)
    np.save(tmp_path / "X.npy", X)
    streamed = quick(memory_limit=1000).fit(str(tmp_path / "X.npy"), y)
    assert streamed.transform(str(tmp_path / "X.npy")).shape == plain.shape


def test_learns_what_tells_classes_apart_that_it_never_saw():
    X, y = load_digits(return_X_y=True)
    noisy = np.hstack([X, np.random.default_rng(0).normal(0, 30, X.shape)])  # half of the columns say nothing
    train, test = y < 5, y >= 5
    model = MetricEmbedder(max_epochs=10, random_state=0).fit(noisy[train], y[train])
    distances = euclidean_distances(noisy[test])
    np.fill_diagonal(distances, np.inf)
    raw = (y[test][distances.argmin(1)] == y[test]).mean()
    assert model.score(noisy[test], y[test]) > raw + 0.1


@pytest.mark.filterwarnings("ignore:A column-vector y was passed")
def test_a_column_of_classes_is_taken_wherever_y_is(blobs):
    X, y = blobs
    model = quick("supcon", early_stopping=True).fit(X, y[:, None])
    assert model.score(X, y[:, None]) == model.score(X, y)
