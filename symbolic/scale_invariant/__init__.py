"""Scale-invariant losses with weight decay: effective steps, equilibria, closed forms.

Learning rate ``eta``, weight decay ``lam``, ``q = eta lam``; time counts steps.

>>> import sympy
>>> theta = sympy.Symbol("theta", real=True)
>>> plane_equilibrium(1 - sympy.cos(theta), theta).determinant
-q**2 + q + 1
"""

from ._effective_step import effective_step as effective_step
from ._effective_step import exponential_schedule as exponential_schedule
from ._equilibrium import Equilibrium as Equilibrium
from ._equilibrium import equilibrium as equilibrium
from ._plane import PlaneEquilibrium as PlaneEquilibrium
from ._plane import plane_equilibrium as plane_equilibrium
from ._rayleigh import RayleighFlow as RayleighFlow
from ._rayleigh import rayleigh_flow as rayleigh_flow
from ._stochastic import CircleEquilibrium as CircleEquilibrium
from ._stochastic import circle_equilibrium as circle_equilibrium
from ._stochastic import mean_alignment as mean_alignment
from ._stochastic import norm_fourth as norm_fourth
from ._symbols import TIME as TIME
from ._symbols import eta as eta
from ._symbols import lam as lam
from ._symbols import q as q
from ._symbols import s as s
