"""What the phases come to, beside the budgets; as tables and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from rich.console import Console
from rich.table import Table

from bench import asking, medians, phases, trials

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.http2 import Cost
    from bench.medians import Estimate
    from bench.phases import Phase
    from bench.times import Times
    from bench.tls import Look
    from bench.trials import Pair

Rounds: TypeAlias = list[dict[str, phases.Phase]]

RATIO_SILENT, RATIO_NDJSON, RATIO_STORE = 2.5, 3.5, 3.5
STORE_BYTES, STORE_US = 80, 1.5
REDIS_LOSS, BULK_LOSS = 0.05, 0.01
PARSER_RATE = 1_000_000
MEMORY_BYTES = 150_000_000
FIRST_LINE_SECONDS = 2.0


@dataclass(slots=True)
class Report:
    """Collects lines and figures as the trials come in.

    Attributes:
        figures: Everything measured, for the JSON file.
        verdicts: Budget lines: what, figure, budget, and whether it was kept ("?": the interval reaches over the line).
    """

    figures: dict[str, object] = field(default_factory=dict)
    verdicts: list[tuple[str, str, str, str]] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)

    def print(self) -> None:
        """Print the tables, the budgets last."""
        console = Console()
        # A file or a pipe has no width of its own.
        console.width = console.width if console.is_terminal else 140
        for table in self.tables:
            console.print(table)
        table = _table("Budgets", "what", "measured: median [95% interval]", "budget", "kept")
        for what, figure, budget, kept in self.verdicts:
            table.add_row(what, figure, budget, kept)
        console.print(table)

    def http(self, rounds: Rounds) -> None:
        """Add what an exchange costs, and whether any was lost."""
        bare = medians.estimate([_us(done[phases.BARE], done[phases.BARE].server_ns) for done in rounds])
        logged = medians.estimate([_logging_us(done) for done in rounds])
        empty = medians.estimate([_empty_ns(done) for done in rounds])
        self.figures["nginx"] = {
            "bare_us": bare.as_json(),
            "own_log_us": logged.as_json(),
            "empty_program_ns": empty.as_json(),
        }
        table = _table(
            "CPU per exchange, us", "", "programs", "processes", "both", "of nginx's own log", "machine", "k/s"
        )
        table.add_row("nginx alone", "", f"{bare.value:.2f}", "", "", *_machine(rounds, phases.BARE))
        table.add_row("nginx's own log", "", f"{logged:.2f}", "", "1", *_machine(rounds, phases.NGINX_LOG))
        for subject, budget in zip(trials.MASTHEAD, (RATIO_SILENT, RATIO_NDJSON, RATIO_STORE), strict=True):
            self._cost(rounds, subject, budget, table)
        table.caption = (
            f"programs: run time by bpf_stats, less {empty.value:.0f} ns a run that an empty program takes; processes: "
            "schedstat.\nmachine: all processors (of masthead and nginx's log: beside nothing), timing by bpf_stats "
            "included; a coin toss below 1 us."
        )
        self.tables.append(table)
        self._store(rounds)
        self._losses([done[subject] for done in rounds for subject in trials.MASTHEAD])

    def _cost(self, rounds: Rounds, subject: str, budget: float, table: Table) -> None:
        programs = medians.estimate([_programs_us(done, subject) for done in rounds])
        process = medians.estimate([_us(done[subject], done[subject].watcher_ns) for done in rounds])
        both = [_cost_us(done, subject) for done in rounds]
        total = medians.estimate(both)
        ratio = medians.ratio([(cost, _logging_us(done)) for cost, done in zip(both, rounds, strict=True)])
        self.figures[subject] = {
            "programs_us": programs.as_json(),
            "processes_us": process.as_json(),
            "total_us": total.as_json(),
            "ratio": ratio.as_json(),
            "phases": [_plain(done[subject]) for done in rounds],
        }
        table.add_row(
            subject, f"{programs:.2f}", f"{process:.2f}", f"{total:.2f}", f"{ratio:.2f}", *_machine(rounds, subject)
        )
        what = f"{subject}: of what nginx's own log costs"
        self._judge(what, f"{ratio:.2f} ({total.value:.2f} us)", f"at most {budget}", _at_most(ratio, budget))

    def _store(self, rounds: Rounds) -> None:
        """Add what a stored exchange takes: of the disk, and of the processors beside no output at all."""
        silent, stored = trials.MASTHEAD[0], trials.MASTHEAD[-1]
        more = medians.estimate([_cost_us(done, stored) - _cost_us(done, silent) for done in rounds])
        kept = [done[stored].stored for done in rounds if done[stored].stored[1]]
        packed = sum(rows for _, rows in kept) / max(1, sum(done[stored].rows or 0 for done in rounds))
        size = medians.estimate([size / rows for size, rows in kept] or [0.0])
        self.figures["store"] = {"more_us": more.as_json(), "bytes": size.as_json(), "packed": packed}
        note = f" ({packed:.0%} of the rows packed into parts, the rest in journals)"
        self._judge("store: CPU per exchange, us", f"{more:.2f}{note}", f"at most {STORE_US}", _at_most(more, STORE_US))
        self._judge("store: bytes per exchange", f"{size:.1f}", f"at most {STORE_BYTES}", _at_most(size, STORE_BYTES))

    def questions(self, seconds: dict[str, list[float]], rows: int) -> None:
        """Add how long questions take."""
        for name, budget in asking.BUDGETS.items():
            found = medians.estimate(seconds[name])
            self.figures[name] = found.as_json()
            shown = f"{found.value * 1000:.0f} ms [{found.low * 1000:.0f}, {found.high * 1000:.0f}]"
            self._judge(f"{rows:,} rows: {name}", shown, f"within {budget * 1000:.0f} ms", _at_most(found, budget))

    def _losses(self, watched: Sequence[Phase]) -> None:
        asked, rows = sum(phase.exchanges for phase in watched), sum(phase.rows or 0 for phase in watched)
        lost, closed = sum(phase.lost or 0 for phase in watched), all(phase.closed for phase in watched)
        rate = max(phase.rate for phase in watched)
        figure = f"{rows:,} rows of {asked:,} exchanges, {lost:,} lost, ledger {'closed' if closed else 'OPEN'}"
        self.figures["loss"] = {"exchanges": asked, "rows": rows, "lost": lost, "closed": closed, "highest_rate": rate}
        kept = rows >= asked and not lost and closed
        self._judge(f"loss at up to {rate / 1000:.0f}k exchanges/s", figure, "0 rows, ledger closed", _yes(kept))
        resident = max(phase.resident for phase in watched)
        self.figures["resident_bytes"] = resident
        self._judge("resident memory", f"{resident / 1e6:.0f} MB", "at most 150 MB", _yes(resident <= MEMORY_BYTES))

    def others(self, rounds: Rounds) -> None:
        """Add what the other loggers cost."""
        table = _table(
            "Other loggers, CPU per exchange, us", "", "processes", "machine", "k/s", "logged", "fell behind"
        )
        for subject in trials.OTHERS:
            done = [each[subject] for each in rounds]
            process = medians.estimate([_us(phase, phase.watcher_ns) for phase in done])
            known = [phase.rows / phase.exchanges for phase in done if phase.rows is not None]
            logged = f"{sum(known) / len(known):.1%}" if known else "packets"
            behind = sum(phase.behind for phase in done)
            self.figures[subject] = {"processes_us": process.as_json(), "phases": [_plain(phase) for phase in done]}
            table.add_row(
                subject,
                f"{process:.2f}",
                *_machine(rounds, subject),
                logged,
                f"{behind} of {len(done)}" if behind else "",
            )
        table.caption = "machine: all processors, less what they do for the same load without a logger"
        self.tables.append(table)

    def http2(self, rounds: Sequence[Sequence[Cost]]) -> None:
        """Add what an exchange costs over HTTP/2, by the streams of a connection."""
        table = _table(
            "HTTP/2 without TLS (nghttpd, h2load), CPU per exchange, us",
            "streams",
            *("programs", "processes", "records", "k/s", "rows of exchanges"),
        )
        for same in zip(*rounds, strict=True):
            programs = medians.estimate([cost.programs_us for cost in same])
            processes = medians.estimate([cost.processes_us for cost in same])
            records = medians.estimate([cost.records / cost.exchanges for cost in same])
            rate = medians.estimate([cost.exchanges / cost.seconds / 1000 for cost in same])
            streams, rows = same[0].streams, sum(cost.rows for cost in same)
            logged = f"{rows:,} of {sum(cost.exchanges for cost in same):,}"
            self.figures[f"http2, {streams} streams"] = [asdict(cost) for cost in same]
            table.add_row(
                str(streams), f"{programs:.2f}", f"{processes:.2f}", f"{records.value:.2f}", f"{rate.value:.0f}", logged
            )
        table.caption = "records: of the kernel side, for each exchange"
        self.tables.append(table)

    def tls(self, rounds: Sequence[Sequence[Look]]) -> None:
        """Add what it costs to look into TLS."""
        table = _table(
            "Inside TLS (nginx, nghttpd, h2load), CPU per exchange, us",
            "calls",
            *("looker", "server", "more than alone", "looker's processes", "traps", "k/s", "rows of exchanges"),
        )
        for load in dict.fromkeys(same[0].load for same in rounds):
            of_load = [same for same in rounds if same[0].load == load]
            for same in zip(*of_load, strict=True):
                base = [first[0].server_ns for first in of_load]
                server = medians.estimate([look.server_ns / look.exchanges / 1000 for look in same])
                more = medians.estimate(
                    [(look.server_ns - bare) / look.exchanges / 1000 for look, bare in zip(same, base, strict=True)]
                )
                processes = medians.estimate([look.looker_ns / look.exchanges / 1000 for look in same])
                traps = medians.estimate([look.traps / look.exchanges for look in same])
                rate = medians.estimate([look.exchanges / look.seconds / 1000 for look in same])
                done = sum(look.exchanges for look in same)
                rows = f"{sum(look.rows or 0 for look in same):,} of {done:,}" if same[0].rows is not None else ""
                self.figures[f"tls, {load}, {same[0].looker}"] = [asdict(look) for look in same]
                table.add_row(
                    load,
                    same[0].looker,
                    *(f"{server:.1f}", f"{more:.1f}", f"{processes:.1f}"),
                    *(f"{traps.value:.1f}" if traps.value else "", f"{rate.value:.1f}", rows),
                )
        self.tables.append(table)

    def times(self, calls: Sequence[Times]) -> None:
        """Add what rows say of times, with TLS and without, beside the client's clock."""
        table = _table(
            "Times of the same nginx, ms: the client's clock, and the server's rows",
            "answer",
            *("TLS", "client: ttfb", "row: ttfb", "client: duration", "row: duration"),
        )
        for kind, secure in dict.fromkeys((call.kind, call.secure) for call in calls):
            same = [call for call in calls if (call.kind, call.secure) == (kind, secure)]
            of = [
                medians.estimate([getattr(call, name) / 1e6 for call in same])
                for name in ("client_ttfb", "ttfb", "client_duration", "duration")
            ]
            self.figures[f"times, {kind}{', TLS' if secure else ''}"] = [asdict(call) for call in same]
            table.add_row(kind, "yes" if secure else "no", *(f"{figure:.3f}" for figure in of))
        self.tables.append(table)

    def loss(self, what: str, pairs: Sequence[Pair], budget: float | None, note: str = "") -> None:
        """Add what masthead takes from the throughput of something else."""
        share = medians.estimate([pair.loss for pair in pairs])
        self.figures[what] = {"loss": share.as_json(), "pairs": [asdict(pair) for pair in pairs]}
        shown = f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]{note}"
        if budget is None:
            self._judge(what, shown, "", "")
        else:
            self._judge(what, shown, f"at most {budget:.0%}", _at_most(share, budget))

    def replay(self, rates: Sequence[float]) -> None:
        """Add how fast the parser is."""
        rate = medians.estimate(rates)
        self.figures["parser"] = rate.as_json()
        what = "parser and columns, from pcap, per second of CPU"
        self._judge(what, f"{rate:,.0f}", "at least 1,000,000", _yes(rate.value >= PARSER_RATE))

    def first_line(self, seconds: Sequence[float]) -> None:
        """Add how long the first line takes."""
        time = medians.estimate(seconds)
        self.figures["first_line_seconds"] = time.as_json()
        self._judge("first line after start", f"{time:.2f} s", "within 2 s", _at_most(time, FIRST_LINE_SECONDS))

    def _judge(self, what: str, figure: str, budget: str, kept: str) -> None:
        self.verdicts.append((what, figure, budget, kept))


