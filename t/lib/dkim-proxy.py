#!/usr/bin/python3
"""A DKIM signing proxy, as one would write it: aiosmtpd takes the mail, dkimpy signs it, and it goes to
the next server; the client is told what that said.

    dkim-proxy.py LISTEN-PORT NEXT-PORT KEY-FILE SELECTOR DOMAIN [dsn] [plain]

dsn: it offers DSN (RFC 3461) and passes the parameters on.  plain: it signs nothing.
"""
import re
import signal
import smtplib
import sys
import threading

import dkim
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

listen_port, next_port, key_file, selector, domain = sys.argv[1:6]
passes_dsn = 'dsn' in sys.argv[6:]
signs = 'plain' not in sys.argv[6:]
with open(key_file, 'rb') as f:
    key = f.read()


class Server(SMTP):
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
        before = len(self.envelope.rcpt_tos)
        await super().smtp_RCPT(arg)
        if len(self.envelope.rcpt_tos) > before:
            self.rcpt_dsn.append(dsn)


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return responses[:-1] + (['250-DSN'] if passes_dsn else []) + responses[-1:]

    async def handle_DATA(self, server, session, envelope):
        mail = envelope.original_content
        if signs:
            mail = dkim.sign(mail, selector.encode(), domain.encode(), key) + mail
        options = [o for o in envelope.mail_options if o.upper() == 'BODY=8BITMIME']
        try:
            with smtplib.SMTP('127.0.0.1', int(next_port), timeout=60) as out:
                out.ehlo('proxy.localhost')
                dsn = passes_dsn and out.has_extn('dsn')
                self.check(out.mail(envelope.mail_from or '', options + (server.mail_dsn if dsn else [])))
                for i, rcpt in enumerate(envelope.rcpt_tos):
                    self.check(out.rcpt(rcpt, server.rcpt_dsn[i] if dsn else []))
                self.check(out.data(mail))
        except smtplib.SMTPResponseException as e:
            return '%d %s' % (e.smtp_code, e.smtp_error.decode('ascii', 'replace').replace('\n', ' '))
        except OSError as e:
            return '451 4.4.1 the next server: %s' % e
        return '250 2.0.0 signed and passed on'

    @staticmethod
    def check(reply):
        if reply[0] >= 400:
            raise smtplib.SMTPResponseException(*reply)


class Here(Controller):
    def factory(self):
        return Server(self.handler, enable_SMTPUTF8=False)


controller = Here(Handler(), hostname='127.0.0.1', port=int(listen_port))
controller.start()
print('ready', flush=True)
over = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: over.set())
over.wait()
controller.stop()
