"""A `python` for the jobs of whole runs: a copy of a process that has imported the libraries and has done nothing else.

Most jobs of the tests spend more time on imports than on all that they do. A copy runs the same module with the same
words, environment, folder and streams as a new process would.
"""

import array
import json
import os
import socket
import sys

PLACE = "VIDISTILL_WARM_PYTHON"  # of the socket
LIBRARIES = ("torch", "pandas", "pyarrow.parquet", "h5py", "cv2", "av", "numba", "safetensors.torch", "pydantic")
LIBRARIES += ("torch._dynamo",)  # which PyTorch imports for the first optimiser


def start() -> dict[str, str]:
    """Start the process to copy, which ends with this one; the environment that makes copies of it bash's `python`."""
    import atexit
    import subprocess
    import tempfile

    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    place = os.path.join(folder.name, "python")
    subprocess.Popen([sys.executable, "-P", __file__, "--serve", place], stdin=subprocess.PIPE)
    with open(f"{place}.bash", "w") as file:
        file.write(f'python() {{ "{sys.executable}" -IS "{__file__}" "$@"; }}\n')
    return {"BASH_ENV": file.name, PLACE: place}


def serve(place: str) -> None:
    """Give a copy to each process that asks for one, until standard input ends."""
    import importlib
    import select
    import signal
    import threading

    for name in LIBRARIES:
        importlib.import_module(name)
    assert threading.active_count() == 1, "copies would lack the other threads"
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the copies
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"{place}.new")
    listening.listen(64)
    os.rename(f"{place}.new", place)
    while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
        asking, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            copy(asking)
        asking.close()


def copy(asking: socket.socket) -> None:
    """Be the process that is asked for."""
    import atexit
    import logging
    import runpy
    import traceback

    streams = array.array("i")
    text, about, _, _ = asking.recvmsg(1 << 20, socket.CMSG_SPACE(3 * streams.itemsize))
    streams.frombytes(about[0][2])
    while not text.endswith(b"\n"):
        text += asking.recv(1 << 20)
    (_, module, *words), folder, environment = json.loads(text)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = environment["PYTHONPATH"].split(os.pathsep)
    sys.argv = ["", *words]
    status = 0
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    asking.send(bytes([status]))
    os._exit(0)


def ask(words: list[str]) -> None:
    """Have a copy run `-m module words`, and end as it does; what else Python is asked for, it does itself."""
    import time

    if words[:1] != ["-m"]:
        os.execv(sys.executable, [sys.executable, *words])
    place = os.environ[PLACE]
    waited = time.monotonic()
    while not os.path.exists(place):
        assert time.monotonic() - waited < 120, "there is nothing to copy; see above why"
        time.sleep(0.05)
    with socket.socket(socket.AF_UNIX) as asking:
        asking.connect(place)
        text = json.dumps([words, os.getcwd(), dict(os.environ)]).encode() + b"\n"
        sent = asking.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
        asking.sendall(text[sent:])
        os._exit((asking.recv(1) or b"\xff")[0])  # nothing: it was killed


if __name__ == "__main__":
    serve(sys.argv[2]) if sys.argv[1] == "--serve" else ask(sys.argv[1:])
