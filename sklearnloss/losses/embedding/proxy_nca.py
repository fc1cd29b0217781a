"""Proxy-NCA."""

from typing import Annotated

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Embeddings, FitScalar, Labels, PerRow


# Difference from the first paper: its denominator leaves the row's own proxy out, so that it is unbounded below and not
# defined for one class; here, as in Proxy-NCA++, it holds all proxies, and the loss is that of a probability.
@loss("proxy_nca", task="embedding")
class ProxyNCA(nn.Module):
    r"""Each row picks the proxy of its class out of all proxies, by a softmax of squared distances on the sphere.

    Parameters
    ----------
    tau : float in (0, inf), default=1.0
        Temperature that divides the squared distances; 1/9 in Proxy-NCA++.

    Attributes
    ----------
    proxies : Parameter of shape (n_classes, embedding_dim)
        One vector per class, learnt at ``lr * loss_lr``; normalized where it is used.

    Notes
    -----
    With unit embeddings e and unit proxies p,

    .. math:: \ell_i = \frac1\tau \lVert e_i - p_{y_i} \rVert^2 + \log \sum_c e^{-\lVert e_i - p_c \rVert^2 / \tau}

    which is cross entropy of ``2 * cos / tau``. Rows do not see each other, so any sampler will do. Proxies want a
    larger learning rate than the network. With all proxies alike it is ``log(n_classes)``. O(n k d).

    References
    ----------
    .. [1] Movshovitz-Attias, Toshev, Leung, Ioffe, Singh. "No fuss distance metric learning using proxies". ICCV 2017.
    .. [2] Teh, DeVries, Taylor. "ProxyNCA++: revisiting and revitalizing proxy neighborhood component analysis".
       ECCV 2020.

    Examples
    --------
    >>> proxy_nca = ProxyNCA(n_classes=2, embedding_dim=2)
    >>> _ = proxy_nca.proxies.data.copy_(torch.eye(2))
    >>> proxy_nca(torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1])).detach()
    tensor([0.1269, 0.6931])
    """

    def __init__(
        self,
        *,
        n_classes: FitScalar,
        embedding_dim: FitScalar,
        tau: Annotated[Positive, Search(0.02, 1, log=True)] = 1.0,
    ) -> None:
        super().__init__()
        self.tau = tau
        self.proxies = nn.Parameter(torch.randn(n_classes, embedding_dim))

    def forward(self, embeddings: Embeddings, y: Labels) -> PerRow:
        """Return the value of each row.

        Parameters
        ----------
        embeddings : Tensor of shape (n, d)
            Any length; they are normalized here.
        y : LongTensor of shape (n,)
            Class of each row, in 0..n_classes-1.

        Returns
        -------
        Tensor of shape (n,)
            Never negative.
        """
        cosines = unit_rows(embeddings) @ unit_rows(self.proxies.to(embeddings.dtype)).T  # (n, k)
        return cross_entropy(2 * cosines / self.tau, y, reduction="none")  # a squared distance is 2 - 2 cos
