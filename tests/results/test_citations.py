"""The BibTeX of what is behind a flow: complete, each paper once, and in the bibliography."""

import pathlib
import re

import jax.numpy as jnp
import pytest

import flows
from flows.optimizers import OPTIMIZERS
from flows.vector_fields import FLOWS

BIBLIOGRAPHY = pathlib.Path(flows.__file__).parent.parent / "docs" / "bibliography.md"
ENTRIES = sorted({entry for kind in (*FLOWS, *OPTIMIZERS) for entry in kind.references})


def number_or_title(entry):
    """What a reader finds a paper by: its arXiv number, or its title where it has none."""
    found = re.search(r"eprint += \{(.*?)\}", entry) or re.search(r"title += \{(.*?)\},", entry)
    return found[1]


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.__name__)
def test_every_flow_has_a_source(flow):
    assert flow.references


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry[: entry.index(",")])
def test_entries_are_whole(entry):
    assert re.match(r"@\w+\{\w+,\n", entry)
    assert entry.count("{") == entry.count("}")
    assert re.search(r"year += \{\d{4}\}", entry)


@pytest.mark.parametrize("model", [flows.RMSProp(0.1), flows.DriftAdjustedDescent()])
def test_optimizers_have_theirs(model):
    assert flows.citation(model).startswith("@")


# RMSProp is from a lecture; what is cited is the paper of its flow.
@pytest.mark.parametrize(
    "kind",
    [kind for kind in (*FLOWS, *OPTIMIZERS) if kind is not flows.RMSProp],
    ids=lambda kind: kind.__name__,
)
def test_every_paper_is_one_that_the_class_names_itself(kind):
    named = " ".join(kind.__doc__.split())
    for entry in kind.references:
        assert number_or_title(entry) in named


def test_each_paper_once_in_the_order_given():
    text = flows.citation(flows.CentralFlow(), flows.ModifiedFlow(order=3), flows.GradientFlow())
    keys = re.findall(r"@\w+\{(\w+),", text)
    assert keys == ["cohen2025understanding", "hairer2006geometric", "barrett2021implicit"]


def test_what_has_no_paper_has_no_entry():
    assert flows.citation(flows.GradientDescent(0.1)) == ""


@pytest.mark.parametrize("wrong", [flows.RodFlow, "RodFlow", None, jnp.ones(2)])
def test_other_things_are_refused(wrong):
    with pytest.raises(flows.InvalidOptionError, match="Pass an instance"):
        flows.citation(wrong)


def test_nothing_is_refused():
    with pytest.raises(flows.InvalidOptionError, match="at least one"):
        flows.citation()


def test_the_bibliography_has_every_entry():
    text = " ".join(BIBLIOGRAPHY.read_text().split())
    for entry in ENTRIES:
        assert number_or_title(entry) in text
