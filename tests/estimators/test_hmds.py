import numpy as np
import pytest
from scipy.sparse.csgraph import shortest_path
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss import HMDS
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.functional.hyperbolic import poincare_distances
from sklearnloss.metrics.distortion import distortion
from sklearnloss.registry import lookup


def in_ball(n=20, d=3, seed=0, reach=0.9):
    rng = np.random.default_rng(seed)
    directions = rng.normal(size=(n, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return reach * rng.random((n, 1)) * directions


def tree(depth=4):
    n = 2 ** (depth + 1) - 1
    edges = np.zeros((n, n))
    for child in range(1, n):
        edges[child, (child - 1) // 2] = edges[(child - 1) // 2, child] = 1
    return shortest_path(edges)


def star(leaves):
    far = 2 - 2 * np.eye(leaves + 1)
    far[0, 1:] = far[1:, 0] = 1
    return far


def flat(distances, r):
    """Return the distances of classical multidimensional scaling."""
    centre = np.eye(len(distances)) - 1 / len(distances)
    values, vectors = np.linalg.eigh(-centre @ distances**2 @ centre / 2)
    points = vectors[:, -r:] * np.sqrt(values[-r:].clip(min=0))
    return np.linalg.norm(points[:, None] - points, axis=2)


@pytest.mark.parametrize("reach", [0.3, 0.9, 0.9999])
@pytest.mark.parametrize(("d", "n_components"), [(2, 2), (3, 3), (3, 6)])
def test_distances_that_are_hyperbolic_are_recovered(d, n_components, reach):
    distances = poincare_distances(in_ball(d=d, reach=reach))
    model = HMDS(n_components).fit(distances)
    assert model.embedding_.shape == (20, n_components)
    np.testing.assert_allclose(poincare_distances(model.embedding_), distances, atol=1e-6)
    assert np.all(np.diff(model.eigenvalues_) <= 0)
    assert np.all(model.eigenvalues_[d:] < 1e-6)


def test_a_scale_multiplies_distances():
    distances = poincare_distances(in_ball())
    model = HMDS(3, scale=4.0).fit(distances / 4)
    np.testing.assert_allclose(poincare_distances(model.embedding_), distances, atol=1e-6)


def test_new_rows_of_hyperbolic_distances_find_their_place():
    points = in_ball(n=30)
    distances = poincare_distances(points)
    model = HMDS(3).fit(distances[:20, :20])
    both = np.vstack([model.embedding_, model.transform(distances[20:, :20])])
    np.testing.assert_allclose(poincare_distances(both), distances, atol=1e-6)


def test_the_rows_of_the_fit_are_found_again_where_no_embedding_is_exact():
    distances = tree()
    model = HMDS(3)
    np.testing.assert_allclose(model.fit(distances).transform(distances), model.embedding_, atol=1e-8)
    np.testing.assert_array_equal(clone(model).fit_transform(distances), model.embedding_)


@pytest.mark.parametrize("n_components", [2, 5, 10])
def test_a_tree_is_distorted_less_than_by_flat_scaling(n_components):
    distances = tree()
    curved = poincare_distances(HMDS(n_components).fit_transform(distances))
    assert distortion(distances, curved) < distortion(distances, flat(distances, n_components))


def test_the_distortion_of_a_star_falls_as_the_scale_grows():
    distances = star(leaves=6)
    scales = (0.5, 1.0, 2.0, 4.0)
    errors = [distortion(distances, poincare_distances(HMDS(5, scale=s).fit_transform(distances)) / s) for s in scales]
    assert np.all(np.diff(errors) < 0)


def test_features_are_compared_by_the_metric_that_is_named():
    X = np.random.default_rng(0).normal(size=(15, 4))
    far = np.linalg.norm(X[:, None] - X, axis=2)
    model = HMDS(metric="euclidean").fit(X)
    np.testing.assert_allclose(model.embedding_, HMDS().fit(far).embedding_, atol=1e-6)
    np.testing.assert_allclose(model.transform(X), model.embedding_, atol=1e-6)


def test_it_is_found_by_name():
    assert lookup("estimator", "hmds").obj is HMDS


def test_it_stands_in_a_pipeline_and_names_its_columns():
    X = np.random.default_rng(0).normal(size=(15, 4))
    pipeline = make_pipeline(StandardScaler(), HMDS(metric="euclidean")).fit(X)
    assert pipeline.transform(X).shape == (15, 2)
    assert pipeline.get_feature_names_out().tolist() == ["hmds0", "hmds1"]


def test_points_stay_inside_the_ball_at_distances_near_the_limit():
    points = HMDS(1, scale=1.0).fit_transform(np.array([[0.0, 690.0], [690.0, 0.0]]))
    assert (np.linalg.norm(points, axis=1) < 1).all()


@pytest.mark.parametrize("model", [HMDS(), HMDS(metric="euclidean", scale=0.01)], ids=["precomputed", "euclidean"])
def test_passes_the_checks_of_scikit_learn(model):
    check_estimator(model, on_skip=None)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.ones((3, 4)), r"HMDS: X must be a square matrix of distances, got shape \(3, 4\); give distances"),
        (np.eye(3), "HMDS: the distance of a row to itself must be zero, got 1; give distances"),
        (np.array([[0.0, -1.0], [-1.0, 0.0]]), "HMDS: Negative values in data: a distance is -1; give distances"),
        (np.array([[0.0, 1, 2], [1, 0, 1], [1, 1, 0]]), "HMDS: distances must be symmetric"),
        (1000 * star(3), "HMDS: distances times scale must not pass 700, got 2000; choose a smaller scale"),
    ],
)
def test_what_is_no_matrix_of_distances_is_refused(X, message):
    with pytest.raises(DataError, match=message):
        HMDS().fit(X)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_components": 0}, r"HMDS: n_components must be an int in \[1, inf\), got 0"),
        ({"n_components": 4}, "HMDS: n_components must be less than the number of rows, 4, got 4"),
        ({"scale": -1.0}, r"HMDS: scale must be a float in \(0, inf\), got -1.0"),
    ],
)
def test_parameters_out_of_range_are_refused(params, message):
    with pytest.raises(ParameterError, match=message):
        HMDS(**params).fit(star(3))
