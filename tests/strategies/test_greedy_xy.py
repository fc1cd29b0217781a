import numpy as np
import pytest

from sklearnloss.strategies.greedy_xy import greedy_xy


def greedy(rows, prediction, labeled, targets, n):
    chosen, known = [], list(zip(labeled, targets, strict=True))
    for _ in range(n):
        products = [
            min(np.linalg.norm(x - k) * abs(p - t) for k, t in known) for x, p in zip(rows, prediction, strict=True)
        ]
        products = [-1 if i in chosen else product for i, product in enumerate(products)]
        chosen.append(int(np.argmax(products)))
        known.append((rows[chosen[-1]], prediction[chosen[-1]]))
    return chosen


@pytest.mark.parametrize("seed", range(3))
def test_takes_the_row_far_from_every_labeled_one_in_inputs_and_output(seed):
    rng = np.random.default_rng(seed)
    pool, labeled, prediction, targets = (rng.normal(size=s) for s in ((50, 3), (6, 3), 50, 6))
    scale = np.concatenate([pool, labeled]).std(axis=0)
    found = greedy_xy(prediction, embeddings=pool, embeddings_labeled=labeled, y_labeled=targets, n=9, rng=rng)
    assert found.tolist() == greedy(pool / scale, prediction, labeled / scale, targets, 9)


def test_does_not_depend_on_units_of_columns_or_target():
    rng = np.random.default_rng(0)
    pool, labeled, prediction, targets = (rng.normal(size=s) for s in ((50, 3), (6, 3), 50, 6))
    found = [
        greedy_xy(
            prediction * t, embeddings=pool * u, embeddings_labeled=labeled * u, y_labeled=targets * t, n=9, rng=rng
        ).tolist()
        for u, t in ((np.ones(3), 1.0), (np.array([1.0, 1000.0, 0.01]), 50.0))
    ]
    assert found[0] == found[1]


def test_a_row_far_in_one_way_alone_waits():
    rows, prediction = np.array([[9.0], [1.0], [0.0]]), np.array([0.0, 1.0, 9.0])
    found = greedy_xy(
        prediction, embeddings=rows, embeddings_labeled=np.zeros((1, 1)), y_labeled=np.zeros(1), n=1,
        rng=np.random.default_rng(0),
    )  # fmt: skip
    assert found.tolist() == [1]


def test_a_learner_asks_it_by_either_name(asked):
    found = asked("greedy_xy", "diabetes")
    scaled = found.fitted[0].transform(found.X)
    scaled /= scaled.std(axis=0)
    expected = greedy(scaled[found.rest], found.fitted.predict(found.pool), scaled[found.seen], found.y[found.seen], 8)
    assert found.rows.tolist() == found.rest[expected].tolist()
    assert found.rows.tolist() == asked("igs", "diabetes").rows.tolist()
    found.teach()
