"""The lives of messages and of the connections that they come and go by.

receive, submit, submit_to_list, report     a message comes in            E    O C U I
relay_attempt, rejected, guess_passwords    something is not let in       J X  O C U
spread                                      one file for the store, one for each host out there
convert, _expand, _process                  the channels inside pass it on: E and then D
deliver_here, deliver_away                  it goes out: D, or Q again and again, W, at last R (and a bounce) or K
"""

from __future__ import annotations

from collections.abc import Sequence

from shipper.generate.cast import DOMAIN, HOST, NODE, POSTMASTER, SERVER_IP, Remote, User
from shipper.generate.server import Life, Server, Thread
from shipper.generate.settings import QUEUE
from shipper.record import Connection, Header, Mta

Recipient = tuple[str, str]
"""(the original form of the envelope To: address, the current one)"""

_ACCOUNT = "inetmail"
_WAITS = (1800.0, 3600.0, 7200.0, 14400.0)
"""Seconds between tries; the last one again and again."""
_WARNINGS = (1, 2)
_GIVE_UP = 3
"""The `notices` of the channels: days after which the sender is told, and after which the message goes back."""

_SUBJECTS = (
    "Minutes of Monday's meeting", "Re: lunch?", "Invoice 40817", "[staff] Parking on Friday", "Fwd: travel plans", "Quarterly figures",
    "Re: Re: budget: second draft", "Welcome aboard", "Backup finished > 3 warnings", "=?iso-8859-1?Q?Gr=FC=DFe_aus_Z=FCrich?=",
    "Your order has been shipped", "Lost umbrella", "Agenda (final)", "Test", "Re: printer on 2nd floor",
)  # fmt: skip
_MAILERS = (
    "Sun Java(tm) System Messenger Express 6.2-3.04",
    "Mozilla/5.0 Thunderbird/1.0",
    "Microsoft Outlook, Build 10.0.2627",
    "mutt 1.4.2",
)
_BAD_COMMANDS = (
    ("HELP", "502 5.5.1 Unimplemented command."),
    ("EXPN staff", "502 5.5.1 EXPN command is disabled."),
    ("VRFY root", "252 2.5.0 Cannot VRFY user, but will accept message and attempt delivery."),
    ("GET / HTTP/1.0", '500 5.5.1 Unknown command "GET" specified'),
    ("XEXCH50 1024 2", '500 5.5.1 Unknown command "XEXCH50" specified'),
    ("MAIL FROM: bad@@example.net", "501 5.5.2 Syntax error in MAIL parameters."),
)
_FAILED_OPENS = (
    "TCP active open: Failed connect()    Error: Connection refused",
    "TCP active open: Failed connect()    Error: Connection timed out",
    "TCP active open: Failed connect()    Error: no route to host",
)
_TEMPORARY = (
    "smtp;450 4.7.1 {to}: greylisted, please try again in 10 minutes",
    "smtp;452 4.2.2 Mailbox of {to} is full",
    "smtp;451 4.3.0 Temporary lookup failure",
    "smtp;421 4.4.2 {mx} Error: timeout exceeded",
)
_PERMANENT = (
    "smtp;550 5.1.1 unknown or illegal user: {to}",
    "smtp;550 5.1.1 <{to}>... User unknown",
    "smtp; 553 unknown or illegal user: {to}",
    "smtp;554 5.7.1 Message refused: it looks like spam (score 9.3)",
    "smtp;552 5.3.4 Message size exceeds fixed maximum message size",
)
_REFUSALS = (
    "550 5.7.1 Relaying not permitted: {to}",
    "550 5.1.1 unknown or illegal alias: {to}",
    "550 5.7.1 Sender address refused: {to}",
    "452 4.2.2 user over quota: {to}",
)
_REJECTED_OPENS = (
    "554 5.7.1 Mail from {ip} refused, see the list of blocked hosts",
    "500 5.7.1 PORT_ACCESS: too many connections from [{ip}]",
    "421 4.3.2 No resources, try again later",
)


