"""`zsc label`: a few pictures labelled by hand, and how accurate the model is on all of them."""

from argparse import Namespace
from pathlib import Path

from zsc.classifier import ZeroShotClassifier
from zsc.cli import _options
from zsc.cli._printing import Outcome, complain, say
from zsc.labels import LabelSession

KEEPS = "the labels are kept, run the same command again to go on."
OPTIONS = (
    *_options.ASKED,
    *_options.KEPT,
    _options.on_error(default="skip"),
    _options.option("--labels", type=Path, required=True, metavar="FILE", help="CSV file that keeps the labels"),
    _options.option("--width", type=float, default=0.1, help="stop when the interval is as narrow as this"),
    _options.option("--seed", type=_options.whole(0), default=0, help="of the order of the pictures"),
)


def run(arguments: Namespace) -> Outcome:
    """Label a few pictures by hand, and learn how accurate the model is on all of them."""
    prompts, dataset = _options.given_prompts(arguments), _options.unlabelled(arguments)
    clf = ZeroShotClassifier(prompts, _options.chosen_model(arguments), pooling=arguments.pooling)
    embeddings = _options.embedded(arguments, clf.model, dataset)
    session = LabelSession(clf.answer(embeddings), arguments.labels, seed=arguments.seed)
    say(", ".join(f"{k} {name}" for k, name in enumerate(session.answer.class_names, 1)) + ", n none of these, s skip,")
    say("u undo, q quit; Enter takes the class that is proposed.")
    while (row := session.row) is not None and (not (e := session.estimate) or e.high - e.low > arguments.width):
        say(session.summary(), session.question(row))
        try:
            if (key := input("> ").strip()) == "q":
                break
            session.press(key)
        except EOFError:
            break
        except ValueError as error:
            complain(f"zsc: {error}")
    data = {"labels": len(session.rows), "estimate": session.estimate and session.estimate._asdict()}
    text = [session.summary(), *_options.kept_line(arguments.store)]
    return Outcome(data, text, 0, dataset, embeddings.failures, clf.advice)
