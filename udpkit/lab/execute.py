"""Runs one notebook headless: execute.py NOTEBOOK OUTPUT DIRECTORY TIMEOUT_SECONDS.

The notebook as it ended, errors included, is written to OUTPUT in every case. If a cell failed, it exits 1, and why is
in OUTPUT.error: the kernel writes to its standard output and error.
"""
import collections
import signal
import sys

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

source, output, directory, timeout = sys.argv[1:]


def words(error):
    """What the failed cell printed, as one text. The kernel sends it in pieces, as it comes: a word may be in two of
    them, and str(error) heads each one with a line of its own, so that its end may not reach back to the reason."""
    ran = [cell for cell in notebook.cells if cell.get("outputs")]
    printed = "".join(output["text"] for output in ran[-1].outputs if output.output_type == "stream") if ran else ""
    return f"{printed.rstrip()}\n{error.evalue}" if printed else str(error)


class Client(NotebookClient):
    """Keeps so many characters of what a cell prints, so that one that prints for ever fills no memory."""

    most = 1_000_000
    printed = collections.Counter()

    def output(self, outs, msg, display_id, cell_index):
        if msg["msg_type"] == "stream":
            self.printed[cell_index] += len(msg["content"]["text"])
            if self.printed[cell_index] > self.most:
                return None
        return super().output(outs, msg, display_id, cell_index)


def stop(signum, frame):
    raise KeyboardInterrupt  # so that the kernel is shut down on the way out


signal.signal(signal.SIGTERM, stop)
notebook = nbformat.read(source, as_version=4)
client = Client(
    notebook,
    kernel_name="gonb",
    timeout=int(timeout),
    startup_timeout=120,
    record_timing=False,
    store_widget_state=False,
    resources={"metadata": {"path": directory}},
)
try:
    client.execute()
except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
    with open(output + ".error", "w", encoding="utf-8") as file:
        file.write(words(error) if isinstance(error, CellExecutionError) else str(error))
    sys.exit(1)
except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    sys.exit(1)
finally:
    nbformat.write(notebook, output)
