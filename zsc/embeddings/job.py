"""EmbeddingJob: one run over a data set; takes blocks as they come, and keeps on disk what a stop must not lose."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zsc.datasets import ImageDataset
from zsc.embeddings.streaming import Block
from zsc.images import describe
from zsc.store.kept import EmbeddingStore
from zsc.store.path_index import FileKey, PathIndex

if TYPE_CHECKING:
    from zsc.models import Encoder

PART_ROWS = 512  # embeddings a part: what a stop can lose at most, rounded up to blocks


class EmbeddingJob:
    """One run of `embed_images`: the rows so far, and what is not on disk yet.

    Parameters
    ----------
    model
        The encoder.
    dataset
        N pictures.
    store
        The folder that keeps embeddings, or None.
    """

    def __init__(self, model: Encoder, dataset: ImageDataset, store: str | Path | None) -> None:
        self.model, self.dataset = model, dataset
        self.failures: list[tuple[int, str, str]] = []
        self.pending: dict[bytes, np.ndarray] = {}
        self.seen: list[tuple[FileKey, bytes]] = []
        self.store = EmbeddingStore(store, model.fingerprint, model.embed_dim, asdict(model.info)) if store else None
        self.index = PathIndex(store) if store else None
        self.digests: list[bytes | None] = [None] * len(dataset)
        if self.index is not None:
            self.digests = list(self.index.lookup(dataset.paths))
        self.values = np.full((len(dataset), model.embed_dim), np.nan, np.float32)
        self.found = np.zeros(len(dataset), bool)
        if self.store is not None:
            kept, self.found = self.store.get(self.digests)
            self.values[self.found] = kept[self.found]

    @property
    def known(self) -> Container[bytes]:
        """The digests that need no embedding."""
        return frozenset() if self.store is None else self.store

    def take(self, block: Block, *, raise_errors: bool) -> None:
        """Put a block's embeddings into their rows, and onto disk when enough have come."""
        self.pending |= block.embeddings
        for picture in block.pictures:
            if picture.error is not None:
                if raise_errors:
                    raise picture.error
                self.failures.append((picture.index, describe(self.dataset.paths[picture.index]), str(picture.error)))
                continue
            if picture.key is not None and picture.digest is not None:
                self.seen.append((picture.key, picture.digest))
        good = [p for p in block.pictures if p.error is None]
        for picture in good:
            self.digests[picture.index] = picture.digest
        self.values[[p.index for p in good]] = self._vectors([p.digest for p in good], block)
        if len(self.pending) >= PART_ROWS or len(self.seen) >= 8 * PART_ROWS:
            self.flush()

    def _vectors(self, digests: list[bytes | None], block: Block) -> np.ndarray:
        """Give the vectors of a block: what was embedded now, and what was kept."""
        vectors = np.empty((len(digests), self.model.embed_dim), np.float32)
        kept = [i for i, digest in enumerate(digests) if digest not in block.embeddings]
        for i, digest in enumerate(digests):
            if digest is not None and digest in block.embeddings:
                vectors[i] = block.embeddings[digest]
        if kept and self.store is not None:
            vectors[kept], found = self.store.get([digests[i] for i in kept])
            if not found.all():
                raise OSError("a kept embedding was damaged while it was in use; run it again, it is computed anew.")
        return vectors

    def flush(self) -> None:
        """Write what is not on disk yet: the vectors first, then the paths that lead to them."""
        if self.store is not None and self.pending:
            self.store.add(list(self.pending), np.stack(list(self.pending.values())))
        if self.index is not None:
            self.index.add(self.seen)
        self.pending, self.seen = {}, []
