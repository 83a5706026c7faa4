"""Contrastive pre-training (Radford et al., 2021) at toy size: the loss, the model and the loop that trains it.

The network is open_clip's CLIP class in OpenAI's shapes: OpenAI's `clip` and open_clip both read the weights it saves.
Pictures and captions are drawn afresh for every step; no pair is ever seen twice.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg
from torch.nn import functional
from tqdm import tqdm  # a line of text, also in a notebook: it leaves no widget behind

from zsc.checks import short
from zsc.files import write_whole
from zsc.toy.pairs import IMAGE_SIZE, draw_batch

FORMAT = 1  # of a kept training state
LOGGED = {"step", "loss", "accuracy", "logit_scale", "seconds"}
MAX_LOGIT_SCALE = 100.0  # openai/CLIP clips the temperature there, "to prevent training instability"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out of a training run, on one machine.

    Attributes
    ----------
    steps, batch_size
        Steps to train for; pairs a step.
    learning_rate, warmup, weight_decay
        The highest learning rate of AdamW, the steps that lead up to it, the decay of weight matrices.
    seed
        Of the first weights and of the drawings.
    image_layers, image_width
        Blocks in each of the four stages of the image encoder, a ResNet as in RN50; its width.
    text_layers, text_width
        Layers of the text encoder; its width, a multiple of 64.
    embed_dim
        D.
    """

    steps: int = 1200
    batch_size: int = 256
    learning_rate: float = 2e-3
    warmup: int = 100
    weight_decay: float = 0.1
    seed: int = 0
    image_layers: tuple[int, int, int, int] = (1, 1, 1, 1)
    image_width: int = 16
    text_layers: int = 3
    text_width: int = 64
    embed_dim: int = 128


def contrastive_loss(
    image_embeddings: torch.Tensor, text_embeddings: torch.Tensor, logit_scale: torch.Tensor | float
) -> torch.Tensor:
    """Compute CLIP's symmetric cross-entropy over a batch of N pairs (Radford et al., 2021, figure 3).

    Each picture must find its caption among all N, and each caption its picture; the loss is the mean of the two
    cross-entropies. Guessing gives log N. The same loss for two views is the multi-class N-pair loss of Sohn (2016),
    or InfoNCE of van den Oord et al. (2018).

    Parameters
    ----------
    image_embeddings, text_embeddings
        Shape (N, D), unit rows; row i of one belongs to row i of the other.
    logit_scale
        What the cosines are multiplied by: one over the temperature.

    Returns
    -------
    torch.Tensor
        One number, not negative.
    """
    logits = logit_scale * image_embeddings @ text_embeddings.T  # (N, N), a row a picture, a column a caption
    targets = torch.arange(len(logits), device=logits.device)  # the pairs lie on the diagonal
    to_text = functional.cross_entropy(logits, targets)
    to_image = functional.cross_entropy(logits.T, targets)
    return (to_text + to_image) / 2


def build_model(recipe: Recipe) -> CLIP:
    """Build an untrained CLIP of the recipe's size, the same for the same seed."""
    torch.manual_seed(recipe.seed)
    vision = CLIPVisionCfg(layers=recipe.image_layers, width=recipe.image_width, head_width=64, image_size=IMAGE_SIZE)
    text = CLIPTextCfg(
        context_length=77, vocab_size=49408, width=recipe.text_width, heads=recipe.text_width // 64,
        layers=recipe.text_layers,
    )  # fmt: skip
    return CLIP(recipe.embed_dim, vision, text, quick_gelu=True)


