"""Scale and margin from the median cosine of the batch."""

import math
from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Positive, Search
from sklearnloss.functional.angles import target_cross_entropy, true_cosines
from sklearnloss.typing import Cosines, Labels, PerAnchor


@loss("madacos", task="multiclass", unit="anchor", gradient="surrogate", link="proba", monitor=False)
class MadaCos(nn.Module):
    r"""The margin leaves the median row of each batch a fixed probability, whatever the cosines have become.

    Half of the rows are so always hard, and neither scale nor margin has to be searched for.

    Parameters
    ----------
    alpha : float in (0, 1), default=0.1
        Probability that the median row keeps; 0.02 to 0.2. The smaller, the larger are scale and margin.
    competitors : float in (1, inf) or None, default=None
        Number of other classes for which the scale is made; None is how many there are. The authors' code has 9999999
        for any data, which makes probabilities too sure.
    min_scale : float in (0, inf), default=16.0
        Least factor of the cosines; the authors' 32 is for thousands of classes.
    rivals : {"median_row", "median", "mean"}, default="median_row"
        Of what the margin takes the sum over the other classes: of the row whose cosine is the median, or the median or
        mean of all rows' sums.

    Attributes
    ----------
    scale, margin, median : Tensor of shape ()
        Those of the last batch in training; prediction goes by the scale.

    Notes
    -----
    With the median c of the cosines with the true classes, the lower of two, and the sums :math:`B_i` of the other
    classes' exponentials,

    .. math:: s = \max\Bigl(s_{\min}, \frac{\log(N (1 - \alpha) / \alpha)}{1 - c}\Bigr), \qquad
        m = \max\Bigl(0, c - \frac{1}{s} \log \frac{\alpha B}{1 - \alpha}\Bigr)

    .. math:: \ell_i = -\log \frac{e^{s (\cos \theta_y - m)}}{e^{s (\cos \theta_y - m)} + B_i}, \qquad
        B_i = \sum_{j \ne y} e^{s \cos \theta_j}

    Scale and margin have no gradient, and both grow while the rows gather around their proxies, so that the value says
    nothing about progress: stop early by a score. Where the margin is above zero, the median row has the probability
    :math:`\alpha`; ``1 - c`` is not taken below 0.001, and in evaluation the margin is zero. The link is the softmax of
    the last scale's cosines, and not proper. O(n k).

    References
    ----------
    .. [1] Zhu, Gao, Ke, Qiao, Sun. "Coarse-to-fine: learning compact discriminative representation for single-stage
       image retrieval". ICCV 2023.

    Examples
    --------
    >>> madacos = MadaCos(competitors=9999999, min_scale=32.0)
    >>> madacos(torch.tensor([[0.5, 0.1, -0.3]]), torch.tensor([0]))  # minus the logarithm of alpha
    tensor([2.3026])
    >>> madacos.scale
    tensor(36.6306)
    """

    scale: Tensor
    margin: Tensor
    median: Tensor

    def __init__(
        self,
        *,
        alpha: Annotated[float, Interval(0, 1), Search(0.02, 0.2, log=True)] = 0.1,
        competitors: Annotated[float, Interval(1, math.inf), Search(10, 1e7, log=True)] | None = None,
        min_scale: Annotated[Positive, Search(8, 64, log=True)] = 16.0,
        rivals: Literal["median_row", "median", "mean"] = "median_row",
    ) -> None:
        super().__init__()
        self.alpha, self.competitors, self.min_scale, self.rivals = alpha, competitors, min_scale, rivals
        self.register_buffer("scale", torch.tensor(float(min_scale)))
        self.register_buffer("margin", torch.zeros(()))
        self.register_buffer("median", torch.zeros(()))

    def forward(self, cosines: Cosines, y: Labels) -> PerAnchor:
        """Return the value of each row.

        Parameters
        ----------
        cosines : Tensor of shape (n, k)
            Cosines between embeddings and class proxies.
        y : LongTensor of shape (n,)
            Class of each row, in 0..k-1.

        Returns
        -------
        Tensor of shape (n,)
            Never negative.
        """
        scale, margin = self._tuned(cosines, y)
        return target_cross_entropy(cosines, y, true_cosines(cosines, y) - margin, scale)  # (n,)

    def proba(self, cosines: Cosines) -> Tensor:
        """Return class probabilities (n, k)."""
        return torch.softmax(self.scale.to(cosines.dtype) * cosines, dim=1)

    @torch.no_grad()
    def _tuned(self, cosines: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return scale and margin of a batch; in training, keep them."""
        cosines = cosines.to(self.scale.dtype)
        true = true_cosines(cosines, y).squeeze(1)  # (n,)
        median, row = true.median(dim=0)
        odds = (1 - self.alpha) / self.alpha
        competitors = max(cosines.shape[1] - 1, 1) if self.competitors is None else self.competitors
        scale = (math.log(competitors * odds) / (1 - median).clamp(min=1e-3)).clamp(min=self.min_scale)
        # sums over the other classes as logarithms: exponentials of such scales overflow
        sums = torch.logsumexp((scale * cosines).scatter(1, y[:, None], -math.inf), dim=1)  # (n,)
        match self.rivals:
            case "median_row":
                rivals = sums[row]
            case "median":
                rivals = sums.median()
            case _:
                rivals = torch.logsumexp(sums, dim=0) - math.log(len(sums))
        margin = (median - (rivals - math.log(odds)) / scale).clamp(min=0)
        if not self.training:
            return scale, torch.zeros_like(margin)
        self.scale, self.margin, self.median = scale, margin, median
        return scale, margin
