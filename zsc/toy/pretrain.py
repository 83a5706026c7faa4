"""Contrastive pre-training (Radford et al., 2021) at toy size: the loss, the model and the loop that trains it.

The network is open_clip's CLIP class in OpenAI's shapes: OpenAI's `clip` and open_clip both read the weights it saves.
Pictures and captions are drawn afresh for every step; no pair is ever seen twice.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip import tokenize
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from PIL import Image
from torch.nn import functional

from zsc.checks import short
from zsc.drawings import KINDS, Drawing, draw
from zsc.files import write_whole
from zsc.progress import Progress, bar

FORMAT = 1  # of a kept training state
IMAGE_SIZE = 64
MAX_LOGIT_SCALE = 100.0  # openai/CLIP clips the temperature there, "to prevent training instability"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out of a training run, on one machine."""

    steps: int = 1200
    batch_size: int = 256  # pairs per step
    learning_rate: float = 2e-3  # the highest one
    warmup: int = 100  # steps that lead up to it
    weight_decay: float = 0.1  # of weight matrices
    seed: int = 0  # of the first weights and of the drawings
    image_layers: tuple[int, int, int, int] = (1, 1, 1, 1)  # blocks per stage of a ResNet as in RN50
    image_width: int = 16
    text_layers: int = 3
    text_width: int = 64  # a multiple of 64
    embed_dim: int = 128  # D


def contrastive_loss(
    image_embeddings: torch.Tensor, text_embeddings: torch.Tensor, logit_scale: torch.Tensor | float
) -> torch.Tensor:
    """Compute CLIP's symmetric cross-entropy over a batch of N pairs (Radford et al., 2021, figure 3).

    Each picture must find its caption among all N, and each caption its picture; guessing gives log N. It is the
    multi-class N-pair loss of Sohn (2016), InfoNCE of van den Oord et al. (2018). Row i of one belongs to row i of the
    other, unit rows (N, D); `logit_scale`, one over the temperature, multiplies their cosines.
    """
    logits = logit_scale * image_embeddings @ text_embeddings.T  # (N, N): rows are pictures, columns are captions
    targets = torch.arange(len(logits), device=logits.device)  # the pairs lie on the diagonal
    return (functional.cross_entropy(logits, targets) + functional.cross_entropy(logits.T, targets)) / 2


def build_model(recipe: Recipe) -> CLIP:
    """Build an untrained CLIP of the recipe's size, the same for the same seed."""
    torch.manual_seed(recipe.seed)
    vision = CLIPVisionCfg(layers=recipe.image_layers, width=recipe.image_width, head_width=64, image_size=IMAGE_SIZE)
    width, layers = recipe.text_width, recipe.text_layers
    text = CLIPTextCfg(context_length=77, vocab_size=49408, width=width, heads=width // 64, layers=layers)
    return CLIP(recipe.embed_dim, vision, text, quick_gelu=True)


def embed_images(model: CLIP, pixels: torch.Tensor) -> torch.Tensor:
    """Embed pictures (N, S, S, 3), uint8, as unit rows (N, D)."""
    mean, std = (torch.tensor(v, device=pixels.device) for v in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    normalised = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()
    return functional.normalize(model.encode_image(normalised), dim=1)


def embed_texts(model: CLIP, tokens: torch.Tensor) -> torch.Tensor:
    """Embed token ids (N, L) as unit rows (N, D); L may be below 77, as what comes after the end changes nothing."""
    length = tokens.shape[1]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]  # (N, L, width)
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    ends = x[torch.arange(len(x), device=x.device), tokens.argmax(dim=1)]  # the end token has the highest id
    return functional.normalize(ends @ model.text_projection, dim=1)


def learning_rate_at(step: int, recipe: Recipe) -> float:
    """Compute the learning rate of a step: a straight warm-up, then half a cosine down to zero."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


def train(
    recipe: Recipe, *,
    checkpoint: Path | None = None, every: int = 100, workers: int = 1, progress: Progress = True,
    watch: Callable[[int, CLIP], None] | None = None,
) -> tuple[CLIP, list[dict[str, float]]]:  # fmt: skip
    """Train a CLIP from scratch; the same recipe on the same machine gives the same losses.

    Returns the model, in evaluation mode, and the log, one row per step: step, loss, accuracy (the share of pictures
    whose own caption is the nearest of the batch), logit_scale, seconds. `checkpoint` is a file that keeps the state
    `every` so many steps; if it exists, training continues from it. `workers` processes draw ahead; 0 draws in this
    one. `watch` is called after each step with its number and the model.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = build_model(recipe).to(device).train()
    matrices, others = ([p for p in model.parameters() if (p.ndim > 1) == many] for many in (True, False))
    groups = [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), eps=1e-6)  # gains, biases and temperature do not decay
    log = _resume(checkpoint, recipe, model, optimizer)
    steps: Any = range(len(log), recipe.steps)
    draw_step = partial(draw_batch, size=recipe.batch_size, split="train", seed=recipe.seed)
    batches: Any = torch.utils.data.DataLoader(steps, batch_size=None, num_workers=workers, collate_fn=draw_step)
    start = time.perf_counter() - (log[-1]["seconds"] if log else 0.0)
    with bar(progress, recipe.steps, "step", initial=len(log), widget=False) as shown:
        for step, drawn in enumerate(batches, start=len(log)):
            pixels, tokens = (torch.from_numpy(each).to(device) for each in drawn)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, recipe)
            images, texts = embed_images(model, pixels), embed_texts(model, tokens)
            loss = contrastive_loss(images, texts, model.logit_scale.exp())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            with torch.no_grad():
                model.logit_scale.clamp_(max=math.log(MAX_LOGIT_SCALE))
                found = (images @ texts.T).argmax(dim=1)
            accuracy = (found == torch.arange(len(found), device=device)).float().mean().item()
            now = {"logit_scale": model.logit_scale.exp().item(), "seconds": time.perf_counter() - start}
            log.append({"step": step, "loss": loss.item(), "accuracy": accuracy} | now)
            shown.set_postfix(loss=f"{loss.item():.2f}", accuracy=f"{accuracy:.2f}", refresh=False)
            shown.update()
            if watch:
                watch(step, model)
            if checkpoint and (step + 1) % every == 0:
                state = {"format": FORMAT, "recipe": asdict(recipe), "model": model.state_dict(), "log": log}
                state["optimizer"] = optimizer.state_dict()
                write_whole(checkpoint, lambda file, state=state: torch.save(state, file))  # type: ignore[misc]
    return model.eval(), log