class Message:
    """A message: what its envelope says, and where it came from."""

    __slots__ = ("blocks", "born", "dns", "envelope", "id", "ip", "notary", "octets", "peer", "related", "sasl", "sender", "sensitivity")

    def __init__(self, server: Server, sender: str, message_id: str, octets: int, sasl: str = "") -> None:
        self.sender = sender
        self.id = message_id
        self.related = ""
        self.octets = octets
        self.blocks = (octets + 1023) // 1024
        self.sasl = sasl
        self.born = server.now
        self.envelope = f"{server.unique()}@{HOST}"
        self.notary = 22 if server.dice.random() < 0.8 else server.dice.pick((276, 278, 1))
        self.peer, self.dns, self.ip = HOST, "", ""


class Copy:
    """One message file in the queue of a channel, with those recipients that it is to go to by this channel (and, to a host, by this host)."""

    __slots__ = ("attempt", "born", "channel", "directory", "id", "message", "recipients", "remote")

    def __init__(self, server: Server, message: Message, channel: str, recipients: list[Recipient], remote: Remote | None = None) -> None:
        self.message = message
        self.channel = channel
        self.recipients = recipients
        self.remote = remote
        self.attempt = 1
        self.born = server.now
        self.id = f"{server.unique()}K4.00"
        self.directory = f"{QUEUE}/{channel}/{server.now % 20:03d}/Z"

    @property
    def file(self) -> str:
        return f"{self.directory}{chr(91 - self.attempt)}{self.id}"


class Session:
    """One SMTP connection. `channel` can change when the client authenticates; `sequence` of the thread counts what happens in it."""

    __slots__ = ("application", "channel", "direction", "local_ip", "local_port", "remote_ip", "remote_port", "thread")

    def __init__(
        self, thread: Thread, channel: str, direction: str, remote_ip: str, remote_port: int, local_port: int, application: str
    ) -> None:
        self.thread = thread
        self.channel = channel
        self.direction = direction
        self.local_ip = SERVER_IP if ":" not in remote_ip else "2001:db8:10::10"
        self.local_port = local_port
        self.remote_ip = remote_ip
        self.remote_port = remote_port
        self.application = application


def note(server: Server, session: Session, code: str, diagnostic: str = "", username: str = "", authenticated: bool = False) -> None:
    """Writes a connection record (O C X Y I U), if LOG_CONNECTION asks for it."""
    bits = server.connection_bits
    if not bits & (4 if code == "I" else 128 if code == "U" else 2):
        return
    thread = session.thread
    server.connection(
        Connection(
            time=server.time(), host=NODE, pid=thread.pid, thread=thread.thread, sequence=thread.sequence, code=code, action=code,
            source_channel=session.channel, direction=session.direction, transport="tcp", local_ip=session.local_ip,
            local_port=session.local_port, remote_ip=session.remote_ip, remote_port=session.remote_port, application=session.application,
            diagnostic=diagnostic, username=username, authenticated=authenticated,
        )
    )  # fmt: skip


def record(server: Server, code: str, source: str, destination: str, copy: Copy, to: Recipient, thread: Thread) -> Mta:
    """A record of what happens to a message file, for one recipient; not written yet."""
    message = copy.message
    sender = message.sender
    return Mta(
        time=server.time(), host=NODE, pid=thread.pid, thread=thread.thread, sequence=thread.sequence, code=code, action=code[0],
        source_channel=source, destination_channel=destination, size_blocks=message.blocks, sender=sender, null_sender=not sender,
        original_recipient=to[0], original_recipient_type="rfc822", recipient=to[1], notary_flags=message.notary, queue_file=copy.file,
        envelope_id=message.envelope, message_id=message.id, related_message_id=message.related, username=_ACCOUNT, priority="2",
        sensitivity="0", intermediate_address=to[0] if code[0] in "ED" and to[0] in server.cast.list_addresses else "",
    )  # fmt: skip


def enqueue(server: Server, code: str, source: str, copy: Copy, thread: Thread, session: Session | None = None) -> None:
    """Writes the E records of a message file."""
    message = copy.message
    for to in copy.recipients:
        line = record(server, code, source, copy.channel, copy, to, thread)
        line.remote_name, line.remote_dns, line.remote_ip = message.peer, message.dns, message.ip
        if message.sasl:
            line.username, line.authenticated = message.sasl, True
        if session is not None:
            line.transport, line.local_ip, line.local_port = "tcp", session.local_ip, session.local_port
            line.remote_ip, line.remote_port, line.application = session.remote_ip, session.remote_port, session.application
        server.mta(line)


