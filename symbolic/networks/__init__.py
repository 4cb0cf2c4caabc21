"""Networks small enough for exact answers: chains, deep linear networks, factorisations, ReLU.

>>> scalar_chain(3).best_threshold
2/(3*mu**(4/3))
"""

from ._chains import ScalarChain as ScalarChain
from ._chains import scalar_chain as scalar_chain
from ._linear import Spectrum as Spectrum
from ._linear import deep_linear as deep_linear
from ._linear import largest_singular_value as largest_singular_value
from ._linear import matrix_factorisation as matrix_factorisation
from ._relu import relu_threshold as relu_threshold
