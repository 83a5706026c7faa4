"""Write the explorer's page that the site shows live: drawings and `toy`, as docs/explorer-page.md tells.

`python docs/site/live.py FOLDER`; needs what `make runtime` fetches.
"""

import sys
from pathlib import Path

import zsc
from zsc.explorer import ExplorerSession
from zsc.prompts import prompt_set

model = zsc.load_model("toy")
pictures = zsc.load_dataset("drawn-animals", split="test", n=300)
session = ExplorerSession(zsc.embed_images(model, pictures), model, prompt_set("afhq-a"), sealed=0.5)
folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
session.export(folder / "lesson.html")