def headers(server: Server, thread: Thread) -> None:
    """Writes header lines of a message that this thread takes in, if LOG_HEADER asks for it."""
    if server.settings.headers:
        dice = server.dice
        time = server.time()
        lines = [("Subject", dice.pick(_SUBJECTS))]
        if dice.chance(0.6):
            lines.append(("X-Mailer", dice.pick(_MAILERS)))
        for name, value in lines:
            server.mta(
                Header(
                    time=time, host=NODE, pid=thread.pid, thread=thread.thread, sequence=thread.sequence, header_name=name, header_value=value
                )
            )  # fmt: skip


def dequeue(
    server: Server, code: str, copy: Copy, to: Recipient, thread: Thread, diagnostic: str = "", session: Session | None = None
) -> None:
    """Writes a record of a try to get a message file out: D, Q, R, W, K or Z."""
    line = record(server, code, copy.channel, "", copy, to, thread)
    line.diagnostic = diagnostic
    line.queue_seconds = max(0, server.now - copy.born) // 100
    if code[0] in "QZ":
        line.size_blocks = 0 if session is None else line.size_blocks
    if session is not None and (remote := copy.remote) is not None:
        line.remote_dns, line.banner = remote.mx, remote.banner
        line.transport, line.local_ip, line.local_port = "tcp", session.local_ip, session.local_port
        line.remote_ip, line.remote_port = session.remote_ip, session.remote_port
        if server.settings.mta.get("LOG_REMOTE_MTA"):
            line.remote_mta = remote.mx
    server.mta(line)


def own_id(server: Server) -> str:
    return f"{server.unique()}@{HOST}"


def foreign_id(server: Server, domain: str) -> str:
    """A message id as one of many programs makes it."""
    dice = server.dice
    shape = dice.below(5)
    if shape == 0:
        return f"{dice.hex(8)}.{dice.hex(7)}@{domain}"
    if shape == 1:
        return f"00{dice.hex(4)}01c5{dice.hex(4)}${dice.hex(8)}${dice.hex(8)}@DESK{dice.below(90)}"
    if shape == 2:
        return f"{server.local():%Y%m%d%H%M%S}.GA{dice.below(30000)}@{domain}"
    if shape == 3:
        return f"{dice.below(90_000_000)}.{server.now}.JavaMail.root@app{dice.below(4)}.{domain}"
    return f"Pine.LNX.4.{dice.below(60)}.{dice.below(10**9)}@{domain}"


# Ways in


def receive(server: Server) -> Life:
    """A host out there brings mail: for users here, and for some that are not."""
    dice, cast = server.dice, server.cast
    remote = dice.favourite(cast.remotes)
    tls = remote.cipher if dice.chance(0.8) else ""
    session = _called(server, "tcp_local", remote.ip, 25, f"SMTP/{tls}" if tls else "SMTP")
    note(server, session, "O")
    if dice.chance(0.02) and remote.failing == "":
        yield dice.between(0.1, 2)
        session.thread.sequence += 1
        note(server, session, "I", f"ETRN {remote.domain}")
        yield dice.between(0.1, 1)
    code = (
        "E" + ("E" if remote.greets else "") + ("S" if tls else "") + ("C" if remote.greets and remote.cipher and dice.chance(0.1) else "")
    )
    for _ in range(1 + int(dice.wait(0.35))):
        yield dice.wait(1.2)
        session.thread.sequence += 1
        chance = dice.random()
        if chance < 0.012:
            _bad_commands(server, session)
            continue
        if chance < 0.022:
            _aborted(server, session, remote, code)
            break
        sender = "" if dice.chance(0.03) else dice.favourite(remote.people)
        message = Message(server, sender, foreign_id(server, remote.domain), dice.octets())
        message.peer, message.ip = remote.mx, remote.ip
        message.dns = remote.mx if remote.named else ""
        users = [dice.favourite(cast.users) for _ in range(1 if dice.chance(0.85) else 2 + dice.below(4))]
        if dice.chance(0.05):
            _refuse(server, session, message, code, [f"{dice.hex(5)}@{DOMAIN}" for _ in range(1 + dice.below(3))], _REFUSALS[1])
        to = list(dict.fromkeys(_mailbox(user) for user in users))
        if dice.chance(0.04):
            copy = Copy(server, message, "conversion", to)
            enqueue(server, code, session.channel, copy, session.thread, session)
            server.begin(convert(server, copy), dice.wait(2))
        else:
            copy = Copy(server, message, "ims-ms", to)
            enqueue(server, code, session.channel, copy, session.thread, session)
            server.begin(deliver_here(server, copy), dice.wait(0.8))
        headers(server, session.thread)
    yield dice.wait(0.4)
    session.thread.sequence += 1
    chance = dice.random()
    note(server, session, "C", "" if chance < 0.97 else "Timeout waiting for the client" if chance < 0.99 else "Connection reset by peer")


