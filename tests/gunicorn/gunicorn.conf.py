# The server of the tests: configured as `deploy/` does it, with the pid file where all of our servers have theirs.
import os

if open("flaw").read().strip() == "refused":
    raise SystemExit("told to refuse the configuration")

with open(os.environ["DEPLOYED"]) as file:
    exec(compile(file.read().replace("/gunicorn.pid", "/unicorn.pid"), file.name, "exec"))

timeout = 60
