"""Why this answer: the places of a picture and the words of its prompts that it hangs on, each hidden in turn.

Occlusion (Zeiler and Fergus, ECCV 2014) takes forward passes only, so every model and engine can be asked. A map says
what the model answers without a place, which is not what the picture shows there. Grey and blurred covers disagree, so
both are shown; and each map is marked against itself moved elsewhere and against the picture's edges.
"""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from zsc.checks import check_choice, check_count, check_same_length
from zsc.classifier import ZeroShotClassifier
from zsc.embeddings import ImageEmbeddings, embed_texts, memory_kept
from zsc.images import ImageSource, as_sources, open_image
from zsc.models.base import Encoder
from zsc.progress import Progress, bar
from zsc.retrieval import search
from zsc.scoring import score_classes
from zsc.store import EmbeddingStore

COARSE, FINE, N_FINE = (5, 0.3), (8, 0.2), 14  # windows a side, and their side as a share of the picture's
SHARES = (0.1, 0.2, 0.3)  # of the picture, that the score hides or shows
N_RANDOM = 10  # places that the map is moved to, a quarter of the side away or farther
PASSES = 1 + 2 * (COARSE[0] ** 2 + N_FINE) + 2 * len(SHARES) * (2 + N_RANDOM)  # of a picture
TOGETHER, BATCH = 8, 128  # pictures whose covered copies go through the encoder together, and copies at once
Array = NDArray[Any]
Class = str | int | None
Asking: TypeAlias = Generator[Any, Array, Any]  # yields transformed pictures, is sent their embeddings
Judge = Callable[[Array], tuple[Array, Array, Array]]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a classifier answers one class rather than another. Made by `explain`."""

    picture: NDArray[np.uint8]  # as the model sees it after its crop, its colours stretched: (S, S, 3)
    predicted: str
    of: str  # the class that is explained
    against: str
    margin: float  # the logit of `of` minus that of `against`
    maps: Mapping[str, NDArray[np.float32]]  # "grey", "blurred": how much of the margin a cover takes away, (S, S)
    flips: NDArray[np.bool_]  # windows of which one, hidden, makes the answer `against`: (S, S)
    words: pd.DataFrame  # class_name, prompt, word, and margin_lost without the word
    score: pd.DataFrame  # of map, edges, and the map moved ten times: deletion and insertion, mean margins, and gain
    nearest: pd.DataFrame | None  # the three nearest kept pictures of each class: index, image, class, cosine

    @property
    def map(self) -> NDArray[np.float32]:
        """The mean of both maps, (S, S)."""
        return np.mean(list(self.maps.values()), axis=0, dtype=np.float32)

    @property
    def is_better_than_random(self) -> bool:
        """Whether the map gains over two standard deviations more than the mean of where it is moved to."""
        moved = self.score["gain"]["moved"]
        return bool(self.score["gain"]["map"] > moved.mean() + 2 * moved.std() + 1e-4)

    @property
    def verdict(self) -> str:
        """How good the map is, in words, with the gains in logits."""
        gain, better = self.score["gain"], "better" if self.is_better_than_random else "no better"
        moved = f"{gain['moved'].mean():.1f} ± {gain['moved'].std():.1f}"
        return f"{better} than random (gain {gain['map']:.1f}, moved {moved}, edges {gain['edges']:.1f})"


def explain(
    classifier: ZeroShotClassifier, picture: ImageSource, against: Class | Sequence[Class] = None, *, of: Class = None,
    embeddings: ImageEmbeddings | None = None, store: str | Path | None = None, seed: int = 0,
    progress: Progress = False,
) -> Explanation | list[Explanation]:  # fmt: skip
    """Explain an answer by hiding places of the picture, as the model sees it after its crop, and words of the prompts.

    `against` is the class to compare with, by name or index: None for the best of the others; for a mistake the true
    one, and `flips` marks what makes the answer right when it is hidden. `of` is the class to explain, None for the
    predicted one. A list of pictures gives a list, and `against` may be one: eight at a time share the batches of 128
    changed copies. `embeddings` are pictures to find the nearest in. `store`, a folder, keeps the copies' embeddings.

    79 passes hide places: windows of 0.3 of the side, then of 0.2 where the embedding moved most, under the mean colour
    and under the picture blurred, the same for all classes and words. 72 more mark the map: its highest tenth to three
    tenths are made grey (deletion), or shown alone in the blurred picture (insertion; Petsiuk et al., BMVC 2018),
    against the map moved by a quarter of the side or more, ten times, by `seed`.
    """
    if classifier.multi_label:
        raise ValueError("explain compares classes that exclude each other; make the classifier without multi_label.")
    sources = as_sources(picture)
    rivals: list[Any] = list(against) if isinstance(against, (list, tuple, np.ndarray)) else [against] * len(sources)
    check_same_length(pictures=sources, against=rivals)
    model, found, kept = classifier.model, list[Explanation](), None
    if store is not None:
        kept = EmbeddingStore(store, model.fingerprint, model.embed_dim, asdict(model.info))
    jobs = (_explained(classifier, *pair, of, embeddings, seed) for pair in zip(sources, rivals, strict=True))
    with memory_kept(), bar(progress, PASSES * len(sources), "passes") as shown:
        while group := list(islice(jobs, TOGETHER)):
            asked = [next(job) for job in group]
            while not isinstance(asked[0], Explanation):  # round by round: what all ask for is embedded together
                rows = np.concatenate(list(_embedded(chain(*asked), model, kept, shown)))
                asked = [job.send(part) for job, part in zip(group, np.split(rows, len(group)), strict=True)]
            found += asked
    return found[0] if len(sources) == 1 and sources[0] is picture else found


def _embedded(pictures: Iterator[Array], model: Encoder, kept: EmbeddingStore | None, shown: Any) -> Iterator[Array]:
    """Embed transformed pictures in batches, and with a store only those that it lacks."""
    while batch := list(islice(pictures, BATCH)):
        if kept is None:
            yield model.encode_pixels(batch)
        else:
            keys = [hashlib.sha256(b"zsc pixels" + pixels.tobytes()).digest() for pixels in batch]
            values, is_kept = kept.get(keys)
            if len(new := np.flatnonzero(~is_kept)):
                values[new] = model.encode_pixels([batch[i] for i in new])
                kept.add([keys[i] for i in new], values[new])
            yield values
        shown.update(len(batch))


def _explained(  # noqa: PLR0917
    clf: ZeroShotClassifier, source: Any, rival: Any, of: Class, kept: ImageEmbeddings | None, seed: int
) -> Asking:
    pixels, names = clf.model.transform(open_image(source)), clf.class_names
    embedding = yield [pixels]
    logits = _logits(clf, embedding)[0]
    order = np.argsort(-logits, kind="stable")
    own = order[0] if of is None else _class_index(of, names, "of")
    rival = order[order != own][0] if rival is None else _class_index(rival, names, "against")
    if own == rival:
        raise ValueError(f"of and against are both {names[own]!r}; leave against out for the best of the others.")
    margin = float(logits[own] - logits[rival])

    def judge(embeddings: Array) -> tuple[Array, Array, Array]:
        """Return the margins of changed pictures, whose answer is now `against`, and how far the embeddings moved."""
        found, moved = _logits(clf, embeddings), ((embeddings - embedding) ** 2).sum(axis=1)
        return found[:, own] - found[:, rival], (found.argmax(axis=1) == rival) & (order[0] != rival), moved

    ranked = None if kept is None else search(kept, image=source, k=len(kept), model=clf.model)
    words = []
    for k in (own, rival):
        rows = np.flatnonzero(np.asarray(clf.prompts.owners) == k)
        row = rows[(clf.text_embeddings[rows] @ embedding[0]).argmax()]  # the prompt that decides
        prompt, texts = clf.prompts.prompts[row], clf.text_embeddings.copy()
        for word, texts[row] in _without_words(clf, prompt):
            without = _logits(clf, embedding, texts)[0]
            words.append((names[k], prompt, word, margin - float(without[own] - without[rival])))
    grey = np.broadcast_to(pixels.mean(axis=(1, 2), keepdims=True), pixels.shape)
    covers = {"grey": grey, "blurred": gaussian_filter(pixels, (0, *[len(pixels[0]) / 12] * 2))}
    maps, flips = {}, []
    for name, cover in covers.items():
        maps[name], is_flip = yield from _occluded(judge, pixels, cover, margin)
        flips.append(is_flip)
    score = yield from _score(judge, np.sum(list(maps.values()), axis=0), pixels, covers, seed)
    values = (pixels.transpose(1, 2, 0) - pixels.min()) / max(float(np.ptp(pixels)), 1e-9)
    yield Explanation(
        picture=(values * 255).astype(np.uint8),
        predicted=names[order[0]],
        of=names[own],
        against=names[rival],
        margin=margin,
        maps=maps,
        flips=np.any(flips, axis=0),
        words=pd.DataFrame(words, columns=["class_name", "prompt", "word", "margin_lost"]),
        score=score,
        nearest=ranked if ranked is None else ranked.groupby("class", sort=False).head(3),
    )


def _class_index(given: str | int, names: list[str], what: str) -> int:
    if isinstance(given, str):
        return names.index(check_choice(given, names, what))
    return check_count(given, what, low=0, high=len(names) - 1)


def _logits(clf: ZeroShotClassifier, embeddings: Array, texts: Array | None = None) -> Array:
    texts, scale = clf.text_embeddings if texts is None else texts, clf.model.logit_scale
    return scale * score_classes(embeddings, texts, clf.prompts, pooling=clf.pooling, logit_scale=scale)[0]


def _without_words(clf: ZeroShotClassifier, prompt: str) -> list[tuple[str, Array]]:
    """List the words of a prompt, each with the embedding of the prompt without it; none of a prompt of one word."""
    words = prompt.split() if " " in prompt.strip() else []
    texts = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    return list(zip(words, embed_texts(clf.model, texts, truncate=True), strict=True)) if words else []


def _windows(side: int, n: int, share: float) -> NDArray[np.bool_]:
    """List n x n square windows, evenly spread: (n * n, S, S); those at the rim are cut off."""
    middles = (np.arange(n)[:, None] + 0.5) * side / n
    near = np.abs(np.arange(side) + 0.5 - middles) <= share * side / 2  # (n, S)
    return (near[:, None, :, None] & near[None, :, None, :]).reshape(-1, side, side)


def _occluded(judge: Judge, pixels: Array, cover: Array, margin: float) -> Asking:
    """Hide coarse windows, then fine ones where the embedding moved most; return what is lost, and where answers flip.

    A place loses the mean of the coarse windows over it; where there are fine ones, plus what sets them apart there.
    """

    def lost(windows: Array) -> Asking:
        after, is_flip, moved = judge((yield (np.where(window, cover, pixels) for window in windows)))
        totals = np.tensordot([margin - after, moved], windows, axes=1)  # (2, S, S)
        return *(totals / np.maximum(windows.sum(axis=0), 1)), np.asarray(windows[is_flip].any(axis=0))

    coarse, moved, flips = yield from lost(_windows(side := len(pixels[0]), *COARSE))
    windows = _windows(side, *FINE)
    means = (moved * windows).sum(axis=(1, 2)) / windows.sum(axis=(1, 2))
    windows = windows[np.argsort(-means, kind="stable")[:N_FINE]]
    fine, _, more = yield from lost(windows)
    apart = np.where(windows.any(axis=0), fine - fine[windows.any(axis=0)].mean(), 0)
    return (coarse + apart).astype(np.float32), flips | more


def _score(judge: Judge, own: Array, pixels: Array, covers: Mapping[str, Array], seed: int) -> Asking:
    """Hide and show places by the rank of the map, of the edges at the scale of a window, and of shifts of the map."""
    rng = np.random.default_rng(check_count(seed, "seed", low=0))
    edges = gaussian_filter(np.hypot(*np.gradient(pixels.mean(axis=0))), len(own) / 24)
    quarter, side = len(own) // 4, len(own)
    moved = [np.roll(own, rng.integers(quarter, side - quarter, size=2), axis=(0, 1)) for _ in range(N_RANDOM)]
    flat = np.array([own, edges, *moved]).reshape(2 + N_RANDOM, -1)
    ranks = np.argsort(np.argsort(-flat, axis=1, kind="stable"), axis=1).reshape(-1, 1, 1, *own.shape)
    top = (ranks < np.reshape(SHARES, (-1, 1, 1, 1)) * own.size).reshape(-1, 1, *own.shape)
    ways = (covers["grey"], pixels), (pixels, covers["blurred"])  # what is seen at the top, and elsewhere
    after, *_ = judge((yield (np.where(place, *way) for way in ways for place in top)))
    deletion, insertion = after.reshape(2, len(flat), -1).mean(axis=2)
    areas = {"deletion": deletion, "insertion": insertion, "gain": insertion - deletion}
    return pd.DataFrame(areas, ["map", "edges", *["moved"] * N_RANDOM])


def pointing_game(map: Array, mask: NDArray[np.bool_]) -> float:
    """Tell whether a map's highest place is on a mask of its shape, 1 or 0 (Zhang et al., ECCV 2016)."""
    check_same_length(map=map, mask=mask)
    return float(mask[map == map.max()].mean())


def iou(map: Array, mask: NDArray[np.bool_]) -> float:
    """Compute intersection over union of a mask and as many of the map's highest places as the mask has, in [0, 1]."""
    check_same_length(map=map, mask=mask)
    both = int(mask.ravel()[np.argsort(-map, axis=None, kind="stable")[: mask.sum()]].sum())
    return both / max(1, 2 * int(mask.sum()) - both)
