"""Large steps on piecewise polynomials: certificates of contraction and escape, traps.

>>> rational_landscape().opening_step
41/250
"""

from ._certificate import Certificate as Certificate
from ._certificate import certify as certify
from ._rational import RationalLandscape as RationalLandscape
from ._rational import rational_landscape as rational_landscape
