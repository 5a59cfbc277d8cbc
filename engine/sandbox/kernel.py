"""The calls to the kernel that Python has no function for. Linux on x86-64 and aarch64 only.

Runs in the launcher process: standard library only.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable

_MACHINES = ("x86_64", "aarch64")
SUPPORTED = sys.platform.startswith("linux") and platform.machine() in _MACHINES
_COLUMN = _MACHINES.index(platform.machine()) if SUPPORTED else 0

# Not released around a call: the launcher has one thread, and a clone must come back in the same one.
_libc = ctypes.PyDLL(None, use_errno=True)

CLONE_NEWNS = 0x0002_0000
CLONE_PARENT = 0x0000_8000
CLONE_NEWUTS = 0x0400_0000
CLONE_NEWIPC = 0x0800_0000
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWPID = 0x2000_0000
CLONE_NEWNET = 0x4000_0000
CLONE_NEWCGROUP = 0x0200_0000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x4_0000
_MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_LAST_CAPABILITY = 63
_CAPABILITIES_VERSION = 0x2008_0522

_CLONE = (56, 220)
_PIVOT_ROOT = (155, 41)
_SECCOMP = (317, 277)
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446


def _call(name: str, *arguments: object) -> int:
    result: int = getattr(_libc, name)(*arguments)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def _syscall(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    return _call("syscall", ctypes.c_long(number), *words)


def clone(flags: int) -> int:
    """Fork with these flags: 0 in the child, its process id in the caller. OSError where refused."""
    return _syscall(_CLONE[_COLUMN], flags, 0, 0, 0, 0)


def unshare(flags: int) -> None:
    _call("unshare", ctypes.c_int(flags))


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None = None) -> None:
    words = [None if one is None else os.fsencode(one) for one in (source, target, kind, options)]
    _call("mount", *words[:3], ctypes.c_ulong(flags), words[3])


def unmount(target: str) -> None:
    """Take away what is mounted there and below; who still uses it keeps it."""
    _call("umount2", os.fsencode(target), _MNT_DETACH)


def pivot_root(new: str, old: str) -> None:
    _syscall(_PIVOT_ROOT[_COLUMN], _text(new), _text(old))


def _text(value: str) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(os.fsencode(value))


def die_with_parent(signal: int) -> None:
    _call("prctl", _PR_SET_PDEATHSIG, ctypes.c_ulong(signal), 0, 0, 0)


def gain_nothing() -> None:
    """No program started from here can bring a capability that this process lacks."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            _call("prctl", _PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)
        except OSError:  # not ours to drop, or not known to this kernel
            break
    _call("prctl", _PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), 0, 0, 0)


def drop_capabilities() -> None:
    header = ctypes.create_string_buffer(struct.pack("Ii", _CAPABILITIES_VERSION, 0))
    _call("capset", header, ctypes.create_string_buffer(24))


# ------------------------------------------------------------------------------------------- landlock

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_RULE_PATH_BENEATH = 1
# The version of the interface -> how many rights on files it knows.
_RIGHTS = ((5, 16), (3, 15), (2, 14), (1, 13))
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6

READS = _READ_FILE | _READ_DIR
RUNS = READS | _EXECUTE
WRITES = (
    READS | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER
)  # no links, devices, pipes or sockets
DEVICE = _READ_FILE | _WRITE_FILE
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


def landlock_version() -> int:
    """The version of the kernel's interface. OSError where there is none."""
    return _syscall(_LANDLOCK_CREATE, None, 0, 1)


