"""The explorer as one HTML page that opens by double click: no Python, no server, no network.

The page carries embeddings, small pictures, tokens, the text encoder in ONNX and ONNX Runtime Web, all as gzip in
base64, so that no name or prompt can become markup; `lesson.js` does the rest. For encoders with CLIP's tokens.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from html.entities import html5
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from tqdm import tqdm

from zsc.evaluation import environment
from zsc.files import check_path, expanded, printable, write_whole
from zsc.prompts import POOLINGS
from zsc.report import PAGES, TONES, picture_uri

if TYPE_CHECKING:
    from zsc.explorer.session import Answer, ExplorerSession
    from zsc.models import Encoder
    from zsc.models.onnx import OnnxEncoder

RUNTIME = "1.30.0"  # of onnxruntime-web
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
LARGEST = 64_000_000  # bytes of a text encoder that a browser opens out of a page
TOLERANCE = 1e-4  # between the embeddings of the session's model and of the graph
PIXELS = 96  # a side of a picture


def export_page(
    session: ExplorerSession, path: str | Path, answer: Answer, *, runtime: str | Path | None, progress: bool
) -> Path:
    """Write a session as a page that begins with the prompts of `answer`; see `ExplorerSession.export`."""
    path, program = check_path(path, (".html", ".htm"), "a page"), find_runtime(runtime)
    with _as_graph(session.model, list(answer.prompts)) as encoder:
        graph, tokens = Path(encoder.text_encoder.path).read_bytes(), encoder.tokenizer.record
    parts = [part for part in (session.embeddings, session.sealed) if part is not None]
    with ThreadPoolExecutor(4) as pool, tqdm(disable=not progress, total=sum(map(len, parts)), desc="pictures") as bar:
        pictures = [[uri for uri in pool.map(_uri, part.paths) if bar.update() or True] for part in parts]
    content = {
        "tokens": tokens | _texts_of_libraries(),
        "labels": list(session.labels.items()),
        "start": list(answer.texts.items()),
        "templates": answer.templates,
        "pooling": answer.classifier.pooling,
        "poolings": POOLINGS,
        "scale": session.model.logit_scale,
        "width": session.embeddings.values.shape[1],
        "parts": [{"labels": p.labels.tolist(), "pictures": uris} for p, uris in zip(parts, pictures, strict=True)],
        "looks": session.looks,
        "digest": session.embeddings.data_digest,
    }
    rows = np.concatenate([part.values for part in parts]).astype("<f4").tobytes()
    runs, glue, wasm = ((program / name).read_bytes() for name in FILES)
    carried = {"lesson": json.dumps(content).encode(), "rows": rows, "graph": graph, "glue": glue, "wasm": wasm}
    scripts = [runs.decode(), (Path(__file__).parent / "lesson.js").read_text(encoding="utf-8")]
    page = PAGES.get_template("explorer/lesson.html.j2").render(
        title=f"{session.embeddings.dataset or 'pictures'}: type prompts, see what they change",
        model=session.model.name,
        version=environment()["versions"]["zsc"],
        runtime=RUNTIME,
        pictures=sum(map(len, parts)),
        sealed=len(parts[1]) if len(parts) > 1 else 0,
        digests=[base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts],
        carried={name: base64.b64encode(gzip.compress(data, 9, mtime=0)).decode() for name, data in carried.items()},
        scripts=[Markup(script) for script in scripts],  # noqa: S704
        TONES=TONES,
    )
    return write_whole(path, page)


def find_runtime(folder: str | Path | None = None) -> Path:
    """Find the folder with the files of onnxruntime-web: the given one, that of a wheel, or npm's in this folder."""
    here = [Path(__file__).parent / "runtime", Path("node_modules/onnxruntime-web/dist")]
    given = [] if folder is None else [expanded(folder), expanded(folder) / "dist"]
    for place in given or here:
        if all((place / name).is_file() for name in FILES):
            found = (place / FILES[0]).read_text(encoding="utf-8")[:200].partition("Web v")[2].split()[0]
            if found == RUNTIME:
                return place
            raise ValueError(f"{printable(place)} holds onnxruntime-web {printable(found)}; the page needs {RUNTIME}.")
    where = "here" if folder is None else f"in {printable(folder)}"
    raise FileNotFoundError(
        f"a page needs onnxruntime-web {RUNTIME}, which is not {where}; type 'npm install onnxruntime-web@{RUNTIME}', "
        "or pass its folder as runtime=."
    )


@contextlib.contextmanager
def _as_graph(model: Encoder, texts: list[str]) -> Iterator[OnnxEncoder]:
    """Give the model with its encoders as files; ValueError where no page can hold it, or it computes otherwise."""
    from zsc.models.onnx import OnnxEncoder, load_onnx
    from zsc.models.tokens import BytePairTokenizer

    pairs = getattr(model.tokenizer, "pairs", model.tokenizer)
    if not isinstance(pairs, BytePairTokenizer) or pairs.cleaning != "lower":
        raise ValueError(f"a page computes CLIP's tokens, and {model.name} has others; take toy, or a CLIP of OpenAI's.")
    with tempfile.TemporaryDirectory() as place:
        if isinstance(model, OnnxEncoder):
            found = model
        else:
            from zsc.models.export import export_model

            found = load_onnx(export_model(model.name, Path(place) / "model"))
        size = Path(found.text_encoder.path).stat().st_size
        if size > LARGEST:
            told = f"the text encoder of {model.name} has {size / 1e6:.0f} MB"
            raise ValueError(f"{told}, and a page holds at most {LARGEST / 1e6:.0f}; take a smaller model, such as toy.")
        off = np.abs(found.encode_texts(texts, truncate=True) - model.encode_texts(texts, truncate=True)).max()
        if not off < TOLERANCE:
            raise ValueError(f"{model.name} now names other weights than the embeddings' model; embed the pictures again.")
        yield found


def _uri(picture: Any) -> str | None:
    return picture_uri(picture, PIXELS)


def _texts_of_libraries() -> dict[str, Any]:
    """Tables of Python and of ftfy, with which the page mends a text as `zsc.models.tokens` does."""
    from ftfy.badness import BADNESS_RE
    from ftfy.chardata import HTML_ENTITIES, LIGATURES

    capitals = {name: text for name, text in HTML_ENTITIES.items() if name[1:] not in html5}
    ligatures = {chr(code): letters for code, letters in LIGATURES.items()}
    return {"entities": html5, "capitals": capitals, "ligatures": ligatures, "bad": BADNESS_RE.pattern}
