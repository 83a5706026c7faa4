"""Write a model as ONNX graphs: both encoders, or one with the classes baked in; kept only where it equals torch."""

import contextlib
import json
import pkgutil
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from zsc.checks import needed_for
from zsc.files import digest_of, expanded, printable
from zsc.models import find_route
from zsc.models.base import Encoder
from zsc.models.fast import EXAMPLES, example_pixels
from zsc.models.onnx import FORMAT, Graph, load_onnx
from zsc.models.openvino import AsModule, pixels_to_judge_by
from zsc.models.tokens import BytePairTokenizer
from zsc.models.transforms import ImageTransform

with needed_for("an export", "onnx"):
    import onnx
    import onnxruntime  # noqa: F401

if TYPE_CHECKING:
    from zsc.classifier import ZeroShotClassifier

TOLERANCE = 1e-4  # between the embeddings of torch and of what was exported
TEXTS = ("a cat", "A photo of a dog, asleep.", "", "déjà vu &amp; 犬🐶", "dog " * 100)  # that an export is tried out on


def export_model(name: str, folder: str | Path) -> Path:
    """Write a model as ONNX graphs into a new folder, for `load_model("onnx:FOLDER")`, and return that folder.

    `name` is a model whose preprocessing zsc computes itself: OpenAI's, "open_clip:ARCH/TAG", "conse", "toy", a file.
    A ValueError says why it cannot be exported; then nothing is written. Needs the packages onnx and onnxruntime.
    """
    folder = expanded(folder)
    if folder.exists():
        raise FileExistsError(f"{printable(folder)} is there already; name a folder that is not.")
    own = _loaded(name)
    tokens = tokens_of(own.tokenizer, name)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".export-") as place:
        new = Path(place) / "whole"
        new.mkdir()
        pixels, texts = example_pixels(own.image_size), own.tokenizer(EXAMPLES)
        given = {"input_ids": texts} if isinstance(texts, torch.Tensor) else dict(texts)
        _write(own.embed_pixels, {"pixels": pixels}, new / "image.onnx", {0: "pictures"})
        length = {} if "merges" in tokens or tokens["is_padded"] else {1: "length"}
        _write(own.embed_tokens, given, new / "text.onnx", {0: "texts"} | length)
        (new / "tokens.json").write_text(json.dumps(tokens), encoding="utf-8")
        record = {
            "format": FORMAT,
            "info": asdict(replace(own.info, name=name, engine="onnx")),
            "transform": vars(own.transform),
            "files": {path.name: digest_of(path) for path in sorted(new.iterdir())},
        }
        (new / "model.json").write_text(json.dumps(record, indent=2), encoding="utf-8")
        found, judged = load_onnx(new), pixels_to_judge_by(own, None)[1::2]
        if found.token_ids(TEXTS, truncate=True) != own.token_ids(TEXTS, truncate=True):
            raise ValueError(f"the exported tokens of {name} are not its own; it cannot be exported.")
        _check_close(found.encode_pixels(judged), own.encode_pixels(judged), name)
        _check_close(found.encode_texts(TEXTS, truncate=True), own.encode_texts(TEXTS, truncate=True), name)
        del found
        new.rename(folder)
    return folder


def export_classifier(classifier: "ZeroShotClassifier", path: str | Path) -> Path:
    """Write the image encoder with the classes of a classifier baked in: pixels (N, 3, S, S) to probabilities (N, K).

    Any program with an ONNX runtime computes it; the file's metadata hold class names, prompts, preprocessing and the
    model's record. What is there is replaced. A ValueError says what cannot be exported: a classifier with another
    pooling than "mean", or one of several labels without a sigmoid head.
    """
    if classifier.pooling != "mean" or (classifier.multi_label and classifier.model.info.head != "sigmoid"):
        raise ValueError("a classifier is exported with one vector per class and probabilities; use pooling='mean'.")
    own = _loaded(classifier.model.name)
    expected, weights = classifier.model.info, torch.from_numpy(np.array(classifier.class_weights))
    if own.info.weights_sha256 != expected.weights_sha256:
        raise ValueError(f"{expected.name} now names other weights than the classifier's; build the classifier again.")
    head = partial(_probabilities, own, weights, is_sigmoid=classifier.multi_label)
    path, pixels = expanded(path), pixels_to_judge_by(own, None)[1::8]
    told = {
        "class_names": classifier.class_names, "prompts": classifier.prompts.texts,
        "preprocessing": vars(own.transform), "model": asdict(own.info),
    }  # fmt: skip
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".export-") as place:
        new = Path(place) / path.name
        _write(head, {"pixels": torch.from_numpy(pixels)}, new, {0: "pictures"}, "probabilities", told)
        with torch.inference_mode():
            _check_close(Graph(new)(pixels=pixels), head(torch.from_numpy(pixels)).numpy(), own.name)
        new.replace(path)
    return path


