"""How the C library treats freed memory."""

import ctypes
import os

KEPT = 2**30  # bytes
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # of mallopt, see its manual page


def keep_freed_memory() -> bool:
    """Lets glibc keep freed activations for the next ones, up to 1 GiB of them, instead of mapping fresh pages.

    As it comes, glibc gives large blocks back to the system at once, and every page of the next ones costs a fault: up
    to half of a prediction's time on a CPU. This concerns the whole process, so programs call it, imports do not. The
    environment's ``MALLOC_...`` variables go first.

    Returns:
        Whether it is in effect; False with other C libraries.
    """
    if any(name.startswith('MALLOC_') for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
        ctypes.CDLL(None).gnu_get_libc_version  # noqa: B018 (musl has a mallopt that does nothing)
    except (AttributeError, OSError, TypeError):
        return False
    unmapped = mallopt(_M_MMAP_THRESHOLD, KEPT) or mallopt(_M_MMAP_MAX, 0)  # an older glibc takes no such threshold
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT) and unmapped)
