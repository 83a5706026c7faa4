"""`zsc explain`: why pictures get their classes: on which places of them, and which words, the answers hang."""

from argparse import Namespace
from typing import Any

import numpy as np

from zsc.classifier import ZeroShotClassifier
from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, labelled, table_lines
from zsc.explanation import Explanation, explain
from zsc.files import printable
from zsc.images import describe

OPTIONS = (
    *_options.ASKED,
    option("--of", metavar="CLASS", help="the class to explain; left out: the one that is predicted"),
    option("--against", metavar="CLASS", help="the class to compare it with; left out: the best of the others"),
    option("--figure", writes="picture", help="draw the explanation of the one picture, as .png, .pdf or .svg"),
    *_options.KEPT,
)
PLACES = ("upper left", "upper middle", "upper right", "middle left", "middle", "middle right", "lower left",
          "lower middle", "lower right")  # fmt: skip
LEAST = 0.005  # logits: what two decimals show


def run(arguments: Namespace) -> Outcome:
    """Say on which places of pictures, and on which words of the prompts, their classes hang."""
    from zsc import plots

    prompts, pictures = _options.given_prompts(arguments), _options.unlabelled(arguments).paths
    if arguments.figure and len(pictures) > 1:
        raise ValueError(f"--figure draws one picture, and {len(pictures)} are given; name one, or leave it out.")
    clf = ZeroShotClassifier(prompts, _options.chosen_model(arguments), pooling=arguments.pooling)
    options = {"of": arguments.of, "store": arguments.store, "progress": arguments.progress}
    found: Any = explain(clf, pictures, arguments.against, **options)
    names = [printable(describe(picture)) for picture in pictures]
    text = [f"Model     {clf.model.name} ({clf.model.info.library})"]
    for name, one in zip(names, found, strict=True):
        text += ["", f"{name}: {one.predicted}; {one.of} rather than {one.against} by {one.margin:.1f} logits"]
        thirds = _thirds(one)
        most = f"most in the {PLACES[thirds.argmax()]}" if thirds.max() > LEAST else f"none speaks for {one.of}"
        text += [labelled("Places", f"{most}; the map is {one.verdict}")]
        text += [labelled("Hidden", f"where one window is, the answer becomes {one.against}")] * bool(one.flips.any())
        text += table_lines(one.words.drop(columns="prompt"))
    data = [_as_data(name, one) for name, one in zip(names, found, strict=True)]
    writers = {"figure": lambda path: plots.save(plots.why(found[0]), path)}
    return Outcome({"model": clf.model.name, "explanations": data}, text, 0, None, None, clf.advice, writers)


def _thirds(one: Explanation) -> np.ndarray:
    """Average the map over nine fields of the picture, (3, 3)."""
    parts = np.arange(len(one.map)) * 3 // len(one.map)
    return np.array([[one.map[parts == y][:, parts == x].mean() for x in range(3)] for y in range(3)])


def _as_data(name: str, one: Explanation) -> dict[str, Any]:
    told = ("predicted", "of", "against", "margin", "is_better_than_random", "verdict", "words")
    gain = one.score["gain"].groupby(level=0, sort=False).mean().to_dict()  # of the map, of edges, of the map moved
    places = {"flips": bool(one.flips.any()), "gain": gain, "map": _thirds(one).tolist()}
    return {"image": name, **{key: getattr(one, key) for key in told}, **places}
