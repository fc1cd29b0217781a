"""Selective mixup."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import mixup
from sklearnloss.constraints import Positive, Search
from sklearnloss.exceptions import MissingFactError
from sklearnloss.mixups._beta import symmetric_beta
from sklearnloss.typing import Generator, Labels

Pair = Literal["any", "diff_class", "same_domain", "same_class_diff_domain", "diff_class_diff_domain"]


# Partners are drawn from the batch, and with "resample" a row or its partner is kept by a coin, where both would count
# half: the mean is the same, and so is the size of the batch.
@mixup("selective_mixup", status="known")
def selective_mixup(
    X: Tensor,
    y: Labels,
    *,
    rng: Generator,
    domain: Tensor | None = None,
    pair: Pair = "diff_class",
    mode: Literal["mix", "resample", "resample_mix"] = "mix",
    draw: Literal["class", "row"] = "class",
    alpha: Annotated[Positive, Search(0.1, 4, log=True)] = 2.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Mix only pairs that fit, such as rows of different classes; much of the gain is that rare classes come oftener.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Rows of a batch.
    y : Tensor of shape (n,) or (n, n_labels)
        Their classes; of several labels a row, each set that occurs is a class.
    rng : torch.Generator
        Source of partners and proportion.
    domain : Tensor of shape (n,), optional
        Domain of each row, needed by the pairs that name it: ``fit(X, y, domain=...)``.
    pair : {"any", "diff_class", "same_domain", ...}, default="diff_class"
        Which partners fit: ``"any"`` other row, ``"diff_class"``, ``"same_domain"``, ``"same_class_diff_domain"`` or
        ``"diff_class_diff_domain"``. A row that has none in the batch stays as it is.
    mode : {"mix", "resample", "resample_mix"}, default="mix"
        ``"mix"`` blends a row with its partner. ``"resample"`` keeps the row or its partner, each half of the time:
        what selection does without any mixing. ``"resample_mix"`` blends two rows that are each of a class drawn
        evenly, without regard to ``pair``.
    draw : {"class", "row"}, default="class"
        Where classes differ, whether the partner's class is drawn first, all that fit as likely, or all rows that fit
        are as likely. Other pairs are drawn by rows.
    alpha : float in (0, inf), default=2.0
        The share of a row is drawn from Beta(alpha, alpha), if rows are blended.

    Returns
    -------
    X : Tensor of shape (n, ...)
        The mixed rows.
    y_a, y_b : Tensor of shape (n, ...)
        Classes of the rows and of their partners.
    lam : Tensor of shape ()
        Share of the rows, one for the batch.

    Raises
    ------
    MissingFactError
        If a pair of domains is asked for without them.

    Notes
    -----
    .. math:: \tilde x_i = \lambda x_i + (1 - \lambda) x_{j(i)}

    Classes come as often as the mean of the shares of rows and of partners says: with two classes and ``"diff_class"``
    each comes half of the time, however rare it is. The weight of a mixed row is that of its first one. O(n d + n**2).

    References
    ----------
    .. [1] Teney, Wang, Abbasnejad. "Selective mixup helps with distribution shifts, but not (only) because of mixup".
       ICML 2024.
    .. [2] Yao, Wang, Li, Zhang, Liang, Zou, Finn. "Improving out-of-distribution robustness via selective
       augmentation". ICML 2022.

    Examples
    --------
    >>> X, y = torch.eye(4), torch.tensor([0, 0, 0, 1])
    >>> mixed, y_a, y_b, lam = selective_mixup(X, y, rng=torch.Generator().manual_seed(0))
    >>> y_a, y_b
    (tensor([0, 0, 0, 1]), tensor([1, 1, 1, 0]))
    """
    label = y.unique(dim=0, return_inverse=True)[1]  # type: ignore[no-untyped-call]
    itself = torch.arange(len(X), device=X.device)
    if mode == "resample_mix":
        even = 1 / label.bincount()[label].double()  # (n,)
        itself, partner = even.multinomial(2 * len(X), replacement=True, generator=rng).chunk(2)
    else:
        partner = _partners(label, domain, pair, by_class=draw == "class", rng=rng)
    if mode == "resample":
        kept = torch.rand(len(X), generator=rng, device=X.device) < 0.5
        chosen = torch.where(kept, itself, partner)
        return X[chosen], y[chosen], y[chosen], X.new_ones(())
    lam = symmetric_beta(alpha, rng, device=X.device).to(X.dtype)
    return torch.lerp(X[partner], X[itself], lam), y[itself], y[partner], lam


def _partners(label: Tensor, domain: Tensor | None, pair: Pair, *, by_class: bool, rng: Generator) -> Tensor:
    """Draw a partner for each row, (n,); itself where none fits."""
    fits = ~torch.eye(len(label), dtype=torch.bool, device=label.device)  # (n, n)
    if "class" in pair:
        same = label[:, None] == label
        fits &= same if "same_class" in pair else ~same
    if "domain" in pair:
        if domain is None:
            raise MissingFactError(
                f"mixup 'selective_mixup' with pair={pair!r} needs 'domain', an array with one row per sample: "
                "fit(X, y, domain=...)"
            )
        near = domain[:, None] == domain
        fits &= near if "same_domain" in pair else ~near
    chance = fits.double()
    if by_class and "diff_class" in pair:
        members = torch.nn.functional.one_hot(label).double()  # (n, k)
        chance = chance / (chance @ members)[:, label].clamp(min=1)  # of those that fit, each class sums to one
    alone = ~fits.any(1)
    chance = chance + torch.diag(alone.double())
    return chance.multinomial(1, generator=rng).squeeze(1)
