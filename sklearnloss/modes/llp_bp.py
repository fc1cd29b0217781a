"""Pseudo-labels of rows by belief propagation, from proportions of bags and from neighbours."""

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sklearnloss.component import mode
from sklearnloss.constraints import Interval, NonNegative, Positive, PositiveInt
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.beliefs import Edges, propagate
from sklearnloss.training.bags import BagBatches
from sklearnloss.training.net import Closure, LossNet

__all__ = ["LLPBeliefPropagation"]

CHUNK = 4096  # rows of a pass


@mode("llp_bp", aliases=("llp_belief_propagation",))
class LLPBeliefPropagation:
    r"""Train on pseudo-labels that agree with the proportions of bags and among neighbours.

    Belief propagation finds the likely class of each row of a random field: each bag wants its count of a class,
    neighbours want to agree. The network learns these classes, and its last hidden layer gives the neighbours of the
    next round. For `LLPClassifier`, with any loss of bags; early stopping that ends a fit in its first stretch ends it
    before there are pseudo-labels, and so does ``partial_fit``, which trains for one epoch.

    Parameters
    ----------
    bag_strength : float in (0, inf), default=10.0
        How strictly a bag wants its count; 10 is nearly exact. Counts need not be whole.
    neighbor_strength : float in [0, inf), default=0.05
        How much neighbours want to agree. The authors' code has 10.
    n_neighbors : int in [1, inf), default=20
        Nearest neighbours of each row. The authors' code has 5.
    centered : bool, default=True
        Whether agreement is told from the share of the class. Otherwise, as in the paper, from 1/2: then rows with
        many neighbours lean to the commoner side, whatever their bags say.
    length_scale : float in (0, inf) or "median", default="median"
        Distance over which the strength falls to 1 / e; the median over all neighbours unless it is a number.
    edge_filter : {"single_positive_bags"} or None, default=None
        Which rows keep their neighbours: all, or, as the authors' code has it, those of bags with at most one positive.
    iterations : int in [1, inf), default=100
        Of belief propagation.
    damping : float in [0, 1), default=0.5
        Share of the last message in the next.
    rounds : int in [1, inf), default=2
        Into how many equal stretches of epochs the fit is cut; at the start of each but the first neighbours are those
        of the network's features.
    network_prior : bool, default=True
        Whether the first stretch learns from the loss of bags alone, and later fields know what the network then says
        of each row. Otherwise, as in the paper, fields know neighbours and bags only.
    soft : bool, default=True
        Whether the network learns the probabilities of classes; else, as in the paper, the likeliest one, which of a
        rare class is hardly ever the likeliest.
    proportion_weight : float in [0, inf), default=0.1
        Weight of the estimator's loss of bags, beside the cross entropy of pseudo-labels. ``loss_curve_`` has the loss
        of bags throughout.

    Attributes
    ----------
    pseudo_ : array of shape (n, k), or None
        Probabilities that the last round gave to the rows; while it trains only.

    Notes
    -----
    With counts :math:`S_b = n_b y_b`, the share :math:`\rho` of the class, and the kernel
    :math:`k(x, x') = \exp(-\lVert x - x' \rVert / \ell)` of nearest neighbours by cosine of the standardised columns,

    .. math:: P(y) \propto \exp \Bigl(-\lambda_b \sum_b \bigl(\sum_{i \in b} y_i - S_b\bigr)^2
              + 2 \lambda_s \sum_{i \sim j} k(x_i, x_j) (y_i - \rho)(y_j - \rho) \Bigr)

    With :math:`\rho = 1/2` the second sum is the paper's :math:`-\lambda_s \sum k (y_i - y_j)^2`. A bag is one
    factor, whose messages are exact by forward and backward over its count: O(size**2) instead of the square of pairs
    that loop. More than two classes are one against the rest, normalised. The authors give features as
    they are to the kernel; here the length scale is that of the data. They add a layer for the mean of a bag; here
    the estimator's own loss of bags takes its place.

    References
    ----------
    .. [1] Havaldar, Sharma, Sareen, Shanmugam, Raghuveer. "Learning from label proportions: bootstrapping supervised
       learners via belief propagation". ICLR 2024.

    Examples
    --------
    >>> from sklearnloss import LLPClassifier
    >>> rng = np.random.default_rng(0)
    >>> y, bags = rng.integers(2, size=400), np.arange(400) // 20
    >>> X = rng.normal(size=(400, 3)) + 3.0 * y[:, None]
    >>> model = LLPClassifier(mode="llp_bp", max_epochs=20, lr=1e-2, random_state=0).fit(X, y, bags=bags)
    >>> model.score(X, y) > 0.9
    True
    """

    def __init__(
        self,
        *,
        bag_strength: Positive = 10.0,
        neighbor_strength: NonNegative = 0.05,
        n_neighbors: PositiveInt = 20,
        centered: bool = True,
        length_scale: Annotated[float, Interval(0, float("inf"))] | Literal["median"] = "median",
        edge_filter: Literal["single_positive_bags"] | None = None,
        iterations: PositiveInt = 100,
        damping: Annotated[float, Interval(0, 1, "left")] = 0.5,
        rounds: PositiveInt = 2,
        network_prior: bool = True,
        soft: bool = True,
        proportion_weight: NonNegative = 0.1,
    ) -> None:
        self.bag_strength, self.neighbor_strength = bag_strength, neighbor_strength
        self.n_neighbors, self.centered = n_neighbors, centered
        self.length_scale, self.edge_filter = length_scale, edge_filter
        self.iterations, self.damping, self.rounds = iterations, damping, rounds
        self.network_prior = network_prior
        self.soft, self.proportion_weight = soft, proportion_weight
        self.pseudo_: Tensor | None = None

    def around_fit(self, fit: Callable[[], None], net: LossNet, batches: BagBatches) -> None:
        """Find pseudo-labels from the columns, train, and forget them."""
        if not isinstance(batches, BagBatches) or all(term.role != "logits" for term in net.criterion_.terms):
            raise TaskError("mode 'llp_bp' finds labels from the proportions of bags; it belongs to LLPClassifier")
        self._batches, self._begun = batches, net.epoch_
        try:
            if not self.network_prior:
                rows = batches.X if isinstance(batches.X, Tensor) else torch.as_tensor(batches.X[:])
                self._label(rows.cpu().numpy(), None)
            fit()
        finally:
            self.pseudo_ = None
            for name in ("_batches", "_weights"):
                self.__dict__.pop(name, None)

    def epoch(self, net: LossNet) -> None:
        """Where a stretch of epochs ends, find pseudo-labels from the network's features."""
        done, total = net.epoch_ - self._begun, net.max_epochs
        starts = {round(total * r / self.rounds) for r in range(1, self.rounds)} - {0, total}
        if done in starts:
            features, logits = self._outputs(net)
            self._label(features, logits if self.network_prior else None)

    def step(self, closure: Closure, optimizer: torch.optim.Optimizer) -> None:
        """Learn the pseudo-labels of rows, and the proportions of bags a little."""
        if self.pseudo_ is None:
            optimizer.step(closure)  # type: ignore[arg-type]
            return
        net, bags = closure.net, closure.batch
        labels, weights = self.pseudo_[bags["index"]], self._weights[bags["index"]]

        def both() -> float:
            for parameter in net.parameters_:
                parameter.grad = None
            whole = torch.stack([*closure.terms().values()]).sum()
            assert closure.output is not None
            rows = nn.functional.cross_entropy(closure.output, labels, reduction="none")
            loss = (weights * rows).mean() + self.proportion_weight * whole
            loss.backward()  # type: ignore[no-untyped-call]
            if net.max_grad_norm is not None:
                nn.utils.clip_grad_norm_(net.parameters_, net.max_grad_norm)
            if net.gradient_watchers:
                net.notify_gradients(bags)
            return float(loss.detach())

        optimizer.step(both)

    def _outputs(self, net: LossNet) -> tuple[np.ndarray, np.ndarray]:
        """Return what the last hidden layer and the head make of all rows."""
        X, device = self._batches.X, self._batches.device
        features, logits = [], []
        was_training = net.module_.training
        net.module_.eval()
        with torch.inference_mode():
            for start in range(0, X.shape[0], CHUNK):
                rows = torch.as_tensor(X[start : start + CHUNK]).to(device, net.dtype)
                hidden, output = net.module_(rows, with_features=True)
                features.append(hidden.float().cpu())
                logits.append(output.double().cpu())
        net.module_.train(was_training)
        return torch.cat(features).numpy(), torch.cat(logits).numpy()

    def _label(self, features: np.ndarray, logits: np.ndarray | None) -> None:
        """Find pseudo-labels; rows that are not drawn have none."""
        batches = self._batches
        drawn = np.arange(len(features)) if batches.drawn is None else batches.drawn
        bag = batches.rows["bag"].cpu().numpy()[drawn]
        y = batches.bag_values.double().cpu().numpy()  # (B, k)
        counts = y * np.bincount(bag, minlength=len(y))[:, None]
        rows = features[drawn]  # a row that is not drawn may be wild
        spread = rows.std(axis=0)
        rows = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        edges = Edges.between(rows, self.n_neighbors, self.length_scale)
        k = y.shape[1]
        prior = None if logits is None else _log_odds(logits[drawn])
        columns = [
            self._marginals(edges, bag, counts[:, c], None if prior is None else prior[:, c])
            for c in (range(k) if k > 2 else [1])
        ]
        beliefs = np.stack(columns, axis=1) if k > 2 else np.stack([1 - columns[0], columns[0]], axis=1)
        beliefs = beliefs / beliefs.sum(axis=1, keepdims=True)
        if not self.soft:
            beliefs = np.eye(k)[beliefs.argmax(axis=1)]
        everything = torch.zeros(len(features), k, dtype=batches.bag_values.dtype)
        everything[torch.as_tensor(drawn)] = torch.as_tensor(beliefs, dtype=everything.dtype)
        self.pseudo_ = everything.to(batches.device)
        self._weights = self._row_weights(len(features), drawn, bag).to(batches.device)

    def _row_weights(self, n: int, drawn: np.ndarray, bag: np.ndarray) -> Tensor:
        """Return the weight of each row, (n,): its share of that of its bag; those that are drawn have mean one."""
        of_bags, given = self._batches.bag_weights.cpu(), self._batches.rows.get("sample_weight")
        own = np.ones(n) if given is None else given.double().cpu().numpy()
        share = own[drawn] / np.bincount(bag, weights=own[drawn])[bag]
        weights = torch.zeros(n, dtype=of_bags.dtype)
        found = of_bags.double().numpy()[bag] * share
        weights[torch.as_tensor(drawn)] = torch.as_tensor(found / found.mean(), dtype=of_bags.dtype)
        return weights

    def _marginals(self, edges: Edges, bag: np.ndarray, counts: np.ndarray, prior: np.ndarray | None) -> np.ndarray:
        """Return the probability of each row being positive."""
        kept = edges
        if self.edge_filter is not None:
            kept = edges.of_sources(counts[bag] <= 1 + 1e-9)
        return propagate(
            kept.undirected(),
            bag,
            counts,
            bag_strength=np.full(len(counts), float(self.bag_strength)),
            neighbor_strength=float(self.neighbor_strength),
            center=float(counts.sum() / len(bag)) if self.centered else 0.5,
            prior=prior,
            iterations=self.iterations,
            damping=float(self.damping),
        )


def _log_odds(logits: np.ndarray) -> np.ndarray:
    """Return the log odds of each class against the others, (n, k)."""
    values = torch.as_tensor(logits)
    rest = torch.stack([torch.cat([values[:, :c], values[:, c + 1 :]], 1).logsumexp(1) for c in range(values.shape[1])])
    found: np.ndarray = (values - rest.T).numpy()
    return found
