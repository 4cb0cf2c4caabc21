"""The command line: `python -m symbolic "(x**2+1)*(x-1)**2*(x-2)**2"`."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

from . import cases
from ._errors import IncompleteWarning, InvalidArgumentError, SymbolicError
from .text._parsing import parse
from .text._table import json_table, latex_table, table
from .thresholds._critical_points import critical_points

SUCCESS, INCOMPLETE, MISUSE = 0, 1, 2
PIPE_CLOSED = 128 + 13  # what a shell says of a program that SIGPIPE ended


class _Parser(argparse.ArgumentParser):
    """argparse, with a way out in place of the usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISUSE, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code is 0, 1 if points may be missing, 2 for misuse."""
    parser = _make_parser()
    given = sys.argv[1:] if arguments is None else arguments
    options = parser.parse_args([_as_value(argument) for argument in given])
    if options.cases:
        print("\n".join(f"{case.name:<20}  {case.loss}" for case in cases.CASES.values()))
        return SUCCESS
    if options.loss is None:
        parser.error("give a loss such as 'x**4 - x**2', or --cases")
    try:
        with warnings.catch_warnings():
            # The output and the exit code say it.
            warnings.simplefilter("ignore", IncompleteWarning)
            points = critical_points(
                *_read(options.loss, options.symbols, options.positive),
                between=options.between,
                max_work=options.max_work,
            )
    except SymbolicError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return MISUSE
    write = json_table if options.json else latex_table if options.latex else table
    print(write(points))
    if points.incomplete:
        print(
            f"{parser.prog}: critical points may be missing: {points.incomplete}. Put numbers "
            "for all parameters, and search an interval: --between -10 10.",
            file=sys.stderr,
        )
    return INCOMPLETE if points.incomplete else SUCCESS


def _as_value(argument: str) -> str:
    """Options have two dashes, so -x**2 and -1e3 are values; argparse sees that by a space."""
    negative = argument.startswith("-") and not argument.startswith("--") and argument != "-h"
    return f" {argument}" if negative else argument


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m symbolic",
        description="Every critical point of a loss, and the largest stable step of gradient "
        "descent there, exactly.",
    )
    parser.add_argument("loss", nargs="?", help="arithmetic in symbols, or a name from --cases")
    parser.add_argument("--symbols", help="the variables, x,y; other symbols are parameters")
    parser.add_argument("--positive", default="", help="symbols that are positive, as mu,c")
    parser.add_argument("--between", nargs=2, metavar=("A", "B"), help="search an interval only")
    parser.add_argument("--max-work", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--cases", action="store_true", help="list the ready losses")
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--latex", action="store_true", help="print a LaTeX tabular")
    output.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _read(text: str, symbols: str | None, positive: str) -> tuple:
    if text in cases.CASES:
        if symbols is not None or positive:
            raise InvalidArgumentError(
                f"--symbols and --positive do not go with a name from --cases; {text} has its own. "
                f"Leave them out, or write the loss: {cases.CASES[text].loss}."
            )
        return cases.CASES[text].loss, cases.CASES[text].symbols
    names = [name for name in positive.split(",") if name]
    loss = parse(text, {name: {"positive": True} for name in names})
    known = {symbol.name: symbol for symbol in loss.free_symbols}
    chosen = None if symbols is None else symbols.split(",")
    for option, mentioned in (("--positive", names), ("--symbols", chosen or ())):
        for name in mentioned:
            if name not in known:
                raise InvalidArgumentError(
                    f"{option}: {name!r} does not occur. The loss has {', '.join(sorted(known))}."
                )
    return loss, None if chosen is None else [known[name] for name in chosen]


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
