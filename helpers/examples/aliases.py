#!/usr/bin/env python3
"""Aliases from a web service, many asked at the same time.  Python 3, nothing else.

    table people command "/usr/local/libexec/tabmail/aliases.py http://127.0.0.1:8080/alias/"
    accept from any for domain example.org alias <people> deliver to maildir

GET URL + KEY is to give 200 and the destinations as text, commas or line ends between them, or
204 ("No Content") when there is no such alias.

A web service may take its time.  So a thread asks for each key, and answers come in the order in which
they are known: a slow one holds up nobody.
"""
import os
import sys
import threading
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

THREADS = 32  # questions at the service at once
WAITING = 1000  # beyond so many we read no more; the daemon's max-pending (512) is below
TIMEOUT = 10  # seconds for the service to say something; below the table's `timeout` (30)
VALUE_MAX = 60000

url = sys.argv[1]
pool = ThreadPoolExecutor(THREADS)
room = threading.Semaphore(WAITING)
one_writes = threading.Lock()


def say(line):
    """One line as a whole, at once: what waits in a buffer is an answer that is late."""
    with one_writes:
        try:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
        except ConnectionError:
            os._exit(0)  # the daemon is gone, and did not wait for its answers


def ask_service(key):
    with urllib.request.urlopen(url + urllib.parse.quote(key, safe=""), timeout=TIMEOUT) as page:
        if page.status == 204:
            return b"not-found"
        if page.status != 200:
            raise RuntimeError("status %d" % page.status)
        text = page.read(VALUE_MAX + 1)
    value = b", ".join(part.strip() for part in text.split(b"\n") if part.strip())
    if value == b"" or len(text) > VALUE_MAX or b"\r" in value or b"\0" in value:
        raise RuntimeError("no list of destinations")
    return b"found|" + value


def lookup_alias(ident, key):
    try:
        outcome = ask_service(key)
    except Exception as e:
        # Down, late, or nonsense: an error, and the mail waits.  Never not-found, that would bounce it.
        # 404 comes here, too: it is what any web server says where the service is not installed.
        reason = " ".join(str(e).split())[:200].encode("utf-8", "replace")
        outcome = b"error|" + reason.replace(b"\0", b"?")
    finally:
        room.release()
    say(b"lookup-result|" + ident + b"|" + outcome)


def serve():
    # Bytes, not text: a key need not be UTF-8.
    for line in sys.stdin.buffer:
        if not line.endswith(b"\n"):
            return  # cut off: the daemon is gone
        # table|0.1|TIME|TABLE|OP|SERVICE|ID|KEY; cut seven times, for a key may hold '|'.
        field = line.rstrip(b"\n").split(b"|", 7)
        if field[:2] == [b"config", b"ready"]:
            say(b"register|alias\nregister|ready")
        elif field[0] != b"table":
            continue
        elif field[4] == b"update":
            say(b"update-result|" + field[5] + b"|ok")  # nothing is kept here, so nothing is old
        elif field[4:6] == [b"lookup", b"alias"]:
            room.acquire()
            pool.submit(lookup_alias, field[6], field[7])
        elif field[4] in (b"check", b"lookup", b"fetch"):
            say(field[4] + b"-result|" + field[6] + b"|error|not served here")


try:
    serve()
except ConnectionError:
    os._exit(0)

# The daemon has closed the pipe.  What it asked before gets five seconds.
overtime = threading.Timer(5, os._exit, [0])
overtime.daemon = True
overtime.start()
pool.shutdown()
os._exit(0)
