"""The tutorials again: what is missing, their notebooks on the real thing, their numbers beside ours."""

from zsc.reproduction.differences import explain_differences
from zsc.reproduction.needs import Need, needs
from zsc.reproduction.run import ReproductionError, reproduce
from zsc.reproduction.tutorials import Tutorial, tutorials
from zsc.reproduction.verdicts import matches, measure, verdict

__all__ = [
    "Need",
    "ReproductionError",
    "Tutorial",
    "explain_differences",
    "matches",
    "measure",
    "needs",
    "reproduce",
    "tutorials",
    "verdict",
]