def submit(server: Server) -> Life:
    """A user here sends a message from a mail program, authenticated, or from a machine of the house."""
    dice, cast = server.dice, server.cast
    user = dice.favourite(cast.users)
    inside = user.ip.startswith("192.0.2.") and dice.chance(0.4)
    tls = "" if inside else dice.pick(("TLS-128-RC4", "TLS-256-AES", ""))
    session = _called(server, "tcp_intranet" if inside else "tcp_local", user.ip, 25 if inside else 587, f"SMTP/{tls}" if tls else "SMTP")
    note(server, session, "O")
    yield dice.between(0.05, 0.6)
    code = "E" if inside and dice.chance(0.3) else "EE"
    if not inside:
        if dice.chance(0.02):
            session.thread.sequence += 1
            note(server, session, "U", "535 5.7.8 Bad username or password (Authentication failed).", user.login)
            yield dice.between(2, 20)
        note(server, session, "U", "235 2.7.0 LOGIN authentication successful.", user.login, True)
        session.channel = "tcp_auth"
        code = "EESA" if tls else "EEA"
    for _ in range(1 + (dice.random() < 0.08)):
        yield dice.wait(0.5)
        session.thread.sequence += 1
        message = Message(server, user.address, foreign_id(server, DOMAIN), dice.octets(), "" if inside else user.login)
        message.peer, message.ip = f"desk{int(user.ip.rpartition('.')[2]) if '.' in user.ip else 7}.{DOMAIN}", user.ip
        message.dns = message.peer if inside else ""
        recipients = [_anyone(server) for _ in range(1 + int(dice.wait(0.45)))]
        spread(server, code, session.channel, message, recipients, session.thread, session)
        headers(server, session.thread)
    yield dice.wait(0.3)
    session.thread.sequence += 1
    note(server, session, "C")


def submit_to_list(server: Server) -> Life:
    """A user here writes to a mailing list: small ones are expanded at once, large ones by the reprocess channel."""
    dice, cast = server.dice, server.cast
    user = dice.favourite(cast.users)
    address, members = dice.pick(cast.lists)
    session = _called(server, "tcp_intranet", user.ip, 25, "SMTP")
    note(server, session, "O")
    yield dice.between(0.1, 1)
    session.thread.sequence += 1
    message = Message(server, user.address, foreign_id(server, DOMAIN), dice.octets())
    message.peer, message.dns, message.ip = f"desk.{DOMAIN}", "", user.ip
    recipients = [(address, _current(server, member)) for member in members]
    headers(server, session.thread)
    if len(members) < 12:
        spread(server, "EE", session.channel, message, recipients, session.thread, session)
    else:
        copy = Copy(server, message, "reprocess", [(address, address)])
        enqueue(server, "EE", session.channel, copy, session.thread, session)
        server.begin(_expand(server, copy, recipients), dice.between(0.2, 3))
    yield dice.wait(0.5)
    session.thread.sequence += 1
    note(server, session, "C")


def report(server: Server) -> Life:
    """A program on the server itself sends a report, by the channel `l`."""
    thread = server.inner.thread()
    message = Message(server, f"root@{HOST}", own_id(server), server.dice.octets())
    to = _anyone(server) if server.dice.chance(0.4) else server.dice.pick(((f"operator@{HOST}", "operator"), (POSTMASTER, "postmaster")))
    spread(server, "E", "l", message, [to], thread)
    yield 0


