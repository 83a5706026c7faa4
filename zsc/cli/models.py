"""`zsc models`: what there is, and what is on this machine."""

from argparse import Namespace

from zsc.cli._printing import Outcome, table_lines
from zsc.models import model_table

NOTES = (
    "imagenet_published: zero-shot accuracy on ImageNet with 80 templates by LAION's open_clip; not measured here.",
    "Also: open_clip:ARCH/TAG, hf:ID, or the path of a checkpoint in OpenAI's format.",
)
OPTIONS = ()


def run(_: Namespace) -> Outcome:
    """List the models."""
    table = model_table()
    return Outcome(table, [*table_lines(table, index=False), *NOTES])
