"""The image encoder of any model through OpenVINO on the CPU: in float32, in bfloat16, or in int8.

What a precision costs is measured whenever such a model is loaded, and refused where it is too much. The text encoder
stays torch's in float32. What was quantised is kept beside the weights, by model and calibration pictures.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import io
import logging
import os
import re
import sys
import tempfile
import threading
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from zsc.drawings import draw
from zsc.files import printable
from zsc.images import as_sources, open_image
from zsc.models.base import Encoder, Tower
from zsc.models.weights import WeightsError, weights_path

HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}  # what is not int8 stays float32
NEEDS = {"bfloat16": ("avx512_bf16", "amx_bf16"), "int8": ("avx512_vnni", "avx_vnni", "amx_int8")}  # one of them
PICTURES = 64  # that the loss is measured on; as many others calibrate
FEWEST = 16  # pictures that int8 can be calibrated and measured on
LIMIT = 0.99  # of the mean centred cosine to float32
WORDS = (
    "cat", "dog", "bird", "horse", "car", "boat", "house", "tree", "flower", "person", "face", "hat", "cup", "book",
)  # fmt: skip


def check_possible(precision: str, device: str, calibrate: Any) -> None:
    """Check that this machine can compute through OpenVINO in a precision, before a model is loaded."""
    if device != "cpu" or precision not in HINTS:
        possible = ", ".join(HINTS)
        raise ValueError(f"OpenVINO computes on the CPU, in {possible}, not in {precision} on {device}; pass those.")
    if calibrate is not None and precision == "float32":
        raise ValueError("calibrate is for precision='int8' and 'bfloat16'; leave it out.")
    for package in ("openvino", "nncf") if precision == "int8" else ("openvino",):
        if importlib.util.find_spec(package) is None:
            raise ImportError(f"OpenVINO in {precision} needs the package {package}: pip install 'zsc-clip[openvino]'.")
    if (needed := NEEDS.get(precision)) and not cpu_flags().intersection(needed):
        why = f"a processor with {' or '.join(needed)}, which this one does not report; use precision='float32'"
        raise ValueError(f"precision={precision!r} needs {why}.")
    if precision == "int8" and calibrate is None:
        raise ValueError("precision='int8' is calibrated on pictures; pass calibrate=dataset.paths, those to embed.")


def cpu_flags() -> frozenset[str]:
    """Read what the processor can do; nothing where the system does not say."""
    with contextlib.suppress(OSError):
        if flags := re.search("^flags.*", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE):
            return frozenset(flags[0].split())
    return frozenset()


def through_openvino(encoder: Encoder, precision: str, calibrate: Any) -> Encoder:
    """Let OpenVINO compute the image encoder of `encoder`, which is changed; a ValueError if that costs too much."""
    core()  # before nncf makes one of its own
    own, calibration, what = encoder.info, "", "drawings" if calibrate is None else "pictures"
    if precision != "float32":
        pixels = pixels_to_judge_by(encoder, calibrate)  # every second one calibrates
        exact = encoder.encode_pixels(pixels[1::2])
    if precision == "int8":
        calibration = hashlib.sha256(pixels[::2].tobytes()).hexdigest()[:16]
        graph = quantised(encoder, pixels[::2], calibration)
    else:
        graph = converted(encoder.image_encoder, encoder.image_size)
    encoder.image_encoder, encoder.step = OpenVinoEncoder(graph, precision), 32
    encoder.info = replace(own, engine="openvino", precision=precision, calibration=calibration)
    if precision == "float32":
        return encoder
    found, texts = encoder.encode_pixels(pixels[1::2]), encoder.encode_texts([f"a photo of a {word}" for word in WORDS])
    cosines, centred = compared(exact, found)
    changed = int(((exact @ texts.T).argmax(axis=1) != (found @ texts.T).argmax(axis=1)).sum())
    loss = (
        f"to float32 on {len(exact)} {what}: cosine {cosines.mean():.4f} (lowest {cosines.min():.4f}), centred "
        f"{centred.mean():.4f} (lowest {centred.min():.4f}), {changed} answers changed among {len(WORDS)} classes"
    )
    logging.getLogger("zsc").info("%s in %s: %s.", own.name, precision, loss)
    if not centred.mean() >= LIMIT:  # nor where it is no number
        why = f"({loss}; the mean centred one must be {LIMIT} or more); use precision='float32'"
        more = ", or other calibration pictures" if calibration else ""
        raise ValueError(f"{own.name} loses too much in {precision} {why}{more}.")
    encoder.info = replace(encoder.info, loss=loss)
    return encoder


def pixels_to_judge_by(encoder: Encoder, calibrate: Any) -> np.ndarray:
    """Prepare up to 128 evenly spread ones of the pictures, or as many drawings: (N, 3, S, S)."""
    drawn = (draw(("faces", "animals")[i % 2], i).picture for i in range(2 * PICTURES))
    sources = as_sources(drawn if calibrate is None else calibrate)
    if len(sources) < FEWEST:
        raise ValueError(f"calibrate holds {len(sources)} pictures; pass {FEWEST} or more, such as those to embed.")
    chosen = np.linspace(0, len(sources) - 1, min(len(sources), 2 * PICTURES)).astype(int)
    return np.stack([encoder.transform(open_image(sources[i])) for i in chosen])


def compared(exact: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the cosines of two encoders' embeddings, row by row, as they are and without the exact ones' mean."""
    exact, found = exact.astype(np.float64), found.astype(np.float64)
    mean = exact.mean(axis=0)  # in nearly this direction all embeddings point, so that the plain cosine flatters
    pairs = (exact, found), (exact - mean, found - mean)
    plain, centred = ((a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)) for a, b in pairs)
    return plain, centred


