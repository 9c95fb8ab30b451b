"""The life of the process: from a configuration to a running pipeline, its signals, and what is seen of it.

    TERM, INT   stop: inputs, then outputs, within `grace`; then positions are saved, and the exit code is 0. A second one: at once.
    HUP         read the configuration again. A good one is swapped in, a bad one changes nothing; output files are reopened in any case.

The order of the start: configuration, user, state directory, sockets, giving up root, then everything that touches what strangers send.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from loguru import logger

from shipper import __version__, compiled
from shipper.buffer import DiskBuffer, MemoryBuffer, WhenFull
from shipper.checkpoints import Checkpoints, StateDirectory
from shipper.config.load import Loaded
from shipper.config.sections import Config, Settings
from shipper.config.state import CONTROL, DEAD_LETTERS, SEQUENCES, SPOOLS, state_path
from shipper.deadletter import DeadLetters
from shipper.errors import Failure
from shipper.expiry import Expiry, Own
from shipper.inputs import KINDS as INPUTS
from shipper.inputs.base import Input, Reading
from shipper.lane import SEND_SECONDS, Lane
from shipper.mailserver.settings import MailServer
from shipper.outputs import KINDS as OUTPUTS
from shipper.outputs.base import Output, Unavailable
from shipper.outputs.sequences import Sequences
from shipper.pipeline import Pipeline, Plan, Source, Target
from shipper.process import Systemd, become, give_memory_back, hold_little_memory, identity, more_descriptors, no_new_rights, resident
from shipper.retry import Backoff
from shipper.spool import Spool
from shipper.telemetry import Metrics, Number, Tap, application, listen, listen_unix, of_input, serve

_PULSE = 1.0
_CERTIFICATES = 3600.0
_ONCE_LOOKED = 10.0
"""Seconds between two looks at how late the loop is, between two at our certificates, and over how many the worst is remembered."""

_RUSH = 1000
_QUIET = 5.0
"""Records after which memory is given back, once no more have come for so many seconds."""

_NOT_RESUMED = ("syslog", "stdin")
"""Inputs that cannot read again what they have handed over."""

_BY_SETTINGS = ("log_files",)
"""Outputs that leave something to the mail server's settings."""

_TO_TELL = 3.0
"""Seconds that the last of our own metrics may take to go out."""

_THREADS = 64
"""Every output may have one in a call that blocks, and so may every file."""


