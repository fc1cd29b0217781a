"""Pretraining of the backbone on coarse labels of whole sets of rows."""

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sklearnloss.component import mode
from sklearnloss.constraints import Constraint, Positive, PositiveInt
from sklearnloss.exceptions import DataError, NonFiniteLossError, ParameterError, TaskError
from sklearnloss.functional.bags import bag_mean, bag_sum
from sklearnloss.spec import Spec, choose
from sklearnloss.training.backbone import Standardize, as_tensor, moments
from sklearnloss.training.batches import Batch, Batches
from sklearnloss.training.criterion import Criterion, Term
from sklearnloss.training.heads import make_head
from sklearnloss.training.net import LossNet

__all__ = ["AttentionPooling", "DeepSetsPooling", "MeanPooling", "SetLabelPretraining"]

WHO = "mode 'set_label_pretraining'"
ROLES = ("logits", "embeddings")


class MeanPooling(nn.Module):
    """The mean of a set's features."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def forward(self, features: Tensor, bag: Tensor, n_bags: int) -> Tensor:
        """Return a vector per set, (b, h), from features (n, h) and the set of each row (n,)."""
        return bag_mean(features, bag, n_bags)


class AttentionPooling(nn.Module):
    """A mean with weights by gated attention, whose softmax is over the rows of a set."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.content, self.gate, self.score = nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, 1)

    def forward(self, features: Tensor, bag: Tensor, n_bags: int) -> Tensor:
        """Return a vector per set, (b, h), from features (n, h) and the set of each row (n,)."""
        score = self.score(self.content(features).tanh() * self.gate(features).sigmoid()).squeeze(1)  # (n,)
        top = score.new_full((n_bags,), -torch.inf).scatter_reduce(0, bag, score.detach(), "amax")
        weight = (score - top[bag]).exp()
        return bag_sum(weight[:, None] * features, bag, n_bags) / bag_sum(weight, bag, n_bags)[:, None]


class DeepSetsPooling(nn.Module):
    """A layer for each row, the mean over the set, and a layer for the set."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_rows, self.of_sets = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, features: Tensor, bag: Tensor, n_bags: int) -> Tensor:
        """Return a vector per set, (b, h), from features (n, h) and the set of each row (n,)."""
        return self.of_sets(bag_mean(self.of_rows(features).relu(), bag, n_bags)).relu()


POOLINGS: dict[str, type[nn.Module]] = {
    "mean": MeanPooling,
    "attention": AttentionPooling,
    "deep_sets": DeepSetsPooling,
}


class Sets(NamedTuple):
    """Rows in sets, and the coarse label of each set."""

    X: Any  # (n, ...)
    order: Tensor  # (n,) row numbers, set by set
    start: Tensor  # (s,) place of each set's first row in ``order``
    size: Tensor  # (s,)
    y: Tensor  # (s,) codes 0..k-1

    def rows_of(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return row numbers (n,) of some sets, and the place (n,) of each row's set among them."""
        size = self.size[chosen]
        bag = torch.repeat_interleave(torch.arange(len(chosen)), size)
        within = torch.arange(len(bag)) - (size.cumsum(0) - size)[bag]
        return self.order[self.start[chosen][bag] + within], bag


def _has_rows(value: Any) -> bool:
    return value is None or (hasattr(value, "__len__") and not isinstance(value, str))


def _names_a_loss(value: Any) -> bool:
    return isinstance(value, str | Spec | dict) or callable(value)


Instances = Annotated[Any, Constraint(_has_rows, "an array of shape (n, d), or None")]
OfRows = Annotated[Any, Constraint(_has_rows, "an array of shape (n,), or None")]
AnyLoss = Annotated[
    Any, Constraint(_names_a_loss, "a loss: its name, a function or Loss(...)", choices=("cross_entropy", "supcon"))
]


