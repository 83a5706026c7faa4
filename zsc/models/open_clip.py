"""Models of open_clip: LAION's, DataComp's, SigLIP, MobileCLIP, MetaCLIP and others, each as it was trained.

"open_clip:ARCH/TAG" is one of open_clip's published weights, "open_clip:ARCH/FILE" a weights file, and
"open_clip:ARCH/TAG/FILE" one that is preprocessed as TAG; "hf-hub:ID" and "local-dir:FOLDER" bring their configuration.
Whether GELU or QuickGELU is computed, ARCH says: a TAG that was trained with the other is refused. A file gets the
preprocessing of its ARCH's tags, and is refused where these differ. OpenAI's own files load by their path alone.
"""

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

import open_clip
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.transform import PreprocessCfg, image_transform_v2, merge_preprocess_dict
from open_clip.utils import to_2tuple

from zsc.models.base import Encoder, EncoderInfo, Transform, digest_of_config, sha256_of_tensors
from zsc.models.checkpoints import check_weights, is_torchscript, read_state_dict
from zsc.models.fast import EXAMPLES, example_pixels, faster, step_of
from zsc.models.tokens import MULTILINGUAL, ONE_AT_A_TIME, BytePairTokenizer, LibraryTokenizer, as_byte_pairs
from zsc.models.transforms import ImageTransform, LibraryTransform
from zsc.models.weights import WeightsError, cached_first

SCHEMAS = ("hf-hub:", "local-dir:")
_TOKENIZER_OPTIONS = {"clean", "language", "strip_sep_token"}  # others would reach code that runs what it is told


def load_open_clip(name: str, *, device: str, precision: str, engine: str = "torch") -> Encoder:
    """Load "ARCH/TAG", "ARCH/FILE", "ARCH/TAG/FILE", "hf-hub:ID" or "local-dir:FOLDER" through open_clip."""
    named, options = f"open_clip:{name}", {"device": device, "precision": "fp16" if precision == "float16" else "fp32"}
    is_folder, file = name.startswith("local-dir:"), ""
    if name.startswith(SCHEMAS):
        arch, way_on = name, "give a folder as 'open_clip:local-dir:FOLDER'"
        load = partial(open_clip.create_model_from_pretrained, name, weights_only=True, **options)  # never random ones
        way_to_read = way_on
    else:
        arch, tag, file = parse_name(name)
        way_on = f"give a weights file as 'open_clip:{arch}/PATH'"
        tokens = open_clip.get_model_config(arch)["text_cfg"].get("hf_tokenizer_name")
        way_to_read = f"copy its tokenizer, the hub's {tokens}, into the Hugging Face cache of this machine"
        tagged = partial(open_clip.create_model_from_pretrained, arch, tag, **options)
        load = partial(_from_file, arch, file, preprocessing(arch, tag), options) if file else tagged
    tokenizer = cached_first(partial(_tokenizer, arch), named, is_local=is_folder, way_on=way_to_read)
    model, compose = cached_first(load, named, is_local=is_folder or bool(file), way_on=way_on)
    config, bias = open_clip.get_model_config(arch), getattr(model.eval().requires_grad_(False), "logit_bias", None)
    transform = _as_transform(open_clip.get_model_preprocess_cfg(model), compose)
    info = EncoderInfo(
        name=named,
        library="open_clip",
        embed_dim=int(config["embed_dim"]),
        image_size=int(to_2tuple(model.visual.image_size)[0]),
        context_length=tokenizer.limit,
        logit_scale=check_weights(model, named),
        weights_sha256=sha256_of_tensors(model.state_dict()),
        device=device,
        precision=precision,
        architecture=f"{config.get('vision_cfg', {}).get('timm_model_name', 'open_clip')} {digest_of_config(config)}",
        activation="QuickGELU" if config.get("quick_gelu") else "the architecture's own",
        logit_bias=None if bias is None else bias.item(),
        languages="many" if tokenizer.vocabulary > MULTILINGUAL else "English",
    )
    towers = attrgetter("encode_image", "encode_text")
    both = towers(model)
    if (device, precision, engine) == ("cpu", "float32", "torch"):
        both = faster(model, towers, (example_pixels(info.image_size), tokenizer(EXAMPLES)), named)
    return Encoder(info, transform, tokenizer, *both, step=step_of(model.visual))


def parse_name(name: str) -> tuple[str, str, str]:
    """Split "ARCH/TAG", "ARCH/FILE" or "ARCH/TAG/FILE" into architecture, tag and file; refuse what is no model."""
    arch, _, rest = name.partition("/")
    if arch not in open_clip.list_models():
        raise ValueError(f"open_clip has no architecture {arch!r}; open_clip.list_models() lists them.")
    first, _, file = rest.partition("/")
    tags = open_clip.list_pretrained_tags_by_model(arch)
    right = [tag for tag in tags if not _twin(arch, tag)]
    if first in tags and first not in right:
        way_on = f"load 'open_clip:{_twin(arch, first)}/{rest}'"
        way_on += ", or OpenAI's own as load_model('ViT-B/32')" if first == "openai" else ""
        raise ValueError(f"open_clip:{name}: {first} was trained with another activation than {arch} has; {way_on}.")
    if first in tags:
        return arch, first, file
    if not rest:
        raise ValueError(f"'open_clip:{arch}' names no weights; write 'open_clip:{arch}/TAG' with {', '.join(right)}.")
    if "/" not in rest and "." not in rest:
        raise ValueError(f"open_clip has no weights {rest!r} for {arch}; use one of {', '.join(right)}, or a file.")
    if Path(rest).is_file() and is_torchscript(Path(rest)):
        raise ValueError(f"{rest} is a file of OpenAI's; load it by its path alone, which also chooses QuickGELU.")
    return arch, "", rest


