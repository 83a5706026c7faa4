"""A model as a folder, which onnxruntime computes without torch: two graphs, tokens, and a record with all digests."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from zsc.checks import check_choice, short
from zsc.files import digest_of, expanded, printable
from zsc.models.base import Encoder, EncoderInfo, finite
from zsc.models.tokens import CLEANING, BytePairTokenizer, Tokenizer
from zsc.models.transforms import ImageTransform
from zsc.models.weights import WeightsError

FORMAT = 1


class Graph:
    """A graph in a file, on the CPU; may be called from several threads, and is opened again in another process."""

    def __init__(self, path: Path) -> None:
        import onnxruntime

        self.path, options = path, onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [each.name for each in self.session.get_inputs()]

    def __call__(self, **inputs: np.ndarray) -> np.ndarray:
        """Compute the graph's only output."""
        return np.asarray(self.session.run(None, {name: inputs[name] for name in self.inputs})[0], np.float32)

    def __reduce__(self) -> tuple[Any, ...]:
        return Graph, (self.path,)


class OnnxEncoder(Encoder):
    """A model whose encoders are graphs, "onnx:FOLDER"; needs onnxruntime, and no torch."""

    def encode_pixels(self, pixels: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Embed pictures that went through `transform`, (N, 3, S, S), as one batch (N, D), unit rows."""
        parts = [np.stack(list(pixels[i : i + self.step])) for i in range(0, len(pixels), self.step)]
        return self._collect([self._unit_rows(self.image_encoder(pixels=part)) for part in parts])  # type: ignore[call-arg]

    def encode_tokens(self, tokens: Mapping[str, np.ndarray]) -> np.ndarray:
        """Embed what the tokenizer returned for M texts as one batch (M, D), unit rows."""
        return self._unit_rows(self.text_encoder(**tokens))  # type: ignore[call-arg]

    def _unit_rows(self, rows: np.ndarray) -> np.ndarray:
        return finite(rows / np.linalg.norm(rows, axis=1, keepdims=True), self.name)


class GraphPairs(BytePairTokenizer):
    """CLIP's tokens, as the graphs take them."""

    def __call__(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Tokenize M texts to ids (M, limit)."""
        return {"input_ids": self.padded(texts)}


class GraphTokenizer(Tokenizer):
    """The tokens of an exported model that are no byte pairs of CLIP's, by the package tokenizers."""

    def __init__(self, kept: dict[str, Any], described: str) -> None:
        from tokenizers import Tokenizer

        self.record, self.described, self.limit = kept, described, int(kept["limit"])
        self.whole, self.cut = Tokenizer.from_str(kept["tokenizer"]), Tokenizer.from_str(kept["tokenizer"])
        self.whole.no_padding()
        self.whole.no_truncation()
        self.cut.enable_truncation(self.limit)
        self.cut.enable_padding(pad_id=kept["pad"], length=self.limit if kept["is_padded"] else None)

    def __repr__(self) -> str:
        return self.described

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Tokenize M texts as they are, start and end included: not padded, and not cut at the limit."""
        return [each.ids for each in self._encoded(self.whole, texts)]

    def kept(self, text: str) -> str:
        """Return the beginning of a text that fits the limit."""
        return str(self.cut.decode(self._encoded(self.cut, [text])[0].ids, skip_special_tokens=True)).strip()

    def __call__(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Tokenize M texts: arrays (M, length) by the names of the graph's inputs."""
        found = self._encoded(self.cut, texts)
        fields = {"input_ids": "ids", "attention_mask": "attention_mask", "token_type_ids": "type_ids"}
        return {name: np.array([getattr(each, field) for each in found], np.int64) for name, field in fields.items()}

    def _encoded(self, tokenizer: Any, texts: Sequence[str]) -> list[Any]:
        return list(tokenizer.encode_batch([CLEANING[self.record["cleaning"]](text) for text in texts]))


def load_onnx(folder: str | Path, *, device: str = "auto", precision: str = "auto", name: str = "") -> OnnxEncoder:
    """Load the folder that `export_model` wrote; a WeightsError says what of it is missing or damaged."""
    name, folder = name or f"onnx:{folder}", expanded(folder)
    try:
        kept = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        files, info = kept["files"], EncoderInfo(**kept["info"])
        if kept["format"] != FORMAT:
            raise WeightsError(f"{printable(folder)} is of format {kept['format']}, not {FORMAT}; export it again.")
        for file, digest in files.items():
            if digest_of(folder / file) != digest:
                raise WeightsError(f"{printable(folder / file)} is not what was exported; export or copy it again.")
        tokens = json.loads((folder / "tokens.json").read_text(encoding="utf-8"))
    except WeightsError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"is no folder that 'zsc models export' wrote ({short(error)}); give the folder of one."
        raise WeightsError(f"{name} {why}") from error
    check_choice(str(device), ("auto", "cpu"), "device of a model in ONNX")
    check_choice(precision, ("auto", info.precision), "precision of this folder")
    graphs, info = [Graph(folder / file) for file in ("image.onnx", "text.onnx")], replace(info, name=name)
    numbers: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in kept["transform"].items()}
    tokenizer = GraphPairs(**tokens) if "merges" in tokens else GraphTokenizer(tokens, info.text)
    return OnnxEncoder(info, ImageTransform(**numbers), tokenizer, *graphs)  # type: ignore[arg-type]
