"""`zsc search`: the pictures nearest a text, or nearest a picture."""

from argparse import Namespace
from pathlib import Path

from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, table_lines
from zsc.images import is_url, open_image
from zsc.prompts import ClassPrompts
from zsc.retrieval import search

OPTIONS = (
    *_options.EMBEDDED,
    option("query", help="what to look for, in words; with --picture, a picture's file or URL"),
    option("--picture", action="store_true", help="the query is a picture"),
    option("-k", type=_options.whole(1), default=12, help="how many pictures"),
)


def run(arguments: Namespace) -> Outcome:
    """Find the pictures nearest a text, or nearest a picture."""
    query, asked = arguments.query, {"text": arguments.query}
    if arguments.picture:
        asked = {"image": open_image(query if is_url(query) else Path(query), name=query)}
    dataset = _options.chosen_dataset(arguments)
    model = _options.chosen_model(arguments)
    embeddings = _options.embedded(arguments, model, dataset)
    table = search(embeddings, k=arguments.k, model=model, **asked)
    words = "a photo" if arguments.picture else query
    prompts = ClassPrompts.from_texts({"query": words, "any": "a photo of anything at all"})  # of two classes or more
    advice = _options.advice_on(model, prompts).query("class_name == 'query' and warning != 'duplicate'")
    data = {"model": model.name, "dataset": embeddings.dataset, "results": table}
    text = [f"Model     {model.name} ({model.info.library})", *table_lines(table)]
    return Outcome(data, text, 0, dataset, embeddings.failures, advice)