def landlock(paths: Iterable[tuple[str, int]]) -> None:
    """From now on this process reaches no files but these, each with its rights; no TCP; no signals out.

    The last two where the kernel knows how. OSError where landlock is missing.
    """
    version = landlock_version()
    rights = next(count for since, count in _RIGHTS if version >= since)
    known = (1 << rights) - 1
    words = [known]
    if version >= _NETWORK_SINCE:
        words.append(0b11)  # to bind and to connect
    if version >= _SCOPES_SINCE:
        words.append(0b11)  # abstract sockets and signals
    attributes = ctypes.create_string_buffer(struct.pack(f"{len(words)}Q", *words))
    rules = _syscall(_LANDLOCK_CREATE, attributes, 8 * len(words), 0)
    for path, wanted in paths:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        allowed = wanted & known
        if not os.path.isdir(path):  # noqa: PTH112 - pathlib would cost the launcher milliseconds
            allowed &= _OF_FILES
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, place))
        _syscall(_LANDLOCK_ADD, rules, _RULE_PATH_BENEATH, rule, 0)
        os.close(place)
    _syscall(_LANDLOCK_RESTRICT, rules, 0)
    os.close(rules)


# -------------------------------------------------------------------------------------------- seccomp

# What a media tool has no use for: ways out of the process, to other processes, and to rarely used parts of
# the kernel. Name -> number on x86-64 and on aarch64.
_REFUSED: dict[str, tuple[int, int]] = {
    "socket": (41, 198), "socketpair": (53, 199),
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "symlinkat": (266, 36), "mknodat": (259, 33),
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41),
    "mount": (165, 40), "umount2": (166, 39), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142),
    "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "quotactl": (179, 60),
}  # fmt: skip
_X86_REFUSED = (88, 133)  # symlink, mknod: aarch64 has only the later forms
_TGKILL = (234, 131)
_CLONE3 = 435
_ARCHITECTURE = (0xC000_003E, 0xC000_00B7)
_OTHER_TABLE = 0x4000_0000  # system calls of the x32 kind, by other numbers
_NEW_NAMESPACES = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET
)

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERROR = 0x7FFF_0000, 0x8000_0000, 0x0005_0000
_EPERM, _ENOSYS = 1, 38
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENT_AT = 0, 4, 16
_SET_MODE_FILTER, _FLAG_SPEC_ALLOW = 1, 4


def refuse_calls() -> None:
    """From now on system calls that a media tool does not need fail. OSError where that cannot be had."""
    program = _REFUSALS + _own_signals(os.getpid())
    code = ctypes.create_string_buffer(program, len(program))
    whole = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)))
    # Without this flag older kernels slow the whole process down, against a danger of scripts in browsers.
    _syscall(_SECCOMP[_COLUMN], _SET_MODE_FILTER, _FLAG_SPEC_ALLOW, whole)


_NO = (_RETURN, 0, 0, _ERROR | _EPERM)
_YES = (_RETURN, 0, 0, _ALLOW)
_Step = tuple[int, int, int, int]


def _packed(steps: Iterable[_Step]) -> bytes:
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _refusals() -> bytes:
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE_AT),
        (_EQUAL, 1, 0, _ARCHITECTURE[_COLUMN]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
    ]
    refused = [numbers[_COLUMN] for numbers in _REFUSED.values()]
    if _COLUMN == 0:
        refused += _X86_REFUSED
        steps += [(_AT_LEAST, 0, 1, _OTHER_TABLE), _NO]
    for number in refused:
        steps += [(_EQUAL, 0, 1, number), _NO]
    # Threads are welcome, namespaces are not. What clone3 is asked for cannot be looked at from here, and
    # libraries that miss it use clone.
    steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _ERROR | _ENOSYS)]
    steps += [(_EQUAL, 0, 4, _CLONE[_COLUMN]), (_LOAD, 0, 0, _ARGUMENT_AT), (_ANY_BIT, 0, 1, _NEW_NAMESPACES)]
    return _packed([*steps, _NO, _YES])


def _own_signals(own: int) -> bytes:
    """A library may abort its own process."""
    steps = [(_EQUAL, 0, 4, _TGKILL[_COLUMN]), (_LOAD, 0, 0, _ARGUMENT_AT), (_EQUAL, 1, 0, own), _NO, _YES]
    return _packed([*steps, _YES])


# The same for every tool, so it is put together once.
_REFUSALS = _refusals()
