"""The lives of the server itself: the nightly jobs, its probes, its administration."""

from __future__ import annotations

from datetime import timedelta

from shipper.generate.cast import DOMAIN
from shipper.generate.server import Life, Server

_ALARMS = ("serverresponse.imap", "serverresponse.pop", "serverresponse.smtp", "serverresponse.http", "diskavail")
_ADMIN = (
    ("cgi_service", "Error", "function=getserverhello|port=2500|error=failed to connect"),
    ("cgi_store", "Notice", "function=getquota|user={user}|status=ok"),
    ("cgi_store", "Notice", "function=listmailbox|partition=primary|count={number}|status=ok"),
    ("cgi_log", "Notice", "function=viewlog|service=imap|filter=General Notice|status=ok"),
    ("cgi_alarm", "Warning", "function=getalarm|attribute=diskavail|value={number}|threshold=10"),
)


def return_job(server: Server, compress: bool) -> Life:
    """Each midnight: the log files of the MTA become yesterday's; with `compress`, on Sundays the site packs the old ones away."""
    while True:
        local = server.local()
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0) + timedelta(days=1)
        yield midnight.timestamp() - server.now / 100 + server.dice.between(1, 50)
        families = {id(family): family for family in (server.messages, server.connections)}
        for family in families.values():
            family.roll()
            if compress and server.local().weekday() == 6:
                family.archive(f"{server.local():%Y%m%d}")
        server.debug("job_controller", "job return: started, finished with status 0")


def nightly(server: Server) -> Life:
    """Between two and four: old messages go, the databases of the store are looked after."""
    dice = server.dice
    while True:
        local = server.local()
        two = local.replace(hour=2, minute=0, second=0, microsecond=0, fold=0)
        if two <= local:
            two += timedelta(days=1)
        yield max(1.0, two.timestamp() - server.now / 100 + dice.between(0, 600))
        pid = server.inner.thread().pid
        server.service("default", "imexpire", pid, "General", "Notice", "imexpire: started")
        for _ in range(dice.below(12)):
            yield dice.between(0.1, 9)
            user = dice.pick(server.cast.users)
            if user.seen:
                message, _ = user.seen.popleft()
                server.trace("default", "imexpire", pid, f"expunge:user/{user.login}:<{message}>")
        server.service(
            "default", "imexpire", pid, "General", "Notice", f"imexpire: finished: expired={dice.below(400)}|purged={dice.below(90)}"
        )
        yield dice.between(60, 900)
        server.service("default", "stored", pid + 1, "Store", "Notice", f"imdbverify: snapshot verified, {dice.below(9000)} pages")
        if dice.chance(0.15):
            user = dice.pick(server.cast.users)
            text = f"Invalid cache data for msg {dice.below(900)} in mailbox user/{user.login}/Archive. Needs reconstruct"
            server.service("imap", "imapd", server.imapd.pid(), "Store", "Error", text)
            yield dice.between(600, 4000)
            server.service("default", "reconstruct", pid + 2, "Store", "Notice", f"reconstruct: user/{user.login}/Archive repaired")


def probe(server: Server) -> Life:
    """Every ten minutes: response times and disk space."""
    dice = server.dice
    while True:
        pid = server.inner.thread().pid
        for alarm in _ALARMS:
            value = dice.below(40) + 50 if alarm == "diskavail" else int(dice.wait(1))
            text = f"alarmid={alarm}|instance=primary|value={value}|threshold={10 if alarm == 'diskavail' else 30}"
            slow = alarm != "diskavail" and value > 4
            server.service("default", "msprobe", pid, "General", "Warning" if slow else "Notice", text)
        yield 600 + dice.between(-2, 2)


def administer(server: Server) -> Life:
    """Somebody uses the console."""
    dice = server.dice
    for _ in range(1 + dice.below(6)):
        process, level, text = dice.pick(_ADMIN)
        user = dice.pick(server.cast.users).login
        server.service("admin", process, server.inner.thread().pid, "General", level, text.format(user=user, number=dice.below(500)))
        yield dice.between(1, 90)
    if dice.chance(0.1):
        server.service(
            "admin", "cgi_service", server.inner.thread().pid, "LDAP", "Error", f"host=ldap.{DOMAIN}|port=389|error=connection lost"
        )


def dispatch(server: Server) -> Life:
    """What the dispatcher says of its processes, with some of its debugging on."""
    dice = server.dice
    while True:
        pid = server.smtp.pid()
        text = dice.pick((
            f"Worker process {pid:x} for service SMTP: {dice.below(40)} connections, {dice.below(9)} active",
            f"Handing off connection to worker process {pid:x}",
            "Configuration file unchanged",
            f"Statistics: service SMTP, {dice.below(4000)} connections, 0 queued",
        ))  # fmt: skip
        server.debug("dispatcher", text)
        yield dice.wait(900)
