"""A CLIP small enough to train in a lesson, by contrastive pre-training on drawings: `zsc.load_model("toy")`."""
