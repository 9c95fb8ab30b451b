"""Who takes part: the server, its users and lists, and the hosts and people out there, all invented.

Names end in example.com, example.net, example.org or .invalid, and addresses are from the networks that are set aside for documentation.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from shipper.generate.dice import Dice

HOST = "mail.example.com"
NODE = "mail"
DOMAIN = "example.com"
HOSTED = "sales.example.com"
"""A second domain of this server: its users log in with their whole address."""
SERVER_IP = "192.0.2.10"
POSTMASTER = f"postmaster@{DOMAIN}"

_FIRST = (
    "anna ben carla david elena felix grace hugo irene jonas karin leo maria nils olga paul quentin rosa simon tara ulrich vera walter "
    "xenia yusuf zoe adam bob bert carl dave ines mira tom"
).split()
_LAST = (
    "keller moreno schmidt okafor larsen tanaka rossi dubois novak silva weber patel kim fischer lindqvist haddad murphy costa berger "
    "wright sato nowak jensen marino vogel castro brandt ferrari olsen petrov"
).split()
_PLACES = (
    "harbor maple quarry lantern meadow copper willow summit orchard granite juniper falcon amber ridge delta cedar marble violet canyon "
    "aspen cobalt thistle pioneer saffron tundra beacon walnut prairie crystal timber"
).split()
_HEALTH = "reports sensors billing newsletter orders alerts backup helpdesk".split()

BANNERS = (
    "{mx} ESMTP Postfix",
    "{mx} -- Server ESMTP (Sun Java System Messaging Server 6.2-3.04 (built Jul 15 2005))",
    "{MX} -- Server ESMTP [iMS V5.0 #8694]",
    "{mx} ESMTP Sendmail 8.13.1/8.13.1",
    "{mx} Microsoft ESMTP MAIL Service, Version: 6.0.3790.211 ready",
    "{mx} ESMTP (Exim 4.50) [ready :)]",
    "All set, fire away",
    "{mx} -- SMTP Sendmail",
)
REPLIES = (
    "smtp;250 2.1.5 Ok",
    "smtp;250 2.1.5 {to} and options OK.",
    "smtp;250 2.1.5 {to} OK",
    "smtp;250 2.1.5 <{to}>... Recipient ok",
    "smtp;250 2.1.5 {to}",
    "smtp;250 Accepted",
    "smtp;250 OK.",
    "smtp; 250 Ok",
)


@dataclass(slots=True)
class User:
    """One with a mailbox here. `inbox`: the ids and sizes of the last messages that were not read yet; `seen`: of those not expunged yet."""

    uid: str
    address: str
    store: str
    login: str
    ip: str
    reads: str  # imap, pop or http
    state: str = ""  # hold, inactive
    inbox: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=12))
    seen: deque[tuple[str, int]] = field(default_factory=lambda: deque(maxlen=12))


@dataclass(slots=True)
class Remote:
    """A mail host out there. `down_until`: centiseconds since 1970 when its outage ends; `failing`: how a connection fails until then."""

    domain: str
    mx: str
    ip: str
    banner: str
    reply: str
    cipher: str
    greets: bool  # with EHLO
    named: bool  # whether its address has a name in the DNS
    channel: str
    people: tuple[str, ...]
    down_until: int = 0
    failing: str = ""


@dataclass(slots=True)
class Cast:
    """Everyone. `lists`: (address, its members' addresses) of each; `list_addresses`: the addresses alone."""

    users: list[User]
    by_address: dict[str, User]
    by_store: dict[str, User]
    remotes: list[Remote]
    by_domain: dict[str, Remote]
    lists: list[tuple[str, tuple[str, ...]]]
    list_addresses: frozenset[str]


def invent(dice: Dice, users: int, domains: int) -> Cast:
    """So many users here, and mail domains out there."""
    people = [_user(dice, number) for number in range(users)]
    remotes = [_remote(dice, number) for number in range(domains)]
    lists = []
    for number, name in enumerate(("staff", "announce", "dev-team", "lunch")):
        members = [dice.pick(people).address for _ in range(4 + 4 * number)]
        partners = [dice.pick(remotes), dice.pick(remotes)]
        members += [dice.pick(dice.pick(partners).people) for _ in range(2 + 2 * number)]
        lists.append((f"{name}@{DOMAIN}", tuple(dict.fromkeys(members))))
    return Cast(
        users=people,
        by_address={user.address: user for user in people},
        by_store={user.store: user for user in people},
        remotes=remotes,
        by_domain={remote.domain: remote for remote in remotes},
        lists=lists,
        list_addresses=frozenset(address for address, _ in lists),
    )


def _user(dice: Dice, number: int) -> User:
    first, last = _FIRST[number % len(_FIRST)], _LAST[number // len(_FIRST) % len(_LAST)]
    rest = number // (len(_FIRST) * len(_LAST))
    uid = f"{first}{last[0]}{number}" if rest or number % 7 == 3 else f"{first}.{last}"
    hosted = number % 9 == 5
    ip = f"192.0.2.{32 + number % 200}" if not dice.chance(0.15) else f"203.0.113.{1 + number % 250}"
    if dice.chance(0.03):
        ip = f"2001:db8:10::{number + 16:x}"
    reads = "pop" if number % 10 in (1, 4, 8) else "http" if number % 10 == 6 else "imap"
    state = "hold" if number % 61 == 40 else "inactive" if number % 67 == 33 else ""
    if hosted:
        whole = f"{uid}@{HOSTED}"
        return User(uid, whole, f"{uid}%{HOSTED}@ims-ms-daemon", whole, ip, reads, state)
    address = f'"{first.capitalize()} {last.capitalize()}"@{DOMAIN}' if number % 97 == 60 else f"{uid}@{DOMAIN}"
    return User(uid, address, f"{uid}@ims-ms-daemon", uid, ip, reads, state)


def _remote(dice: Dice, number: int) -> Remote:
    place = _PLACES[number % len(_PLACES)]
    generation = number // len(_PLACES)
    domain = f"{place}{generation // 2 if generation > 1 else ''}.example.{'org' if generation % 2 else 'net'}"
    mx = f"{dice.pick(('mx', 'mail', 'mx1', 'smtp', 'relay2'))}.{domain}"
    ip = f"198.51.100.{1 + number % 254}" if number % 2 else f"203.0.113.{1 + number % 254}"
    if number % 11 == 7:
        ip = f"2001:db8:{number + 256:x}::25"
    people = []
    for _ in range(4 + dice.below(12)):
        first, last = dice.pick(_FIRST), dice.pick(_LAST)
        shape = dice.below(40)
        local = f"{first}.{last}" if shape < 24 else first if shape < 30 else f"{first[0]}{last}" if shape < 35 else f"{first}+{last}"
        if shape == 39:
            local = f'"{first.capitalize()} {last.capitalize()}"'
        elif shape == 38:
            local = f"{dice.pick(_HEALTH)}-{dice.below(9000)}={first}"
        people.append(f"{local}@{domain}")
    return Remote(
        domain=domain,
        mx=mx,
        ip=ip,
        banner=dice.pick(BANNERS).format(mx=mx, MX=mx.upper()),
        reply=dice.pick(REPLIES),
        cipher=dice.pick(("", "", "", "TLS-128-RC4", "TLS-256-AES")),
        greets=not dice.chance(0.1),
        named=not dice.chance(0.12),
        channel="tcp_partner_gateway" if number == 3 else "tcp_local",
        people=tuple(dict.fromkeys(people)),
    )
