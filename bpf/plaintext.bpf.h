/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is done with the plaintext that a TLS library was given or gave: the same walk as through a segment. */
#ifndef MASTHEAD_PLAINTEXT_BPF_H
#define MASTHEAD_PLAINTEXT_BPF_H

#include "carrier.bpf.h"
#include "frames.bpf.h"

/* 0: both, 1: connections whose requests come in, 2: whose requests go out. */
const volatile __u32 wanted_role = 0;

/* Bytes walked at once: user space refuses what is beyond TCP's largest window, 2^30. */
#define PIECE     (1 << 29)
/* A call longer than this gets a time for its first bytes and one for its last, nanoseconds. */
#define LONG_CALL 500000

/* The bytes of the walk lie in the process: resident, since the library has just read or written them. */
static __always_inline bool read_bytes(struct walk *walk, __u32 at, __u8 *to, __u32 size)
{
	__u64 last = (__u64)size - 1;

	barrier_var(last);
	if (last >= EVENT_CHUNK || !walk->slot->base)
		return false;
	barrier_var(last);
	return !bpf_probe_read_user(to, last + 1, (void *)(walk->slot->base + at));
}

static __always_inline bool announce(struct session *session, struct slot *slot, __u32 index)
{
	struct connection *connection = &session->connection;

	begin_event(slot, index, connection->cookie, EVENT_TLS, connection->flags & CONN_JOINED ? EVENT_JOINED : 0);
	slot->event.time = slot->time;
	session->told = 1;
	copy_carrier(&slot->tls.socket, session);
	slot->tls.process.start = connection->start;
	slot->tls.process.tgid = connection->tgid;
	slot->tls.process.reserved = 0;
	__builtin_memcpy(slot->tls.process.comm, connection->comm, sizeof(connection->comm));
	slot->tls.library = session->library;
	slot->tls.reserved = 0;
	if (!submit(slot, sizeof(slot->tls)))
		return false;
	set_flags(connection, CONN_ANNOUNCED);
	return true;
}

/* Which way is it, and is it wanted at all? */
static __always_inline bool decide(struct session *session, struct walk *walk, __u8 direction, bool turned)
{
	struct connection *connection = walk->connection;
	bool frames = false;
	enum start start = judge_beginning(walk, turned, &frames);

	if (start != START_REQUEST && start != START_RESPONSE)
		return false;

	bool egress = (start == START_REQUEST) == (direction == EGRESS);

	if (wanted_role && (wanted_role == 2) != egress) {
		connection->kind = KIND_OTHER;
		COUNT(other);
		return false;
	}
	if (egress)
		set_flags(connection, CONN_REQUEST_EGRESS);
	if (!(connection->flags & CONN_ANNOUNCED) && !announce(session, walk->slot, walk->slot_index)) {
		miss_beginning(connection, direction);
		return false;
	}
	if (frames)
		join_frames(connection, direction);
	connection->kind = KIND_HTTP;
	COUNT(http);
	return true;
}

/* Lost places are found again where the other side had spoken and a start line follows. */
static __always_inline void find_again(struct walk *walk, bool turned)
{
	enum start want = walk->slot->request ? START_REQUEST : START_RESPONSE;
	__u32 size = walk->slot->left < EVENT_CHUNK ? walk->slot->left : EVENT_CHUNK;

	if (walk->flow->state != FLOW_UNSURE)
		return;
	if (walk->connection->flags & CONN_FRAMES) {
		find_frames(walk);
		return;
	}
	if (!turned || !load(walk, size))
		return;
	if (judge_start(walk->slot, walk->slot->bytes, size) != want)
		return;
	walk->flow->state = FLOW_START;
	walk->flow->line_size = 0;
	if (walk->slot->request)
		walk->connection->responses = walk->connection->requests;
}

/* What can't be read is known only as far as it is a body. */
static __always_inline bool is_beyond_reach(struct walk *walk)
{
	struct flow *flow = walk->flow;

	return !walk->slot->base && flow->state != FLOW_TO_CLOSE && flow->skip < walk->slot->left + walk->slot->behind;
}

/* The next piece of the call's bytes. */
static __always_inline bool next_piece(struct slot *slot)
{
	__u64 size = slot->behind;

	if (!size)
		return false;
	if (size > PIECE)
		size = PIECE;
	else
		slot->time = slot->late;
	slot->base += slot->base ? slot->at : 0;
	slot->at = 0;
	slot->left = size;
	slot->behind -= size;
	slot->rcv_nxt += slot->flags & EVENT_EGRESS ? 0 : size;
	return true;
}

static long plain_step(__u32 index, struct walk *walk)
{
	if (!walk_step(index, walk))
		return 0;
	return walk->slot->left || walk->connection->kind == KIND_OTHER || !next_piece(walk->slot);
}