class AsModule(nn.Module):
    """A function of tensors, by `names` where it takes several, as a module that can be traced."""

    def __init__(self, function: Any, names: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.function, self.names = function, names

    def forward(self, *given: torch.Tensor) -> torch.Tensor:
        """Call the function."""
        if len(given) == 1:
            return self.function(given[0])  # type: ignore[no-any-return]
        from transformers import BatchEncoding

        return self.function(BatchEncoding(dict(zip(self.names, given, strict=True))))  # type: ignore[no-any-return]


def converted(tower: Tower, image_size: int) -> Any:
    """Convert an image encoder to a graph of OpenVINO's, for any number of pictures."""
    import openvino

    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on shapes that are constant here
        example = torch.zeros(2, 3, image_size, image_size)
        return openvino.convert_model(AsModule(tower), example_input=example, input=[-1, 3, image_size, image_size])


def quantised(encoder: Encoder, pixels: np.ndarray, calibration: str) -> Any:
    """Return the graph in int8, from where it is kept or calibrated on pixels (N, 3, S, S) and kept."""
    import openvino

    os.environ.setdefault("NNCF_CI", "1")  # else nncf reports its use over the network
    import nncf

    versions = [importlib.metadata.version(package) for package in ("openvino", "nncf")]
    key = hashlib.sha256(f"{encoder.fingerprint} {calibration} {versions}".encode()).hexdigest()[:32]
    folder = weights_path("RN50").parent / "int8" / key
    if (folder / "model.xml").is_file():
        try:
            return core().read_model(folder / "model.xml")
        except RuntimeError as error:
            raise WeightsError(f"{printable(folder)}: a damaged model in int8; remove this folder.") from error
    nncf.set_log_level(logging.ERROR)
    off = nncf.AdvancedSmoothQuantParameters(convolution=-1, matmul=-1)  # it costs accuracy here
    options = nncf.AdvancedQuantizationParameters(smooth_quant_alphas=off)
    with contextlib.redirect_stdout(sys.stderr):  # its progress bars
        graph = nncf.quantize(
            converted(encoder.image_encoder, encoder.image_size), nncf.Dataset([pixel[None] for pixel in pixels]),
            subset_size=len(pixels), model_type=nncf.ModelType.TRANSFORMER, advanced_parameters=options,
        )  # fmt: skip
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            openvino.save_model(graph, Path(place) / "whole" / "model.xml", compress_to_fp16=False)
            if not folder.exists():  # whole or not at all, also beside another process
                (Path(place) / "whole").rename(folder)
    except OSError as error:
        log = "%s in int8 is not kept, and is made anew the next time: %s"
        logging.getLogger("zsc").warning(log, encoder.name, printable(error))
    return graph


_CORE: list[Any] = []
_CORE_LOCK = threading.Lock()


def core() -> Any:
    """Return OpenVINO's core, one for the whole process and never given back.

    On CPUs with AMX each core puts a stack for signals in place, and puts back the one it found when it goes, though
    that be gone already: the next signal that Python handles then ends the process.
    """
    import openvino

    with _CORE_LOCK:
        if not _CORE:
            _CORE.append(openvino.Core())
        return _CORE[0]


class OpenVinoEncoder:
    """An image encoder as a graph, or the bytes of a compiled one, for the CPU with as many threads as torch.

    May be called from several threads. One that is sent to another process is compiled again there.
    """

    def __init__(self, graph: Any, precision: str = "float32") -> None:
        self.precision = precision
        settings = {"INFERENCE_PRECISION_HINT": HINTS[precision], "INFERENCE_NUM_THREADS": torch.get_num_threads()}
        is_compiled = isinstance(graph, bytes)
        make = core().import_model if is_compiled else core().compile_model
        self.compiled = make(io.BytesIO(graph) if is_compiled else graph, "CPU", settings)

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed pixels (N, 3, S, S) as (N, D)."""
        request = self.compiled.create_infer_request()  # of this call alone: a shared one mixes the threads' pictures
        return torch.from_numpy(np.array(request.infer(pixels.numpy())[0]))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what was compiled as OpenVINO exports it."""
        exported = io.BytesIO()
        self.compiled.export_model(exported)
        return OpenVinoEncoder, (exported.getvalue(), self.precision)
