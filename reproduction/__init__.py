"""Reproduce the tutorials: what is missing, their notebooks on real models and data, their numbers compared with ours.

`zsc reproduce` runs it. It needs a checkout, since notebooks and published numbers are not in the installed package.
"""

from reproduction.differences import explain_differences
from reproduction.needs import Need, needs
from reproduction.run import ReproductionError, reproduce
from reproduction.tutorials import Tutorial, tutorials
from reproduction.verdicts import matches, measure, verdict

__all__ = [
    "Need", "ReproductionError", "Tutorial", "explain_differences", "matches", "measure", "needs", "reproduce",
    "tutorials", "verdict",
]  # fmt: skip