def relay_attempt(server: Server) -> Life:
    """Somebody tries to send mail through this server, or guesses addresses: several J records, of which the last one says so."""
    dice = server.dice
    ip = _stranger_ip(server)
    session = _called(server, "tcp_local", ip, 25, "SMTP")
    note(server, session, "O")
    yield dice.wait(0.7)
    session.thread.sequence += 1
    message = Message(server, f"{dice.hex(6)}@{dice.pick(server.cast.remotes).domain}", "", 0)
    message.peer, message.ip = dice.pick((f"[{ip}]", f"pc{dice.below(999)}.example.net", "localhost.localdomain")), ip
    refusal = _REFUSALS[dice.below(3)]
    for number in range(tries := 1 + dice.below(9)):
        relays = refusal is _REFUSALS[0]
        to = dice.favourite(dice.pick(server.cast.remotes).people) if relays else f"{dice.hex(4)}@{DOMAIN}"
        _refuse(server, session, message, "EE"[: 1 + dice.below(2)], [to], refusal, last=number == tries - 1)
        yield dice.between(0.1, 2)
    session.thread.sequence += 1
    note(server, session, "C", dice.pick(("", "Too many rejected recipients, session disconnected", "Connection reset by peer")))


def rejected(server: Server) -> Life:
    """A connection that is not let in."""
    ip = _stranger_ip(server)
    session = _called(server, "tcp_local", ip, 25, "SMTP")
    note(server, session, "X", server.dice.pick(_REJECTED_OPENS).format(ip=ip))
    server.debug("dispatcher", f"Access denied to {ip} port {session.remote_port} for service SMTP by PORT_ACCESS")
    yield 0


def guess_passwords(server: Server) -> Life:
    """Somebody tries many passwords by SMTP AUTH from one address."""
    dice = server.dice
    ip = _stranger_ip(server)
    for _ in range(3 + dice.below(12)):
        session = _called(server, "tcp_local", ip, 587, "SMTP")
        note(server, session, "O")
        for _ in range(1 + dice.below(3)):
            yield dice.between(0.2, 2)
            session.thread.sequence += 1
            name = dice.pick(("admin", "test", "info", dice.favourite(server.cast.users).login))
            note(server, session, "U", "535 5.7.8 Bad username or password (Authentication failed).", name)
        yield dice.between(0.1, 1)
        session.thread.sequence += 1
        note(server, session, "C", "Too many failed authentications, session disconnected")
        yield dice.between(1, 30)


# Inside


def spread(
    server: Server,
    code: str,
    source: str,
    message: Message,
    recipients: Sequence[Recipient],
    thread: Thread,
    session: Session | None = None,
) -> None:
    """Puts a message into the queues: one file for the message store, one for each host out there (`single_sys`)."""
    dice = server.dice
    here: list[Recipient] = []
    native: list[Recipient] = []
    away: dict[str, list[Recipient]] = {}
    for to in dict.fromkeys(recipients):
        if to[1].endswith("@ims-ms-daemon"):
            here.append(to)
        elif "@" not in to[1]:
            native.append(to)
        else:
            away.setdefault(to[1].rpartition("@")[2], []).append(to)
    if here:
        copy = Copy(server, message, "ims-ms", here)
        enqueue(server, code, source, copy, thread, session)
        server.begin(deliver_here(server, copy), dice.wait(0.8))
    if native:
        copy = Copy(server, message, "l", native)
        enqueue(server, code, source, copy, thread, session)
        server.begin(_deliver_native(server, copy), dice.wait(1))
    for domain, there in away.items():
        remote = server.cast.by_domain.get(domain)
        copy = Copy(server, message, remote.channel if remote else "tcp_local", there, remote)
        enqueue(server, code, source, copy, thread, session)
        server.begin(deliver_away(server, copy), dice.wait(2))


def _expand(server: Server, copy: Copy, recipients: Sequence[Recipient]) -> Life:
    """The reprocess channel puts a message to a list into the queues of the list's members."""
    thread = server.inner.thread()
    copy.message.peer, copy.message.dns, copy.message.ip = HOST, "", ""
    spread(server, "E", "reprocess", copy.message, recipients, thread)
    yield server.dice.wait(0.2)
    dequeue(server, "D", copy, copy.recipients[0], thread)


