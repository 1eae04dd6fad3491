"""An SMTP server for tests: aiosmtpd on a loopback port.

It says what happens as JSON lines on standard output, takes commands as JSON lines on standard input,
and ends with that input. A command is {"step": STEP, "answer": TEXT or null, "times": N}: the next N
times that a client comes to STEP (EHLO, HELO, MAIL, RCPT, DATA) it gets that answer, or none at all.
"""

import argparse
import asyncio
import email
import email.header
import email.policy
import email.utils
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

arguments = argparse.ArgumentParser()
arguments.add_argument("--port", type=int, required=True)
arguments.add_argument("--tls", choices=["none", "starttls", "implicit"], default="none")
arguments.add_argument("--certificate")
arguments.add_argument("--key")
arguments.add_argument("--username")
arguments.add_argument("--password")
arguments = arguments.parse_args()

# Clients that break off are what the tests are about.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)
warnings.simplefilter("ignore")

orders = {}


def say(event, **details):
    print(json.dumps({"event": event, **details}), flush=True)


async def ordered(step):
    """What was ordered for a step: an answer, or None for the usual one."""
    if not orders.get(step):
        return None
    answer = orders[step].pop(0)
    say("ordered", step=step, answer=answer)
    if answer is None:
        await asyncio.Event().wait()
    return answer


class Handler:
    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        answer = await ordered("EHLO")
        return responses if answer is None else [answer]

    async def handle_HELO(self, server, session, envelope, hostname):
        session.host_name = hostname
        return await ordered("HELO") or "250 mail.test"

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = await ordered("MAIL")
        if answer is None:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return answer or "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        answer = await ordered("RCPT")
        if answer is None:
            envelope.rcpt_tos.append(address)
        return answer or "250 OK"

    async def handle_DATA(self, server, session, envelope):
        answer = await ordered("DATA")
        if answer is not None:
            return answer
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = lambda kind: message.get_body((kind,)).get_content()
        say(
            "mail",
            mail_from=envelope.mail_from,
            rcpt_tos=envelope.rcpt_tos,
            options=envelope.mail_options,
            hello=session.host_name,
            extended=session.extended_smtp,
            tls=session.ssl is not None or arguments.tls == "implicit",
            login=session.auth_data,
            sender=sender(envelope.content),
            headers=[[name, str(value)] for name, value in message.items()],
            text=body("plain"),
            html=body("html"),
        )
        return "250 OK"


def sender(content):
    """Name and address; of the newer policy, encoded words in a row come out with spaces between."""
    name, address = email.utils.parseaddr(email.message_from_bytes(content)["From"])
    return [str(email.header.make_header(email.header.decode_header(name))), address]


def authenticate(server, session, envelope, mechanism, data):
    known = (data.login.decode(), data.password.decode()) == (arguments.username, arguments.password)
    say("login", mechanism=mechanism, known=known)
    if not known:
        return AuthResult(success=False, handled=False)
    return AuthResult(success=True, auth_data=data.login.decode())


def factory(context):
    return SMTP(
        Handler(),
        hostname="mail.test",
        enable_SMTPUTF8=True,
        tls_context=context if arguments.tls == "starttls" else None,
        require_starttls=arguments.tls == "starttls",
        authenticator=authenticate,
        auth_required=arguments.username is not None,
        auth_require_tls=arguments.tls == "starttls",
    )


async def take_orders(loop):
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        orders.setdefault(order["step"], []).extend([order["answer"]] * order["times"])
        say("taken")


async def main():
    loop = asyncio.get_running_loop()
    context = None
    if arguments.tls != "none":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate, arguments.key)
    implicit = context if arguments.tls == "implicit" else None
    server = await loop.create_server(lambda: factory(context), "127.0.0.1", arguments.port, ssl=implicit)
    say("listening", port=server.sockets[0].getsockname()[1])
    await take_orders(loop)


asyncio.run(main())
