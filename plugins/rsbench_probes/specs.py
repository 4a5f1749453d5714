"""What the recipes are, without importing torch.

Options of both: ``pooling``, ``layers`` and ``flips`` as in :class:`rsbench_probes.features.Features`; ``standardize``
features by mean and deviation over the training split.
"""

from __future__ import annotations

from typing import Any, Final

from rsbench.specs import RecipeSpec

FEATURES: Final[dict[str, Any]] = {"pooling": "network", "layers": [], "flips": False}

RECIPES: Final = (
    RecipeSpec(
        name="linear-probe",
        summary="Logistic regression on frozen features by L-BFGS; C chosen on validation images.",
        fit="rsbench_probes.linear:LinearProbe",
        fit_options={**FEATURES, "standardize": True, "C": [10 ** (k / 2) for k in range(-10, 3)]},
        citation="Alain and Bengio 2017, Understanding intermediate layers using linear classifier probes",
    ),
    RecipeSpec(
        name="knn-probe",
        summary="Votes of the nearest frozen features by cosine similarity; k chosen on validation images.",
        fit="rsbench_probes.knn:NeighborProbe",
        fit_options={**FEATURES, "standardize": False, "k": [1, 3, 5, 10, 20, 50, 100]},
        citation="Wu et al. 2018, Unsupervised feature learning via non-parametric instance discrimination",
    ),
)
