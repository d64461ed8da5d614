"""The command `vidistill`, for trained models. Snakemake runs the stages that train them."""

import importlib
import sys

from vidistill import __version__
from vidistill.commands.command_line import is_option, meant

COMMANDS = {  # name: (module with a `main`, what it does)
    "ground": ("vidistill.commands.ground_cli", "find the moments of a video that sentences describe"),
    "search": ("vidistill.commands.search_cli", "find moments in a folder of videos"),
    "app": ("vidistill.commands.app_cli", "serve a page on which one asks videos"),
    "locate": ("vidistill.commands.locate_cli", "find the segments of a video in which actions happen"),
    "pack": ("vidistill.commands.pack", "write a trained model as one folder to hand on, with a card"),
    "card": ("vidistill.commands.card", "check the card of such a folder"),
    "evaluate": ("vidistill.commands.evaluate_cli", "evaluate predictions of any method on a data set"),
    "onnx": ("vidistill.commands.onnx", "export a model to ONNX, for runtimes other than PyTorch"),
}
HELP = ("-h", "--help")


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in COMMANDS:
        importlib.import_module(COMMANDS[name][0]).main(sys.argv[2:])
        return
    if name == "--version":
        print(f"vidistill {__version__}")
        return
    if name in HELP:
        listed = "\n".join(f"  {command:10}{what}" for command, (_, what) in COMMANDS.items())
        print(f"usage: vidistill COMMAND ...\n\n{listed}\n\n`vidistill COMMAND --help` lists the options of a command.")
        return
    kind, known = ("option", (*HELP, "--version")) if is_option(name) else ("command", COMMANDS)
    sys.exit(f"error: unknown {kind} {name!r}{meant(name, known)} commands are {', '.join(COMMANDS)}.")


if __name__ == "__main__":
    main()
