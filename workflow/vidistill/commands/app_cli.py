"""The command `vidistill app`: a page in the browser to ask videos questions."""

import argparse
import importlib.util
import logging
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from vidistill.base.stage import UserError, run
from vidistill.commands import video_options
from vidistill.commands.command_line import Parser
from vidistill.commands.ground import Grounder

LOCAL = "127.0.0.1"
# Read by Gradio and its libraries when they are imported. Nothing of them reports anything to anybody.
SILENT = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1"}


def parser() -> Parser:
    """The command line."""
    found = Parser(
        "vidistill app",
        "Serve a page on which one drops a video, types a sentence and sees the moments.",
        "Example: vidistill app --model results/student_demo.json",
    )
    found.add_argument("--model", type=Path, required=True, help=video_options.MODEL)
    found.add_argument("--top", type=int, default=3, metavar="N", help="moments per sentence (default: 3)")
    found.add_argument("--port", type=int, default=7860, metavar="N", help="0 for any free one (default: 7860)")
    found.add_argument(
        "--host",
        default=LOCAL,
        metavar="ADDRESS",
        help="address to serve on (default: 127.0.0.1, this machine alone); the page asks nobody for a password",
    )
    found.add_argument(
        "--max-size", type=int, default=500, metavar="MB", help="the largest video that is taken (default: 500)"
    )
    video_options.add_making(found)
    video_options.add_word_vectors(found)
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    run(lambda: serve(parser().read(arguments)))


def serve(args: argparse.Namespace) -> None:
    """Serve the page until Ctrl-C or a signal to end. Uploaded videos are deleted after an hour, and at the end."""
    check(args)
    grounder = Grounder(args.model, **video_options.making(args), word_vectors=args.word_vectors)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # so that the folder is removed
    with tempfile.TemporaryDirectory(prefix="vidistill-app-", dir=args.work) as folder:
        os.environ.update(SILENT, GRADIO_TEMP_DIR=folder)
        from vidistill.commands import app  # imports Gradio, which reads the environment

        app.launch(grounder, top=args.top, host=args.host, port=args.port, megabytes=args.max_size, work=Path(folder))


def check(args: argparse.Namespace) -> None:
    """Raise UserError for mistakes that can be found before the model is loaded, and choose a port."""
    if not importlib.util.find_spec("gradio"):
        raise UserError("the page needs Gradio, which is not installed; run pip install -e '.[app]'.")
    video_options.check_making(args)
    if args.max_size < 1:
        raise UserError("--max-size must be at least 1; correct it.")
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((args.host, args.port))
            args.port = probe.getsockname()[1]
    except (OSError, OverflowError) as error:
        raise UserError(
            f"the page cannot be served on {args.host}, port {args.port} ({error}); name others by --host and --port."
        ) from error


if __name__ == "__main__":
    main()
