"""Lineax's `linear_solve`, at complex operators and right-hand sides.

An iterative solver stops by a norm, and the continuation of a norm may vanish where the numbers do
not. So it is used at real operators alone, on both parts of the right-hand side.

>>> import jax.numpy as jnp
>>> import lineax
>>> from flows._continuation import continued
>>> solution = continued(
...     lambda x: lineax.linear_solve(lineax.DiagonalLinearOperator(x), jnp.ones(1)).value
... )
>>> bool(jnp.isclose(solution(jnp.array([2j]))[0], -0.5j))
True
"""

from collections.abc import Callable, Sequence
from typing import Any

import equinox.internal as eqxi
import jax.tree_util as jtu
from jax import lax

from .._errors import ContinuationError
from ._continued import continued
from ._dtypes import to_complex
from ._evaluate import message_of
from ._only_real import refused_unless_real


def linear_solve_of_lineax(equation: Any, *operands: Any) -> list[Any]:
    """The continued solver, differentiated as the solution of a system is, not step by step."""
    arguments = _Arguments(equation, len(operands))
    right = [to_complex(operands[i]) for i in arguments.right]
    system = [None if i in arguments.right else x for i, x in enumerate(operands)]
    solver = _both_parts if arguments.iterative(operands) else continued
    if solver is _both_parts:
        real = [x for x in system if x is not None]
        kept = iter(refused_unless_real(real, message_of(equation)))
        system = [None if x is None else next(kept) for x in system]
    solution, rest = lax.custom_linear_solve(
        lambda x: continued(arguments.product)(system, x),
        right,
        lambda _, right: solver(arguments.solved)(system, right),
        lambda _, right: solver(arguments.transposed)(system, right),
        has_aux=True,
    )
    return [*solution, *rest]


class _Arguments:
    """What the primitive's operands are: operator, state, vector, options, solver, throw."""

    def __init__(self, equation: Any, count: int):
        self.equation = equation
        # Where among the operands the right-hand side is.
        self.right: list[int] = self._rule(lambda _, __, vector, *rest: vector, range(count))
        self.n = len(self.right)
        of_vector = [equation.invars[i].aval.shape for i in self.right]
        if of_vector != [variable.aval.shape for variable in equation.outvars[: self.n]]:
            message = (
                "A least-squares problem in the loss, solved by lineax, is not continued to "
                "complex parameters. Solve its normal equations, or choose a flow that stays "
                'real, such as `flows.ModifiedFlow` or `flows.PrincipalFlow(branch="real")`.'
            )
            raise ContinuationError(message)

    def _rule(self, rule: Callable[..., Any], leaves: Sequence[Any]) -> list[Any]:
        of = {name: self.equation.params[name] for name in ("treedef", "static")}
        return eqxi.filter_primitive_def(rule)(*leaves, **of, flatten=jtu.tree_leaves)

    def _with(self, system: Sequence[Any], right: Sequence[Any]) -> list[Any]:
        vector = iter(right)
        return [next(vector) if i in self.right else x for i, x in enumerate(system)]

    def iterative(self, operands: Sequence[Any]) -> bool:
        """Whether the solver counts steps."""
        [answer] = self._rule(lambda *args: hasattr(args[4], "max_steps"), operands)
        return answer

    def solved(self, system: Any, right: Any) -> tuple[list[Any], list[Any]]:
        """The solution, and what is said about it."""
        leaves = self._with(system, right)
        outputs = self.equation.primitive.impl(*leaves, **self.equation.params)
        return outputs[: self.n], outputs[self.n :]

    def product(self, system: Any, x: Any) -> list[Any]:
        """The operator times a vector."""

        def rule(operator: Any, *rest: Any) -> Any:
            del rest
            return operator.mv(jtu.tree_unflatten(jtu.tree_structure(operator.in_structure()), x))

        return self._rule(rule, self._with(system, x))

    def transposed(self, system: Any, right: Any) -> tuple[list[Any], list[Any]]:
        """The solution of the transposed system."""

        def rule(operator: Any, state: Any, _: Any, options: Any, solver: Any, throw: Any) -> Any:
            del throw
            state, options = solver.transpose(state, options)
            structure = jtu.tree_structure(operator.in_structure())
            return solver.compute(state, jtu.tree_unflatten(structure, right), options)

        outputs = self._rule(rule, self._with(system, right))
        return outputs[: self.n], outputs[self.n :]


def _both_parts(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of a real system that is linear in the right-hand side."""

    def of(system: Any, right: Any) -> tuple[list[Any], list[Any]]:
        real, rest = function(system, [lax.real(x) for x in right])
        imaginary, _ = function(system, [lax.imag(x) for x in right])
        return [lax.complex(x, y) for x, y in zip(real, imaginary, strict=True)], rest

    return of
