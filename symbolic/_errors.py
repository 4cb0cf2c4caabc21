"""What can go wrong in a derivation, one type each: errors, all of them `SymbolicError`, a warning.

Every message says what was given, what is allowed, and what to write instead.
"""


class SymbolicError(Exception):
    """Base class of every error that this package raises on purpose."""


class InvalidExpressionError(SymbolicError, TypeError):
    """What was given is not one real scalar expression of sympy."""


class ForbiddenExpressionError(SymbolicError, ValueError):
    """A text holds something other than arithmetic and the named functions."""


class InvalidSymbolsError(SymbolicError, ValueError):
    """There are no symbols, symbols that do not occur, or symbols that are not declared real."""


class InvalidPointError(SymbolicError, ValueError):
    """A point does not fit the loss: wrong coordinates, or no critical point."""


class NonSmoothPointError(SymbolicError, ValueError):
    """The loss has no second derivative at the point."""


class InvalidStepError(SymbolicError, ValueError):
    """A step size is not positive, or the statement does not hold at this step size."""


class InvalidArgumentError(SymbolicError, ValueError):
    """An option has a value that does not exist or that the theory does not admit."""


class NotSolvedError(SymbolicError, NotImplementedError):
    """The equations are outside what is solved exactly; the message says how to help."""


class TooMuchWorkError(SymbolicError, RuntimeError):
    """The work would pass a bound; the message names the argument that raises it."""


class MissingPackageError(SymbolicError, ImportError):
    """An optional package is needed; the message says how to install it."""


class IncompleteWarning(UserWarning):
    """Critical points were found, but not with certainty all of them; the message says which."""
