"""`zsc compare`: which of several prompts is better, on pictures that are embedded once."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from zsc.checks import check_choice
from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, table_lines
from zsc.prompts import DEFAULT_TEMPLATE, POOLINGS, ClassPrompts, prompt_set, prompt_set_names, template_set_names
from zsc.prompts.prompts import load_descriptions, load_many
from zsc.scoring import match_by
from zsc.selection import as_candidates, choose_prompts, compare_prompts, descriptions_control, random_words_verdict

SHOWN = ("accuracy", "low", "high", "p_adjusted", "difference", "macro_recall", "p_value")  # a narrow window: the first
ONCE = ("reference", "model", "fingerprint", "dataset", "left_out")  # columns that say the same in each row
TEMPLATE_SETS = ", ".join(map(repr, template_set_names()))
OPTIONS = (
    *_options.EMBEDDED,
    option("--prompts-file", type=Path, metavar="FILE", help="YAML or JSON: under each name its prompts"),
    option("--prompt-sets", nargs="+", default=[], metavar="NAME", help=f"published: {', '.join(prompt_set_names())}"),
    option("--templates", nargs="+", default=[], metavar="TEXT", help=f"with {{}}, or sets: {TEMPLATE_SETS}"),
    option("--descriptions", type=Path, metavar="FILE", help="of CuPL, DCLIP or WaffleCLIP; tried on random words"),
    option("--draws", type=_options.whole(1), default=99, help="of random words, beside --descriptions"),
    option("--pooling", choices=POOLINGS, help="one rule for all; left out: each candidate's own"),
    option("--reference", metavar="NAME", help="test the others against this one; left out: the first"),
    option("--choose", action="store_true", help="also choose on one half and report on the other"),
    option("--seed", type=_options.whole(0), default=0, help="of the halves"),
    option("--figure", writes="picture", help="draw the ranking with its intervals"),
)


def run(arguments: Namespace) -> Outcome:
    """Compare prompts on the same pictures: intervals, paired tests, and what cannot be told apart."""
    from zsc import plots

    dataset = _options.chosen_dataset(arguments)
    described = arguments.descriptions and load_descriptions(arguments.descriptions, dataset.class_names)
    candidates = as_candidates(_candidates(arguments, described), dataset.class_names)
    for prompts in candidates.values():
        match_by(dataset.class_names, prompts.class_names)  # before the model is loaded
    model = _options.chosen_model(arguments)
    embeddings = _options.embedded(arguments, model, dataset)
    options: dict[str, Any] = {"model": model, "pooling": arguments.pooling, "store": arguments.store}
    table = compare_prompts(embeddings, candidates, reference=arguments.reference, **options)
    once, by_position = table.iloc[0], list(table.index[table["matched_by"] == "position"])
    text = [
        f"Model     {model.name}",
        f"Data set  {once['dataset']}, {once['n']} pictures",
        f"Tested    against {once['reference']!r}: exact McNemar, adjusted by Holm; 95 % intervals",
        f"Baseline  {once['baseline']:.3f} by always naming the most frequent class",
        "",
        *table_lines(table[list(SHOWN)]),
        "",
        *(f"{name!r}: {verdict}" for name, verdict in table["verdict"].items() if verdict != "reference"),
        *([f"Classes matched by position: {', '.join(by_position)}"] if by_position else []),
        "",
    ]
    data = {**once[list(ONCE)], "comparison": table.drop(columns=list(ONCE)).reset_index()}
    if described:
        control = {"draws": arguments.draws, "seed": arguments.seed, "progress": arguments.progress}
        accuracy = descriptions_control(embeddings, described, model=model, pooling=arguments.pooling, **control)
        p_value, verdict = random_words_verdict(accuracy)
        data["random_words"] = {"p_value": p_value, "verdict": verdict, "accuracy": accuracy[1:]}
        text += [f"{described.name!r} {verdict}", ""]
    if arguments.choose:
        choice = choose_prompts(embeddings, candidates, seed=arguments.seed, **options)
        data |= {"chosen": choice.name, "splits": choice.splits}
        text.append(f"Choice    {choice.summary()}")
    else:
        text.append("These are for prompts fixed beforehand. To choose one and report it, add --choose.")
    writers = {"figure": lambda path: plots.save(plots.ranking(table), path)}
    advice = _options.advice_on(model, *candidates.values())
    return Outcome(data, text, 0, dataset, embeddings.failures, advice, writers)


def _candidates(arguments: Namespace, described: ClassPrompts | None) -> dict[str, ClassPrompts | str]:
    candidates: dict[str, ClassPrompts | str] = {name: prompt_set(name) for name in arguments.prompt_sets}
    candidates |= dict(zip(arguments.templates, arguments.templates, strict=True))
    files = {arguments.prompts_file: load_many(arguments.prompts_file)} if arguments.prompts_file else {}
    if described:
        files[arguments.descriptions] = {described.name: described}
        candidates = candidates or {DEFAULT_TEMPLATE: DEFAULT_TEMPLATE}
    for path, found in files.items():
        if twice := sorted(set(candidates) & set(found)):
            raise ValueError(f"{path}: {twice[0]!r} is also given otherwise; rename it.")
        candidates |= found
    if len(candidates) < 2:
        options = "--prompts-file, --prompt-sets or --templates"
        raise ValueError(f"{len(candidates)} candidate given; name two or more by {options}.")
    if arguments.reference is not None:
        check_choice(arguments.reference, list(candidates), "reference")
    return candidates
