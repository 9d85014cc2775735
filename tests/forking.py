"""Stages and DVC as forks of one process that has loaded their libraries, which takes each of them seconds.

A stage is still a process of its own, started with the command of dvc.yaml: a program ``python`` that
comes first in PATH hands its arguments, folder, environment and streams to the server of this module. The
server forks, and the fork runs the module as ``python -m`` does.
"""

import gc
import importlib
import json
import multiprocessing
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import Any

from sttreid.runtime import numerics

STAGES = "sttreid.stages"
LIBRARIES = (
    "sttreid.cli.commands",
    "dvc.repo.reproduce",
    "dvc.repo.experiments.run",
    "dvc.commands.repro",
    "scipy.stats",
    "pyarrow.parquet",
)
STARTS_IN = 120.0  # seconds, on a busy machine
PROGRAM = """#!/bin/sh
exec {python} -IS {client} {prefix} "$@"
"""
CLIENT = """
import json, os, signal, socket, sys
words = sys.argv[1:]
known = words[:1] == ["-m"] and (words[1] in ("sttreid", "dvc") or words[1].startswith("sttreid.stages."))
if not known or os.environ.get("STTREID_NUMERICS"):  # maybe not the numeric path of the server
    os.execv({python!r}, [{python!r}, *words])
signal.signal(signal.SIGINT, signal.SIG_IGN)  # the fork, in the same process group, gets it as well
with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
    server.connect({address!r})
    request = {{"words": words[1:], "folder": os.getcwd(), "group": os.getpgrp()}}
    request["environment"], request["executable"] = dict(os.environ), {program!r}
    socket.send_fds(server, [b"."], [0, 1, 2])
    server.sendall(json.dumps(request).encode() + b"\\n")
    sys.exit(int(server.makefile().readline() or 1))
"""


@contextmanager
def forks(pythonpath: Path) -> Iterator[str]:
    """A server for as long as the context lasts.

    Args:
        pythonpath: folder of the package sttreid; all forks have this code.

    Yields:
        A folder for the front of PATH, with programs ``python``, ``dvc`` and ``sttreid``.
    """
    with tempfile.TemporaryDirectory(prefix="forks") as folder:  # short: an address has at most 107 bytes
        address, client, program = (str(Path(folder) / name) for name in ("server", "client.py", "python"))
        text = CLIENT.format(python=sys.executable, address=address, program=program)
        Path(client).write_text(text, encoding="utf-8")
        for name, prefix in (("python", ""), ("dvc", "-m dvc"), ("sttreid", "-m sttreid")):
            path, values = Path(folder) / name, {"python": quote(sys.executable), "client": quote(client)}
            path.write_text(PROGRAM.format(**values, prefix=prefix), encoding="utf-8")
            path.chmod(0o755)
        environment = {**os.environ, "PYTHONPATH": str(pythonpath)}
        with subprocess.Popen([sys.executable, __file__, address], env=environment) as server:
            try:
                end = time.monotonic() + STARTS_IN
                while not Path(address).exists() and server.poll() is None and time.monotonic() < end:
                    time.sleep(0.05)
                assert Path(address).exists(), "the server must start"
                yield folder
            finally:
                server.terminate()


def serve(address: str) -> None:
    """Load what stages and DVC need, then fork for each connection."""
    preload()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(f"{address}.new")
        server.listen()
        Path(f"{address}.new").rename(address)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks that answer
        while True:
            client, _ = server.accept()
            if os.fork() == 0:
                answer(client)
                os._exit(0)
            client.close()


def answer(client: socket.socket) -> None:
    """Run a module in another fork, which ends without taking its many objects apart, and send its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _, streams, _, _ = socket.recv_fds(client, 1, 3)
    request = json.loads(client.makefile().readline())
    process = multiprocessing.get_context("fork").Process(target=run, args=(request, streams))
    process.start()
    for stream in streams:
        os.close(stream)
    process.join()
    status = process.exitcode or 0
    with suppress(BrokenPipeError):  # the program was killed
        client.sendall(f"{status if status >= 0 else 128 - status}\n".encode())


def preload() -> None:
    """Import the libraries of all stages, none of which starts a thread, and torch's optimisers."""
    numerics.choose()  # as a stage does, before torch is loaded
    for library in LIBRARIES:
        importlib.import_module(library)
    stages = importlib.import_module(STAGES)
    for module in pkgutil.iter_modules(stages.__path__):
        importlib.import_module(f"{STAGES}.{module.name}")
    import torch

    torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    gc.freeze()  # a fork would copy each object that its collector visits


def run(request: dict[str, Any], streams: list[int]) -> None:
    """Take over folder, environment, streams and arguments of a program, and run its module."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    with suppress(PermissionError):  # another session
        os.setpgid(0, request["group"])
    os.chdir(request["folder"])
    kept = {name: os.environ[name] for name in numerics.PORTABLE if name in os.environ}  # torch has read them
    os.environ.clear()
    os.environ.update(request["environment"] | kept)
    sys.argv, sys.path[0] = request["words"], request["folder"]
    sys.executable = request["executable"]  # what it starts itself is forked, too
    module = sys.argv[0]
    if module.startswith(f"{STAGES}."):
        sys.modules.pop(module, None)  # it runs anew, as __main__
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    serve(sys.argv[1])
