import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from sklearnloss import ActiveLearner
from sklearnloss.functional.loss_prediction import predicted_losses
from sklearnloss.strategies.loss_rank_predictor import loss_rank_predictor


@pytest.fixture
def facts():
    rng = np.random.default_rng(0)
    labeled, pool = rng.normal(size=(80, 3)), rng.normal(size=(100, 3))
    losses = np.exp(labeled[:, 0]) * rng.exponential(size=80)
    predicted = predicted_losses(
        pool, labeled, losses, np.random.default_rng(0), objective="logistic", hidden=32, epochs=100, lr=0.01
    )
    return pool, labeled, losses, predicted


def ask(facts, n, **params):
    pool, labeled, losses, _ = facts
    return loss_rank_predictor(
        pool, embeddings_labeled=labeled, losses_labeled=losses, n=n, rng=np.random.default_rng(0), **params
    )


def test_with_a_factor_of_one_the_largest_predictions_come_in_their_order(facts):
    assert ask(facts, 10, factor=1.0).tolist() == np.argsort(-facts[3])[:10].tolist()


def test_else_rows_far_from_each_other_are_taken_among_more(facts):
    pool, _, _, predicted = facts
    candidates = np.argsort(-predicted)[:30]
    expected = [candidates[0]]
    while len(expected) < 10:
        distance = [min(np.linalg.norm(pool[c] - pool[e]) for e in expected) for c in candidates]
        expected.append(candidates[int(np.argmax(distance))])
    assert ask(facts, 10, factor=3.0).tolist() == expected


@pytest.mark.parametrize("n", [1, 100])
def test_a_single_row_and_the_whole_pool_can_be_asked(facts, n):
    rows = ask(facts, n)
    assert rows[0] == facts[3].argmax()
    assert len(set(rows.tolist())) == n


def test_does_not_depend_on_the_scale_of_the_losses(facts):
    pool, labeled, losses, predicted = facts
    assert ask((pool, labeled, 1000 * losses, predicted), 10).tolist() == ask(facts, 10).tolist()
    assert ask((pool, labeled, np.log(losses), predicted), 10).tolist() == ask(facts, 10).tolist()


def test_learns_digits_with_fewer_labels_than_at_random():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    gains = []
    for seed in range(3):
        start = np.random.default_rng(seed).choice(len(y), 60, replace=False)
        known = np.full(len(y), -1)
        known[start] = y[start]
        scores = []
        for name in ("loss_rank_predictor", "random"):
            learner = ActiveLearner(LogisticRegression(max_iter=200), name, batch_size=70, random_state=seed)
            learner.fit(X, known)
            for _ in range(2):
                rows = learner.query()
                learner.teach(X[rows], y[rows])
            scores.append(learner.score(X, y))
        gains.append(scores[0] - scores[1])
    assert all(gain > 0 for gain in gains)


def test_a_learner_asks_by_its_name(asked):
    asked("loss_rank_predictor", "digits").teach()
    asked("loss_rank_predictor", "diabetes").teach()
