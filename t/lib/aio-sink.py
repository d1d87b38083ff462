#!/usr/bin/python3
"""A mail server of aiosmtpd that keeps what it gets, a line of JSON each.

    aio-sink.py PORT FILE [utf8] [dsn] [lmtp] [7bit]

utf8: it offers SMTPUTF8.  dsn: it offers DSN.  7bit: it offers no 8BITMIME.
"""
import json
import re
import signal
import sys
import threading

from aiosmtpd.controller import Controller
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

port, path, words = int(sys.argv[1]), sys.argv[2], sys.argv[3:]


class Parameters:
    """aiosmtpd knows no DSN: its parameters are put aside before it looks."""

    def cut(self, arg):
        found = re.findall(r' (?:RET|ENVID|NOTIFY|ORCPT)=\S+', arg or '')
        for parameter in found:
            arg = arg.replace(parameter, '', 1)
        return arg, [p.strip() for p in found]

    async def smtp_MAIL(self, arg):
        arg, self.mail_dsn = self.cut(arg)
        self.rcpt_dsn = []
        await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg):
        arg, dsn = self.cut(arg)
        self.rcpt_dsn += dsn
        await super().smtp_RCPT(arg)


class SmtpServer(Parameters, SMTP):
    pass


class LmtpServer(Parameters, LMTP):
    pass


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        if '7bit' in words:
            responses = [r for r in responses if r[4:] != '8BITMIME']
        return responses[:-1] + (['250-DSN'] if 'dsn' in words else []) + responses[-1:]

    async def handle_DATA(self, server, session, envelope):
        with open(path, 'a', encoding='ascii') as f:
            f.write(json.dumps({
                'from': envelope.mail_from, 'to': envelope.rcpt_tos, 'options': envelope.mail_options,
                'utf8': envelope.smtp_utf8, 'dsn': server.mail_dsn + server.rcpt_dsn,
                'mail': envelope.original_content.decode('utf-8', 'surrogateescape')}) + '\n')
        return '250 2.0.0 kept'


class Sink(Controller):
    def factory(self):
        server = LmtpServer if 'lmtp' in words else SmtpServer
        return server(self.handler, enable_SMTPUTF8='utf8' in words, hostname='sink.example')


sink = Sink(Handler(), hostname='127.0.0.1', port=port)
ended = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: ended.set())
sink.start()
print('ready', flush=True)
ended.wait()
sink.stop()