/* Divides a call's bytes: pieces that a record can stand for, and the last byte of a long call, which has its own time. */
static __always_inline void begin_pieces(struct slot *slot, __u64 count, __u64 began, bool decided)
{
	__u64 first = count < PIECE ? count : PIECE;

	/* What a connection speaks is judged by whole frames. */
	if (decided && slot->late - began > LONG_CALL && count > 1 && count <= PIECE)
		first = count - 1;
	slot->time = began;
	slot->at = 0;
	slot->left = first;
	slot->behind = count - first;
	slot->unsure = 0;
}

static __always_inline void walk_plaintext(struct session *session, struct walk *walk, __u8 direction)
{
	struct connection *connection = walk->connection;
	struct flow *flow = walk->flow;
	bool turned = connection->last != direction;

	connection->last = direction;
	if (connection->kind == KIND_UNDECIDED && !decide(session, walk, direction, turned))
		return;
	walk->slot->request = (direction == EGRESS) == !!(connection->flags & CONN_REQUEST_EGRESS);
	/* A WebSocket's bytes are counted, and none is copied. */
	if (connection->flags & CONN_WEBSOCKET)
		flow->state = FLOW_TO_CLOSE;
	find_again(walk, turned);
	if (!is_beyond_reach(walk))
		bpf_loop(WALK_STEPS, plain_step, walk, 0);
	/* Not all was walked: it is missing in user space too, which calls it a gap. */
	if (walk->slot->left && connection->kind == KIND_HTTP)
		lose_place(flow);
}

/* `count` bytes of plaintext at `bytes` (0 where they are not in memory) went in or out between `began` and now. */
static __always_inline void on_plaintext(struct session *session, __u8 direction, __u64 bytes, __u64 count, __u64 began)
{
	struct connection *connection = &session->connection;
	struct flow *flow = &connection->flows[direction & 1];
	struct walk walk = {.connection = connection, .flow = flow};
	__u32 begin = flow->next;

	if (connection->kind == KIND_OTHER)
		return;
	if (!(connection->flags & CONN_SEEN)) {
		set_flags(connection, CONN_SEEN);
		/* A joined session may be in the middle of anything until the conversation turns. */
		connection->last = connection->flags & CONN_JOINED ? direction : !direction;
	}

	struct slot *slot = is_told(session) ? take_slot(&walk.slot_index) : NULL;

	if (slot) {
		walk.slot = slot;
		slot->base = bytes;
		slot->late = bpf_ktime_get_ns();
		slot->flags = direction == EGRESS ? EVENT_EGRESS : 0;
		begin_pieces(slot, count, began ? began : slot->late, connection->kind == KIND_HTTP);
		slot->seq = begin;
		slot->rcv_nxt = direction == EGRESS ? connection->flows[INGRESS].next : begin + slot->left;
		slot->snd_nxt = direction == EGRESS ? begin + (__u32)count : connection->flows[EGRESS].next;
		walk_plaintext(session, &walk, direction);
		release_slot(walk.slot_index);
	} else {
		miss_beginning(connection, direction);
		lose_place(flow);
	}
	flow->next = begin + (__u32)count;
}

/* A direction ended: its last word was the closure alert (RFC 8446, section 6.1). */
static __always_inline void on_closure(struct session *session, __u8 direction)
{
	struct connection *connection = &session->connection;
	__u32 index = 0;
	struct slot *slot;

	if (!(connection->flags & CONN_ANNOUNCED) || connection->kind == KIND_OTHER || !is_told(session))
		return;
	slot = take_slot(&index);
	if (!slot)
		return;
	begin_event(slot, index, connection->cookie, EVENT_SEGMENT,
	            EVENT_FIN | (direction == EGRESS ? EVENT_EGRESS : 0));
	slot->event.time = bpf_ktime_get_ns();
	slot->event.seq = connection->flows[direction & 1].next;
	slot->event.rcv_nxt = connection->flows[INGRESS].next + (direction == INGRESS);
	slot->event.snd_nxt = connection->flows[EGRESS].next + (direction == EGRESS);
	submit(slot, 0);
	release_slot(index);
}

/* The session is over. */
static __always_inline void on_over(struct session *session)
{
	struct connection *connection = &session->connection;
	__u32 index = 0;
	struct slot *slot;

	if (!(connection->flags & CONN_ANNOUNCED))
		return;
	/* If it is refused again, there is nothing else to be done. */
	is_told(session);
	slot = take_slot(&index);
	if (!slot)
		return;
	begin_event(slot, index, connection->cookie, EVENT_CLOSE, 0);
	slot->event.time = bpf_ktime_get_ns();
	slot->event.seq = connection->flows[EGRESS].next;
	slot->event.rcv_nxt = connection->flows[INGRESS].next;
	slot->event.snd_nxt = connection->flows[EGRESS].next;
	submit(slot, 0);
	release_slot(index);
}

#endif
