"""A script for mitmdump under callgrind that starts counting instructions at a signal, and writes the count at another.

`callgrind_control` would stop the process with ptrace, which containers may forbid, and which hangs on a busy machine.
"""

import ctypes
import mmap
import signal

START, DUMP = signal.SIGRTMIN, signal.SIGRTMIN + 1
_DUMP_STATS, _START_INSTRUMENTATION = 0x43540000, 0x43540004
"""Client requests of `valgrind/callgrind.h`."""
_CODE = bytes.fromhex("4889f8 31d2 48c1c703 48c1c70d 48c1c73d 48c1c733 4887db c3")
"""x86-64: mov %rdi,%rax; xor %edx,%edx; the four rotations and the exchange that valgrind takes for a request; ret."""


def load(loader: object) -> None:
    """Set the handlers of both signals."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(_CODE)

    def request(number: int) -> None:
        code, arguments = ctypes.c_char.from_buffer(page), (ctypes.c_ulong * 6)(number)
        ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ctypes.addressof(code))(ctypes.addressof(arguments))

    signal.signal(START, lambda *_: request(_START_INSTRUMENTATION))
    signal.signal(DUMP, lambda *_: request(_DUMP_STATS))