def embed_images(model: CLIP, pixels: torch.Tensor) -> torch.Tensor:
    """Embed pictures (N, S, S, 3), uint8, as unit rows (N, D)."""
    mean, std = (torch.tensor(v, device=pixels.device) for v in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    normalised = ((pixels / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()
    return functional.normalize(model.encode_image(normalised), dim=1)


def embed_texts(model: CLIP, tokens: torch.Tensor) -> torch.Tensor:
    """Embed token ids (N, L) as unit rows (N, D).

    L may be shorter than the model's 77: a token sees only those before it, and the text's row is read at its end
    token, so that what comes after changes nothing.
    """
    length = tokens.shape[1]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]  # (N, L, width)
    x = model.ln_final(model.transformer(x, attn_mask=model.attn_mask[:length, :length]))
    ends = x[torch.arange(len(x), device=x.device), tokens.argmax(dim=1)]  # the end token has the highest id
    return functional.normalize(ends @ model.text_projection, dim=1)


def learning_rate_at(step: int, recipe: Recipe) -> float:
    """Give the learning rate of a step: a straight warm-up, then half a cosine down to zero."""
    if step < recipe.warmup:
        return recipe.learning_rate * (step + 1) / recipe.warmup
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return recipe.learning_rate * (1 + math.cos(math.pi * done)) / 2


def train(
    recipe: Recipe,
    *,
    checkpoint: Path | None = None,
    every: int = 100,
    workers: int = 1,
    progress: bool = True,
    watch: Callable[[int, CLIP], None] | None = None,
) -> tuple[CLIP, list[dict[str, float]]]:
    """Train a CLIP from scratch.

    Parameters
    ----------
    recipe
        What to train. The same recipe on the same machine gives the same losses.
    checkpoint
        A file to keep the state in; where it is there, training goes on from it.
    every
        Steps between two checkpoints.
    workers
        Processes that draw ahead; 0 draws in this one.
    progress
        Show a bar with loss and in-batch accuracy.
    watch
        Called after each step with its number and the model.

    Returns
    -------
    tuple
        The model, in evaluation mode; and the log, a row a step: step, loss, accuracy (the share of pictures whose
        own caption is the nearest of the batch), logit_scale, seconds.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = build_model(recipe).to(device).train()
    optimizer = torch.optim.AdamW(_groups(model, recipe.weight_decay), betas=(0.9, 0.98), eps=1e-6)
    log = _resume(checkpoint, recipe, model, optimizer)
    batches = _batches(recipe, len(log), workers)
    start = time.perf_counter() - (log[-1]["seconds"] if log else 0.0)
    with tqdm(total=recipe.steps, initial=len(log), unit="step", disable=not progress) as bar:
        for step, (pixels, tokens) in enumerate(batches, start=len(log)):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, recipe)
            images, texts = embed_images(model, pixels.to(device)), embed_texts(model, tokens.to(device))
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
            bar.set_postfix(loss=f"{loss.item():.2f}", accuracy=f"{accuracy:.2f}", refresh=False)
            bar.update()
            if watch:
                watch(step, model)
            if checkpoint and (step + 1) % every == 0:
                _keep(checkpoint, recipe, model, optimizer, log)
    return model.eval(), log


def save_weights(model: CLIP, path: Path) -> Path:
    """Write the weights as float16 in OpenAI's format, for `zsc.load_model(path)`."""
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    whole = {k: v.cpu().contiguous() for k, v in tensors.items()}
    return write_whole(path, lambda file: torch.save(whole, file))


def embed_drawings(model: CLIP, pixels: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Embed pictures (N, S, S, 3) and token ids (M, L) with a model as it is; unit rows, (N, D) and (M, D)."""
    was_training, device = model.training, model.logit_scale.device
    model.eval()
    with torch.inference_mode():
        images = embed_images(model, torch.from_numpy(pixels).to(device))
        texts = embed_texts(model, torch.from_numpy(tokens).to(device))
    model.train(was_training)
    return images.cpu().numpy(), texts.cpu().numpy()


class _Batches(torch.utils.data.Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The batches of a run by their step, so that worker processes can draw ahead."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe

    def __getitem__(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        pixels, tokens = draw_batch(step, self.recipe.batch_size, split="train", seed=self.recipe.seed)
        return torch.from_numpy(pixels), torch.from_numpy(tokens)


def _batches(recipe: Recipe, first: int, workers: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    steps: Any = range(first, recipe.steps)
    loader: Any = torch.utils.data.DataLoader(_Batches(recipe), batch_size=None, sampler=steps, num_workers=workers)
    return iter(loader)


def _groups(model: CLIP, decay: float) -> list[dict[str, Any]]:
    """Divide the parameters: matrices decay, gains, biases and the temperature do not."""
    parameters = list(model.parameters())
    matrices, others = [p for p in parameters if p.ndim > 1], [p for p in parameters if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _keep(path: Path, recipe: Recipe, model: CLIP, optimizer: Any, log: list[dict[str, float]]) -> None:
    state = {
        "format": FORMAT,
        "recipe": asdict(recipe),
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "log": log,
    }
    write_whole(path, lambda file: torch.save(state, file))


def _resume(path: Path | None, recipe: Recipe, model: CLIP, optimizer: Any) -> list[dict[str, float]]:
    """Put a kept state into model and optimizer; give its log, empty where nothing was kept."""
    if path is None or not path.is_file():
        return []
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if state["format"] == FORMAT and state["recipe"] == asdict(recipe):
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            return _checked_log(state["log"])
        other = short(state["recipe"])
    except Exception as error:  # whatever a damaged or foreign file makes of pickle and torch
        raise ValueError(f"{path} is no state of a training run, or damaged; remove it, or name another.") from error
    raise ValueError(f"{path} belongs to another recipe or version ({other}); remove it, or name another file.")


def _checked_log(log: list[dict[str, float]]) -> list[dict[str, float]]:
    if [row["step"] for row in log] != list(range(len(log))) or any(row.keys() != LOGGED for row in log):
        raise ValueError("a log with gaps")
    return log
