"""The command line: `zsc ...` or `python -m zsc ...`. The only room that prints; `zsc NAME` is `cli/NAME.py`.

Exit codes: 0 done, 1 failed (one sentence on standard error), 2 bad usage, 130 interrupted; `reproduce --offline` 3
where something is missing. `--json` prints the result as data, and everything else on standard error.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, of these words or of the process's; return the exit code. Bad usage exits with 2."""
    interrupts: list[int] = []
    before = {key: value for key, value in os.environ.items() if key == "MPLBACKEND"}
    os.environ["MPLBACKEND"] = "agg"  # to files, whatever a notebook has told the programs that it starts
    with _noted(interrupts):
        try:
            from zsc.cli._running import run  # the slow imports begin here

            return run(argv, interrupts)
        except (Exception, KeyboardInterrupt) as error:
            if interrupts or isinstance(error, KeyboardInterrupt):
                print("zsc: stopped before it began.", file=sys.stderr)
                return 128 + signal.SIGINT
            if not isinstance(error, ImportError) or "--debug" in sys.argv:
                raise
            print(f"zsc: the installation is not whole ({error}); install zsc-clip again.", file=sys.stderr)
            return 1
        finally:
            os.environ.pop("MPLBACKEND", None)
            os.environ.update(before)


@contextmanager
def _noted(interrupts: list[int]) -> Iterator[None]:
    """Note each interrupt beside raising it: compiled code that is being imported may turn it into another error."""

    def stop(number: int, _frame: object) -> None:
        interrupts.append(number)
        raise KeyboardInterrupt

    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # a caller has its own way, or the shell has asked to ignore it
        return
    hook = sys.excepthook
    sys.excepthook = lambda kind, *rest: None if issubclass(kind, KeyboardInterrupt) else hook(kind, *rest)
    signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.excepthook = hook