def convert(server: Server, copy: Copy) -> Life:
    """The conversion channel works on a message and passes it on."""
    yield server.dice.between(0.3, 4)
    thread = server.inner.thread()
    copy.message.peer, copy.message.dns, copy.message.ip = HOST, "", ""
    after = Copy(server, copy.message, "ims-ms", copy.recipients)
    enqueue(server, "E", "conversion", after, thread)
    server.begin(deliver_here(server, after), server.dice.wait(1))
    yield server.dice.wait(0.2)
    for to in copy.recipients:
        dequeue(server, "D", copy, to, thread)


def notify(server: Server, copy: Copy) -> None:
    """A bounce, or a warning: a notification to the sender, with a copy to the postmaster, by the process channel."""
    message = Message(server, "", own_id(server), copy.message.octets + 2400)
    message.related = copy.message.id
    sender = copy.message.sender
    notice = Copy(server, message, "process", [(sender, sender), (POSTMASTER, POSTMASTER)])
    enqueue(server, "E", copy.channel, notice, server.inner.thread())
    server.begin(_process(server, notice), server.dice.between(0.3, 2))


def _process(server: Server, copy: Copy) -> Life:
    thread = server.inner.thread()
    message = copy.message
    spread(server, "E", "process", message, [(to[0], _current(server, to[1])) for to in copy.recipients], thread)
    yield server.dice.wait(0.1)
    for to in copy.recipients:
        dequeue(server, "D", copy, to, thread)


# Ways out


def deliver_here(server: Server, copy: Copy) -> Life:
    """The channel ims-ms puts a message into the store; a mailbox that is full makes it wait."""
    dice = server.dice
    full: dict[str, int] = {}
    while True:
        thread = server.store.thread()
        thread.sequence = copy.attempt
        left = []
        for to in copy.recipients:
            user = server.cast.by_store.get(to[1])
            if copy.attempt == 1 and dice.chance(0.003):
                full[to[1]] = 2 + dice.below(5)
            if full.get(to[1], 0) >= copy.attempt:
                dequeue(server, "Q", copy, to, thread, "4.2.2 Over quota: the mailbox is full")
                left.append(to)
                continue
            dequeue(server, "D", copy, to, thread)
            if user is not None:
                server.trace(
                    "imta", "ims_master", thread.pid, f"append:{user.login}:user/{user.login}:{copy.message.octets}:<{copy.message.id}>"
                )
                user.inbox.append((copy.message.id, copy.message.octets))
        if not left:
            return
        if copy.attempt == 6:
            for to in left:
                if copy.message.sender:
                    dequeue(server, "R", copy, to, thread, "5.2.2 Over quota: the mailbox is full")
                else:
                    dequeue(server, "K", copy, to, thread, "5.2.2 Over quota: the mailbox is full")
            if copy.message.sender:
                notify(server, copy)
            return
        copy.recipients = left
        yield _WAITS[min(copy.attempt, len(_WAITS)) - 1] + dice.between(0, 300)
        copy.attempt += 1


def _deliver_native(server: Server, copy: Copy) -> Life:
    """The channel `l` puts a message into a mailbox of the system itself."""
    thread = server.inner.thread()
    for to in copy.recipients:
        dequeue(server, "D", copy, to, thread)
        yield server.dice.wait(0.05)


