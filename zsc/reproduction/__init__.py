"""The tutorials again: what is missing, their notebooks on the real thing, their numbers beside ours."""

from zsc.reproduction.differences import explain_differences
from zsc.reproduction.needs import Need, needs
from zsc.reproduction.run import reproduce
from zsc.reproduction.tutorials import Tutorial, tutorials
from zsc.reproduction.verdicts import measure, verdict

__all__ = ["Need", "Tutorial", "explain_differences", "measure", "needs", "reproduce", "tutorials", "verdict"]
