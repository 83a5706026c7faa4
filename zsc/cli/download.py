"""`zsc download`: fetch a published data set."""

from argparse import Namespace

from zsc.cli import _options
from zsc.cli._options import option
from zsc.cli._printing import Outcome, say
from zsc.datasets import dataset_names, download_dataset, load_dataset

OPTIONS = (
    option("name", help=", ".join(dataset_names(published=True))),
    option("--source", help="only this source; left out: all, in their order"),
    option("--from", dest="from_file", metavar="FILE", help="an archive that you fetched by hand"),
    *_options.FORM,
)
KEEPS = "what was fetched is kept, run it again to go on."


def run(arguments: Namespace) -> Outcome:
    """Download a data set, check it, and put it in place when it is whole."""
    name, root, options = arguments.name, arguments.data_root, _options.form_options(arguments)
    way = {"source": arguments.source, "from_file": arguments.from_file}
    folder = download_dataset(name, root, **way, report=say, progress=arguments.progress, **options)
    found = load_dataset(name, root, **options)
    text = [f"{found.name} {found.split_name}: {len(found)} pictures, {len(found.class_names)} classes, in {folder}"]
    text += [f"  {key}: {note}" for key, note in found.notes.items()]
    text.append(f"Next: {_options.program()} evaluate --dataset {name}")
    return Outcome({"dataset": found.name, "folder": folder, "pictures": len(found)}, text)
