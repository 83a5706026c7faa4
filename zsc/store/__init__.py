"""Embeddings on disk: Parquet parts by model and content, and the paths that lead to them."""

from zsc.store.clearing import Cleared, clear
from zsc.store.kept import EmbeddingStore, PartCheck, stores
from zsc.store.parts import DamagedPartWarning, ForeignPartWarning, StoreWarning
from zsc.store.path_index import FileKey, PathIndex, file_key

__all__ = [
    "Cleared",
    "DamagedPartWarning",
    "EmbeddingStore",
    "FileKey",
    "ForeignPartWarning",
    "PartCheck",
    "PathIndex",
    "StoreWarning",
    "clear",
    "file_key",
    "stores",
]
