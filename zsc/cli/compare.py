"""`zsc compare`, `zsc search`: questions to pictures that are embedded once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from zsc.checks import check_choice
from zsc.cli import parts
from zsc.cli.outputs import add_output, write_all
from zsc.cli.printing import print_json, records, say, say_advice, say_left_out, say_table, with_names
from zsc.images import is_url, open_image
from zsc.matching import match_by
from zsc.models import load_model
from zsc.prompts import POOLINGS, ClassPrompts, prompt_set, prompt_set_names, template_set_names
from zsc.retrieval import search as search_pictures
from zsc.selection import Choice, choose_prompts, compare_prompts, load_candidates
from zsc.selection.candidates import as_candidates

SHOWN = ("accuracy", "low", "high", "macro_recall", "difference", "p_value", "p_adjusted")


def add_to(commands: Any) -> None:
    """Add the two commands to the parser."""
    one = parts.add_command(commands, "compare", compare)
    parts.add_dataset(one)
    parts.add_model(one)
    one.add_argument("--prompts-file", type=Path, metavar="FILE", help="YAML or JSON: under each name its prompts")
    sets = ", ".join(prompt_set_names())
    one.add_argument("--prompt-sets", nargs="+", default=[], metavar="NAME", help=f"published prompts: {sets}")
    sets = ", ".join(repr(name) for name in template_set_names())
    one.add_argument("--templates", nargs="+", default=[], metavar="TEXT", help=f"templates with {{}}, or sets: {sets}")
    one.add_argument("--pooling", choices=POOLINGS, help="one rule for all; left out: each candidate's own")
    one.add_argument("--reference", metavar="NAME", help="test the others against this one; left out: the first")
    one.add_argument("--choose", action="store_true", help="also choose on one half and report on the other")
    one.add_argument("--seed", type=parts.natural, default=0)
    parts.add_store(one)
    parts.add_on_error(one)
    add_output(one, "--figure", "picture", help="draw the ranking with its intervals")
    one = parts.add_command(commands, "search", search)
    parts.add_dataset(one)
    one.add_argument("query", help="what to look for, in words; with --picture, a picture's file or URL")
    one.add_argument("--picture", action="store_true", help="the query is a picture")
    one.add_argument("-k", type=parts.positive, default=12, help="how many pictures")
    parts.add_model(one)
    parts.add_store(one)
    parts.add_on_error(one)


def compare(arguments: argparse.Namespace) -> int:
    """Compare prompts on the same pictures: intervals, paired tests, and what cannot be told apart."""
    from zsc import plots

    asked = _candidates(arguments)
    dataset = parts.chosen_dataset(arguments)
    candidates = as_candidates(asked, dataset.class_names)
    for prompts in candidates.values():
        match_by(dataset.class_names, prompts.class_names)  # before the model is loaded
    model = load_model(parts.model_name(arguments))
    embeddings = parts.embedded(arguments, model, dataset)
    options: dict[str, Any] = {"model": model, "pooling": arguments.pooling, "seed": arguments.seed}
    table = compare_prompts(embeddings, candidates, reference=arguments.reference, **options)
    choice = choose_prompts(embeddings, candidates, **options) if arguments.choose else None
    problems = write_all(arguments, {"figure": lambda path: plots.save(plots.ranking(table), path)})
    advice = parts.advice_on(model, *candidates.values())
    if arguments.json:
        found = {"chosen": choice.name, "splits": records(choice.splits)} if choice else {}
        more = {
            "failures": records(embeddings.failures),
            "notes": dataset.notes,
            "advice": records(advice),
            "written": arguments.written,
        }
        print_json(arguments.out, {**table.attrs, "comparison": records(table.reset_index()), **found, **more})
    else:
        _say_comparison(table, choice)
        say_advice(advice)
        say_left_out(embeddings.failures, len(dataset))
        say(*(f"Picture   {path.resolve()}" for path in arguments.written.values()))
    if problems:
        raise ValueError("; ".join(problems))
    return 0


def search(arguments: argparse.Namespace) -> None:
    """Find the pictures nearest a text, or nearest a picture."""
    query = arguments.query
    if arguments.picture:
        query = open_image(query if is_url(query) else Path(query), name=query)
    dataset = parts.chosen_dataset(arguments)
    model = load_model(parts.model_name(arguments))
    embeddings = parts.embedded(arguments, model, dataset)
    table = search_pictures(embeddings, query, arguments.k, model=model)
    advice = _advice_on_text(model, query)
    if arguments.json:
        content = {"model": model.name, "dataset": embeddings.dataset, "results": records(table)}
        more = {"failures": records(embeddings.failures), "notes": dataset.notes, "advice": records(advice)}
        print_json(arguments.out, content | more)
        return
    say(f"Model     {model.name} ({model.info.library})")
    say_table(with_names(table).drop(columns="index").round(3), index=False)
    say_advice(advice)
    say_left_out(embeddings.failures, len(dataset))


def _advice_on_text(model: Any, query: Any) -> pd.DataFrame:
    """Look a text that is searched for over; a second text stands beside it, as prompts are of two classes or more."""
    if not isinstance(query, str) or not query.strip():
        return parts.advice_on(model)
    advice = parts.advice_on(model, ClassPrompts.from_texts({"query": query, "any": "a photo of anything at all"}))
    return advice[(advice["class_name"] == "query") & (advice["warning"] != "duplicate")]


def _candidates(arguments: argparse.Namespace) -> dict[str, ClassPrompts | str]:
    candidates: dict[str, ClassPrompts | str] = {name: prompt_set(name) for name in arguments.prompt_sets}
    candidates |= dict(zip(arguments.templates, arguments.templates, strict=True))
    if arguments.prompts_file:
        from_file = load_candidates(arguments.prompts_file)
        twice = sorted(set(candidates) & set(from_file))
        if twice:
            raise ValueError(
                f"{arguments.prompts_file} holds {twice[0]!r}, which is also given as an option; rename it."
            )
        candidates |= from_file
    if len(candidates) < 2:
        raise ValueError(
            f"{len(candidates)} candidate given; name two or more by --prompts-file, --prompt-sets or --templates."
        )
    if arguments.reference is not None:
        check_choice(arguments.reference, list(candidates), "reference")
    return candidates


def _say_comparison(table: pd.DataFrame, choice: Choice | None) -> None:
    attrs = table.attrs
    say(
        f"Model     {attrs['model']}",
        f"Data set  {attrs['dataset']}, {table['n'].iloc[0]} pictures",
        f"Tested    against {attrs['reference']!r}: exact McNemar, adjusted by Holm; intervals 95 %",
        f"Baseline  {table['baseline'].iloc[0]:.3f} by always naming the most frequent class",
        "",
    )
    say_table(table[list(SHOWN)].round(3).astype(object).where(table[list(SHOWN)].notna(), ""))
    say("")
    say(*(f"{name}: {verdict}" for name, verdict in table["verdict"].items() if verdict != "reference"))
    by_position = [name for name, by in attrs["matched_by"].items() if by == "position"]
    if by_position:
        say(f"Classes matched by position: {', '.join(by_position)}")
    if choice is not None:
        say("", f"Choice    {choice.summary()}")
    else:
        say("", "These are for prompts fixed beforehand. To choose one and report it, add --choose.")