def deliver_away(server: Server, copy: Copy) -> Life:
    """An SMTP client channel sends a message out; it tries again for days, tells the sender that it does, and gives up."""
    dice = server.dice
    warned = 0
    jobs = dice.random() < 0.2
    if jobs:
        server.debug("job_controller", f"channel {copy.channel}: starting a job for 1 message")
    while True:
        age = (server.now - copy.born) // 8_640_000
        thread = server.client.thread()
        remote = copy.remote
        if remote is None:
            yield dice.between(0.5, 20)
            _fail(server, copy, copy.recipients, thread, "Illegal host/domain name found", None)
            return
        session = Session(thread, copy.channel, "out", remote.ip, 25, 32768 + dice.below(28000), f"SMTP/{remote.domain}/{remote.mx}")
        if remote.cipher and copy.attempt == 1:
            session.application += f"/{remote.cipher}"
        left: list[Recipient] = []
        if remote.down_until > server.now:
            yield dice.between(0.1, 60)
            note(server, session, "Y", remote.failing)
            for to in copy.recipients:
                dequeue(server, "Q", copy, to, thread, remote.failing)
            left = copy.recipients
        else:
            yield dice.between(0.1, 2)
            note(server, session, "O")
            yield dice.wait(1.5)
            thread.sequence += 1
            left = _hand_over(server, copy, session)
            yield dice.wait(0.2)
            thread.sequence += 1
            note(server, session, "C", "" if dice.chance(0.985) else "Lost connection while sending QUIT")
        if not left:
            return
        copy.recipients = left
        if age >= _GIVE_UP:
            _fail(server, copy, left, thread, "Unable to deliver message for 3 days, returning message", None)
            return
        if warned < len(_WARNINGS) and age >= _WARNINGS[warned]:
            while warned < len(_WARNINGS) and age >= _WARNINGS[warned]:
                warned += 1
            if copy.message.sender:
                notify(server, copy)
            for to in left:
                dequeue(server, "W", copy, to, thread, f"Unable to deliver message for {age} day{'s' if age > 1 else ''}, still trying")
        yield _WAITS[min(copy.attempt, len(_WAITS)) - 1] * dice.between(0.95, 1.1)
        copy.attempt = min(copy.attempt + 1, 26)


def _hand_over(server: Server, copy: Copy, session: Session) -> list[Recipient]:
    """What the other side says of each recipient; returns those that are to be tried again."""
    dice, remote, thread = server.dice, copy.remote, session.thread
    assert remote is not None
    done: list[Recipient] = []
    left: list[Recipient] = []
    lost: list[Recipient] = []
    reason = ""
    for to in copy.recipients:
        chance = dice.random()
        if chance < (0.02 if copy.attempt < 4 else 0.005):
            left.append(to)
        elif chance < 0.036:
            lost.append(to)
        else:
            done.append(to)
    code = "D" + ("E" if remote.greets else "") + ("S" if session.application.count("/") > 2 else "")
    for to in done:
        dequeue(server, code, copy, to, thread, remote.reply.format(to=to[1]), session)
    if left:
        reason = dice.pick(_TEMPORARY)
        partly = bool(done)
        if partly:
            copy.id = f"{server.unique()}K4.00"
        for to in left:
            dequeue(server, ("Z" if partly else "Q") + code[1:], copy, to, thread, reason.format(to=to[1], mx=remote.mx), session)
    if lost:
        _fail(server, copy, lost, thread, dice.pick(_PERMANENT), session)
    return left


def _fail(server: Server, copy: Copy, recipients: Sequence[Recipient], thread: Thread, reason: str, session: Session | None) -> None:
    """The end of the way for these recipients: the sender is told, unless there is none or it asked not to be."""
    message = copy.message
    silent = not message.sender or message.notary == 1
    if not silent:
        notify(server, copy)
    for to in recipients:
        dequeue(server, "K" if silent else "R", copy, to, thread, reason.format(to=to[1]), session)


def outages(server: Server) -> Life:
    """Hosts out there fail now and then, most for some hours, some for days."""
    dice = server.dice
    while True:
        remote = dice.pick(server.cast.remotes)
        hours = dice.wait(3) if dice.chance(0.9) else dice.between(20, 90)
        remote.down_until = server.now + int(hours * 360_000)
        remote.failing = dice.pick(_FAILED_OPENS)
        yield dice.wait(86400 * 8 / len(server.cast.remotes))


def backlog(server: Server, messages: int) -> Life:
    """What waits in the queue when the log begins: messages that were tried before."""
    dice = server.dice
    for _ in range(messages):
        user = dice.favourite(server.cast.users)
        remote = dice.pick(server.cast.remotes)
        age = dice.between(0.1, 3.2)
        hours = dice.between(12, 60) if age > 1.5 and dice.chance(0.6) else dice.between(0.2, 9)
        remote.down_until = max(remote.down_until, server.now + int(hours * 360_000))
        remote.failing = remote.failing or dice.pick(_FAILED_OPENS)
        to = dice.favourite(remote.people)
        server.now, now = server.now - int(age * 8_640_000), server.now  # its names are of the time when it came
        message = Message(server, user.address, foreign_id(server, DOMAIN), dice.octets())
        copy = Copy(server, message, remote.channel, [(to, to)], remote)
        server.now = now
        copy.attempt = min(26, 3 + int(age * 6))
        server.begin(deliver_away(server, copy), dice.between(0, 14400))
        yield 0