@mode("set_label_pretraining", aliases=("facile",))
class SetLabelPretraining:
    r"""Learn features from coarse labels of whole sets, then a head from few labelled rows.

    Before the fit, the network's backbone is trained on other rows that come in sets, such as the patches of a slide
    or the baskets of a customer, of which only one label per set is known. The fit itself then learns what its own
    rows and labels say, with the head alone or with all weights.

    Parameters
    ----------
    instances : array of shape (n, d)
        Rows of the sets, with the columns of X.
    sets : array of shape (n,)
        Set of each row: numbers or strings. Sets may differ in size.
    labels : array of shape (n,) or (n_sets,)
        Coarse label of each row's set, or of the sets in sorted order of their names.
    pooling : {"mean", "attention", "deep_sets"}, default="mean"
        How the features of a set become one vector; none depends on the order of the rows.
    loss : str, callable or Loss, default="cross_entropy"
        What the sets learn: a loss of classes, which gets a linear head of its own, or one of embeddings, such as
        ``"supcon"``, which gets a projection of two layers.
    epochs : int in [1, inf), default=100
        Epochs over the sets.
    lr : float in (0, inf), default=1e-3
        Learning rate of this stage, for Adam.
    sets_per_batch : int in [1, inf), default=32
        Upper limit of the sets of a batch.
    freeze : bool, default=True
        Whether the backbone then stays as it is: its weights have no gradient, dropout is off and running statistics
        stand still. Otherwise the fit goes on from its weights.

    Attributes
    ----------
    pretraining_loss_ : list of float
        Mean loss of each epoch of this stage.

    Notes
    -----
    With the encoder :math:`e`, a pooling :math:`g` and a linear map :math:`W`, this stage minimises

    .. math:: \frac1m \sum_S \ell \bigl(W g(\{e(x) : x \in S\}), c_S\bigr)

    A set of one row with mean pooling is ordinary supervised pretraining. With mean pooling each of a rows gets
    1 / a of the set's gradient. Sets are segments of rows, so nothing is padded. A perceptron that standardizes takes
    the moments of ``instances``, which are many where the rows of the fit are few. Only the first fit pretrains;
    ``partial_fit`` and warm starts go on. The paper leaves the pooling open; the defaults are ours. ``save`` writes the
    three arrays too, as parameters; give them as numpy arrays, or hand them back to ``load``.

    References
    ----------
    .. [1] Zhang, Khan, Chen, Grossman. "Enhancing instance-level image classification with set-level labels".
       ICLR 2024.
    .. [2] Ilse, Tomczak, Welling. "Attention-based deep multiple instance learning". ICML 2018.
    .. [3] Zaheer, Kottur, Ravanbakhsh, Poczos, Salakhutdinov, Smola. "Deep sets". NeurIPS 2017.

    Examples
    --------
    >>> from sklearnloss import LossClassifier, Mode
    >>> rng = np.random.default_rng(0)
    >>> instances, sets = rng.normal(size=(300, 4)), np.repeat(np.arange(100), 3)
    >>> labels = np.array([instances[sets == s, 0].mean() > 0 for s in range(100)])
    >>> stage = Mode("set_label_pretraining", instances=instances, sets=sets, labels=labels, epochs=20, lr=0.01)
    >>> X, y = rng.normal(size=(6, 4)), np.array([0, 0, 0, 1, 1, 1])
    >>> X[:, 0] = [-2, -1, -1, 1, 1, 2]
    >>> model = LossClassifier(mode=stage, random_state=0).fit(X, y)
    >>> len(model.net_.mode.pretraining_loss_)
    20
    """

    def __init__(
        self,
        *,
        instances: Instances = None,
        sets: OfRows = None,
        labels: OfRows = None,
        pooling: Literal["mean", "attention", "deep_sets"] = "mean",
        loss: AnyLoss = "cross_entropy",
        epochs: PositiveInt = 100,
        lr: Positive = 1e-3,
        sets_per_batch: PositiveInt = 32,
        freeze: bool = True,
    ) -> None:
        self.instances, self.sets, self.labels = instances, sets, labels
        self.pooling, self.loss = pooling, loss
        self.epochs, self.lr, self.sets_per_batch, self.freeze = epochs, lr, sets_per_batch, freeze
        self.pretraining_loss_: list[float] = []
        self._still: nn.Module | None = None  # a backbone that the fit leaves as it is

    def around_fit(self, fit: Callable[[], None], net: LossNet, batches: Batches) -> None:
        """Pretrain the backbone unless it was trained before, and fit with its weights fixed or not."""
        backbone = self._checked_backbone(net)
        if net.epoch_ == 0:
            self._pretrain(net, self._read(batches))
        trainable = [p for p in backbone.parameters() if p.requires_grad]
        if not self.freeze:
            fit()
            return
        try:
            self._still = backbone
            for parameter in trainable:
                parameter.requires_grad_(False)
            fit()
        finally:
            self._still = None
            for parameter in trainable:
                parameter.requires_grad_(True)

    def batch(self, X: Tensor, batch: Batch) -> None:
        """Keep dropout and running statistics of a frozen backbone still; each epoch sets the whole net to training."""
        if self._still is not None:
            self._still.eval()

    def state_dict(self) -> dict[str, Any]:
        """Return what the pretraining said of itself; the arrays are parameters."""
        return {"pretraining_loss_": self.pretraining_loss_}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what `state_dict` returned."""
        self.pretraining_loss_ = list(state["pretraining_loss_"])

    def _checked_backbone(self, net: LossNet) -> nn.Module:
        backbone: nn.Module = net.module_.backbone
        if net.module_.complete:
            raise TaskError(
                f"{WHO} pretrains what stands before the head, and the module is complete (it takes n_outputs); give a "
                "backbone without n_outputs"
            )
        if not any(p.requires_grad for p in backbone.parameters()):
            raise TaskError(f"{WHO} pretrains the backbone, and this one has no weights; add a hidden layer")
        if self.freeze and not any(p.requires_grad for p in net.module_.head.parameters()):
            raise TaskError(f"{WHO} freezes the backbone, and this network has no head to train; set freeze=False")
        return backbone

    def _read(self, batches: Batches) -> Sets:
        """Return the sets, checked."""
        for name in ("instances", "sets", "labels"):
            if getattr(self, name) is None:
                raise ParameterError(f"{WHO} needs {name}: Mode('set_label_pretraining', {name}=...)")
        X, sets, labels = np.asarray(self.instances), np.asarray(self.sets), np.asarray(self.labels)
        if X.shape[1:] != tuple(batches.X.shape[1:]) or not len(X):
            raise DataError(
                f"{WHO}: instances must be rows of shape {tuple(batches.X.shape[1:])} as X has, got shape {X.shape}"
            )
        if not np.isfinite(X).all():
            raise DataError(f"{WHO}: instances must be finite")
        if sets.shape != (len(X),):
            raise DataError(f"{WHO}: sets must have one name for each of the {len(X)} instances, got {sets.shape}")
        names, first, code, size = np.unique(sets, return_index=True, return_inverse=True, return_counts=True)
        if labels.shape == sets.shape:
            of_sets = labels[first]
            if (labels != of_sets[code]).any():
                raise DataError(f"{WHO}: labels must be the same for all rows of a set")
        elif labels.shape == names.shape:
            of_sets = labels
        else:
            raise DataError(
                f"{WHO}: labels must have one for each of the {len(names)} sets, or for each of the {len(X)} "
                f"instances, got shape {labels.shape}"
            )
        classes, y = np.unique(of_sets, return_inverse=True)
        if len(classes) < 2:
            raise DataError(f"{WHO}: labels must have two values at least, got {classes.tolist()}")
        order = torch.as_tensor(np.argsort(code, kind="stable"))
        return Sets(X, order, torch.as_tensor(size.cumsum() - size), torch.as_tensor(size), torch.as_tensor(y))

    def _pretrain(self, net: LossNet, sets: Sets) -> None:
        """Train backbone, pooling and a head of their own on the labels of sets."""
        backbone, device, dtype = net.module_.backbone, torch.device(net.device), net.dtype
        first = next(backbone.children(), None)
        if net.module_.module_from is None and isinstance(first, Standardize):
            mean, scale = (as_tensor(part, dtype, str(device)) for part in moments(sets.X.astype(np.float64), None))
            first.mean.copy_(mean)
            first.factor.copy_(1 / scale)
        X = as_tensor(sets.X, dtype)
        backbone.eval()
        with torch.no_grad():
            width = backbone(X[:2].to(device)).shape[1]
        pool = POOLINGS[self.pooling](width).to(device, dtype)
        criterion, head = self._criterion(sets, width)
        criterion, head = criterion.to(device, dtype), head.to(device, dtype)
        parts = nn.ModuleList([backbone, pool, head, criterion]).train()
        optimizer = torch.optim.Adam([p for p in parts.parameters() if p.requires_grad], lr=float(self.lr))
        self.pretraining_loss_ = []
        for epoch in range(self.epochs):
            losses, sizes = [], []
            for chosen in torch.tensor_split(torch.randperm(len(sets.y)), math.ceil(len(sets.y) / self.sets_per_batch)):
                rows, bag = sets.rows_of(chosen)
                pooled = pool(backbone(X[rows].to(device)), bag.to(device), len(chosen))
                output = head(pooled)
                loss = criterion(output, {"y": sets.y[chosen].to(device), "features": output})
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
                sizes.append(len(chosen))
            value = float(torch.stack(losses).double().cpu().numpy() @ np.asarray(sizes) / sum(sizes))
            if not math.isfinite(value):
                raise NonFiniteLossError(f"{WHO}: the loss of epoch {epoch + 1} of the sets is {value}; lower its lr")
            self.pretraining_loss_.append(value)
        optimizer.zero_grad(set_to_none=True)

    def _criterion(self, sets: Sets, width: int) -> tuple[Criterion, nn.Module]:
        """Return the loss of the sets, and its head."""
        choice = choose("loss", self.loss)
        role = choice.component.role
        if role not in ROLES:
            raise TaskError(
                f"{WHO}: {choice.component.title} works on {role or 'no data'}; take one on logits or embeddings"
            )
        counts = torch.bincount(sets.y)
        facts = {
            "n_classes": len(counts),
            "n_samples": len(sets.y),
            "embedding_dim": width,
            "class_counts": counts,
            "priors": counts / counts.sum(),
        }
        mean = choose("reduction", "mean").build()
        term = Term("sets", choice, fit_facts=facts, supplied={"y"}, reduction=mean, who=WHO)
        if role == "embeddings":  # what the loss makes equal is the projection; the features keep more
            head: nn.Module = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))
        else:
            head = make_head(role, width, len(counts))
        return Criterion([term]), head
