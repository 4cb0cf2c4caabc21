"""The command line: `python -m flows compare rosenbrock --flow gradient --steps 50`."""

import argparse
import difflib
import functools as ft
import json
import os
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import jax

from . import problems
from ._errors import FlowsError, InvalidOptionError, MissingDependencyError
from .drivers._compare import MODES, compare
from .optimizers import GradientDescent
from .results import Comparison
from .vector_fields import FLOWS, AbstractFlow

NAMED_FLOWS: dict[str, Callable[[], AbstractFlow]] = {
    name: ft.partial(flow, **options)
    for flow in FLOWS
    if flow().refusal(GradientDescent(1.0)) is None
    for name, options in (flow.variants or {flow.__name__.lower(): {}}).items()
}
DEFAULT_FLOWS = ("gradient", "modified", "principal")
SUCCESS, FAILED, MISUSE = 0, 1, 2
PIPE_CLOSED = 128 + 13  # what a shell says of a program that SIGPIPE ended


class _Parser(argparse.ArgumentParser):
    """argparse, with the near ones beside a wrong name."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISUSE, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code: 0, 1 for a failed run, 2 for misuse."""
    parser = _make_parser()
    options = parser.parse_args(arguments)
    # This is a program of its own, so it may choose the precision; the library never does.
    jax.config.update("jax_enable_x64", not options.float32)
    try:
        return options.run(options)
    except FlowsError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return MISUSE


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m flows",
        description="Compare continuous-time models of gradient descent with its iterates.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    command = commands.add_parser(
        "compare", help="compare flows with gradient descent on a ready problem"
    )
    command.set_defaults(run=_compare)
    command.add_argument("problem", help="a name from: python -m flows problems")
    command.add_argument("--learning-rate", type=float, help="default: the problem's own")
    command.add_argument("--steps", type=int, default=200, help="default: %(default)s")
    command.add_argument(
        "--flow",
        action="append",
        metavar="FLOW",
        help=f"{', '.join(NAMED_FLOWS)}; repeat it for several. "
        f"Default: {', '.join(DEFAULT_FLOWS)}",
    )
    command.add_argument("--mode", default="trajectory", help="trajectory (default) or per-step")
    command.add_argument(
        "--save",
        action="append",
        default=[],
        type=pathlib.Path,
        metavar="FILE",
        help="write the figure (.png, .pdf, .svg) or the run (.npz); may be repeated",
    )
    command.add_argument("--no-progress", action="store_true", help="no progress bar")

    listing = commands.add_parser("problems", help="list the ready problems")
    listing.set_defaults(run=_list_problems)
    for each in (command, listing):
        each.add_argument("--json", action="store_true", help="print JSON instead of a table")
        each.add_argument("--float32", action="store_true", help="single precision")
    return parser


def _compare(options: argparse.Namespace) -> int:
    flows = [
        NAMED_FLOWS[_known(name, NAMED_FLOWS, "flow")]() for name in options.flow or DEFAULT_FLOWS
    ]
    mode = _known(options.mode.replace("-", "_"), MODES, "mode")
    for path in options.save:
        _check_target(path)
    problem = problems.get(options.problem)
    rate = problem.learning_rate if options.learning_rate is None else options.learning_rate
    run = compare(
        problem.loss,
        problem.start,
        GradientDescent(rate),
        flows,
        options.steps,
        args=problem.args,
        mode=mode,
        progress=not (options.no_progress or options.json) and sys.stderr.isatty(),
        throw=False,
    )
    if options.json:
        print(json.dumps({"problem": problem.name, "learning_rate": rate, **run.summary()}))
    else:
        print(f"{problem.name}: {problem.description}\n{run}")
    for path in options.save:
        _save(run, problem, path)
        print(f"wrote {path}", file=sys.stderr)
    return SUCCESS if run.successful else FAILED


def _list_problems(options: argparse.Namespace) -> int:
    ready, missing = [], {}
    for name, make in problems.PROBLEMS.items():
        try:
            ready.append(make())
        except MissingDependencyError as error:
            missing[name] = str(error)
    if options.json:
        fields = ("name", "description", "learning_rate", "source")
        listed = [{field: getattr(one, field) for field in fields} for one in ready]
        print(
            json.dumps(listed + [{"name": name, "missing": why} for name, why in missing.items()])
        )
        return SUCCESS
    width = max(map(len, problems.PROBLEMS))
    for one in ready:
        print(f"{one.name:<{width}}  {one.description}")
        print(f"{'':<{width}}  learning rate {one.learning_rate:g}; {one.source}")
    for name, why in missing.items():
        print(f"{name:<{width}}  {why}")
    return SUCCESS


def _known(name: str, names: Sequence[str] | dict, kind: str) -> str:
    """The name if there is such a thing, otherwise an error with the near ones."""
    if name in names:
        return name
    near = difflib.get_close_matches(name, list(names), n=3, cutoff=0.4)
    meant = f"Did you mean {' or '.join(near)}? " if near else ""
    raise InvalidOptionError(f"there is no {kind} {name!r}. {meant}There are: {', '.join(names)}.")


def _check_target(path: pathlib.Path) -> None:
    """Find out before a long run whether its result can be written."""
    suffixes = (".png", ".pdf", ".svg", ".npz")
    if path.suffix not in suffixes:
        raise InvalidOptionError(f"--save {path}: give one of the suffixes {', '.join(suffixes)}.")
    if not path.absolute().parent.is_dir():
        raise InvalidOptionError(f"--save {path}: there is no folder {path.parent}. Make it first.")


def _save(run: Comparison, problem: problems.Example, path: pathlib.Path) -> None:
    if path.suffix == ".npz":
        run.save(path)
        return
    # A canvas of our own: no window system is touched, no global state of pyplot.
    from matplotlib.figure import Figure

    from .plotting import plot_contours, plot_errors, plot_losses

    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    if run.iterates.params is not None and _count(run) == 2:
        plot_contours(run, problem.loss, left, args=problem.args)
    else:
        plot_losses(run, left)
    plot_errors(run, right)
    rate = float(run.iterates.ts[1]) if run.iterates.steps else float("nan")
    figure.suptitle(f"{problem.name}: gradient descent with learning rate {rate:g}")
    figure.savefig(path, dpi=160)


def _count(run: Comparison) -> int:
    return int(dict(run.settings)["parameters"])


def _as_a_program() -> int:
    """`main`, for a reader that may close the pipe before all is written, as ``head`` does."""
    try:
        try:
            return main()
        finally:  # also of --help
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more as it ends: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED


if __name__ == "__main__":
    sys.exit(_as_a_program())
