"""Ways that end nowhere, or where they began: outputs that get nothing, records that no output gets, syslog that comes back to us.

What the mail server's settings and the routes together say of a record is asked of one record of each kind and service, as the router would.
Of a condition that needs the record itself both answers are taken to be possible.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from os.path import realpath
from typing import TYPE_CHECKING, Any

from shipper.config.problems import Problem
from shipper.config.sections import Config
from shipper.config.validate import listed
from shipper.mailserver.settings import Setting
from shipper.record import KINDS, Connection, Header, Mta, Record, Service, Store

if TYPE_CHECKING:
    from shipper.inputs.syslog.address import Address

SERVICES = ("imap", "pop", "http", "admin", "default", "imta")
"""The services that every server has."""

_OF_THE_MTA: tuple[type[Record], ...] = (Mta, Header, Connection)
_BROUGHT: dict[str, tuple[type[Record], ...]] = {"mta_log": _OF_THE_MTA, "service_log": (Service, Store)}
"""What inputs bring that bring not everything."""


def dead_ends(config: Config) -> Iterator[Problem]:
    """Warnings: outputs that the settings leave without records, and records that no output gets."""
    samples = list(_samples(config))
    router = config.router()
    told: set[str] = set()
    named = {name for rule in config.rules for name in rule.to}
    for name, section in config.outputs.items():
        if section.takes != "settings" or name in named or not samples:
            continue
        said = [found for _, _, record in samples if (found := router.decide(record).destination)]
        if any(found.syslog if section.role == "syslog" else found.files for found in said):
            continue
        by = {setting.name: setting for found in said for setting in found.by if not _of_a_service(setting) or setting.place}
        told |= {setting.name for found in said for setting in found.by}
        reasons = [_told(setting) for setting in by.values()]
        if section.role == "syslog" and any(isinstance(record, Service) for _, _, record in samples):
            reasons.append("no service has a syslogfacility")
        what = "for syslog" if section.role == "syslog" else "for log files"
        yield Problem(
            "C157",
            f"output '{name}' gets nothing from the MTA and the services: none of it is {what}, as {listed(reasons, 'and')}",
            config.places[f"outputs.{name}"],
            notes=_remedies(section.role, by),
            warning=True,
        )
    lost: dict[str, tuple[Setting, list[str]]] = {}
    for label, inputs, record in samples:
        found = router.decide(record).destination
        if found is None or found.by[-1].name in told or any(router.reachable(record, one) for one in inputs):
            continue
        if found.syslog or found.files:  # a loglevel of Nolog is meant
            last = found.by[-1]
            lost.setdefault(last.name if last.place else "", (last, []))[1].append(label)
    for setting, labels in lost.values():
        only = "for log files only" if setting.value in (0, "none") else "for syslog only"
        why = f"as {_told(setting)}" if setting.place else "as no setting sends them to syslog"
        yield Problem(
            "C157",
            f"records of {listed(labels, 'and')} go nowhere: they are {only}, {why}, and there is no output for that",
            setting.place if setting.place and setting.place.line else config.places[f"outputs.{next(iter(config.outputs))}"],
            notes=("`takes: all` in an output, or a route with `to`, gives them to it; a route with `drop: yes` says that it is meant so",),
            warning=True,
        )


def loops(config: Config) -> Iterator[Problem]:
    """Errors: syslog outputs whose receiver is a syslog input of ours, where that input's records can come to that output."""
    router = config.router()
    for output, section in config.outputs.items():
        if section.type != "syslog":
            continue
        for input, source in config.inputs.items():
            if source.type != "syslog":
                continue
            from shipper.inputs.syslog.address import parse  # who has no such input does without

            where = next((address for address in map(parse, source.listen) if _is_there(address, section)), None)
            if where is not None and any(output in router.reachable(kind(), input) for kind in KINDS):
                yield Problem(
                    "C117",
                    f"output '{output}' sends to {where}, where input '{input}' listens: its records would go round for ever",
                    config.places[f"outputs.{output}"],
                    notes=(
                        f"the input is at {config.places[f'inputs.{input}']}",
                        f"another receiver, or a route that keeps records of this input from '{output}'",
                    ),
                )


