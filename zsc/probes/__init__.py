"""Probes on kept embeddings: what a few labelled pictures add to a classifier that saw none.

Parts are `ImageEmbeddings` or pairs (embeddings, labels); none of them touches a picture or torch.
"""

from zsc.probes.fit import LinearProbe, TipAdapter, few_shot_curve, linear_probe, tip_adapter
from zsc.probes.heads import LinearHead, mix_curve, mix_weights, zero_shot_head

__all__ = [
    "LinearHead", "LinearProbe", "TipAdapter", "few_shot_curve", "linear_probe", "mix_curve", "mix_weights",
    "tip_adapter", "zero_shot_head",
]  # fmt: skip
