"""What a network makes of each row while it trains."""

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.typing import Index, Labels, Logits, PerRow

__all__ = ["MarginRecorder"]


@loss("margin_recorder", task="multiclass", monitor=False)
class MarginRecorder(nn.Module):
    """Keep the margins of all rows, as the training sees them; it adds nothing to the loss.

    Parameters
    ----------
    n_samples : int
        Rows given to ``fit``.

    Attributes
    ----------
    total, count : Tensors of shape (n_samples,)
        Sum of the margins ``z_y - max(z_others)`` of each row, and how often it was seen.
    forgotten : Tensor of shape (n_samples,)
        How often a row was right and then wrong.
    learned : bool Tensor of shape (n_samples,)
        Whether it was right at least once.

    References
    ----------
    .. [1] Pleiss, Zhang, Elenberg, Weinberger. "Identifying mislabeled data using the area under the margin ranking".
       NeurIPS 2020.
    .. [2] Toneva, Sordoni, Tachet des Combes, Trischler, Bengio, Gordon. "An empirical study of example forgetting
       during deep neural network learning". ICLR 2019.

    Examples
    --------
    >>> recorder = MarginRecorder(n_samples=2)
    >>> recorder(torch.tensor([[2.0, 1.0], [0.0, 3.0]]), torch.tensor([0, 0]), index=torch.tensor([0, 1]))
    tensor([0., 0.])
    >>> recorder.total.tolist()
    [1.0, -3.0]
    """

    def __init__(self, *, n_samples: int) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(n_samples, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(n_samples, dtype=torch.int64))
        self.register_buffer("forgotten", torch.zeros(n_samples, dtype=torch.int64))
        self.register_buffer("learned", torch.zeros(n_samples, dtype=torch.bool))
        self.register_buffer("was_right", torch.zeros(n_samples, dtype=torch.bool))

    total: Tensor
    count: Tensor
    forgotten: Tensor
    learned: Tensor
    was_right: Tensor

    def forward(self, logits: Logits, y: Labels, *, index: Index) -> PerRow:
        """Return zeros, and keep the margins in training mode.

        Parameters
        ----------
        logits : Tensor of shape (n, k)
            Scores.
        y : LongTensor of shape (n,)
            Classes.
        index : LongTensor of shape (n,)
            Numbers of the rows.

        Returns
        -------
        Tensor of shape (n,)
        """
        if self.training:
            with torch.no_grad():
                true = logits.gather(1, y[:, None]).squeeze(1)
                rival = logits.scatter(1, y[:, None], -torch.inf).amax(1)
                right = true > rival
                self.total.index_add_(0, index, (true - rival).to(self.total.dtype))  # the net casts its buffers
                self.count.index_add_(0, index, torch.ones_like(index))
                self.forgotten.index_add_(0, index, (self.was_right[index] & ~right).long())
                self.was_right[index] = right
                self.learned[index] |= right
        return torch.zeros_like(logits[:, 0])
