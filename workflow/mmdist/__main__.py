"""The command `mmdist`: what people do with a trained model. The stages that train one are run by Snakemake."""

import importlib
import sys

from mmdist import __version__
from mmdist.command_line import is_option, meant

COMMANDS = {  # name: (module with a `main`, what it does)
    "ground": ("mmdist.ground_command", "ask a video a question in words, get the moments that answer it"),
    "onnx": ("mmdist.onnx_export", "write a model for other runtimes than PyTorch"),
}
HELP = ("-h", "--help")


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        importlib.import_module(COMMANDS[name][0]).main(sys.argv[2:])
        return
    if name == "--version":
        print(f"mmdist {__version__}")
        return
    if name in HELP:
        listed = "\n".join(f"  {command:8} {what}" for command, (_, what) in COMMANDS.items())
        print(f"usage: mmdist COMMAND ...\n\n{listed}\n\n`mmdist COMMAND --help` says what a command takes.")
        return
    kind, known = ("option", (*HELP, "--version")) if is_option(name) else ("command", COMMANDS)
    sys.exit(f"error: unknown {kind} {name!r}{meant(name, known)} commands are {' and '.join(COMMANDS)}.")


if __name__ == "__main__":
    main()
