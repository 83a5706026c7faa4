"""The prompt explorer: type prompts, see at once what they change on kept embeddings.

`session` asks and remembers and knows no widget; `panel` is the ipywidgets panel, `panel.html.j2` what it shows. What
is tried and chosen on the same pictures looks better than it is: the history counts the tries.
"""

from zsc.explorer.panel import PromptExplorer
from zsc.explorer.session import Answer, ExplorerSession

__all__ = ["Answer", "ExplorerSession", "PromptExplorer"]
