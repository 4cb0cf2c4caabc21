"""The papers behind flows and optimizers, as BibTeX."""

from .._errors import InvalidOptionError
from ..optimizers import (
    AbstractOptimizer,
    DriftAdjustedDescent,
    RMSProp,
    ScalarRMSProp,
    ScaleInvariantDescent,
)
from ..vector_fields import (
    AbstractFlow,
    CentralFlow,
    GradientFlow,
    IntrinsicFlow,
    ModifiedFlow,
    PrincipalFlow,
    ReshufflingFlow,
    RodFlow,
    StochasticModifiedFlow,
)

ENTRIES = {
    "hairer2006geometric": """@book{hairer2006geometric,
  author    = {Hairer, Ernst and Lubich, Christian and Wanner, Gerhard},
  title     = {Geometric Numerical Integration},
  edition   = {2},
  publisher = {Springer},
  year      = {2006}
}""",
    "barrett2021implicit": """@inproceedings{barrett2021implicit,
  author        = {Barrett, David G. T. and Dherin, Benoit},
  title         = {Implicit Gradient Regularization},
  booktitle     = {International Conference on Learning Representations},
  year          = {2021},
  eprint        = {2009.11162},
  archiveprefix = {arXiv}
}""",
    "rosca2023continuous": """@article{rosca2023continuous,
  author        = {Rosca, Mihaela and Wu, Yan and Qin, Chongli and Dherin, Benoit},
  title         = {On a Continuous Time Model of Gradient Descent Dynamics and Instability
                   in Deep Learning},
  journal       = {Transactions on Machine Learning Research},
  year          = {2023},
  eprint        = {2302.01952},
  archiveprefix = {arXiv}
}""",
    "cohen2025understanding": """@inproceedings{cohen2025understanding,
  author        = {Cohen, Jeremy M. and Damian, Alex and Talwalkar, Ameet and Kolter, J. Zico
                   and Lee, Jason D.},
  title         = {Understanding Optimization in Deep Learning with Central Flows},
  booktitle     = {International Conference on Learning Representations},
  year          = {2025},
  eprint        = {2410.24206},
  archiveprefix = {arXiv}
}""",
    "li2017stochastic": """@inproceedings{li2017stochastic,
  author        = {Li, Qianxiao and Tai, Cheng and E, Weinan},
  title         = {Stochastic Modified Equations and Adaptive Stochastic Gradient Algorithms},
  booktitle     = {International Conference on Machine Learning},
  year          = {2017},
  eprint        = {1511.06251},
  archiveprefix = {arXiv}
}""",
    "li2024hessian": """@misc{li2024hessian,
  author        = {Li, X. and Shen, Z. and Zhang, L. and He, N.},
  title         = {A {Hessian}-Aware Stochastic Differential Equation for Modelling {SGD}},
  year          = {2024},
  eprint        = {2405.18373},
  archiveprefix = {arXiv}
}""",
    "smith2021origin": """@inproceedings{smith2021origin,
  author        = {Smith, Samuel L. and Dherin, Benoit and Barrett, David G. T. and De, Soham},
  title         = {On the Origin of Implicit Regularization in Stochastic Gradient Descent},
  booktitle     = {International Conference on Learning Representations},
  year          = {2021},
  eprint        = {2101.12176},
  archiveprefix = {arXiv}
}""",
    "li2020reconciling": """@inproceedings{li2020reconciling,
  author        = {Li, Zhiyuan and Lyu, Kaifeng and Arora, Sanjeev},
  title         = {Reconciling Modern Deep Learning with Traditional Optimization Analyses:
                   The Intrinsic Learning Rate},
  booktitle     = {Advances in Neural Information Processing Systems},
  year          = {2020},
  eprint        = {2010.02916},
  archiveprefix = {arXiv}
}""",
    "regis2026rod": """@misc{regis2026rod,
  author        = {Regis, E. and Chewi, S.},
  title         = {Rod Flow: A Continuous-Time Model for Gradient Descent
                   at the Edge of Stability},
  year          = {2026},
  eprint        = {2602.01480},
  archiveprefix = {arXiv}
}""",
}
_HAIRER, _BARRETT, _ROSCA = "hairer2006geometric", "barrett2021implicit", "rosca2023continuous"
_COHEN, _REGIS = "cohen2025understanding", "regis2026rod"
_LI_SGD, _LI_HESSIAN, _SMITH = "li2017stochastic", "li2024hessian", "smith2021origin"
_LI_INTRINSIC = "li2020reconciling"
_KEYS: dict[type, tuple[str, ...]] = {
    GradientFlow: (_HAIRER,),
    ModifiedFlow: (_HAIRER, _BARRETT),
    PrincipalFlow: (_ROSCA,),
    CentralFlow: (_COHEN,),
    RodFlow: (_REGIS,),
    StochasticModifiedFlow: (_LI_SGD, _LI_HESSIAN),
    ReshufflingFlow: (_SMITH,),
    IntrinsicFlow: (_LI_INTRINSIC,),
    ScaleInvariantDescent: (_LI_INTRINSIC,),
    DriftAdjustedDescent: (_ROSCA,),
    RMSProp: (_COHEN,),
    ScalarRMSProp: (_COHEN,),
}


def citation(*models: AbstractFlow | AbstractOptimizer) -> str:
    r"""Give the BibTeX entries of the papers behind flows and optimizers.

    It computes nothing. What this library adds of its own, the corrections of `flows.PrincipalFlow`
    for one, has no paper: the entry is that of the flow it starts from. Plain gradient descent and
    a `flows.StepMap` have no entry either.

    Arguments:
        models: Flows and optimizers, for example ``flows.PrincipalFlow()``.

    Returns:
        One entry for each paper, in the order in which they first come up, with an empty line in
        between; an empty text if there is none.

    Raises:
        InvalidOptionError: If nothing is given, or something that is neither flow nor optimizer.

    Example:
        >>> import flows
        >>> print(flows.citation(flows.RodFlow()).splitlines()[0])
        @misc{regis2026rod,

    References:
        The bibliography of the documentation has the same entries.
    """
    if not models:
        raise InvalidOptionError(
            "citation needs at least one flow or optimizer. Write flows.citation(flows.RodFlow())."
        )
    keys: dict[str, None] = {}
    for model in models:
        if not isinstance(model, (AbstractFlow, AbstractOptimizer)):
            raise InvalidOptionError(
                f"citation knows flows and optimizers, got {model!r}. "
                "Pass an instance, for example flows.citation(flows.PrincipalFlow())."
            )
        keys.update(dict.fromkeys(_KEYS.get(type(model), ())))
    return "\n\n".join(ENTRIES[key] for key in keys)
