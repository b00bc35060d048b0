"""The application of the tests: answers who served the request, and fails as the file `flaw` says."""
import os
import signal
import threading
import time
from urllib.parse import parse_qs

with open("release") as file:
    RELEASE = file.read().strip()

with open("flaw") as file:
    FLAW = file.read().strip()

if FLAW == "raises-at-boot":
    raise RuntimeError("told to raise at boot")

while FLAW == "hangs-at-boot":
    time.sleep(1)

if FLAW == "dies-after-boot":
    threading.Timer(2, os.kill, (os.getppid(), signal.SIGKILL)).start()


def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(int(parse_qs(environ["QUERY_STRING"])["ms"][0]) / 1000)
    status = "503 Not ready" if environ["PATH_INFO"] == "/up" and FLAW == "never-ready" else "200 OK"
    body = f"{RELEASE} {os.getpid()} {os.getppid()}\n".encode()
    start_response(status, [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
