"""Fitted classifiers as torch modules and ONNX files that need neither scikit-learn nor this package's estimators."""

import copy
import logging
import os
import warnings
from typing import Any, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from sklearnloss.estimators._calibrated import CalibratedScores
from sklearnloss.estimators._decoding import ClassDecoder, standalone
from sklearnloss.exceptions import TaskError
from sklearnloss.files import write_atomically
from sklearnloss.training.backbone import Network

__all__ = ["ClassExport", "ClassModule"]

Output = Literal["proba", "scores"]


class ClassModule(nn.Module):
    """A classifier from raw rows to probabilities or scores.

    Parameters
    ----------
    network : Network
        From X to the head's output.
    decoder : ClassDecoder
        From there on.
    output : {"proba", "scores"}
        What it returns.
    """

    def __init__(self, network: Network, decoder: ClassDecoder, output: Output) -> None:
        super().__init__()
        self.network, self.decoder, self.output = network, decoder, output

    def forward(self, X: Tensor) -> Tensor:
        """Return probabilities (n, k), or scores (n,) or (n, k), of rows X (n, d)."""
        return self._decoded(self._raw(X))

    def _raw(self, X: Tensor) -> Tensor:
        raw: Tensor = self.network(X.to(self.network.dtype))
        return raw

    def _decoded(self, raw: Tensor) -> Tensor:
        return self.decoder.probabilities(raw) if self.output == "proba" else self.decoder.scores(raw)


class _Labelled(ClassModule):
    """The same with the place of each row's class before it."""

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Return places (n,), or zeros and ones (n, n_labels), and what `ClassModule` returns."""
        raw = self._raw(X)
        return self.decoder.labels(raw), self._decoded(raw)


class ClassExport:
    """A mixin of classifiers that hold a net: ``to_torch`` and ``to_onnx``."""

    def to_torch(self, output: Output | None = None) -> nn.Module:
        """Return the fitted classifier as a torch module from raw rows to probabilities or scores.

        It stands alone: standardisation, network, link and calibration are in it, copied, on the CPU and in evaluation
        mode. `torch.export` and `torch.compile` take it. A network trained in bfloat16 computes in float32.

        Parameters
        ----------
        output : {"proba", "scores"}, default=None
            What it returns for X of shape (n, d): ``"proba"`` is what ``predict_proba`` gives, (n, n_classes) in the
            order of ``classes_``; ``"scores"`` is what ``decision_function`` gives, (n,) for two classes, else
            (n, n_classes). None is ``"proba"`` where there are probabilities.

        Returns
        -------
        nn.Module

        Raises
        ------
        NotFittedError
            If it is not fitted.
        TaskError
            If there are no probabilities, or a calibrator of a plugin makes them.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearnloss import LossClassifier
        >>> X, y = load_iris(return_X_y=True)
        >>> model = LossClassifier(max_epochs=5, random_state=0).fit(X, y)
        >>> module = model.to_torch()
        >>> np.allclose(module(torch.tensor(X)).detach(), model.predict_proba(X))
        True
        """
        return self._exported(ClassModule, output)

    def to_onnx(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted classifier as an ONNX file, from raw rows to labels and probabilities.

        The input ``X`` is (n, n_features) for any n, in the precision of the network (float64 if it was trained on
        float64). The outputs are ``label``, the classes themselves (n,), or zeros and ones (n, n_labels), and
        ``probabilities`` (n, n_classes), in the order of ``classes_``; where the loss has no link to probabilities,
        ``scores`` as ``decision_function`` gives them.

        Parameters
        ----------
        path : str or path
            Where to; a file that is there is replaced, whole or not at all.

        Raises
        ------
        NotFittedError
            If it is not fitted.
        ImportError
            If the extra is missing: ``pip install "sklearnloss[onnx]"``.
        OutputError
            If the file could not be written.

        Notes
        -----
        Goes through ``torch.onnx.export``; a module of yours must consist of operations that it knows.
        """
        module = self._exported(_Labelled, None)
        names = "probabilities" if module.output == "proba" else "scores"
        example = torch.zeros(2, self.n_features_in_, dtype=module.network.dtype)  # type: ignore[attr-defined]
        write_atomically(path, _onnx(module, example, names, self._onnx_classes()))

    def _exported(self, kind: type[ClassModule], output: Output | None) -> ClassModule:
        estimator: Any = self
        check_is_fitted(estimator)
        if output not in (None, "proba", "scores"):
            raise ValueError(f"output must be 'proba', 'scores' or None, got {output!r}")
        if output is None:
            output = "proba" if hasattr(estimator, "predict_proba") else "scores"
        if output == "proba":
            try:
                _ = estimator.predict_proba
            except AttributeError as error:
                raise TaskError(f"{type(self).__name__}.to_torch: {error.__cause__ or error}") from error
        decoder: ClassDecoder = estimator._decoder()
        decoder.link = standalone(decoder.link)
        if decoder.calibrated is not None:
            decoder.calibrated = CalibratedScores(estimator.calibration_)
        module = kind(copy.deepcopy(estimator.net_.module_), decoder, output)
        return module.cpu().eval()

    def _onnx_classes(self) -> np.ndarray | None:
        """Return what a place stands for, in a type that ONNX has, or None where places are the labels."""
        estimator: Any = self
        if estimator._targets.kind == "multilabel":
            return None
        classes: np.ndarray = np.asarray(estimator.classes_.tolist())
        if classes.dtype.kind == "U":
            return classes.astype(object)
        if classes.dtype.kind in "bf":
            return classes
        if classes.dtype.kind in "iu" and classes.max() <= np.iinfo(np.int64).max:
            return classes.astype(np.int64)
        raise TaskError(f"ONNX knows classes that are integers, floats, booleans or strings, got {classes.dtype}")


def _onnx(module: nn.Module, example: Tensor, values: str, classes: np.ndarray | None) -> bytes:
    try:
        import onnx
        import onnxscript  # noqa: F401  torch's exporter needs it
    except ImportError as error:
        raise ImportError('to_onnx needs onnx and onnxscript: pip install "sklearnloss[onnx]"') from error
    place = "label" if classes is None else "place"
    chatter = logging.getLogger("torch.onnx")
    before = chatter.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecations inside torch and onnxscript; what fails is raised
        chatter.setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                module,
                (example,),
                input_names=["X"],
                output_names=[place, values],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                dynamo=True,
                verbose=False,
            )
        finally:
            chatter.setLevel(before)
    assert program is not None
    model = program.model_proto
    if classes is not None:
        _decode_places(model.graph, classes)
    onnx.checker.check_model(model, full_check=True)
    content: bytes = model.SerializeToString()
    return content


def _decode_places(graph: Any, classes: np.ndarray) -> None:
    """Put a look-up of the classes behind the output ``place``, and ``label`` in its stead."""
    from onnx import helper, numpy_helper

    table = numpy_helper.from_array(classes, "classes")
    graph.initializer.append(table)
    graph.node.append(helper.make_node("Gather", ["classes", "place"], ["label"], name="label", axis=0))
    (place,) = (output for output in graph.output if output.name == "place")
    place.name = "label"
    place.type.tensor_type.elem_type = table.data_type
