"""`zsc compare`, `zsc search`: questions to pictures that are embedded once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from zsc.cli import parts
from zsc.embeddings import embed_images
from zsc.models import load_model
from zsc.prompts import POOLINGS, ClassPrompts, prompt_set, prompt_set_names, template_set_names
from zsc.retrieval import search as search_pictures
from zsc.selection import Choice, choose_prompts, compare_prompts, load_candidates

SHOWN = ("accuracy", "low", "high", "macro_recall", "difference", "p_value", "p_adjusted")


def add_to(commands: Any) -> None:
    """Add the two commands to the parser."""
    one = parts.add_command(commands, "compare", compare)
    parts.add_dataset(one)
    one.add_argument("--model", default="auto", help="a model's name; auto: one that needs no download")
    one.add_argument("--prompts-file", type=Path, metavar="FILE", help="YAML or JSON: under each name its prompts")
    sets = ", ".join(prompt_set_names())
    one.add_argument("--prompt-sets", nargs="+", default=[], metavar="NAME", help=f"published prompts: {sets}")
    sets = ", ".join(repr(name) for name in template_set_names())
    one.add_argument("--templates", nargs="+", default=[], metavar="TEXT", help=f"templates with {{}}, or sets: {sets}")
    one.add_argument("--pooling", choices=POOLINGS, help="one rule for all; left out: each candidate's own")
    one.add_argument("--reference", metavar="NAME", help="test the others against this one; left out: the first")
    one.add_argument("--choose", action="store_true", help="also choose on one half and report on the other")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--store", type=Path, help="keep the embeddings in this folder, or take them from it")
    one.add_argument("--figure", type=Path, metavar="FILE", help="draw the ranking with its intervals")
    one = parts.add_command(commands, "search", search)
    parts.add_dataset(one)
    one.add_argument("query", help="what to look for, in words; with --picture, a picture's file")
    one.add_argument("--picture", action="store_true", help="the query is a picture")
    one.add_argument("-k", type=parts.positive, default=12, help="how many pictures")
    one.add_argument("--model", default="auto", help="a model's name; auto: one that needs no download")
    one.add_argument("--store", type=Path, help="keep the embeddings in this folder, or take them from it")


def compare(arguments: argparse.Namespace) -> None:
    """Compare prompts on the same pictures: intervals, paired tests, and what cannot be told apart."""
    from zsc import plots

    candidates = _candidates(arguments)
    if arguments.figure:
        plots.check_picture_path(arguments.figure)
    dataset = parts.chosen_dataset(arguments)
    model = load_model(parts.model_name(arguments))
    embeddings = embed_images(model, dataset, arguments.store, progress=parts.show_progress(arguments))
    options: dict[str, Any] = {"model": model, "pooling": arguments.pooling, "seed": arguments.seed}
    table = compare_prompts(embeddings, candidates, reference=arguments.reference, **options)
    choice = choose_prompts(embeddings, candidates, **options) if arguments.choose else None
    if arguments.figure:
        plots.save(plots.ranking(table), arguments.figure)
    if arguments.json:
        found = {"chosen": choice.name, "splits": parts.records(choice.splits)} if choice else {}
        parts.print_json({**table.attrs, "comparison": parts.records(table.reset_index()), **found})
        return
    _print_comparison(table, choice)
    if arguments.figure:
        print(f"\nPicture   {arguments.figure.resolve()}")


def search(arguments: argparse.Namespace) -> None:
    """Find the pictures nearest a text, or nearest a picture."""
    dataset = parts.chosen_dataset(arguments)
    model = load_model(parts.model_name(arguments))
    embeddings = embed_images(model, dataset, arguments.store, progress=parts.show_progress(arguments))
    query = Path(arguments.query) if arguments.picture else arguments.query
    table = search_pictures(embeddings, query, arguments.k, model=model)
    if arguments.json:
        parts.print_json({"model": model.name, "dataset": embeddings.dataset, "results": parts.records(table)})
        return
    print(f"Model     {model.name} ({model.info.library})")
    print(table.drop(columns="index").round(3).to_string(index=False))


def _candidates(arguments: argparse.Namespace) -> dict[str, ClassPrompts | str]:
    candidates: dict[str, ClassPrompts | str] = {name: prompt_set(name) for name in arguments.prompt_sets}
    candidates |= dict(zip(arguments.templates, arguments.templates, strict=True))
    if arguments.prompts_file:
        candidates |= load_candidates(arguments.prompts_file)
    if len(candidates) < 2:
        raise ValueError(
            f"{len(candidates)} candidate given; name two or more by --prompts-file, --prompt-sets or --templates."
        )
    return candidates


def _print_comparison(table: pd.DataFrame, choice: Choice | None) -> None:
    attrs = table.attrs
    print(f"Model     {attrs['model']}\nData set  {attrs['dataset']}, {table['n'].iloc[0]} pictures")
    print(f"Tested    against {attrs['reference']!r}: exact McNemar, adjusted by Holm; intervals 95 %\n")
    shown = table[list(SHOWN)].round(3).astype(object).where(table[list(SHOWN)].notna(), "")
    print(shown.to_string(), end="\n\n")
    for name, verdict in table["verdict"].items():
        if verdict != "reference":
            print(f"{name}: {verdict}")
    if choice is not None:
        print(f"\nChoice    {choice.summary()}")
    else:
        print("\nThese are for prompts fixed beforehand. To choose one and report it, add --choose.")
