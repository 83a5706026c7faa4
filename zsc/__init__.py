"""Zero-shot image classification with CLIP: name your classes in words, classify pictures without training.

The public names stand in `__init__.pyi`; each is imported when it is first used, so that `import zsc` is fast and loads
no torch. See README.md for a tour and `zsc/` for one module per step.
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