class Service:
    """One run of the service. `load` reads the configuration, and is called again on HUP."""

    def __init__(self, load: Callable[[], Loaded], loaded: Loaded, *, allow_root: bool = False) -> None:
        assert loaded.config is not None, "who starts the service has looked for errors"
        self.taps: set[Tap] = set()
        self._load = load
        self._config = loaded.config
        self._found = compiled.find()
        self._twin = self._found.module
        self._taken = _Taken(loaded)
        self._allow_root = allow_root
        self._state = "starting"
        self._started = time.time()
        self._reloads = {"taken": 0, "refused": 0}
        self._refused = ""
        self._late = _Worst()
        self._expiry = Expiry()
        self._orphans: set[str] = set()
        self._metrics: Metrics | None = None
        self._hup = asyncio.Event()
        self._stop = asyncio.Event()
        self._systemd = Systemd(dict(os.environ))
        self._life: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0

    def run(self) -> None:
        """Runs until it is told to stop; returns when everything is saved. Raises `Failure`."""
        signal.signal(signal.SIGHUP, lambda *_: self._hup.set())  # one that comes before the loop turns is no less a wish
        more_descriptors()
        hold_little_memory()
        settings = self._config.settings
        if os.geteuid() == 0 and not (settings.user or self._allow_root):
            raise Failure("R504", "started as root, and 'user' is not set")
        self._directory = StateDirectory(state_path(settings))
        self._checkpoints = Checkpoints(self._directory.path)
        self._sequences = Sequences(self._directory.path / SEQUENCES)
        plan = self._plan(self._config)
        doors = self._doors(settings)
        _bound(plan, None)
        if settings.user:
            if os.geteuid() == 0:
                user = identity(settings.user, settings.group)
                self._directory.give(*user)
                for source in plan.sources.values():
                    if give := getattr(source.input, "give", None):
                        give(*user)
            become(settings.user, settings.group)
        else:
            no_new_rights()
        self._pipeline = Pipeline(plan, self._checkpoints, self.taps)
        if settings.telemetry.otlp:
            self._measured()
        give_memory_back()
        # What is there now stays; records are in no cycles, and looking for some costs a fifth of the time.
        gc.freeze()
        gc.set_threshold(50_000)
        loop = self._loop = asyncio.new_event_loop()
        self._loop_thread = threading.get_ident()
        loop.set_default_executor(ThreadPoolExecutor(_THREADS, "work"))
        try:
            # The loop is not closed, nor are its threads joined: one that hangs in a call to a dead receiver must not keep the process.
            loop.run_until_complete(self._live(loop, doors))
        finally:
            self._directory.close()

    async def _live(self, loop: asyncio.AbstractEventLoop, doors: Sequence[tuple[str, socket.socket, bool]]) -> None:
        companions: dict[str, Coroutine[Any, Any, None]] = {"reload": self._reload_on_hup(), "pulse": self._pulse()}
        for name, listening, private in doors:
            companions[name] = serve(application(self, self._measured, private=private), listening, asyncio.Event())
        settings = self._config.settings
        self._life = loop.create_task(self._pipeline.run(self._stop, settings.grace, self._running, self._draining, companions))
        loop.add_signal_handler(signal.SIGTERM, self._terminate)
        loop.add_signal_handler(signal.SIGINT, self._terminate)
        loop.add_signal_handler(signal.SIGHUP, self._hup.set)
        try:
            await self._life
            if self._metrics:
                async with asyncio.timeout(_TO_TELL):
                    await asyncio.to_thread(self._metrics.close)
        except asyncio.CancelledError:
            logger.warning("stopped at once; what was not delivered is kept, and some of it may come twice")
        except TimeoutError:
            pass  # our own metrics have to go without the last look
        for name, count in self.ledger()["outputs"].items():
            if count["waiting"]:
                logger.warning("output '{}' has not taken {} records yet; they are kept for the next start", name, count["waiting"])
        logger.info("stopped")

    def _terminate(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
        elif self._life:
            self._life.cancel()

    def _running(self) -> None:
        self._state = "running"
        self._systemd.tell("READY=1", "STATUS=running")
        logger.info("running: {} inputs, {} outputs", len(self._config.inputs), len(self._config.outputs))
        if self._found.unfit:
            logger.warning("the compiled twin is not in use, which makes this slower: {}", self._found.why)
        self._tell_of_orphans()

    def _draining(self) -> None:
        self._state = "draining"
        self._systemd.tell("STOPPING=1", "STATUS=stopping: outputs get what was read")
        logger.info("stopping")

    async def _reload_on_hup(self) -> None:
        while True:
            await self._hup.wait()
            self._hup.clear()
            self._systemd.reloading()
            try:
                await self._reload()
            finally:
                self._systemd.tell("READY=1", f"STATUS={'reload refused: ' + self._refused if self._refused else 'running'}")

    async def _reload(self) -> None:
        """Takes the configuration as it is now, if it is good; what it says is either all taken or not at all."""
        for _, target, _ in self._pipeline.lanes():
            if reopen := getattr(target.output, "reopen", None):
                reopen()
        loaded = await asyncio.to_thread(self._load)
        try:
            plan = self._checked(loaded)
        except Failure as failure:
            self._reloads["refused"] += 1
            self._refused = failure.message
            logger.error("the new configuration is not taken, the old one stays: {}", failure.message)
            return
        self._refused = ""
        self._reloads["taken"] += 1
        await self._pipeline.swap(plan, self._config.settings.grace)
        self._taken = _Taken(loaded)
        number = len(loaded.warnings)
        warned = f"; {number} warning{'s' if number > 1 else ''}, which `shipper check` shows" if number else ""
        logger.info("configuration taken: {} inputs, {} outputs{}", len(self._config.inputs), len(self._config.outputs), warned)
        self._tell_of_orphans()
        gc.collect()
        gc.freeze()

    def _checked(self, loaded: Loaded) -> Plan:
        """The plan of a new configuration, which from then on is ours. Raises `Failure` with the first thing that is wrong with it."""
        if loaded.config is None:
            first, *more = loaded.errors
            raise Failure(first.number, f"{first.place}: {first.message}{f' (and {len(more)} more)' if more else ''}")
        before, after = self._config.settings, loaded.config.settings
        plan = self._plan(loaded.config)
        for name, target in plan.targets.items():
            old = self._pipeline.plan.targets.get(name)
            if (ready := getattr(target.output, "ready", None)) and (old is None or old.made_of != target.made_of):
                try:
                    ready()
                except Unavailable as error:
                    raise Failure("R509", f"output '{name}': {error.reason}") from None
        _bound(plan, self._pipeline.plan)
        for name in ("state", "user", "group", "telemetry", "log", "grace"):
            if getattr(before, name) != getattr(after, name):
                logger.warning("'{}' is another one in the new configuration: it counts from the next start on", name)
        self._config = loaded.config
        return plan

    def _measured(self) -> Metrics:
        """The metrics, made when they are first needed: OpenTelemetry takes a while to load, and 5 MiB of memory."""
        if self._metrics is None:
            otlp = self._config.settings.telemetry.otlp
            headers = {name: value.get_secret_value() for name, value in otlp.headers.items()} if otlp else {}
            endpoint, interval = (otlp.endpoint, otlp.interval) if otlp else ("", 60.0)
            self._metrics = Metrics(self, endpoint=endpoint, headers=headers, interval=interval)
            give_memory_back()  # what was only there to load it
        return self._metrics

    def _plan(self, config: Config) -> Plan:
        """What a configuration says is to run. Raises `Failure` for what shows only now, such as a certificate that cannot be read."""
        sources = {name: self._source(name, section, config) for name, section in config.inputs.items()}
        targets = {name: self._target(name, section, config.server) for name, section in config.outputs.items()}
        sends = [section for section in config.outputs.values() if section.type == "syslog"]
        relays = frozenset(section.host for section in sends if section.protocol != "unix") if sends else None
        return Plan(sources, targets, config.router(), relays)

    def _source(self, name: str, section: Any, config: Config) -> Source:
        settings = config.settings
        zone = section.timezone or settings.timezone
        reading = Reading(
            zone=ZoneInfo(zone) if zone else None,
            host=settings.host if section.host is None else section.host,
            raw=section.raw or settings.raw,
            fields=config.fields_of(section),
            twin=self._twin,
            profile=wanted_profile(config.outputs.values()),
            otlp=any(section.type == "otlp" and not section.redact for section in config.outputs.values()),
        )
        module = import_module(f"shipper.inputs.{INPUTS[section.type]}")
        made: Input = module.make(name, section, reading)
        return Source(made, (section, reading), section.type not in _NOT_RESUMED, section.type == "syslog")

    def _target(self, name: str, section: Any, server: MailServer) -> Target:
        made = output_of(name, section, server, self._sequences)
        made_of = (section, server) if section.type in _BY_SETTINGS else section
        return Target(made, partial(self._lane, name, section, made), made_of, section.required, section.buffer.kind == "disk")

    def _lane(self, name: str, section: Any, output: Output) -> Lane:
        """Opens what waits on the disk, if anything does. Raises `Failure` R503."""
        when_full: WhenFull = "drop" if section.buffer.when_full == "drop_newest" else "wait"
        letters = DeadLetters(self._directory.path / DEAD_LETTERS / name)
        intents = self._checkpoints.intents
        backoff = Backoff(first=section.retry.first, cap=section.retry.longest)
        redact = section.redact.redaction() if section.redact else None
        hung = max(SEND_SECONDS, 3 * (getattr(section, "timeout", None) or 0.0))
        lane = partial(Lane, backoff=backoff, send_seconds=hung, redact=redact)
        if section.buffer.kind == "memory":
            return lane(output, MemoryBuffer(section.buffer.size, when_full, name=name, intents=intents), letters)
        directory = self._directory.path / SPOOLS / name
        try:
            directory.parent.mkdir(mode=0o700, exist_ok=True)
            spool = Spool(
                directory,
                octets=section.buffer.size,
                keep_free=section.buffer.keep_free,
                delivered=self._checkpoints.delivered.pop(name, 0),
                twin=self._twin,
            )
        except OSError as error:
            raise Failure("R503", f"'{directory}' cannot be used: {(error.strerror or str(error)).lower()}") from None
        return lane(output, DiskBuffer(spool, name=name, when_full=when_full, intents=intents), letters)

    def _tell_of_orphans(self) -> None:
        """Records that wait on the disk for an output that is gone from the configuration are not forgotten."""
        for path in sorted((self._directory.path / SPOOLS).glob("*/*.spool")):
            if path.parent.name not in self._config.outputs and path.parent.name not in self._orphans and path.stat().st_size:
                self._orphans.add(path.parent.name)
                logger.warning("records wait for '{}', which is no output of the configuration (any more): they are kept", path.parent.name)

    def _doors(self, settings: Settings) -> list[tuple[str, socket.socket, bool]]:
        """(name, listening socket, whether it is for the service's own user)."""
        doors = [("control socket", listen_unix(self._directory.path / CONTROL), True)]
        if settings.telemetry.http:
            host, _, port = settings.telemetry.http.rpartition(":")
            doors.append(("health and metrics", listen(host.strip("[]"), int(port)), False))
        return doors

    async def _pulse(self) -> None:
        """Looks how late the loop is, tells the watchdog that it turns, and gives back the memory of a rush when that is over."""
        loop = asyncio.get_running_loop()
        pause = min(_PULSE, self._systemd.watchdog / 3) if self._systemd.watchdog else _PULSE
        told = "running"
        looked = -_CERTIFICATES
        read = given_back = 0
        since = 0.0
        while True:
            if loop.time() - looked >= _CERTIFICATES:
                looked = loop.time()
                self._expiry.look(self.certificates(), time.time())
            due = loop.time() + pause
            await asyncio.sleep(pause)
            self._late.seen(loop.time() - due, loop.time())
            if self._systemd.watchdog:
                self._systemd.tell("WATCHDOG=1")
            down = ", ".join(self.down())
            now = f"running; nothing is taken by: {down}" if down else "running"
            if now != told and self._state == "running":
                self._systemd.tell(f"STATUS={now}")
                told = now
            if read != (read := sum(count.read for count in self._pipeline.read.values())):
                since = loop.time()
            elif read - given_back >= _RUSH and loop.time() - since >= _QUIET:
                given_back = read
                give_memory_back()

    # What is seen

    def ledger(self) -> dict[str, Any]:
        """The books. Of each output: found + read = delivered + set_aside + lost + waiting + not_routed + again, `found` being what waited on the
        disk at the start, `lost` what found no room, `again` what a swap took from memory, to be read again."""
        pipeline = self._pipeline
        read = sum(count.read for count in pipeline.read.values())
        running = {name: lane for name, _, lane in pipeline.lanes()}
        outputs = {}
        for name, given in list(pipeline.given.items()):
            lanes = [*pipeline.gone.get(name, ()), *([running[name]] if name in running else [])]
            if not lanes:
                continue
            again = sum(before.waiting - after.counts.found for before, after in pairwise(lanes))
            outputs[name] = {
                "found": lanes[0].counts.found,
                "delivered": sum(lane.counts.delivered for lane in lanes),
                "set_aside": sum(sum(lane.set_aside.values()) for lane in lanes),
                "lost": sum(lane.dropped for lane in lanes),
                "waiting": lanes[-1].waiting + given - sum(lane.counts.records_in for lane in lanes),
                "not_routed": read - given,
                "again": again,
            }
        for count in outputs.values():
            count["balanced"] = count["found"] + read == sum(count.values()) - count["found"]
        inputs = {}
        dropped = Counter[str]()
        for name, one in pipeline.read.items():
            inputs[name] = {"read": one.read, "dropped": one.dropped.copy(), "damaged": one.damaged}
            dropped.update(one.dropped)
        return {"read": read, "dropped": dropped.total(), "dropped_by": dict(dropped), "inputs": inputs, "outputs": outputs}

    def down(self) -> dict[str, str]:
        """Output -> why it takes nothing, or cannot keep what waits; `checkpoints`, when they cannot be written."""
        down = {}
        for name, _, lane in self._pipeline.lanes():
            status = lane.status()
            if status["state"] in ("waiting", "misconfigured") or status["spool"]:
                down[name] = status["last_error"] or status["spool"]
        if self._checkpoints.problem:
            down["checkpoints"] = self._checkpoints.problem
        return down

    def certificates(self) -> list[Own]:
        """Our own, of inputs and outputs, each with its end."""
        sections = [
            *((f"input '{name}'", section) for name, section in self._config.inputs.items()),
            *((f"output '{name}'", section) for name, section in self._config.outputs.items()),
        ]
        found = []
        for whose, section in sections:
            tls = getattr(section, "tls", None)
            if path := str(getattr(tls, "certificate", None) or getattr(tls, "cert_file", None) or ""):
                found.append(Own(whose, path, self._expiry.ends(path)))
        return found

    def status(self) -> dict[str, Any]:
        """What `/status` shows."""
        lanes = {name: (target, lane) for name, target, lane in self._pipeline.lanes()}
        inputs = {}
        for name, source, ended in self._pipeline.inputs():
            kind = self._config.inputs[name].type
            counts = counted(source.input)
            inputs[name] = {"type": kind, "state": "ended" if ended else "reading", "lag": source.input.lag(), "counts": counts}
        outputs = {name: {"type": self._config.outputs[name].type, **lane.status()} for name, (_, lane) in lanes.items()}
        return {
            "version": __version__,
            "pid": os.getpid(),
            "state": self._state,
            "started": _iso(self._started),
            "memory": resident(),
            "loop_delay": round(self._late.seconds, 4),
            "config": {"files": self._taken.files, "hash": self._taken.hash, "taken": _iso(self._taken.time), "refused": self._refused},
            "checkpoints": {"written": self._checkpoints.written, "problem": self._checkpoints.problem},
            "certificates": [
                {"of": own.whose, "file": own.path, "ends": None if own.ends is None else _iso(own.ends)} for own in self.certificates()
            ],
            "down": self.down(),
            "inputs": inputs,
            "outputs": outputs,
            "ledger": self.ledger(),
        }

    def numbers(self) -> list[Number]:
        """What `/metrics` shows: as it is between two steps, also when another thread asks."""
        if self._loop is None or self._loop_thread == threading.get_ident():
            return list(self._numbers())

        async def looked() -> list[Number]:
            return list(self._numbers())

        looking = asyncio.run_coroutine_threadsafe(looked(), self._loop)
        try:
            return looking.result(_TO_TELL)
        except TimeoutError:
            looking.cancel()
            return []

    def _numbers(self) -> Iterator[Number]:
        ledger = self.ledger()
        for name, count in ledger["inputs"].items():
            labels = {"input": name}
            yield Number("shipper_records_read", count["read"], labels)
            yield Number("shipper_records_damaged", count["damaged"], labels)
            for reason, dropped in count["dropped"].items():
                yield Number("shipper_records_dropped", dropped, {**labels, "by": reason})
        for name, count in ledger["outputs"].items():
            for outcome in ("delivered", "set_aside", "lost"):
                yield Number("shipper_output_records", count[outcome], {"output": name, "outcome": outcome})
            yield Number("shipper_output_waiting_records", count["waiting"], {"output": name})
        down = self.down()
        for name, _, lane in self._pipeline.lanes():
            labels = {"output": name}
            yield Number("shipper_output_failures", lane.counts.retries, labels)
            yield Number("shipper_output_octets", lane.counts.octets_delivered, labels)
            yield Number("shipper_output_resent_records", lane.counts.resent, labels)
            yield Number("shipper_output_up", name not in down, labels)
        for name, source, _ in self._pipeline.inputs():
            yield from of_input(name, counted(source.input))
            lag = source.input.lag()
            yield Number("shipper_input_lag_octets", sum(one.get("octets") or 0 for one in lag), {"input": name})
            yield Number(
                "shipper_input_lag_seconds", max((one.get("seconds") or 0 for one in lag if one.get("octets")), default=0), {"input": name}
            )
        for outcome, times in self._reloads.items():
            yield Number("shipper_reloads", times, {"outcome": outcome})
        yield Number("shipper_checkpoints_written", self._checkpoints.written)
        yield Number("shipper_checkpoints_failing", bool(self._checkpoints.problem))
        for own in self.certificates():
            if own.ends is not None:
                kind, _, name = own.whose.partition(" ")
                yield Number("shipper_certificate_end_time_seconds", own.ends, {kind: name.strip("'")})
        yield Number("shipper_loop_delay_seconds", self._late.seconds)
        yield Number("shipper_resident_octets", resident())
        yield Number("shipper_start_time_seconds", self._started)


def _bound(plan: Plan, before: Plan | None) -> None:
    """Opens the sockets of inputs that are not what they were; one that replaces another of its kind takes over those of the same address.
    Raises `Failure` R507 or R509, and then has opened none."""
    opened: list[Any] = []
    try:
        for name, source in plan.sources.items():
            old = before.sources.get(name) if before else None
            if hasattr(source.input, "bind") and (old is None or old.made_of != source.made_of):
                source.input.bind(old.input if old and type(old.input) is type(source.input) else None)
                opened.append(source.input)
    except Failure:
        for each in opened:
            each.close()
        raise


def wanted_profile(outputs: Iterable[Any]) -> str:
    """The profile in which lines of logs are written as they are read, if the compiled twin has it: that of the outputs that take JSON,
    `native` if they differ. Only ids where all outputs have payloads by the twin."""
    sections = list(outputs)
    if all(section.type in ("otlp", "syslog") and not section.redact for section in sections):
        return compiled.BARE
    lines = ("jsonl", "log_files")
    profiles = {section.profile for section in sections if section.type in lines and section.profile != "text" and not section.redact}
    profiles |= {"ecs" for section in sections if section.type == "elasticsearch" and not section.redact}
    return profiles.pop() if len(profiles) == 1 and profiles <= compiled.PROFILES else "native"


def output_of(name: str, section: Any, server: MailServer, sequences: Sequences | None = None) -> Output:
    """The output that a section describes; `sequences`: those of the state directory, where there is one. Raises `Failure` for what shows
    only now, such as a certificate that cannot be read."""
    make = import_module(f"shipper.outputs.{OUTPUTS[section.type]}").make
    made: Output = make(name, section, server, sequences) if section.type in _BY_SETTINGS else make(name, section)
    return made


def counted(source: Input) -> dict[str, int]:
    """What an input counts besides records, by event; `{}` where it counts nothing."""
    counters: Callable[[], dict[str, int]] | None = getattr(source, "counters", None)
    return counters() if counters else {}


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(round(seconds), UTC).isoformat().replace("+00:00", "Z")


class _Taken:
    """Which configuration runs."""

    def __init__(self, loaded: Loaded) -> None:
        self.files = list(loaded.sources)
        self.hash = loaded.digest
        self.time = time.time()


class _Worst:
    """The worst delay of the last seconds."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._at = 0.0

    def seen(self, seconds: float, now: float) -> None:
        """One delay, at this time."""
        if seconds >= self.seconds or now - self._at > _ONCE_LOOKED:
            self.seconds, self._at = max(0.0, seconds), now
