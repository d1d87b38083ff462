#!/usr/bin/python3
"""A mail server of aiosmtpd that keeps what it gets, a line of JSON each.

    aio-sink.py PORT FILE [utf8] [dsn] [lmtp] [7bit]

utf8: it offers SMTPUTF8.  dsn: it offers DSN.  7bit: it offers no 8BITMIME.
"""
import json
import sys

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

from peer import DsnParameters, offer_dsn, serve

port, path, words = int(sys.argv[1]), sys.argv[2], sys.argv[3:]


class SmtpServer(DsnParameters, SMTP):
    pass


class LmtpServer(DsnParameters, LMTP):
    pass


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        if '7bit' in words:
            responses = [r for r in responses if r[4:] != '8BITMIME']
        return offer_dsn(responses) if 'dsn' in words else responses

    async def handle_DATA(self, server, session, envelope):
        with open(path, 'a', encoding='ascii') as f:
            f.write(json.dumps({
                'from': envelope.mail_from, 'to': envelope.rcpt_tos, 'options': envelope.mail_options,
                'utf8': envelope.smtp_utf8, 'dsn': server.mail_dsn + sum(server.rcpt_dsn, []),
                'mail': envelope.original_content.decode('utf-8', 'surrogateescape')}) + '\n')
        return '250 2.0.0 kept'


kind = LmtpServer if 'lmtp' in words else SmtpServer
serve(lambda handler: kind(handler, enable_SMTPUTF8='utf8' in words, hostname='sink.example'), Handler(), port)
