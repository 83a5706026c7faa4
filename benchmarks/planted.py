"""Plant a flaw: a probe that learned hats for glasses. Does the audit name the hat, and spare the healthy probe?

Usage: python -m benchmarks.planted [DRAWS]. Two probes learn from the same TRAIN drawings (toy's embeddings). For the
flawed one a hat is drawn on 95 % of the faces with glasses and on no others, for the healthy one on half of all. Each
of DRAWS (200) audits looks at JUDGED other drawings, without and with each cause. No weights are kept. Then the maps
of `zsc.explain` for "glasses", on DRAWS faces without glasses that were drawn with a hat: do they point at the hat?
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np

import zsc
from zsc.drawings import draw
from zsc.explanation import pointing_game
from zsc.probes import LinearHead, linear_probe
from zsc.statistics import mcnemar, wilson_interval

TRAIN, POOL, JUDGED = 800, 1000, 100
PROBES = {"healthy": (0.5, 0.5), "flawed": (0.0, 0.95)}  # shares with a hat: without glasses, and with
CAUSES = ("hat", "beard", "smile")
DATA = "drawn-glasses"
Pair = list[zsc.ImageEmbeddings]


def with_and_without(model: Any, cause: str, n: int, **options: Any) -> Pair:
    """Embed drawings without a cause, and the same ones with it."""
    return [embedded(model, n, change={cause: state}, **options) for state in (False, True)]


def embedded(model: Any, n: int, **options: Any) -> zsc.ImageEmbeddings:
    """Embed drawings and forget the pictures."""
    found = zsc.embed_images(model, zsc.load_dataset(DATA, n=n, **options), progress=False)
    return replace(found, paths=[f"drawing {i}" for i in range(n)])


def plant(bare: zsc.ImageEmbeddings, hats: zsc.ImageEmbeddings, shares: tuple[float, float]) -> LinearHead:
    """Learn glasses from drawings of which a share without glasses, and a share with, wears a hat."""
    is_hatted = np.random.default_rng(0).random(len(bare)) < np.array(shares)[bare.labels]
    rows = replace(bare, values=np.where(is_hatted[:, None], hats.values, bare.values), digests=None)
    return linear_probe(rows, strengths=[0.01], validation=None)


def look(probe: LinearHead, pairs: dict[str, Pair], rows: Any, model: Any) -> Any:
    """Audit a probe on some of the drawings: one row per cause."""
    chosen = {cause: [state.select(rows) for state in pair] for cause, pair in pairs.items()}
    found = zsc.audit(probe, next(iter(chosen.values()))[0], causes=chosen, changes=(), model=model)
    return found.table.set_index("name")


def faces_with_hats(n: int) -> tuple[list[Any], list[np.ndarray]]:
    """Draw faces without glasses and with a hat; return the pictures, and the hats at the toy's 64 pixels."""
    drawings = [draw("faces", i, seed=13, change={"hat": True, "glasses": False}) for i in range(n)]
    hats = [d.parts["hat"].reshape(64, 2, 64, 2).mean(axis=(1, 3)) >= 0.5 for d in drawings]
    return [d.picture for d in drawings], hats


def as_classifier(probe: LinearHead, model: Any) -> zsc.ZeroShotClassifier:
    """Make the classifier of two texts, opposite to each other, whose margins are the probe's but for a factor.

    The difference of two linear logits is the cosine to one direction. The intercept drops out of what a cover takes.
    """
    clf = zsc.ZeroShotClassifier(probe.class_names, model)
    direction = probe.weights[1] - probe.weights[0]
    clf.text_embeddings = np.array([-direction, direction]) / np.linalg.norm(direction)
    return clf


def maps_of(probe: LinearHead, pictures: list[Any], model: Any) -> list[np.ndarray]:
    """Map what a probe's "glasses" hangs on."""
    return [e.map for e in zsc.explain(as_classifier(probe, model), pictures, of=1)]  # type: ignore[union-attr]


def main() -> None:
    """Print what is true on all drawings, and how often the audits of some of them say so."""
    draws = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    model = zsc.load_model("toy")
    train = with_and_without(model, "hat", TRAIN, split="train", seed=11)
    pairs = {cause: with_and_without(model, cause, POOL, seed=12) for cause in CAUSES}
    rng = np.random.default_rng(0)
    chances = [rng.choice(POOL, JUDGED, replace=False) for _ in range(draws)]
    print(f"{'probe':8} {'cause':18} {'true effect':>11}  told in  interval holds the truth in", flush=True)
    for name, shares in PROBES.items():
        probe = plant(*train, shares)
        truth = look(probe, pairs, range(POOL), model)["difference"]
        seen = [look(probe, pairs, rows, model) for rows in chances]
        for cause, effect in truth.items():
            told = np.mean([table.loc[cause, "verdict"] == "told apart" for table in seen])
            ends = np.array([table.loc[cause, ["difference_low", "difference_high"]] for table in seen], float)
            held = np.mean((ends[:, 0] <= effect) & (effect <= ends[:, 1]))
            print(f"{name:8} {cause:18} {effect:+11.4f}  {told:7.3f}  {held:.3f}", flush=True)
        print(f"{name:8} accuracy {probe.evaluate(pairs['hat'][0]).accuracy:.3f} without hats", flush=True)
    pictures, hats = faces_with_hats(draws)
    maps = {name: maps_of(plant(*train, shares), pictures, model) for name, shares in PROBES.items()}
    maps["flawed less healthy"] = [a - b for a, b in zip(maps["flawed"], maps["healthy"], strict=True)]
    print(f"{draws} faces with hats, no glasses; chance: {np.mean(hats):.3f}")
    on = {name: np.array([pointing_game(m, hat) for m, hat in zip(of, hats, strict=True)]) for name, of in maps.items()}
    for name, hits in on.items():
        low, high = wilson_interval(round(hits.sum()), draws)
        lost = np.mean([m[hat].mean() > m[~hat].mean() for m, hat in zip(maps[name], hats, strict=True)])
        print(f"{name:20} points at the hat {hits.mean():.3f} [{low:.3f}, {high:.3f}], loses more there {lost:.3f}")
    print(f"flawed against healthy, paired: p = {mcnemar(on['flawed'] == 1, on['healthy'] == 1):.1e}")


if __name__ == "__main__":
    main()