# Who and where


def _called(server: Server, channel: str, ip: str, port: int, application: str) -> Session:
    """A connection from outside to the SMTP server."""
    return Session(server.smtp.thread(), channel, "in", ip, 1024 + server.dice.below(64000), port, application)


def _stranger_ip(server: Server) -> str:
    dice = server.dice
    if dice.chance(0.05):
        return f"2001:db8:{dice.hex(4)}::{1 + dice.below(9000):x}"
    return f"{dice.pick(('198.51.100', '203.0.113'))}.{1 + dice.below(254)}"


def _mailbox(user: User) -> Recipient:
    return user.address, user.store


def _current(server: Server, address: str) -> str:
    """The current form of an address: a mailbox of the store for a user here."""
    if address == POSTMASTER:
        return "postmaster"
    user = server.cast.by_address.get(address)
    return user.store if user else address


def _anyone(server: Server) -> Recipient:
    """Somebody whom a user here writes to: a colleague, somebody out there, at times at a place that does not exist."""
    dice = server.dice
    chance = dice.random()
    if chance < 0.35:
        return _mailbox(dice.favourite(server.cast.users))
    if chance < 0.995:
        remote = dice.favourite(server.cast.remotes)
        address = dice.favourite(remote.people)
        if remote.channel != "tcp_local" and chance > 0.9:
            return address, f"@gateway.{remote.domain}:{address}"
        return address, address
    address = f"info@{dice.hex(4)}.invalid"
    return address, address


def _refuse(server: Server, session: Session, message: Message, code: str, to: Sequence[str], refusal: str, last: bool = False) -> None:
    """J records: recipients that are not taken."""
    thread = session.thread
    for address in to:
        line = Mta(
            time=server.time(), host=NODE, pid=thread.pid, thread=thread.thread, sequence=thread.sequence, code="J" + code[1:], action="J",
            source_channel=session.channel, size_blocks=0, sender=message.sender, null_sender=not message.sender,
            original_recipient_type="rfc822", recipient=address, remote_name=message.peer, remote_dns=message.dns, remote_ip=message.ip,
            transport="tcp", local_ip=session.local_ip, local_port=session.local_port, remote_port=session.remote_port,
            application=session.application, diagnostic=refusal.format(to=address) + (" (last of this session)" if last else ""),
        )  # fmt: skip
        line.username = _ACCOUNT
        server.mta(line)


def _bad_commands(server: Server, session: Session) -> None:
    """B records: commands that the server does not know, or not there."""
    thread = session.thread
    for _ in range(1 + server.dice.below(2)):
        command, reply = server.dice.pick(_BAD_COMMANDS)
        server.mta(
            Mta(
                time=server.time(), host=NODE, pid=thread.pid, thread=thread.thread, sequence=thread.sequence, code="B", action="B",
                source_channel=session.channel, size_blocks=0, null_sender=True, original_recipient_type="rfc822", bad_command=command,
                diagnostic=reply,
            )
        )  # fmt: skip


def _aborted(server: Server, session: Session, remote: Remote, code: str) -> None:
    """A V record: the other side went away in the middle of a message."""
    thread = session.thread
    server.mta(
        Mta(
            time=server.time(), host=NODE, pid=thread.pid, thread=thread.thread, sequence=thread.sequence, code="V" + code[1:], action="V",
            source_channel=session.channel, size_blocks=0, sender=server.dice.favourite(remote.people), original_recipient_type="rfc822",
            username=_ACCOUNT, remote_name=remote.mx, remote_ip=remote.ip, remote_dns=remote.mx if remote.named else "",
            transport="tcp", local_ip=session.local_ip, local_port=session.local_port, remote_port=session.remote_port,
            application=session.application, diagnostic="data/big_smtp_read Error reading SMTP packet",
        )
    )  # fmt: skip