def _samples(config: Config) -> Iterator[tuple[str, list[str], Record]]:
    """(what people call it, the inputs that can bring it, a record) of each kind and service that settings speak of."""

    def inputs(kind: type[Record]) -> list[str]:
        return [name for name, section in config.inputs.items() if kind in _BROUGHT.get(section.type, KINDS)]

    for kind in _OF_THE_MTA:
        if found := inputs(kind):
            yield kind.kind, found, kind()
    known = [service for service in config.server.services if service != "*"]
    for service in dict.fromkeys((*SERVICES, *known)):
        if found := inputs(Service):
            yield f"service {service}", found, Service(service=service, level="Emergency")


def _of_a_service(setting: Setting) -> bool:
    return "." in setting.name


def _told(setting: Setting) -> str:
    """`LOG_MESSAGES_SYSLOG is 0 (option.dat:3:1)`."""
    return f"{setting.name} is {setting.written or setting.value} ({setting.place or 'its default'})"


def _remedies(role: str, by: dict[str, Setting]) -> tuple[str, ...]:
    all_of_it = "`takes: all` in this output gives it every record, whatever the settings say"
    if role != "syslog":
        return (all_of_it,)
    notes = ["`logfile.SERVICE.syslogfacility: mail` sends a service's there"]
    if "LOG_MESSAGES_SYSLOG" in by:
        notes.insert(0, "under `mailserver: settings:`, `LOG_MESSAGES_SYSLOG: 22` sends the MTA's there, as mail.info")
    return (*notes, all_of_it)


# Where a syslog output sends to


def _is_there(address: Address, section: Any) -> bool:
    """Whether an output of type syslog sends to where an input listens. Nobody is asked but this machine."""
    if section.protocol != address.protocol:
        return False
    if address.protocol == "unix":
        return bool(realpath(section.path) == realpath(address.host))
    if address.port != (section.port or (6514 if section.protocol == "tls" else 514)):
        return False
    listening = ip_address(address.host.partition("%")[0])
    return any(_hears(listening, target) for target in _addresses(section.host))


def _hears(listening: IPv4Address | IPv6Address, target: IPv4Address | IPv6Address) -> bool:
    if target.version != listening.version:
        return False
    if target.is_unspecified:  # to send there is to send to this machine
        return listening.is_unspecified or listening.is_loopback
    return target == listening or (listening.is_unspecified and _is_ours(target))


def _is_ours(address: IPv4Address | IPv6Address) -> bool:
    """Whether this machine has an address: then, and only then, can a socket be bound to it."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _addresses(host: str) -> list[IPv4Address | IPv6Address]:
    """The addresses that a receiver's name has here: its own, those of /etc/hosts, and this machine's for its own names. The DNS is not asked."""
    name = host.strip("[]").partition("%")[0].rstrip(".").lower()
    try:
        found = ip_address(name)
        return [found.ipv4_mapped or found if isinstance(found, IPv6Address) else found]
    except ValueError:
        pass
    own = socket.gethostname().lower()
    loopback: list[IPv4Address | IPv6Address] = [IPv4Address("127.0.0.1"), IPv6Address("::1")]
    addresses = list(_in_hosts(name))
    if name == "localhost" or name.endswith(".localhost") or name in (own, own.partition(".")[0]):
        addresses += loopback
    return addresses


def _in_hosts(name: str) -> Iterator[IPv4Address | IPv6Address]:
    try:
        with open("/etc/hosts", encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 20).splitlines()
    except OSError:
        return
    for line in lines:
        words = line.partition("#")[0].lower().split()
        if name in words[1:]:
            try:
                yield ip_address(words[0].partition("%")[0])
            except ValueError:
                continue
