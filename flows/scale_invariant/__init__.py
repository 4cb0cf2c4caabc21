"""Scale-invariant losses with weight decay: checks, effective steps, equilibria, closed forms.

Learning rate ``eta``, weight decay ``lambda``; ``q = eta lambda`` is the intrinsic learning rate.
Time counts steps, as the learning rate may change. Rates are numbers, arrays with one a step, or
functions of the number of the step. The exact counterparts are in `symbolic.scale_invariant`;
`flows.ScaleInvariantDescent` iterates, and `flows.problems` has the losses.

>>> import flows
>>> balance = flows.scale_invariant.equilibrium(0.2, 0.25, gradient_norm=1.7)
>>> round(float(balance.norm_fourth), 4)
1.1856
"""

from ._equilibrium import Equilibrium as Equilibrium
from ._equilibrium import equilibrium as equilibrium
from ._measured import effective_step as effective_step
from ._measured import path_measures as path_measures
from ._paths import mean_alignment as mean_alignment
from ._paths import norm_path as norm_path
from ._rayleigh import rayleigh_flow as rayleigh_flow
from ._schedules import equivalent_schedule as equivalent_schedule
from ._violation import require_scale_invariance as require_scale_invariance
from ._violation import scale_violation as scale_violation
