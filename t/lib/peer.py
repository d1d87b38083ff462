"""What the servers of aiosmtpd here share: the parameters of DSN, which it does not know, and a life until SIGTERM."""
import re
import signal
import threading

from aiosmtpd.controller import Controller


class DsnParameters:
    """They are put aside before aiosmtpd looks: mail_dsn, and rcpt_dsn, a list for each recipient it took."""

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


def offer_dsn(responses):
    """To an answer to EHLO, whose last line stays the last."""
    return responses[:-1] + ['250-DSN'] + responses[-1:]


def serve(server, handler, port):
    """Says "ready" when it listens; server(handler) makes that of a session."""
    class Here(Controller):
        def factory(self):
            return server(self.handler)

    controller = Here(handler, hostname='127.0.0.1', port=port)
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    controller.start()
    print('ready', flush=True)
    ended.wait()
    controller.stop()