def _at_most(found: Estimate, budget: float) -> str:
    said = "yes" if found.value <= budget else "NO"
    return said + ("?" if found.low <= budget < found.high else "")


def _yes(kept: bool) -> str:  # noqa: FBT001 - it is the question
    return "yes" if kept else "NO"


def _us(phase: Phase, total_ns: float) -> float:
    return phase.each(total_ns) / 1000


def _logging_us(done: dict[str, Phase]) -> float:
    bare, logged = done[phases.BARE], done[phases.NGINX_LOG]
    return _us(logged, logged.server_ns) - _us(bare, bare.server_ns)


def _empty_ns(done: dict[str, Phase]) -> float:
    runs = done[phases.EMPTY].programs
    return runs.time_ns / max(1, runs.count)


def _programs_us(done: dict[str, Phase], subject: str) -> float:
    phase = done[subject]
    return _us(phase, phase.programs.time_ns - phase.programs.count * _empty_ns(done))


def _cost_us(done: dict[str, Phase], subject: str) -> float:
    return _programs_us(done, subject) + _us(done[subject], done[subject].watcher_ns)


def _machine(rounds: Rounds, subject: str) -> tuple[str, str]:
    def figure(done: dict[str, Phase]) -> float:
        own = _us(done[subject], done[subject].machine_ns)
        return own if subject == phases.BARE else own - _us(done[phases.BARE], done[phases.BARE].machine_ns)

    machine = medians.estimate([figure(done) for done in rounds])
    rate = medians.estimate([done[subject].rate / 1000 for done in rounds])
    return (f"{machine.value:.1f}" if subject == phases.BARE else f"{machine:+.1f}"), f"{rate.value:.0f}"


def _plain(phase: Phase) -> dict[str, object]:
    return asdict(phase)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right")
    return table
