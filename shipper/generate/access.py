"""The lives of those who read their mail: logins, what is fetched and expunged, and the end of the session; and of those who may not."""

from __future__ import annotations

from shipper.generate.cast import DOMAIN, User
from shipper.generate.dice import Dice
from shipper.generate.mail import own_id
from shipper.generate.server import Life, Program, Server

_FOLDERS = ("Sent", "Sent Messages", "Drafts", "Trash", "Archive/2005", "Project: Aurora", "Lists/dev team")
_PROCESS = {"imap": "imapd", "pop": "popd", "http": "mshttpd"}


def read_mail(server: Server) -> Life:
    """A user reads mail the way this user does."""
    user = server.dice.favourite(server.cast.users)
    if user.state:
        return _disabled(server, user)
    return _imap(server, user) if user.reads == "imap" else _pop(server, user) if user.reads == "pop" else _http(server, user)


def _peer(dice: Dice, user: User) -> str:
    return f"[{user.ip}:{1024 + dice.below(64000)}]"


def _login(server: Server, service: str, pid: int, peer: str, user: User) -> None:
    process = _PROCESS[service]
    mechanism = "plaintext" if service != "imap" or server.dice.random() < 0.8 else "CRAM-MD5"
    message = f"login {peer} {user.login} {mechanism}"
    server.service(service, process, pid, "Account", "Information", message)
    if server.settings.trace == "msgtrace":
        server.service("msgtrace", process, pid, "Account", "Information", message)


def _close(
    server: Server, service: str, pid: int, peer: str, user: str, begun: str, start: int, octets: tuple[int, int], boxes: int
) -> None:
    seconds = (server.now - start) // 100
    spent = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    message = f"close {peer} {user} {begun} {spent} {octets[0]} {octets[1]} {boxes}"
    server.service(service, _PROCESS[service], pid, "Account", "Notice", message)


def _imap(server: Server, user: User) -> Life:
    """Looks at what is new, puts some of it away, writes something to a folder, and stays for a while."""
    dice = server.dice
    pid, peer = server.imapd.pid(), _peer(dice, user)
    start, begun = server.now, server.session_start()
    if dice.chance(0.02):
        _badlogin(server, "imap", pid, peer, user.login, "authentication failure")
        yield dice.between(2, 12)
    _login(server, "imap", pid, peer, user)
    sent, received, boxes = 120, 900, 1
    for _ in range(1 + dice.below(3)):
        while user.inbox:
            message, octets = user.inbox.popleft()
            yield dice.between(0.02, 0.4)
            server.trace("imap", "imapd", pid, f"fetch:{user.login}:user/{user.login}:<{message}>")
            sent, received = sent + 60, received + octets
            user.seen.append((message, octets))
        if user.seen and dice.chance(0.5):
            message, octets = user.seen.popleft()
            yield dice.between(1, 40)
            folder = f"user/{user.login}"
            if dice.chance(0.4):
                boxes += 1
                folder += "/" + dice.pick(_FOLDERS)
                server.trace("imap", "imapd", pid, f"append:{user.login}:{folder}:{octets}:<{message}>")
                sent += octets
            server.trace("imap", "imapd", pid, f"expunge:user/{user.login}:<{message}>")
        if dice.chance(0.4):
            break
        yield dice.wait(400)
    yield dice.wait(500)
    _close(server, "imap", pid, peer, user.login, begun, start, (sent, received), boxes)


def _pop(server: Server, user: User) -> Life:
    """Takes all that is new, and deletes it here."""
    dice = server.dice
    pid, peer = server.popd.pid(), _peer(dice, user)
    start, begun = server.now, server.session_start()
    if dice.chance(0.01):
        _badlogin(server, "pop", pid, peer, user.login, "authentication failure")
        yield dice.between(1, 5)
    _login(server, "pop", pid, peer, user)
    sent, received = 60, 180
    taken = []
    while user.inbox:
        message, octets = user.inbox.popleft()
        yield dice.between(0.01, 0.2)
        server.trace("pop", "popd", pid, f"fetch:{user.login}:user/{user.login}:<{message}>")
        sent, received = sent + 22, received + octets
        taken.append(message)
    yield dice.between(0.05, 1.5)
    for message in taken:
        server.trace("pop", "popd", pid, f"expunge:user/{user.login}:<{message}>")
    _close(server, "pop", pid, peer, user.login, begun, start, (sent, received), 1)


def _http(server: Server, user: User) -> Life:
    """Reads in the browser, and writes a message there now and then."""
    dice = server.dice
    pid, peer = server.mshttpd.pid(), _peer(dice, user)
    start, begun = server.now, server.session_start()
    _login(server, "http", pid, peer, user)
    sent, received = 400, 5200
    while user.inbox:
        message, octets = user.inbox.popleft()
        yield dice.between(2, 60)
        server.trace("http", "mshttpd", pid, f"fetch:{user.login}:user/{user.login}:<{message}>")
        sent, received = sent + 300, received + octets
        user.seen.append((message, octets))
    if dice.chance(0.3):
        yield dice.wait(90)
        server.service("http", "mshttpd", pid, "Account", "Information", f"{user.login}{peer} created message <{own_id(server)}>")
    yield dice.wait(200)
    _close(server, "http", pid, peer, user.login, begun, start, (sent, received), 1)


def _badlogin(server: Server, service: str, pid: int, peer: str, name: str, reason: str) -> None:
    server.service(service, _PROCESS[service], pid, "Account", "Notice", f"badlogin: {peer} plaintext {name} {reason}")


def _unauthenticated(server: Server, service: str, pid: int, peer: str, begun: str, start: int) -> None:
    _close(server, service, pid, peer, "[unauthenticated]", begun, start, (server.dice.below(90), 80 + server.dice.below(200)), 0)


def _disabled(server: Server, user: User) -> Life:
    """The mail program of a user whose account is on hold, or inactive, tries again and again."""
    dice = server.dice
    pid, peer = server.imapd.pid(), _peer(dice, user)
    start, begun = server.now, server.session_start()
    for _ in range(1 + dice.below(3)):
        _badlogin(server, "imap", pid, peer, user.login, f"account disabled ({user.state})")
        yield dice.between(0.3, 60)
    _unauthenticated(server, "imap", pid, peer, begun, start)


def guess_passwords(server: Server) -> Life:
    """Somebody tries the passwords of many users from one address."""
    dice = server.dice
    service, process = dice.pick((("imap", server.imapd), ("pop", server.popd)))
    ip = f"{dice.pick(('198.51.100', '203.0.113'))}.{1 + dice.below(254)}"
    for _ in range(8 + dice.below(60)):
        yield from _guess(server, service, process, ip)


def _guess(server: Server, service: str, program: Program, ip: str) -> Life:
    dice = server.dice
    pid, peer = program.pid(), f"[{ip}:{1024 + dice.below(64000)}]"
    start, begun = server.now, server.session_start()
    yield dice.between(0.05, 0.6)
    if dice.chance(0.4):
        _badlogin(server, service, pid, peer, dice.pick(("admin", "test", f"info@{DOMAIN}", "web master", "oracle")), "user not found")
    else:
        _badlogin(server, service, pid, peer, dice.favourite(server.cast.users).login, "authentication failure")
    yield dice.between(0.1, 3)
    _unauthenticated(server, service, pid, peer, begun, start)
