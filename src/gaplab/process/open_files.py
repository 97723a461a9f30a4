"""How many files this process may hold open: the lock of every run that it trains is one."""

import resource

MOST = 65_536
RESERVED = 128
"""Open files for everything but locks: libraries, event files, pipes to other processes."""


def most_locks() -> int:
    """Raise the limit of open files as far as a user may; return how many locks that leaves room for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(1, (MOST if soft == resource.RLIM_INFINITY else soft) - RESERVED)
