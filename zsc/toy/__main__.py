"""Run `zsc.toy.make`: train the toy CLIP and measure it."""

import os
import sys

# Threads that spin while they wait are five times slower beside other work; to be set before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if __name__ == "__main__":
    from zsc.toy.make import main

    sys.exit(main())
