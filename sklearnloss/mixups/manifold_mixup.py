"""Manifold mixup."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import mixup
from sklearnloss.constraints import Numbers, Positive, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.mixups._beta import symmetric_beta
from sklearnloss.typing import Features, Generator, Labels, Layered


@mixup("manifold_mixup")
def manifold_mixup(
    X: Tensor,
    y: Labels,
    *,
    rng: Generator,
    module: Layered,
    alpha: Annotated[Positive, Search(0.2, 4, log=True)] = 2.0,
    layers: Numbers | None = None,
) -> tuple[Features, Tensor, Tensor, Tensor]:
    r"""Train on the lines between rows as a hidden layer sees them: what it keeps of classes becomes flat and apart.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Rows of a batch.
    y : Tensor of shape (n, ...)
        Their targets.
    rng : torch.Generator
        Source of the layer, partners and share.
    module : Layered
        The network, whose ``blocks`` lead to what the head sees.
    alpha : float in (0, inf), default=2.0
        Strength: the share of a row is drawn from Beta(alpha, alpha).
    layers : sequence of int in [0, inf) or None, default=None
        Where rows may be mixed, each as likely: 0 is the input, 1 what leaves the first hidden layer, and so on to what
        the head sees. None is all of them.

    Returns
    -------
    features : Tensor of shape (n, h)
        What the head sees of the mixed rows.
    y_a, y_b : Tensor of shape (n, ...)
        Targets of the rows and of their partners.
    lam : Tensor of shape ()
        Share of the rows, one for the batch.

    Raises
    ------
    TaskError
        If the network has no such layer.

    Notes
    -----
    With :math:`g_l` the layers up to the one that was drawn and :math:`f_l` those that follow,

    .. math:: f_l(\lambda g_l(x_i) + (1 - \lambda) g_l(x_{\pi(i)})), \qquad
        \tilde\ell_i = \lambda \ell(\cdot, y_i) + (1 - \lambda) \ell(\cdot, y_{\pi(i)})

    ``layers=[0]`` is ``mixup``. A hidden layer is a piece of the backbone with weights and what follows it without any,
    such as its activation; a backbone that is no plain ``nn.Sequential`` is one layer. O(n h) besides the pass.

    References
    ----------
    .. [1] Verma, Lamb, Beckham, Najafi, Mitliagkas, Lopez-Paz, Bengio. "Manifold mixup: better representations by
       interpolating hidden states". ICML 2019.

    Examples
    --------
    >>> from sklearnloss import LossClassifier, Mixup
    >>> X, y = torch.randn(60, 3, generator=torch.Generator().manual_seed(0)).numpy(), [0, 1, 2] * 20
    >>> model = LossClassifier(mixup=Mixup("manifold_mixup", layers=[0, 1]), max_epochs=2, random_state=0).fit(X, y)
    >>> len(model.loss_curve_)
    2
    """
    blocks = module.blocks
    places = list(range(len(blocks) + 1)) if layers is None else list(layers)
    if not places or max(places) > len(blocks):
        raise TaskError(
            f"mixup 'manifold_mixup': layers must be of 0 to {len(blocks)}, which is what the head sees, got {layers}"
        )
    drawn = places[int(torch.randint(len(places), (), generator=rng, device=X.device))]
    partner = torch.randperm(len(X), generator=rng, device=X.device)
    lam = symmetric_beta(alpha, rng, device=X.device).to(X.dtype)
    hidden = X
    for place, block in enumerate([*blocks, []]):  # nothing follows the last
        if place == drawn:
            hidden = torch.lerp(hidden[partner], hidden, lam.to(hidden.dtype))
        for layer in block:
            hidden = layer(hidden)
    return hidden, y, y[partner], lam
