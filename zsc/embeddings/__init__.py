"""Pictures as rows of numbers: embed_images -> ImageEmbeddings."""

from zsc.embeddings.embedded import ImageEmbeddings, embed_images

__all__ = ["ImageEmbeddings", "embed_images"]