def _probabilities(encoder: Encoder, weights: torch.Tensor, pixels: torch.Tensor, *, is_sigmoid: bool) -> torch.Tensor:
    embeddings = encoder.embed_pixels(pixels)
    logits = encoder.logit_scale * (embeddings / embeddings.norm(dim=1, keepdim=True)) @ weights.T
    return (logits + (encoder.info.logit_bias or 0.0)).sigmoid() if is_sigmoid else logits.softmax(dim=1)


def _check_close(found: np.ndarray, exact: np.ndarray, name: str) -> None:
    off = float(np.abs(found - exact).max())
    if not off < TOLERANCE:
        raise ValueError(f"the exported {name} is {off:.1g} off torch's; {TOLERANCE:g} is allowed.")


def _loaded(name: str) -> Encoder:
    """Load a model with its library's own networks, and refuse one whose preprocessing no numbers describe."""
    rest, (load, precisions) = find_route(name)
    if not precisions:
        raise ValueError(f"{name} is exported already.")
    own: Encoder = pkgutil.resolve_name(load)(rest, device="cpu", precision="float32", engine="onnx")
    if isinstance(own.transform, ImageTransform):
        return own
    raise ValueError(f"{name} is preprocessed by its library's own code, not by numbers; use another form of it.")


def tokens_of(tokenizer: Any, name: str) -> dict[str, Any]:
    """Return all that a `GraphTokenizer` needs to tokenize alike; ValueError where that cannot be said."""
    if isinstance(tokenizer, BytePairTokenizer):
        return {key: getattr(tokenizer, key) for key in ("merges", "limit", "cleaning", "literals")}
    inner: Any = getattr(tokenizer.tokenizer, "backend_tokenizer", None)
    if not hasattr(inner, "to_str"):
        raise ValueError(f"the tokenizer of {name} exists only in its library's own code; it cannot be exported.")
    kept = {"tokenizer": inner.to_str(), "limit": tokenizer.limit, "cleaning": tokenizer.cleaning}
    return kept | {"pad": tokenizer.tokenizer.pad_token_id, "is_padded": tokenizer.padding == "max_length"}


def _write(  # noqa: PLR0917
    function: Callable[..., torch.Tensor],
    inputs: Mapping[str, torch.Tensor],
    path: Path,
    varying: Mapping[int, str],
    output: str = "embeddings",
    told: Mapping[str, Any] | None = None,
) -> None:
    """Trace a function to a graph in a file, with metadata; weights that lose nothing by it are kept in float16."""
    axes = {name: dict(varying) for name in inputs} | {output: {0: "rows"}}
    with warnings.catch_warnings(), torch.no_grad(), contextlib.ExitStack() as after:
        after.callback(torch.backends.mha.set_fastpath_enabled, torch.backends.mha.get_fastpath_enabled())
        torch.backends.mha.set_fastpath_enabled(False)  # attention in one piece, which ONNX does not know
        warnings.simplefilter("ignore")  # the tracer's remarks on shapes that are constant here
        torch.onnx.export(
            AsModule(function, tuple(inputs)), tuple(inputs.values()), path, dynamo=False, dynamic_axes=axes,
            input_names=list(inputs), output_names=[output],
        )  # fmt: skip
    model = onnx.load(path)
    graph = model.graph
    for node in list(graph.node):
        if node.op_type == "Constant" and (weight := node.attribute[0].t).dims:  # a weight that was traced as one
            weight.name = node.output[0]
            graph.initializer.append(weight)
            graph.node.remove(node)
    for weight in graph.initializer:
        values, name = onnx.numpy_helper.to_array(weight), weight.name
        if values.dtype == np.float32 and values.size > 1000 and (values == (half := values.astype(np.float16))).all():
            weight.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}_half"))
            graph.node.insert(0, onnx.helper.make_node("Cast", [weight.name], [name], to=onnx.TensorProto.FLOAT))
    onnx.helper.set_model_props(model, {key: json.dumps(it, ensure_ascii=False) for key, it in (told or {}).items()})
    onnx.save(model, path)
