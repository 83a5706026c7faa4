"""Embeddings on disk: Parquet parts by model and content, and the paths that lead to them."""

from zsc.store.kept import EmbeddingStore, PartCheck, stores
from zsc.store.parts import DamagedPartWarning
from zsc.store.path_index import FileKey, PathIndex, file_key

__all__ = ["DamagedPartWarning", "EmbeddingStore", "FileKey", "PartCheck", "PathIndex", "file_key", "stores"]