def _twin(arch: str, tag: str) -> str:
    """Name the architecture that computes the activation a tag was trained with; "" where `arch` is the one."""
    quick = bool(open_clip.get_pretrained_cfg(arch, tag).get("quick_gelu"))
    twin = f"{arch}-quickgelu" if quick else arch.removesuffix("-quickgelu")
    is_other = bool(open_clip.get_model_config(arch).get("quick_gelu")) != quick
    return twin if is_other and twin != arch and twin in open_clip.list_models() else ""


def preprocessing(arch: str, tag: str = "") -> dict[str, Any]:
    """Return how pictures are prepared for a tag, but for their size; without one for all, a ValueError if not one."""
    tags = [tag] if tag else [t for t in open_clip.list_pretrained_tags_by_model(arch) if not _twin(arch, t)]
    default = {key: value for key, value in vars(PreprocessCfg()).items() if key != "size"}  # that is the model's
    ways = {t: merge_preprocess_dict(default, open_clip.get_pretrained_cfg(arch, t)) for t in tags}
    first = next(iter(ways.values()), default)
    if any(way != first for way in ways.values()):
        way_on = f"say which yours are like: 'open_clip:{arch}/TAG/FILE' with the TAG {', '.join(ways)}"
        raise ValueError(f"the weights of {arch} were trained with different preprocessing; {way_on}.")
    return dict(first)


def _from_file(arch: str, file: str, as_trained: dict[str, Any], options: dict[str, Any]) -> Any:
    """Load a weights file, in whatever mapping and behind whatever prefix a training script left the state dict."""
    path = Path(file).expanduser()
    if path.suffix in (".npz", ".npy"):  # big_vision's
        return open_clip.create_model_from_pretrained(arch, str(path), force_preprocess_cfg=as_trained, **options)
    tensors = read_state_dict(path, ("logit_scale",), f"model of open_clip's {arch}")
    model = open_clip.create_model(arch, pretrained_hf=False, force_preprocess_cfg=as_trained, **options)
    state = convert_state_dict(model, tensors)
    if "positional_embedding" in state and not hasattr(model, "positional_embedding"):
        state = convert_to_custom_text_state_dict(state)
    for scalar in ("logit_scale", "logit_bias"):  # a number, or a list of one
        if scalar in state and getattr(model, scalar, None) is not None:
            state[scalar] = state[scalar].reshape(getattr(model, scalar).shape)
    model.load_state_dict(state)
    return model, image_transform_v2(PreprocessCfg(**open_clip.get_model_preprocess_cfg(model)), is_train=False)


def _tokenizer(arch: str) -> BytePairTokenizer | LibraryTokenizer:
    """Load the tokenizer that an architecture, or a folder's configuration, names, with its own length of a text."""
    config = open_clip.get_model_config(arch)
    if odd := set(config["text_cfg"].get("tokenizer_kwargs", {})) - _TOKENIZER_OPTIONS:
        raise WeightsError(f"open_clip:{arch}: its config asks for {', '.join(sorted(odd))}, which zsc does not do.")
    tokenizer = open_clip.get_tokenizer(arch)
    return as_byte_pairs(tokenizer) if hasattr(tokenizer, "encoder") else _OpenClipTokenizer(tokenizer)


def _as_transform(preprocess: dict[str, Any], compose: Any) -> Transform:
    height, width = to_2tuple(preprocess["size"])
    mode, interpolation = preprocess["resize_mode"], preprocess["interpolation"]
    if height == width and mode in ("shortest", "squash") and interpolation in ("bicubic", "bilinear"):
        mean, std = tuple(preprocess["mean"]), tuple(preprocess["std"])
        return ImageTransform(height, mode=mode, interpolation=interpolation, mean=mean, std=std)
    return LibraryTransform(compose)


class _OpenClipTokenizer(LibraryTokenizer):
    """open_clip's wrapper of a transformers tokenizer: counted as the inner one counts, called as the model needs."""

    def __init__(self, wrapper: Any) -> None:
        cleaning = getattr(wrapper, "clean_fn", str).__name__.removeprefix("_clean_").removeprefix("str")
        super().__init__(wrapper.tokenizer, wrapper.context_length, pad_to_limit=True, cleaning=cleaning)
        self.wrapper = wrapper

    def __call__(self, texts: Sequence[str]) -> Any:
        """Tokenize M texts to ids (M, limit)."""
        with ONE_AT_A_TIME:
            return self.wrapper(list(texts))
