"""EmbeddingJob: one run over a data set; takes blocks as they come, and keeps on disk what a stop must not lose."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zsc.datasets import ImageDataset
from zsc.embeddings.streaming import Block, encode_block, name_of, prepare
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
        self.store: EmbeddingStore | None = None
        self.index: PathIndex | None = None
        if store is not None:
            self.store = EmbeddingStore(store, model.fingerprint, model.embed_dim, asdict(model.info))
            self.index = PathIndex(store)
        self.digests: list[bytes | None] = [None] * len(dataset)
        if self.index is not None:
            self.digests = list(self.index.lookup(dataset.paths))
        self.values = np.full((len(dataset), model.embed_dim), np.nan, np.float32)
        self.found = np.zeros(len(dataset), bool)
        if self.store is not None:
            kept, self.found = self.store.get(self.digests)
            self.values[self.found] = kept[self.found]
            self.digests = [d if found else None for d, found in zip(self.digests, self.found, strict=True)]

    @property
    def known(self) -> Container[bytes]:
        """The digests that need no embedding."""
        return frozenset() if self.store is None else self.store

    def take(self, block: Block, *, raise_errors: bool) -> None:
        """Put a block's embeddings into their rows, and onto disk when enough have come."""
        kept, block = self._with_kept(block)
        if block.embeddings and self.store is not None and not self.pending:
            self.store.make()  # a folder that cannot be written to is told before hours of work
        self.pending |= block.embeddings
        vectors = kept | block.embeddings
        for picture in block.pictures:
            if picture.error is None and picture.digest is not None:
                self.digests[picture.index] = picture.digest
                self.values[picture.index] = vectors[picture.digest]
                if picture.key is not None:
                    self.seen.append((picture.key, picture.digest))
        for picture in block.pictures:
            if picture.error is not None:
                if raise_errors:
                    raise picture.error
                self.failures.append((picture.index, name_of(self.dataset.paths[picture.index]), str(picture.error)))
        if len(self.pending) >= PART_ROWS or len(self.seen) >= 8 * PART_ROWS:
            self.flush()

    def _with_kept(self, block: Block) -> tuple[dict[bytes, np.ndarray], Block]:
        """Give the kept vectors of a block by digest, and the block; what turns out to be damaged is embedded now."""
        relied = {
            p.digest: p
            for p in block.pictures
            if p.digest is not None and p.error is None and p.digest not in block.embeddings
        }
        if not relied or self.store is None:
            return {}, block
        values, found = self.store.get(list(relied))
        kept = {digest: value for digest, value, is_there in zip(relied, values, found, strict=True) if is_there}
        lost = [p for p in block.pictures if p.digest in relied.keys() - kept.keys() and p.error is None]
        if lost:
            sources, transform = self.dataset.paths, self.model.transform
            again = encode_block(self.model, [prepare(p.index, sources[p.index], transform, ()) for p in lost])
            mended = {p.index: p for p in again.pictures}
            pictures = [mended.get(p.index, p) for p in block.pictures]
            block = replace(block, pictures=pictures, embeddings=block.embeddings | again.embeddings)
        return kept, block

    def flush(self) -> None:
        """Write what is not on disk yet: the vectors first, then the paths that lead to them."""
        if self.store is not None and self.pending:
            self.store.add(list(self.pending), np.stack(list(self.pending.values())))
        if self.index is not None:
            self.index.add(self.seen)
        self.pending, self.seen = {}, []
