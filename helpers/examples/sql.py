#!/usr/bin/env python3
"""Aliases, domains, users and sender addresses from an SQLite database.  Python 3, nothing else.

    table db command "/usr/local/libexec/tabmail/sql.py /var/lib/mail/mail.sqlite" cache 30s
    accept from any for domain <db> alias <db> userbase <db> deliver to maildir

The tables (change the statements below to fit yours):

    CREATE TABLE alias (name TEXT COLLATE NOCASE, destination TEXT);  -- a row for each destination
    CREATE TABLE domain (name TEXT COLLATE NOCASE PRIMARY KEY);
    CREATE TABLE user (name TEXT COLLATE NOCASE PRIMARY KEY, hash TEXT, uid INT, gid INT, home TEXT);
    CREATE TABLE sender (user TEXT COLLATE NOCASE, address TEXT);

For PostgreSQL: psycopg.connect(...) in place of sqlite3.connect, %s in place of ?, string_agg in place
of group_concat, psycopg.Error in place of sqlite3.Error.
"""
import os
import sqlite3
import sys

# The key goes in by the ?, never into the text: it is what a stranger wrote into RCPT TO.
# One row with one column is the answer; no row, or NULL, is not-found.
STATEMENTS = {
    ("lookup", "alias"): "SELECT group_concat(destination, ', ') FROM alias WHERE name = ?",
    ("check", "domain"): "SELECT 1 FROM domain WHERE name = ?",
    ("lookup", "userinfo"): "SELECT uid || ':' || gid || ':' || home FROM user WHERE name = ?",
    ("lookup", "credentials"): "SELECT name || ':' || hash FROM user WHERE name = ?",
    ("lookup", "mailaddrmap"): "SELECT group_concat(address, ', ') FROM sender WHERE user = ?",
}

path = sys.argv[1]
db = None


def select(statement, key):
    """The value or None.  Opens the database when there is none: after an error we begin anew."""
    global db
    if db is None:
        # Read only: a wrong path is an error then, not a new and empty database in which nobody exists.
        db = sqlite3.connect("file:" + path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
                             + "?mode=ro", uri=True, timeout=5)
    row = db.execute(statement, (key,)).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def attempt(work):
    """What work() gives, or error|reason: never not-found when the database cannot tell, for then mail
    bounces; with an error it waits."""
    global db
    try:
        return work()
    except sqlite3.Error as e:
        if db is not None:
            db.close()
        db = None
        reason = " ".join(str(e).split())
        print(reason, file=sys.stderr, flush=True)  # the daemon logs it under the table's name
        return "error|" + reason


def answer(op, service, key):
    try:
        key.encode("utf-8")
    except UnicodeEncodeError:
        return "not-found"  # no text in the database is not UTF-8
    value = select(STATEMENTS[op, service], key)
    if value is None:
        return "not-found"
    if op == "check":
        return "found"
    if value == "" or any(c in value for c in "\r\n\0"):
        return "error|the database holds a value that cannot be sent"
    return "found|" + value


def check_all():
    for statement in STATEMENTS.values():
        select(statement, "")
    return "ok"


def serve():
    for line in sys.stdin:
        if not line.endswith("\n"):
            return  # cut off: the daemon is gone
        # table|0.1|TIME|TABLE|OP|SERVICE|ID|KEY; cut seven times, for a key may hold '|'.
        field = line.rstrip("\n").split("|", 7)
        if field[:2] == ["config", "ready"]:
            services = sorted({service for _, service in STATEMENTS})
            say(*("register|" + s + "\n" for s in services), "register|ready")
        elif field[0] != "table":
            continue
        elif field[4] == "update":
            say("update-result|", field[5], "|", attempt(check_all))
        elif tuple(field[4:6]) in STATEMENTS:
            outcome = attempt(lambda: answer(field[4], field[5], field[7]))
            say(field[4], "-result|", field[6], "|", outcome)
        elif field[4] in ("check", "lookup", "fetch"):
            say(field[4], "-result|", field[6], "|error|not served here")


def say(*parts):
    """A line, at once: what waits in a buffer is an answer that is late."""
    print(*parts, sep="", flush=True)


# A line ends at LF and nowhere else; bytes that are no UTF-8 come through as they are.
sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape", newline="\n")
try:
    serve()
except ConnectionError:
    os._exit(0)  # the daemon is gone, and did not wait for its answers
