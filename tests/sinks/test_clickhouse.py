"""A store on ClickHouse: its tables, what they keep and for how long, and every question that a directory answers."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from masthead.clickhouse import tables
from masthead.clickhouse.address import Address
from masthead.clickhouse.client import DatabaseError
from masthead.clickhouse.sender import Sender
from masthead.clickhouse.tables import Layout, initialise, statements
from masthead.commands import execute
from masthead.config import Config
from masthead.delivery import Again, Delivery, Limits, Load, Sent, Spool
from masthead.errors import QueryError, StoreError
from masthead.query import files
from masthead.query.duck import DuckReader
from masthead.query.house import HouseReader
from masthead.query.limits import Limits as QueryLimits
from masthead.query.questions.scope import Scope
from masthead.schema import COLUMNS
from masthead.store.kinds import Kinds
from tests.e2e.waiting import wait_for
from tests.sinks.house import MISSING, House
from tests.unit.stored import BEGIN_NS, HOUR, batches, call, fill, grpc_calls, random_calls
from tests.unit.test_query_dialects import NOW, OWN_SQL, QUESTIONS, SCOPES, _same

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.sinks, pytest.mark.skipif(MISSING is not None, reason=str(MISSING))]

KINDS = Kinds.of(Config())
FOREVER = Layout(ages={})
CALLS = [*random_calls(6_000), *grpc_calls(500, 6_000)]


@pytest.fixture(autouse=True)
def _password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", House.password)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house") / "data") as server:
        yield server


@pytest.fixture
def empty(house: House) -> House:
    for table in (tables.FAILED, tables.TABLE):
        house.client.execute(f"DROP TABLE IF EXISTS {table} SYNC")
    initialise(house.client, FOREVER)
    return house


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, DuckReader, HouseReader]]:
    folder = tmp_path_factory.mktemp("filled")
    duck = DuckReader(fill(folder / "store", CALLS), QueryLimits(), now_ns=lambda: NOW)
    with House(folder / "data") as server:
        initialise(server.client, FOREVER)
        deliver(server, folder)
        reader = HouseReader(server.address, QueryLimits(), now_ns=lambda: NOW)
        yield server, duck, reader
        reader.close()
    duck.close()


def deliver(house: House, folder: Path) -> None:
    sink = Delivery("store", Sender(house.address, "a", KINDS), Limits(), Spool(folder / "spool", 1 << 30), tell=print)
    for batch in batches(CALLS):
        assert sink.write(batch) == 0
    sink.close()
    assert sink.account.sent == len(CALLS)


def load(first: int, rows: int, token: str) -> Load:
    (batch,) = batches([call(number) for number in range(first, first + rows)])
    return Load(batch, token)


def test_init_can_be_run_again_and_again(empty: House) -> None:
    for _ in range(2):
        initialise(empty.client, FOREVER)
    assert empty.count() == 0


def test_columns_that_an_older_version_lacks_are_added_in_their_place(empty: House) -> None:
    empty.client.execute("ALTER TABLE exchanges DROP COLUMN fault")
    initialise(empty.client, FOREVER)
    sql = "SELECT name FROM system.columns WHERE database = 'logs' AND table = 'exchanges' ORDER BY position FORMAT TSV"
    found = empty.client.execute(sql).split()
    assert found == [*(column.name for column in COLUMNS), "host", "class"]


def test_fields_of_an_older_table_can_be_null_afterwards(empty: House) -> None:
    for column in COLUMNS:
        if "name" in column.type:
            older = tables.columns()[column.name].replace("Nullable(String)", "String")
            empty.client.execute(f"ALTER TABLE exchanges MODIFY COLUMN {column.name} {older}")
    empty.client.execute(
        "INSERT INTO exchanges (time, exchange_id, request_fields, host, class) "
        "VALUES (now64(9), 'old', [('Host', 'a')], '', 'default')"
    )
    initialise(empty.client, FOREVER)
    empty.client.execute(
        "INSERT INTO exchanges (time, exchange_id, request_fields, host, class) "
        "VALUES (now64(9), 'new', [(NULL, NULL), (NULL, 'v')], '', 'default')"
    )
    sql = "SELECT exchange_id, request_fields FROM exchanges ORDER BY exchange_id DESC FORMAT JSONCompactEachRow"
    old, new = (json.loads(line) for line in empty.client.execute(sql).splitlines())
    assert [[*field.values()] if isinstance(field, dict) else field for field in old[1]] == [["Host", "a"]]
    fields = [[*field.values()] if isinstance(field, dict) else field for field in new[1]]
    assert fields == [[None, None], [None, "v"]]


def test_a_table_of_a_newer_version_is_left_alone(empty: House) -> None:
    empty.client.execute("ALTER TABLE exchanges MODIFY COMMENT 'masthead 99'")
    with pytest.raises(StoreError, match="is of version 99; this masthead knows 1"):
        initialise(empty.client, FOREVER)


def test_statements_for_a_cluster_are_understood(house: House) -> None:
    for layout in (Layout("main", replicated=True, ages=KINDS.ages), Layout("main", ages=KINDS.ages)):
        made = statements(layout)
        for statement in made:
            escaped = statement.replace("\\", "\\\\").replace("'", "\\'")
            assert house.client.execute(f"SELECT formatQuery('{escaped}') FORMAT TSVRaw")
        assert "ON CLUSTER 'main'" in made[0]
        assert ("ReplicatedMergeTree" in made[0]) is layout.replicated
        assert "Distributed('main', currentDatabase(), exchanges_local" in made[1]


def test_a_load_that_comes_twice_is_there_once(empty: House) -> None:
    sender = Sender(empty.address, "a", KINDS)
    for first, token in ((0, "t-1"), (0, "t-1"), (10, "t-2"), (0, "t-1")):
        assert isinstance(sender.send(load(first, 10, token)), Sent)
    sender.close()
    assert empty.count() == 20
    assert empty.client.execute("SELECT DISTINCT host FROM exchanges FORMAT TSV") == "a\n"


def test_rows_wait_until_the_tables_are_made(empty: House) -> None:
    empty.client.execute("DROP TABLE exchanges SYNC")
    sender = Sender(empty.address, "a", KINDS)
    outcome = sender.send(load(0, 10, "t-1"))
    assert isinstance(outcome, Again)
    assert "masthead store init makes it" in outcome.reason
    initialise(empty.client, FOREVER)
    assert isinstance(sender.send(load(0, 10, "t-1")), Sent)
    sender.close()


def test_nothing_is_lost_and_nothing_twice_when_the_server_is_killed_in_the_middle(tmp_path: Path) -> None:
    house = House(tmp_path / "data").start()
    initialise(house.client, FOREVER)
    limits = Limits(rows=200, seconds=0)
    sink = Delivery("store", Sender(house.address, "a", KINDS), limits, Spool(tmp_path / "spool", 1 << 30), tell=print)
    rows = [call(number) for number in range(4_000)]
    for number, batch in enumerate(batches(rows, 100)):
        assert sink.write(batch) == 0
        if number == 10:
            wait_for(lambda: sink.account.sent > 0, "the first rows are there")
            house.kill()
        if number == 30:
            wait_for(lambda: sink.account.failures > 0, "the outage is known")
            house.start()
    wait_for(lambda: sink.account.waiting == 0, "all is sent", 60)
    sink.close()
    assert house.count() == 4_000
    assert int(house.client.execute("SELECT uniqExact(exchange_id) FROM exchanges FORMAT TSV")) == 4_000
    house.kill()


def test_each_class_is_kept_as_long_as_its_rows_should_be(empty: House) -> None:
    now = time.time_ns()
    days = {"errors": 500, "static": 200, "default": 200}
    rows = [
        call(0, time=now - age * 24 * HOUR, status=days[kind], path="/a.css" if kind == "static" else "/a", target=kind)
        for kind in days
        for age in (0, 2, 20, 100)
    ]
    sender = Sender(empty.address, "a", KINDS)
    for batch in batches(rows):
        sender.send(Load(batch, "t"))
    sender.close()
    assert empty.count() == 12
    initialise(empty.client, Layout(ages={"errors": 90 * 86_400, "static": 86_400, "default": 14 * 86_400}))
    empty.client.execute("OPTIMIZE TABLE exchanges FINAL")
    found = empty.client.execute("SELECT class, count() FROM exchanges GROUP BY class ORDER BY class FORMAT TSV")
    assert found == "default\t2\nerrors\t3\nstatic\t1\n"
    assert empty.client.execute("SELECT count() FROM failed_exchanges FORMAT TSV") == "3\n"


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("question", QUESTIONS)
def test_every_ready_question_has_the_answer_of_a_directory(
    filled: tuple[House, DuckReader, HouseReader], question: str, scope: str
) -> None:
    _, duck, house = filled
    chosen, ask = SCOPES[scope], QUESTIONS[question]
    own = OWN_SQL.get(scope, chosen.where)
    theirs = Scope(chosen.since_ns, chosen.until_ns, chosen.role, chosen.route, own, chosen.limit)
    ours, other = duck.ask(ask(duck.dialect, chosen)), house.ask(ask(house.dialect, theirs))
    assert other.columns == ours.columns
    rows, found = ours.rows(), other.rows()
    assert len(found) == len(rows)
    for row, second in zip(rows, found, strict=True):
        assert all(map(_same, row, second)), (row, second)


def test_whole_calls_come_back_as_they_were(filled: tuple[House, DuckReader, HouseReader]) -> None:
    _, duck, house = filled
    scope = Scope(limit=1 << 40, role="both")
    lines = [b"".join(batch.ndjson("pairs") for batch in files.batches(reader, scope)) for reader in (duck, house)]
    ours, theirs = ([json.loads(line) for line in text.splitlines()] for text in lines)
    assert len(ours) == len(CALLS)
    # Lists are never null there: a call without an answer has no fields of one either way.
    assert [without_empty(row) for row in theirs] == [without_empty(row) for row in ours]


def without_empty(value: object) -> object:
    if isinstance(value, dict):
        return {name: kept for name, inner in value.items() if (kept := without_empty(inner)) not in ([], {})}
    return value


def test_an_answer_is_a_relation_for_python(filled: tuple[House, DuckReader, HouseReader]) -> None:
    _, duck, house = filled
    sql = "SELECT status, count(*) AS calls FROM exchanges GROUP BY status ORDER BY status NULLS LAST"
    assert house.relation(sql).fetchall() == duck.relation(sql).fetchall()


def test_what_is_older_is_not_seen(filled: tuple[House, DuckReader, HouseReader]) -> None:
    server, *_ = filled
    for table in ("exchanges", "failed_exchanges"):
        whole = HouseReader(server.address, QueryLimits()).ask(f"SELECT count(*) FROM {table}").rows()
        late = HouseReader(server.address, QueryLimits(), since_ns=BEGIN_NS + HOUR)
        ((seen,),) = late.ask(f"SELECT count(*) FROM {table}").rows()
        ((first,),) = late.ask(f"SELECT min(time) FROM {table}").rows()
        assert 0 < seen < whole[0][0]
        assert first >= "2026-08-01T01:00:00.000000000Z"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "INSERT INTO exchanges (exchange_id) VALUES ('x')",
        "DROP TABLE exchanges",
        "SELECT 1 SETTINGS max_memory_usage = 0",
        "SELECT 1 FORMAT TSV",
        "SELEC 1",
        "",
    ],
)
def test_a_query_reads_nothing_else(filled: tuple[House, DuckReader, HouseReader], sql: str) -> None:
    server, _, house = filled
    before = server.count()
    with pytest.raises(QueryError):
        house.ask(sql).rows()
    assert server.count() == before


def test_a_query_has_only_so_much_memory_and_time(filled: tuple[House, DuckReader, HouseReader]) -> None:
    server, *_ = filled
    with pytest.raises(QueryError, match="more memory than it may have"):
        HouseReader(server.address, QueryLimits(memory=1_000)).ask("SELECT * FROM exchanges").rows()
    with pytest.raises(QueryError, match="stopped after 1 s"):
        HouseReader(server.address, QueryLimits(seconds=1)).ask("SELECT sleep(3)").rows()


def test_nobody_there_is_told() -> None:
    nowhere = Address.parse("clickhouse://127.0.0.1:1/logs", environ={})
    with pytest.raises(QueryError, match=r"no answer: .*Connection refused"):
        HouseReader(nowhere, QueryLimits()).ask("SELECT 1")
    outcome = Sender(nowhere, "a", KINDS).send(load(0, 10, "t"))
    assert isinstance(outcome, Again)


def test_a_password_is_needed_and_never_shown(house: House) -> None:
    wrong = Address.parse(house.place, environ={"CLICKHOUSE_PASSWORD": "no"})
    with pytest.raises(QueryError, match="Authentication failed"):
        HouseReader(wrong, QueryLimits()).ask("SELECT 1")
    assert house.password not in f"{house.address} {house.address!r}"


def test_the_verbs_work_as_on_a_directory(
    filled: tuple[House, DuckReader, HouseReader], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server, *_ = filled
    always = ("--store", server.place, "--since", "forever")
    assert execute(["routes", *always, "--output", "ndjson"]) == 0
    assert any(json.loads(line)["route"] == "/v1/orders" for line in capfd.readouterr().out.splitlines())
    assert execute(["errors", *always, "--each", "--where", "req('host') = 'a.example'", "--limit", "3"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 4
    assert execute(["query", "--store", server.place, "SELECT count(*), max(time) FROM exchanges"]) == 0
    assert f"{len(CALLS)},2026-08-01T01:48:19.000000000Z" in capfd.readouterr().out
    target = tmp_path / "calls.parquet"
    for form in ("parquet", "ndjson", "csv", "har"):
        file = target.with_suffix(f".{form}")
        assert execute(["export", *always, "--role", "both", "--output", form, "--file", str(file)]) == 0
        assert file.stat().st_size > 1_000


def test_init_is_a_verb(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    assert execute(["store", "init", "--store", house.place]) == 0
    assert "is ready" in capfd.readouterr().err
    assert execute(["store", "init", "--cluster", "main", "--replicated", "--print"]) == 0
    assert "ReplicatedMergeTree" in capfd.readouterr().out
    with pytest.raises(StoreError, match="Connection refused"):
        execute(["store", "init", "--store", "clickhouse://127.0.0.1:1/logs"])


def test_a_broken_statement_is_no_answer(house: House) -> None:
    with pytest.raises(DatabaseError) as caught:
        house.client.execute("SELEC 1")
    assert caught.value.code == 62
    assert "version" not in str(caught.value)
