"""A CLIP small enough to train in a lesson: drawings with captions, and contrastive pre-training on them.

`drawings` needs no torch; `pretrain` does. The trained model is `zsc.load_model("toy")`.
"""
