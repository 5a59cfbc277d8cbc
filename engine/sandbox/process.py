"""The launcher: a small process beside each thread that starts tools, and starts them for it.

Setting up a sandbox takes a hundred calls to the kernel between fork and exec. A worker is large and has
threads, so it must not fork and then run Python; this process is small and has one thread. The tools are not
its children: they are born as children of the process that asked (CLONE_PARENT), which waits for them,
signals them, and takes them with it when it dies.

Started as a program with `-I -S`: standard library only.
"""

from __future__ import annotations

import array
import json
import os
import signal
import socket
import struct
import sys
from typing import Any

if __name__ == "__main__":
    # Isolated, it knows no folder but Python's own.
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120

from engine.sandbox import attempts, kernel
from engine.sandbox.setting_up import NAMESPACES, confine

HEADER = struct.Struct("=I")
REPLY = struct.Struct("=q")
DESCRIPTORS = 3
NOT_STARTED, NOT_SET_UP = 127, 126


def main(layer: str, number: int) -> None:
    """Serve the other end of the socket until it is closed."""
    kernel.die_with_parent(signal.SIGKILL)
    # No tool inherits it, nor anything else that a library of the worker left open.
    os.set_inheritable(number, False)
    os.closerange(number + 1, 1 << 16)
    # Python ignores these, and what is ignored stays so in every tool.
    for one in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(one, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    with socket.socket(fileno=number) as peer:
        try:
            if layer == NAMESPACES:
                _leave()
        except OSError as error:
            peer.sendall(REPLY.pack(-(error.errno or 1)))
            return
        kernel.gain_nothing()
        peer.sendall(REPLY.pack(0))
        null = os.open(os.devnull, os.O_RDONLY)
        while _serve(peer, layer, null):
            pass


def _leave() -> None:
    """Out of the machine's users, network, shared memory and names; the tools stay in what we enter here."""
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
    # Whoever we are outside, inside it is nobody: also a worker that runs as root.
    for name, text in (
        ("setgroups", "deny"), ("uid_map", f"65534 {user} 1"), ("gid_map", f"65534 {group} 1")
    ):  # fmt: skip
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(text)


def _serve(peer: socket.socket, layer: str, null: int) -> bool:
    """One tool; False once nobody asks any more."""
    size, descriptors = _header(peer)
    if not size:
        return False
    data = bytearray()
    while len(data) < size:
        piece = peer.recv(size - len(data))
        if not piece:
            return False
        data += piece
    request = json.loads(data)
    flags = kernel.CLONE_PARENT | signal.SIGCHLD
    if layer == NAMESPACES:
        flags |= kernel.CLONE_NEWNS | kernel.CLONE_NEWPID
    try:
        answer = kernel.clone(flags)
    except OSError as error:
        answer = -(error.errno or 1)
    if answer == 0:
        _become(request, layer, [null, *descriptors])
    for one in descriptors:
        os.close(one)
    peer.sendall(REPLY.pack(answer))
    return True


def _header(peer: socket.socket) -> tuple[int, list[int]]:
    room = socket.CMSG_SPACE(DESCRIPTORS * array.array("i").itemsize)
    data, ancillary, _, _ = peer.recvmsg(HEADER.size, room, socket.MSG_CMSG_CLOEXEC)
    descriptors = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(payload)
    if len(data) < HEADER.size:
        return 0, []
    return HEADER.unpack(data)[0], list(descriptors)


def _become(request: dict[str, Any], layer: str, descriptors: list[int]) -> None:
    """In the fork: set up, then turn into the tool. Never returns."""
    code = NOT_SET_UP
    try:
        os.setsid()
        *standard, alive = descriptors
        for target, source in enumerate(standard):
            os.dup2(source, target)
        try:
            confine(request, layer, alive)
        except OSError as error:
            _say(f"cannot be set up: {error.filename}: {error.strerror}")
        except (ValueError, OverflowError, MemoryError) as error:
            _say(f"cannot be set up: {error!r}")
        else:
            code = NOT_STARTED
            if request["attempts"] is not None:
                _say_found(attempts.carry_out(request["attempts"]))
                os._exit(0)
            argv = [str(word) for word in request["argv"]]
            try:
                os.execve(argv[0], argv, request["environment"])  # noqa: S606 - argv is our own, without a shell
            except OSError as error:
                _say(f"exec {argv[0]}: {error.strerror}")
    finally:
        # Whatever happened: this fork must not go on as a second launcher.
        os._exit(code)


def _say(text: str) -> None:
    os.write(2, f"sandbox: {text}\n".encode())


def _say_found(found: dict[str, str]) -> None:
    os.write(1, json.dumps(found).encode())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
