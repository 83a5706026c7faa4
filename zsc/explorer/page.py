"""The explorer as one HTML page that opens by double click: no Python, no server, no network.

The page carries embeddings, small pictures, tokens, the text encoder in ONNX and ONNX Runtime Web, all as gzip in
base64, so that no name or prompt can become markup; `lesson.js` does the rest. For encoders with CLIP's tokens.
"""

import gzip
import hashlib
import json
import tempfile
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from html.entities import html5
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from zsc.evaluation import environment
from zsc.files import check_path, expanded, printable, write_whole
from zsc.images import picture_uri
from zsc.progress import Progress, each
from zsc.prompts import POOLINGS
from zsc.report import PAGES

if TYPE_CHECKING:
    from zsc.explorer.session import Answer, ExplorerSession
    from zsc.models import Encoder

RUNTIME = "1.30.0"  # of onnxruntime-web
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PLACES = (Path(__file__).parent / "runtime", Path("node_modules/onnxruntime-web/dist"))  # of a wheel, and npm's
LARGEST = 200_000_000  # bytes of a text encoder; one of 178 MB was tried
TOLERANCE = 1e-4  # between the embeddings of the session's model and of its graph
PIXELS = 96  # a side of a picture


def export_page(
    session: "ExplorerSession", path: str | Path, answer: "Answer | None" = None, *,
    runtime: str | Path | None = None, progress: Progress = True,
) -> Path:  # fmt: skip
    """Write the session as one HTML page that answers by itself, offline, when it is opened by double click.

    It begins with the prompts of `answer` (None: the first ones) and holds small copies of all pictures, also of the
    sealed ones. `runtime` is the folder of onnxruntime-web, where it is neither in the package nor under node_modules
    in this folder. A ValueError says why no page can hold the model.
    """
    path, program = check_path(path, (".html", ".htm"), "a page"), find_runtime(runtime)
    answer = answer or session.ask(*session.start, session.first.pooling)
    graph, tokens = _text_encoder(session.model, answer.prompts.prompts)
    parts = [part for part in (session.embeddings, session.sealed) if part is not None]
    images = [image for part in parts for image in part.paths]
    with ThreadPoolExecutor(4) as pool:
        uris = pool.map(partial(picture_uri, size=PIXELS), images)
        pictures = list(each(uris, progress, "images", len(images), desc="pictures", widget=False))
    content = {
        "tokens": tokens,
        "labels": list(session.labels.items()),
        "start": list(answer.texts.items()),
        "templates": answer.templates,
        "pooling": answer.classifier.pooling,
        "poolings": POOLINGS,
        "scale": session.model.logit_scale,
        "parts": [part.labels.tolist() for part in parts],
        "pictures": pictures,
        "looks": session.looks,
    }
    rows = np.concatenate([part.values for part in parts]).astype("<f4").tobytes()
    runs, glue, wasm = ((program / name).read_bytes() for name in FILES)
    carried = {"lesson": json.dumps(content).encode(), "rows": rows, "graph": graph, "glue": glue, "wasm": wasm}
    packed = each(carried.items(), progress, "parts", desc="packing", widget=False)
    scripts = [runs.decode(), Path(__file__).with_name("lesson.js").read_text(encoding="utf-8")]
    name = session.model.name.removeprefix("onnx:")
    page = PAGES.get_template("explorer/lesson.html.j2").render(
        title=f"{session.embeddings.dataset or 'pictures'}: type prompts, see what they change",
        model=Path(name).name if Path(name).exists() else name,  # no path of this machine
        version=environment()["versions"]["zsc"],
        runtime=RUNTIME,
        pictures=len(images),
        sealed=len(session.sealed or ()),
        digests=[b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts],
        carried={key: b64encode(gzip.compress(data, mtime=0)).decode() for key, data in packed},
        scripts=scripts,
    )
    return write_whole(path, page)


def find_runtime(folder: str | Path | None = None) -> Path:
    """Find the files of onnxruntime-web: in the given folder, in a wheel, or where npm puts them in this folder."""
    for place in PLACES if folder is None else (expanded(folder), expanded(folder) / "dist"):
        are_here = all((place / name).is_file() for name in FILES)
        if are_here and f"ONNX Runtime Web v{RUNTIME}\n" in (place / FILES[0]).read_text(encoding="utf-8"):
            return place
    told = f"{printable(folder or 'this folder')} has no onnxruntime-web {RUNTIME}, which a page needs"
    raise FileNotFoundError(f"{told}: type 'npm install onnxruntime-web@{RUNTIME}' in this folder.")


def _text_encoder(model: "Encoder", texts: tuple[str, ...]) -> tuple[bytes, dict[str, Any]]:
    """Return the text encoder in ONNX, and what the page needs to tokenize; ValueError where no page can hold it."""
    from ftfy.badness import BADNESS_RE
    from ftfy.chardata import HTML_ENTITIES, LIGATURES

    from zsc.models.onnx import OnnxEncoder, load_onnx
    from zsc.models.tokens import BytePairTokenizer

    tokens = model.tokenizer
    if not isinstance(tokens, BytePairTokenizer) or tokens.cleaning != "lower":
        raise ValueError(f"a page computes CLIP's tokens, not those of {model.name}; take toy, or a CLIP of OpenAI's.")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:  # Windows keeps open files
        found = model
        if not isinstance(model, OnnxEncoder):
            from zsc.models.export import export_model

            found = load_onnx(export_model(model.name, Path(place) / "model"))
        graph = found.text_encoder.path.read_bytes()  # type: ignore[attr-defined]
        off = np.abs(found.encode_texts(texts, truncate=True) - model.encode_texts(texts, truncate=True)).max()
    if len(graph) > LARGEST:
        told = f"the text encoder of {model.name} has {len(graph) / 1e6:.0f} MB"
        raise ValueError(f"{told}, and a page takes {LARGEST / 1e6:.0f}; take a smaller model, such as toy.")
    if not off < TOLERANCE:
        told = f"{model.name} in ONNX is {off:.1g} off the session's model, and {TOLERANCE:g} is allowed"
        raise ValueError(f"{told}; embed the pictures again, with precision='float32'.")
    return graph, {
        **{key: getattr(tokens, key) for key in ("merges", "limit", "literals")},
        "entities": html5,  # with which Python and ftfy mend a text
        "names": HTML_ENTITIES,
        "ligatures": {chr(code): letters for code, letters in LIGATURES.items()},
        "bad": BADNESS_RE.pattern,
    }
