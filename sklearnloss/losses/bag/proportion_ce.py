"""Cross entropy of the proportions of bags."""

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.functional.bags import proportion_cross_entropy
from sklearnloss.typing import Logits, PerBag, Proportions


@loss("proportion_ce", task="bag", unit="bag", proper=True, aliases=("dllp",))
def proportion_ce(
    logits: Logits, y: Proportions, *, bag: Tensor, n_bags: int, sample_weight: Tensor | None = None
) -> PerBag:
    r"""Cross entropy between the proportions of a bag and the mean of what is predicted for its rows.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Scores of the rows.
    y : Tensor of shape (b, k)
        Proportions of each bag.
    bag : Tensor of shape (n,)
        Bag of each row.
    n_bags : int
        Number of bags b.
    sample_weight : Tensor of shape (n,), default=None
        Weights of rows within their bag.

    Returns
    -------
    Tensor of shape (b,)
        One value per bag, not below the entropy of its proportions.

    Notes
    -----
    .. math:: \ell_b = -\sum_c y_{bc} \log \bar p_{bc}, \qquad \bar p_b = \frac{1}{n_b} \sum_{i \in b} p_i

    The mean is taken from log probabilities, so that a class that all rows of a bag deny keeps its gradient. A bag of
    one row has the cross entropy of a soft label. O(n k).

    References
    ----------
    .. [1] Ardehaly, Culotta. "Co-training for demographic classification using deep learning from label proportions".
       ICDM workshops, 2017.

    Examples
    --------
    >>> import torch
    >>> logits, bag = torch.tensor([[0.0, 3.0], [0.0, -3.0], [0.0, 3.0]]), torch.tensor([0, 0, 1])
    >>> proportion_ce(logits, torch.tensor([[0.5, 0.5], [0.0, 1.0]]), bag=bag, n_bags=2)
    tensor([0.6931, 0.0486])
    """
    return proportion_cross_entropy(logits, y, bag, n_bags, sample_weight)
