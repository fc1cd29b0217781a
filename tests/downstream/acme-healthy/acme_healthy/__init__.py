"""A plugin with a loss, a loss with a fact of its own, and a sampler."""

import os
from pathlib import Path

import numpy as np
import torch

from sklearnloss import fact, hookimpl, loss, sampler
from sklearnloss.constraints import Positive

if "ACME_TRACE" in os.environ:  # the trace of an import, by which tests see whether there was one
    Path(os.environ["ACME_TRACE"]).touch()

fact("mask", scope="row", about="(N,) how far the label of a row is to be trusted")


@loss("acme_margin", task="multiclass", link="none")
def acme_margin(logits, y, *, margin: Positive = 1.0):
    """Square of what each lead of the true class lacks.

    Parameters
    ----------
    margin : float in (0, inf), default=1.0
        Amount by which the true class must lead.

    References
    ----------
    .. [1] Acme Corporation. "Catalogue". 1949.

    Examples
    --------
    >>> acme_margin(torch.tensor([[2.0, 1.5, -1.0]]), torch.tensor([0]))
    tensor([0.2500])
    """
    lead = logits.gather(1, y[:, None]) - logits  # (n, k)
    return (margin - lead).clamp(min=0).scatter(1, y[:, None], 0.0).square().sum(1)  # (n,)


@loss("acme_masked", task="multiclass")
def acme_masked(logits, y, *, mask):
    """Cross entropy of the rows whose label is to be trusted.

    Parameters
    ----------
    mask : Tensor of shape (n,)
        How far each label is to be trusted, from zero to one.

    References
    ----------
    .. [1] Acme Corporation. "Catalogue". 1949.

    Examples
    --------
    >>> acme_masked(torch.zeros(2, 3), torch.tensor([0, 1]), mask=torch.tensor([1.0, 0.0]))
    tensor([1.0986, 0.0000])
    """
    return mask * torch.nn.functional.cross_entropy(logits, y, reduction="none")  # (n,)


@sampler("acme_turns")
def acme_turns(y, *, batch_size, rng):
    """Let the classes take turns.

    Parameters
    ----------
    y : array of shape (n,)
        Class of each row.

    References
    ----------
    .. [1] Acme Corporation. "Catalogue". 1949.

    Examples
    --------
    >>> [y.tolist() for y in acme_turns(np.array([0, 0, 1, 1]), batch_size=4, rng=np.random.default_rng(0))]
    [[2, 0, 1, 3]]
    """
    order = rng.permutation(len(y))
    turn = np.zeros(len(y), dtype=int)
    for label in np.unique(y):
        members = order[y[order] == label]
        turn[members] = np.arange(len(members))
    yield from np.array_split(order[np.argsort(turn[order], kind="stable")], -(-len(y) // batch_size))


@hookimpl
def sklearnloss_components():
    """Return what this plugin adds."""
    return [acme_margin, acme_masked, acme_turns]
