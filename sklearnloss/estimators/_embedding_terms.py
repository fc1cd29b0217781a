"""What an embedder's losses need to know of it: whether it can train them."""

from collections.abc import Mapping
from typing import Any

from sklearnloss.exceptions import TaskError
from sklearnloss.facts import ROLES
from sklearnloss.spec import Choice, choose
from sklearnloss.training.mining import not_taken

__all__ = ["check_embedding_terms"]


def check_embedding_terms(terms: Mapping[str, Choice], *, viewed: bool, distance: Any, miner: Any, memory: int) -> None:
    """Say why a loss is not for `MetricEmbedder`, or not for one with these parameters.

    Parameters
    ----------
    terms : mapping of str to Choice
        The losses.
    viewed : bool
        Whether batches hold two views of each row.
    distance, miner : spec or None
        What the user chose.
    memory : int
        Rows of earlier batches to compare with.

    Raises
    ------
    TaskError
        With the loss, what is wrong with it, and what to use.
    """
    for component in (c.component for c in terms.values()):
        if component.role and ROLES[component.role].head not in ("none", "cosine"):
            raise TaskError(
                f"{component.title} works on {component.role}; MetricEmbedder takes losses on embeddings, on cosines "
                "or on view_a, view_b. Use LossClassifier, or sklearnloss list loss for others"
            )
        if component.role == "view_a" and not viewed:
            raise TaskError(
                f"{component.title} compares two views of each row; set views='noise' (sklearnloss list view)"
            )
    if not any(c.component.role for c in terms.values()):
        raise TaskError("MetricEmbedder needs a term that looks at embeddings, for example 'multi_similarity'")
    named = {name for c in terms.values() for name in (*c.component.needs, *c.component.wishes)}
    if distance is not None and "distance" not in named:
        (first, *others) = (c.component.title for c in terms.values())
        who = "no term of the loss takes a" if others else f"{first} compares in its own way and takes no"
        raise TaskError(
            f"{who} distance; leave distance out, or choose a loss on distances, such as 'triplet' or 'contrastive'"
        )
    if miner is not None and not named & {"pairs", "triplets"}:
        raise TaskError(not_taken(choose("miner", miner).component.title, "pairs"))
    if memory and "pairs" not in named:  # listed triplets are of the rows of the batch
        raise TaskError(not_taken("the memory", "pairs"))
