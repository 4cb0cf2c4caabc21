"""Sharpness, spectrum and drift along a run: after it, or in a loop of one's own."""

from ._track import track as track
from ._tracker import Tracker as Tracker