def save_weights(model: CLIP, path: Path) -> Path:
    """Write the weights as float16 in OpenAI's format, for `zsc.load_model(path)`."""
    state = model.state_dict().items()
    tensors = {k: (v.half() if v.is_floating_point() else v).cpu().contiguous() for k, v in state}
    return write_whole(path, lambda file: torch.save(tensors, file))


def embed_drawings(model: CLIP, pixels: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embed pictures (N, S, S, 3) and token ids (M, L) with a model as it is; unit rows, (N, D) and (M, D)."""
    was_training, device = model.training, model.logit_scale.device
    model.eval()
    with torch.inference_mode():
        images = embed_images(model, torch.from_numpy(pixels).to(device))
        texts = embed_texts(model, torch.from_numpy(tokens).to(device))
    model.train(was_training)
    return images.cpu().numpy(), texts.cpu().numpy()


def _resume(path: Path | None, recipe: Recipe, model: CLIP, optimizer: Any) -> list[dict[str, float]]:
    """Put a kept state into model and optimizer and return its log, which is empty if nothing was kept."""
    if path is None or not path.is_file():
        return []
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        log, other = state["log"], state["recipe"]
        if [row["step"] for row in log] != list(range(len(log))):
            raise ValueError("the log has gaps")
        if is_ours := (state["format"] == FORMAT and other == asdict(recipe)):
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
    except Exception as error:  # whatever a damaged or foreign file makes of pickle and torch
        raise ValueError(f"{path} is damaged, or not the state of a training run; use another name.") from error
    if not is_ours:
        raise ValueError(f"{path} belongs to another recipe or version ({short(other)}); remove it, or name another.")
    return log  # type: ignore[no-any-return]


def draw_batch(step: int, size: int, *, split: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the batch of a step, faces and animals in turn: pixels and token ids as of `to_pixels` and `to_tokens`."""
    pairs = draw_pairs(size, first=step * size, split=split, seed=seed)
    return to_pixels([p.picture for p in pairs]), to_tokens([p.caption for p in pairs])


def draw_pairs(n: int, *, first: int = 0, split: str = "test", seed: int = 0) -> list[Drawing]:
    """Draw N pairs, faces and animals in turn, from number `first` of the series on."""
    return [draw(KINDS[i % 2], i // 2, split=split, seed=seed) for i in range(first, first + n)]


def to_pixels(pictures: Sequence[Image.Image]) -> np.ndarray:
    """Shrink N square pictures to (N, 64, 64, 3), uint8, as the toy model's own transform does."""
    return np.stack([np.asarray(p.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.BICUBIC)) for p in pictures])


def to_tokens(texts: Sequence[str]) -> np.ndarray:
    """Tokenize N texts to (N, L), int64, with OpenAI's tokens; L is the length of the longest."""
    tokens: np.ndarray = tokenize(list(texts)).numpy()
    return tokens[:, : int(tokens.argmax(axis=1).max()) + 1]
