"""Classes without labels, from a network that learns domains."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sklearnloss.component import mode
from sklearnloss.constraints import PositiveInt
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.label_shift import LatentShift, discover
from sklearnloss.training.batches import Batches
from sklearnloss.training.net import LossNet

__all__ = ["DDFA"]


@mode("ddfa")
class DDFA:
    r"""Find classes that nobody labelled in domains that hold them in different shares.

    The network learns the domain of each row. After the fit its domain probabilities are clustered, the clusters are
    counted in each domain, and a nonnegative factorization of these counts gives the shares of hidden classes. For
    `LossClassifier`, fitted with the domains as y. `LatentLabelShiftClassifier` does the same with rows that are held
    out, for any classifier, and predicts.

    Parameters
    ----------
    n_latent : int in [1, inf), default=2
        Number of hidden classes, at most the number of domains.
    n_clusters : int in [1, inf) or None, default=None
        Clusters of domain probabilities; as many as domains unless given, never fewer than classes.
    n_init : int in [1, inf), default=10
        Starts of k-means and of the factorization; the best is kept.

    Attributes
    ----------
    found_ : LatentShift or None
        What was found; None before the end of a fit.

    Notes
    -----
    See `sklearnloss.functional.label_shift.discover` for the algebra. The rows are those of the fit, of which a network
    that has learned them by heart is too sure; stop early, or hold rows out with `LatentLabelShiftClassifier`. With
    ``early_stopping`` the rows are those trained on, with the weights of the last epoch. Classes are numbered from
    the commonest to the rarest; they are found up to their order.

    References
    ----------
    .. [1] Roberts, Mani, Garg, Lipton. "Unsupervised learning under latent label shift". NeurIPS 2022.

    Examples
    --------
    >>> from sklearnloss import LossClassifier, Mode
    >>> rng = np.random.default_rng(0)
    >>> hidden, domain = np.tile([0, 0, 0, 0, 1, 0, 1, 1, 1, 1], 40), np.tile(np.repeat([0, 1], 5), 40)
    >>> X = rng.normal(size=(400, 2)) + 4.0 * hidden[:, None]
    >>> model = LossClassifier(mode=Mode("ddfa", n_latent=2), max_epochs=20, random_state=0).fit(X, domain)
    >>> np.sort(model.net_.mode.class_given_domain_, axis=0).round(1)
    array([[0.2, 0.2],
           [0.8, 0.8]])
    """

    def __init__(
        self, *, n_latent: PositiveInt = 2, n_clusters: PositiveInt | None = None, n_init: PositiveInt = 10
    ) -> None:
        self.n_latent, self.n_clusters, self.n_init = n_latent, n_clusters, n_init
        self.found_: LatentShift | None = None

    @property
    def class_given_domain_(self) -> np.ndarray:
        """Share of each class in each domain, (n_latent, r)."""
        return self._found().class_given_domain

    @property
    def domain_given_class_(self) -> np.ndarray:
        """Share of each domain in each class, (r, n_latent), where domains are of equal size."""
        return self._found().domain_given_class

    def class_proba(self, q: np.ndarray, domain: np.ndarray | None = None) -> np.ndarray:
        """Return class probabilities (n, n_latent) from the domain probabilities that the classifier predicts.

        Parameters
        ----------
        q : array of shape (n, r)
            Probability of each domain: ``predict_proba(X)``.
        domain : int array of shape (n,), default=None
            Number of each row's domain in ``classes_``; without it a row is one of the mixture of all domains.
        """
        return self._found().class_proba(np.asarray(q), None if domain is None else np.asarray(domain))

    def around_fit(self, fit: Callable[[], None], net: LossNet, batches: Batches) -> None:
        """Learn the domains, then find the classes."""
        role = next((term.role for term in net.criterion_.terms if term.role), "")
        if role != "logits" or batches.y.ndim != 1:
            raise TaskError(
                f"mode 'ddfa' reads probabilities of domains from logits, this loss works on {role or 'no data'}; "
                "use LossClassifier with a loss such as 'cross_entropy'"
            )
        self.found_ = None
        fit()
        rows = slice(None) if batches.drawn is None else batches.drawn
        q = net.embed(batches.X).double().softmax(1).numpy()[rows]
        domain = batches.y.cpu().numpy()[rows]
        seed = int(torch.randint(2**31 - 1, ()))
        self.found_ = discover(
            q,
            domain,
            n_classes=self.n_latent,
            n_clusters=self.n_clusters,
            n_init=self.n_init,
            random_state=seed,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return what was found."""
        return {} if self.found_ is None else self.found_._asdict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` returned."""
        self.found_ = LatentShift(**state) if state else None

    def _found(self) -> LatentShift:
        if self.found_ is None:
            raise AttributeError("mode 'ddfa' has found nothing yet; it looks after the last epoch of a fit")
        return self.found_
