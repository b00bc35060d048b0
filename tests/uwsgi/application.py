"""The application of the tests: answers who served the request."""
import os
import time
from urllib.parse import parse_qs

with open("release") as file:
    RELEASE = file.read().strip()

with open("flaw") as file:
    if file.read().strip() == "raises-at-boot":
        raise SystemExit("told to raise at boot")


def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(int(parse_qs(environ["QUERY_STRING"])["ms"][0]) / 1000)
    body = f"{RELEASE} {os.getpid()} {os.getppid()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
