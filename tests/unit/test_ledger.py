import json

from masthead.ledger import Ledger

TEXT = json.dumps(
    {
        "kernel": {"seen": 10, "submitted": 8, "refused": {"ring_full": 2, "busy": 0}},
        "records": {"consumed": 8, "used": 8, "duplicate": 0, "not_http": 0, "failed": {}},
        "rows": {"opened": 5, "written": 4, "open": 1, "filtered": 0, "sampled_out": 0, "failed_at_sink": 0},
        "notes": {"own_sockets": 3, "gaps": 1},
        "closed": True,
    }
)


def test_rows_that_an_output_missed_move_and_the_sum_stays() -> None:
    ledger = Ledger.from_json(TEXT).with_failures(3)
    assert (ledger.counts["rows.written"], ledger.counts["rows.failed_at_sink"]) == (1, 3)


def test_losses_are_what_should_have_been_logged() -> None:
    assert Ledger.from_json(TEXT).lost() == {"kernel.refused.ring_full": 2, "notes.gaps": 1}


def test_only_growth_is_a_new_loss() -> None:
    before = Ledger.from_json(TEXT)
    assert before.lost_since(before) == {}
    assert before.with_failures(2).lost_since(before) == {"rows.failed_at_sink": 2}
    assert before.with_failures(2).since(before) == {"rows.written": -2, "rows.failed_at_sink": 2}


def test_several_files_add_up() -> None:
    one = Ledger.from_json(TEXT)
    both = one.plus(Ledger(one.counts, closed=False))
    assert both.counts["rows.written"] == 8
    assert not both.closed


def test_it_can_be_written_as_it_was_read() -> None:
    nested = Ledger.from_json(TEXT).nested()
    assert Ledger.from_json(json.dumps(nested)) == Ledger.from_json(TEXT)


def test_people_read_each_stage_and_whether_it_adds_up() -> None:
    assert Ledger.from_json(TEXT).text().splitlines() == [
        "ledger",
        "  kernel  seen 10  submitted 8  refused:ring_full 2",
        "  records consumed 8  used 8  duplicate 0  not_http 0",
        "  rows    opened 5  written 4  open 1  filtered 0  sampled_out 0  failed_at_sink 0",
        "  notes   own_sockets 3  gaps 1",
        "  everything is accounted for",
    ]
    assert "DOES NOT ADD UP" in Ledger({}, closed=False).text()


def test_what_was_lost_within_tls_is_a_loss_and_shown() -> None:
    tls = {"connections": 2, "decrypted": 1, "unread": {"no_secrets": 1, "suite": 0}, "lost": {"failed": 3, "place": 0}}
    ledger = Ledger.from_json(json.dumps({"tls": tls, "closed": True}))
    assert ledger.lost() == {"tls.lost.failed": 3}
    assert "connections 2  decrypted 1  unread:no_secrets 1  lost:failed 3" in ledger.text()
    assert "suite" not in ledger.text()
