"""What a predictive distribution must be, whatever loss it belongs to."""

import numpy as np

from sklearnloss.functional.distributions import Distribution

__all__ = ["check_distribution"]

LEVELS = np.array([0.01, 0.1, 0.25, 0.4, 0.5, 0.7, 0.9, 0.99])
DRAWS = 4000


def check_distribution(found: Distribution, y: np.ndarray, name: str, *, exact: bool = True) -> None:
    """See that quantiles, probabilities, moments, scores and units of a distribution belong together.

    Parameters
    ----------
    found : Distribution
        Of shape (n, n_targets).
    y : array of shape (n, n_targets)
        Outcomes.
    name : str
        What to call it in messages.
    exact : bool, default=True
        Whether probabilities have to be the inverse of quantiles, and draws and score to agree with them; not so where
        many quantiles coincide.

    Raises
    ------
    AssertionError
        With the first fault.
    """
    assert found.shape == y.shape, f"{name}: distributions of shape {found.shape} for targets of shape {y.shape}"
    for what in ("mean", "point"):
        values = getattr(found, what)()
        assert values.shape == y.shape, f"{name}: {what} has shape {values.shape}"
        assert np.isfinite(values).all(), f"{name}: {what} is not finite"
    quantiles = found.quantiles(LEVELS)  # (n, n_targets, 8)
    assert quantiles.shape == (*y.shape, len(LEVELS)), f"{name}: quantiles have shape {quantiles.shape}"
    assert np.isfinite(quantiles).all(), f"{name}: a quantile is not finite"
    assert (np.diff(quantiles) >= 0).all(), f"{name}: quantiles fall as the level rises"
    reached = np.stack([found.cdf(quantiles[..., k]) for k in range(len(LEVELS))], axis=-1)
    assert ((reached >= 0) & (reached <= 1)).all(), f"{name}: cdf leaves [0, 1]"
    assert (np.diff(reached) >= -1e-12).all(), f"{name}: cdf falls"
    assert (reached >= LEVELS - 1e-6).all(), f"{name}: less than q lies at or below the quantile at q"
    _check_units(found, quantiles, name)
    score = found.crps(y)
    assert score.shape == y.shape, f"{name}: crps has shape {score.shape}"
    assert (score >= -1e-9).all(), f"{name}: crps is negative or no number"
    if exact:
        _check_agreement(found, y, reached, score, name)


def _check_units(found: Distribution, quantiles: np.ndarray, name: str) -> None:
    """See that a distribution in other units has the quantiles and the mean in other units."""
    d = found.shape[1]
    loc, scale = (0.0 * np.arange(d) if found.mean().min() >= 0 else np.arange(d) - 3.0), np.arange(d) + 2.0
    moved = found.scaled(loc, scale)
    wanted = loc[:, None] + scale[:, None] * quantiles
    assert np.allclose(moved.quantiles(LEVELS), wanted, rtol=1e-6), f"{name}: scaled has other quantiles"
    assert np.allclose(moved.mean(), loc + scale * found.mean(), rtol=1e-6), f"{name}: scaled has another mean"
    if d == 1:
        alone = found.squeezed()
        assert alone.shape == found.shape[:1], f"{name}: squeezed has shape {alone.shape}"
        assert np.array_equal(alone.ppf(0.5), found.ppf(0.5)[:, 0]), f"{name}: squeezed has another median"


def _check_agreement(found: Distribution, y: np.ndarray, reached: np.ndarray, score: np.ndarray, name: str) -> None:
    if found.continuous:
        assert np.allclose(reached, LEVELS, atol=1e-6), f"{name}: cdf is not the inverse of ppf"
    drawn = found.sample(DRAWS, random_state=0)
    assert drawn.shape == (DRAWS, *y.shape), f"{name}: draws have shape {drawn.shape}"
    assert np.array_equal(drawn, found.sample(DRAWS, random_state=0)), f"{name}: the same seed gave other draws"
    share = (drawn <= found.ppf(0.7)).mean(axis=0)
    assert (share > 0.66).all(), f"{name}: {share.min():.0%} of the draws lie at or below the quantile at 0.7"
    off = np.abs(drawn.mean(axis=0) - found.mean()) / (drawn.std(axis=0) + 1e-9)
    assert (off < 0.1).all(), f"{name}: the mean of the draws is off by {off.max():.2f} standard deviations"
    numeric = Distribution.crps(found, y)
    assert np.allclose(score, numeric, rtol=0.03, atol=1e-3), f"{name}: crps is not that of the quantiles"
