#!/usr/bin/python3
"""A DKIM signing proxy, as one would write it: aiosmtpd takes the mail, dkimpy signs it, and it goes to
the next server; the client is told what that said.

    dkim-proxy.py LISTEN-PORT NEXT-PORT KEY-FILE SELECTOR DOMAIN [dsn] [plain]

dsn: it offers DSN (RFC 3461) and passes the parameters on.  plain: it signs nothing.
"""
import smtplib
import sys

import dkim
from aiosmtpd.smtp import SMTP

from peer import DsnParameters, offer_dsn, serve

listen_port, next_port, key_file, selector, domain = sys.argv[1:6]
passes_dsn = 'dsn' in sys.argv[6:]
signs = 'plain' not in sys.argv[6:]
with open(key_file, 'rb') as f:
    key = f.read()


class Server(DsnParameters, SMTP):
    pass


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        return offer_dsn(responses) if passes_dsn else responses

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


serve(lambda handler: Server(handler, enable_SMTPUTF8=False), Handler(), int(listen_port))
