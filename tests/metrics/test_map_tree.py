import numpy as np
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import shortest_path
from sklearn.metrics import average_precision_score

from sklearnloss.metrics.map_tree import map_tree


def graph(n=12, seed=0):
    rng = np.random.default_rng(seed)
    edges = np.triu(rng.random((n, n)) < 0.25, 1)
    edges[0, 1] = True
    far = np.triu(rng.random((n, n)), 1)
    return (edges | edges.T).astype(int), far + far.T


def naive(edges, far):
    n, values = len(edges), []
    for a in range(n):
        neighbours = [b for b in range(n) if b != a and edges[a, b]]
        precisions = []
        for b in neighbours:
            among = [c for c in range(n) if c != a and far[a, c] <= far[a, b]]
            precisions.append(len([c for c in among if c in neighbours]) / len(among))
        if neighbours:
            values.append(sum(precisions) / len(precisions))
    return sum(values) / len(values)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops_with_ties_too(seed):
    edges, far = graph(seed=seed)
    assert map_tree(edges, far) == pytest.approx(naive(edges, far))
    ties = (5 * far).round()
    assert map_tree(edges, ties) == pytest.approx(naive(edges, ties))


def test_is_the_mean_average_precision_that_scikit_learn_computes():
    edges, far = graph()
    rows = [a for a in range(12) if edges[a].any()]
    wanted = [average_precision_score(np.delete(edges[a], a), -np.delete(far[a], a)) for a in rows]
    assert map_tree(edges, far) == pytest.approx(np.mean(wanted))


def test_distances_along_a_tree_are_perfect_whatever_increases_with_them():
    edges = np.zeros((15, 15))
    for child in range(1, 15):
        edges[child, (child - 1) // 2] = edges[(child - 1) // 2, child] = 1
    far = shortest_path(edges)
    assert map_tree(edges, far) == map_tree(edges, far**3) == map_tree(csr_matrix(edges), far) == 1


def test_points_that_all_coincide_have_the_share_of_neighbours():
    edges, far = graph()
    degree = edges.sum(1)
    assert map_tree(edges, 0 * far) == pytest.approx((degree[degree > 0] / 11).mean())


def test_a_graph_without_an_edge_is_refused():
    with pytest.raises(ValueError, match="graph must have an edge, got none"):
        map_tree(np.eye(3), np.ones((3, 3)))
