"""The command `mmdist`: what people do with a trained model. The stages that train one are run by Snakemake."""

import importlib
import sys

from mmdist import __version__

COMMANDS = {  # name: (module with a `main`, what it does)
    "ground": ("mmdist.ground_command", "ask a video a question in words, get the moments that answer it"),
    "onnx": ("mmdist.onnx_export", "write a model for other runtimes than PyTorch"),
}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        importlib.import_module(COMMANDS[name][0]).main(sys.argv[2:])
        return
    if name == "--version":
        print(f"mmdist {__version__}")
        return
    usage = "\n".join(f"  {command:8} {what}" for command, (_, what) in COMMANDS.items())
    print(f"usage: mmdist COMMAND ...\n\n{usage}\n\n`mmdist COMMAND --help` says what a command takes.")
    if name not in ("-h", "--help"):
        sys.exit(f"error: {name!r} is no command; commands are {', '.join(COMMANDS)}.")


if __name__ == "__main__":
    main()
