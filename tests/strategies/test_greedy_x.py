import numpy as np

from sklearnloss.strategies.coreset import coreset
from sklearnloss.strategies.greedy_x import greedy_x


def greedy(rows, labeled, n):
    chosen, known = [], labeled.tolist()
    for _ in range(n):
        distance = [min(np.linalg.norm(row - k) for k in known) for row in rows]
        chosen.append(int(np.argmax(distance)))
        known.append(rows[chosen[-1]])
    return chosen


def test_takes_the_farthest_row_in_columns_of_unit_variance():
    rng = np.random.default_rng(0)
    pool, labeled = rng.normal(size=(60, 3)) * [1, 10, 100], rng.normal(size=(5, 3)) * [1, 10, 100]
    scale = np.concatenate([pool, labeled]).std(axis=0)
    found = greedy_x(pool, embeddings_labeled=labeled, n=8, rng=rng)
    assert found.tolist() == greedy(pool / scale, labeled / scale, 8)


def test_does_not_depend_on_the_units_of_a_column_as_coreset_does():
    rng = np.random.default_rng(0)
    pool, labeled = rng.normal(size=(60, 3)), rng.normal(size=(5, 3))
    units = np.array([1.0, 1000.0, 0.01])
    plain, scaled = (
        [f(pool * u, embeddings_labeled=labeled * u, n=8, rng=rng).tolist() for u in (np.ones(3), units)]
        for f in (greedy_x, coreset)
    )
    assert plain[0] == plain[1]
    assert scaled[0] != scaled[1]


def test_a_constant_column_changes_nothing():
    rng = np.random.default_rng(0)
    pool, labeled = rng.normal(size=(60, 3)), rng.normal(size=(5, 3))
    wider = [np.column_stack([rows, np.full(len(rows), 7.0)]) for rows in (pool, labeled)]
    found = greedy_x(wider[0], embeddings_labeled=wider[1], n=8, rng=rng)
    assert found.tolist() == greedy_x(pool, embeddings_labeled=labeled, n=8, rng=rng).tolist()


def test_a_learner_measures_where_the_last_step_does(asked):
    found = asked("greedy_x", "diabetes")
    scaled = found.fitted[0].transform(found.X)
    scale = scaled.std(axis=0)
    expected = greedy(scaled[found.rest] / scale, scaled[found.seen] / scale, 8)
    assert found.rows.tolist() == found.rest[expected].tolist()
    assert found.rows.tolist() == asked("gsx", "diabetes").rows.tolist()
    found.teach()
