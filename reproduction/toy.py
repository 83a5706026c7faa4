"""Train the embedded toy CLIP again and measure it on drawings it never saw: `python -m reproduction.toy`, `make toy`.

Writes the weights, and beside them a log with recipe, loss curve, versions, seconds and accuracies. A run that was
stopped continues where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zsc.drawings import KINDS, draw
from zsc.prompts import prompt_set

if TYPE_CHECKING:
    from open_clip.model import CLIP

PROMPTS = {"faces": ("glasses-1", "glasses-2", "glasses-3"), "animals": ("afhq-a", "afhq-b")}
POINTS = 100  # of the loss curve in the log, each the mean of the steps between


def main(arguments: list[str] | None = None) -> int:
    """Train, save and measure."""
    from zsc.toy import pretrain  # brings torch, which reads OMP_WAIT_POLICY when it is imported

    options = _parse(arguments)
    asked = {"steps": options.steps, "batch_size": options.batch_size, "seed": options.seed}
    recipe = replace(pretrain.Recipe(), **{name: value for name, value in asked.items() if value is not None})
    out: Path = options.out
    out.parent.mkdir(parents=True, exist_ok=True)
    state = out.with_suffix(".state")
    model, log = pretrain.train(recipe, checkpoint=state, workers=options.workers)
    pretrain.save_weights(model, out)
    accuracies = measure(model, options.test)
    about = {
        "recipe": asdict(recipe), "pairs": recipe.steps * recipe.batch_size,
        "seconds": round(log[-1]["seconds"]), "cores": os.cpu_count(),
        "parameters": sum(p.numel() for p in model.parameters()),
        "logit_scale": round(log[-1]["logit_scale"], 2),
        "versions": {"python": sys.version.split()[0]}
        | {name: version(name) for name in ("torch", "open_clip_torch", "pillow", "numpy")},
        "accuracies": accuracies, "tested_on": f"{options.test} drawings of each kind, split test, seed 1",
        "curve": curve(log),
    }  # fmt: skip
    out.with_suffix(".json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    state.unlink(missing_ok=True)
    for name, accuracy in accuracies.items():
        sys.stdout.write(f"{name:10} {accuracy:.3f}\n")
    return 0


def measure(model: CLIP, n: int, *, seed: int = 1) -> dict[str, float]:
    """Measure zero-shot accuracy on N drawings of each kind that no training saw, by prompt set."""
    from zsc.toy.pretrain import embed_drawings, to_pixels, to_tokens

    accuracies = {}
    for kind in KINDS:
        drawings = [draw(kind, i, seed=seed) for i in range(n)]
        labels = np.array([d.label for d in drawings])
        pixels = to_pixels([d.picture for d in drawings])
        for name in PROMPTS[kind]:
            prompts = prompt_set(name)
            images, texts = embed_drawings(model, pixels, to_tokens(prompts.prompts))
            nearest = (images @ texts.T).argmax(axis=1)  # the best prompt decides
            accuracies[name] = round(float((np.asarray(prompts.owners)[nearest] == labels).mean()), 4)
    return accuracies


def curve(log: list[dict[str, float]]) -> list[dict[str, float]]:
    """Thin the log of a run to at most `POINTS` means."""
    return [
        {"step": int(part[-1]["step"]) + 1}
        | {k: round(float(np.mean([row[k] for row in part])), 4) for k in ("loss", "accuracy", "logit_scale")}
        for part in (list(p) for p in np.array_split(np.array(log, dtype=object), min(POINTS, len(log))))
    ]


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m reproduction.toy", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("toy-again/toy.pt"), help="where the weights go")
    parser.add_argument("--steps", type=int, help="steps to train for")
    parser.add_argument("--batch-size", type=int, help="pairs per step")
    parser.add_argument("--seed", type=int, help="of the first weights and the drawings")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw ahead")
    parser.add_argument("--test", type=int, default=1000, help="drawings of each kind to measure on")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    # Threads that spin while they wait are five times slower beside other work; to be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    sys.exit(main())
