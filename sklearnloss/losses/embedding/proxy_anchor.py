"""Proxy anchor loss."""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Embeddings, FitScalar, Labels, Scalar


@loss("proxy_anchor", task="embedding", unit="batch")
class ProxyAnchor(nn.Module):
    r"""Each proxy pulls the rows of its class and pushes all others, the hardest most.

    Parameters
    ----------
    margin : float in [0, inf), default=0.1
        Cosine above which own rows, and below minus which other rows, have little effect.
    alpha : float in (0, inf), default=32.0
        Sharpness; a large one leaves only the hardest row of each proxy.

    Attributes
    ----------
    proxies : Parameter of shape (n_classes, embedding_dim)
        One vector per class, learnt at ``lr * loss_lr``; normalized where it is used.

    Notes
    -----
    With the cosine s of a row and a proxy, the rows :math:`X_p^+` of the proxy's class, the others :math:`X_p^-`, all
    proxies P and those with rows in the batch :math:`P^+`,

    .. math:: \ell = \frac{1}{|P^+|} \sum_{p \in P^+} \log\Bigl(1 + \sum_{x \in X_p^+} e^{-\alpha (s(x, p) - m)}\Bigr)
        + \frac{1}{|P|} \sum_{p \in P} \log\Bigl(1 + \sum_{x \in X_p^-} e^{\alpha (s(x, p) + m)}\Bigr)

    ``loss / alpha`` tends to ``mean(max(0, m - min s)) + mean(max(0, m + max s))`` as ``alpha -> inf``. Proxies want a
    larger learning rate than the network; the authors' is 100 times as large. O(n k d) time, O(n k) memory.

    References
    ----------
    .. [1] Kim, Kim, Cho, Kwak. "Proxy anchor loss for deep metric learning". CVPR 2020.

    Examples
    --------
    >>> proxy_anchor = ProxyAnchor(n_classes=2, embedding_dim=2, alpha=1.0)
    >>> _ = proxy_anchor.proxies.data.copy_(torch.eye(2))
    >>> proxy_anchor(torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1])).detach()
    tensor(1.3483)
    """

    def __init__(
        self,
        *,
        n_classes: FitScalar,
        embedding_dim: FitScalar,
        margin: Annotated[NonNegative, Search(0, 0.4)] = 0.1,
        alpha: Annotated[Positive, Search(4, 64, log=True)] = 32.0,
    ) -> None:
        super().__init__()
        self.margin, self.alpha = margin, alpha
        self.proxies = nn.Parameter(torch.randn(n_classes, embedding_dim))

    def forward(self, embeddings: Embeddings, y: Labels) -> Scalar:
        """Return the value of a batch.

        Parameters
        ----------
        embeddings : Tensor of shape (n, d)
            Any length; they are normalized here.
        y : LongTensor of shape (n,)
            Class of each row, in 0..n_classes-1.

        Returns
        -------
        Tensor of shape ()
            Never negative.
        """
        cosines = unit_rows(embeddings) @ unit_rows(self.proxies.to(embeddings.dtype)).T  # (n, k)
        own = one_hot(y, len(self.proxies)).bool()  # (n, k)
        pull = _softplus_of_sum((-self.alpha * (cosines - self.margin)).masked_fill(~own, -torch.inf))  # (k,)
        push = _softplus_of_sum((self.alpha * (cosines + self.margin)).masked_fill(own, -torch.inf))  # (k,)
        return pull.sum() / own.any(0).sum() + push.mean()  # the pull of a proxy without rows is zero


def _softplus_of_sum(logits: Tensor) -> Tensor:
    zero = torch.zeros_like(logits[:1])  # the 1 in the logarithm, (1, k)
    return torch.logsumexp(torch.cat([zero, logits]), dim=0)  # (k,)
