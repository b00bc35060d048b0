# Gunicorn, watched and restarted by Baton (dialect "gunicorn": SIGUSR2, at which a new master comes beside the old one).
#
# Start it as `gunicorn -c /srv/web/current/config/gunicorn.conf.py MODULE:APPLICATION`, as a daemon or not. The WEB_* variables
# are for trying it out in another place; a deployed service needs none of them.

import fcntl
import os
import random

root = os.environ.get("WEB_ROOT", "/srv/web/current")
run = os.environ.get("WEB_RUN", "/run/web")

# The symlink, not the release that it points to: a master started by SIGUSR2 goes where the link points by then.
chdir = root

bind = os.environ.get("WEB_LISTEN", "127.0.0.1:8080")
workers = int(os.environ.get("WEB_WORKERS", "4"))

# How long a worker may take to finish its requests when its master is told to leave: no longer than `drain` in agent.toml.
graceful_timeout = 30

# Where hold and the agent look for the master. The lock lies beside it. While two masters run, the new one's file ends in .2.
pidfile = f"{run}/gunicorn.pid"


# The lock: shared, taken once by each master before its first worker, and held until the last of its processes is gone.
#
# - In on_starting, which only a new master calls: what pre_fork or post_fork takes is not the master's, or is taken again by each.
# - A bare descriptor, and no file object: Python closes a file that nothing names, and closing is letting go.
# - LOCK_SH without LOCK_NB: the one who waits for this lock has it exclusively for a moment when it is free.
# - The random offset marks this one open file: the agent recognises it, and its proof rests on more than our word
#   (`Kept`, basis "marked"). Nobody reads or writes the file: an offset below 2^32 may come of that, and counts for nothing.
# - Python's descriptors are close-on-exec: no program that the application starts inherits it.
def on_starting(server):
    lock = os.open(f"{run}/gunicorn.pid.lock", os.O_RDWR | os.O_CREAT, 0o640)
    fcntl.flock(lock, fcntl.LOCK_SH)
    os.lseek(lock, random.SystemRandom().randrange(1 << 32, 1 << 43), os.SEEK_SET)
