/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is done with each TCP segment of the host: is it HTTP, is it where we think we are, then walk it. */
#ifndef MASTHEAD_SEGMENT_BPF_H
#define MASTHEAD_SEGMENT_BPF_H

#include "framing.bpf.h"

#define PORTS 16

/* Only connections with one of these ports at either end; all when there are none. */
const volatile __u16 ports[PORTS] = {};
const volatile __u32 port_count = 0;
/* 0: both, 1: connections whose requests come in, 2: whose requests go out. */
const volatile __u32 wanted_role = 0;

/* Data that completes a handshake is a few segments at the most: a connection that has more was there before us. */
#define EARLY_BYTES 16384

/* The bytes of the walk lie in a packet. */
static __always_inline bool read_bytes(struct walk *walk, __u32 at, __u8 *to, __u32 size)
{
	return read_payload(walk->skb, at, to, size);
}

static __always_inline bool port_wanted(struct bpf_sock *sk)
{
	__u16 local = sk->src_port, remote = bpf_ntohs(sk->dst_port);

	if (!port_count)
		return true;
	for (int n = 0; n < PORTS; n++)
		if (n < (int)port_count && (ports[n] == local || ports[n] == remote))
			return true;
	return false;
}

static __always_inline void read_tuple(struct bpf_sock *sk, struct event_tuple *tuple)
{
	if (sk->family == AF_INET) {
		map_ipv4(tuple->local, sk->src_ip4);
		map_ipv4(tuple->remote, sk->dst_ip4);
	} else {
		__u32 local[4] = {sk->src_ip6[0], sk->src_ip6[1], sk->src_ip6[2], sk->src_ip6[3]};
		__u32 remote[4] = {sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2], sk->dst_ip6[3]};

		__builtin_memcpy(tuple->local, local, 16);
		__builtin_memcpy(tuple->remote, remote, 16);
	}
	tuple->local_port = sk->src_port;
	tuple->remote_port = bpf_ntohs(sk->dst_port);
	tuple->reserved = 0;
}

static __always_inline __u64 netns_of(struct bpf_sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	return tcp ? tcp->inet_conn.icsk_inet.sk.__sk_common.skc_net.net->net_cookie : 0;
}

static __always_inline bool send_process(struct slot *slot, __u32 index, struct connection *connection)
{
	begin_event(slot, index, connection->cookie, EVENT_PROCESS, 0);
	slot->event.time = 0;
	slot->process.start = connection->start;
	slot->process.tgid = connection->tgid;
	slot->process.reserved = 0;
	__builtin_memcpy(slot->process.comm, connection->comm, sizeof(connection->comm));
	return submit(slot, sizeof(slot->process));
}

/* Tells user space who speaks. Not done until it got there: without it the connection's records mean nothing. */
static __always_inline bool announce(struct bpf_sock *sk, struct connection *connection, struct slot *slot, __u32 index)
{
	__u8 flags = (connection->flags & CONN_JOINED ? EVENT_JOINED : 0) |
	             (connection->flags & CONN_EARLY ? EVENT_UNSURE : 0);

	begin_event(slot, index, connection->cookie, EVENT_CONNECTION, flags);
	slot->event.time = bpf_ktime_get_ns();
	read_tuple(sk, &slot->connection.tuple);
	slot->connection.netns = netns_of(sk);
	slot->connection.cgroup = bpf_sk_cgroup_id(sk);
	if (!submit(slot, sizeof(slot->connection)))
		return false;
	set_flags(connection, CONN_ANNOUNCED);
	if ((connection->process & PROCESS_KNOWN) && send_process(slot, index, connection))
		connection->process |= PROCESS_SENT;
	return true;
}

/* The ends as the packet has them: a listening socket does not know the other one. */
static __always_inline bool read_packet_tuple(struct __sk_buff *skb, struct event_tuple *tuple)
{
	__u32 at = tcp_header_at(skb), address;
	__u16 port[2];
	long bad;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		bad = bpf_skb_load_bytes(skb, 12, &address, 4);
		map_ipv4(tuple->remote, address);
		bad |= bpf_skb_load_bytes(skb, 16, &address, 4);
		map_ipv4(tuple->local, address);
	} else {
		bad = bpf_skb_load_bytes(skb, 8, tuple->remote, 16);
		bad |= bpf_skb_load_bytes(skb, 24, tuple->local, 16);
	}
	bad |= bpf_skb_load_bytes(skb, at, port, sizeof(port));
	tuple->remote_port = bpf_ntohs(port[0]);
	tuple->local_port = bpf_ntohs(port[1]);
	tuple->reserved = 0;
	return !bad;
}

/* Data on a listening socket completes a handshake (TCP_DEFER_ACCEPT, Fast Open): it has no connection yet. */
static __always_inline void on_listener(struct __sk_buff *skb, struct packet *packet)
{
	const __u32 behind = sizeof(struct event_tuple);
	__u32 index = 0, size = packet->payload;
	struct slot *slot = take_slot(&index);

	if (!slot)
		return;
	if (size > EVENT_CHUNK - behind)
		size = EVENT_CHUNK - behind;
	if (read_payload(skb, packet->at, slot->bytes + behind, size) &&
	    judge_start(slot, slot->bytes + behind, size) != START_OTHER &&
	    read_packet_tuple(skb, (struct event_tuple *)slot->bytes)) {
		begin_event(slot, index, 0, EVENT_SEGMENT, EVENT_LISTENER);
		slot->event.time = bpf_ktime_get_ns();
		slot->event.seq = packet->seq;
		slot->event.rcv_nxt = packet->seq;
		slot->event.snd_nxt = 0;
		slot->event.span = packet->payload;
		slot->event.copied = size;
		submit(slot, behind + size);
	}
	release_slot(index);
}

/* Which way is it, and is it wanted at all? */
static __always_inline bool decide(struct bpf_sock *sk, struct connection *connection, struct walk *walk,
                                   __u8 direction, bool turned)
{
	bool frames = false;
	enum start start = judge_beginning(walk, turned, &frames);

	if (start != START_REQUEST && start != START_RESPONSE)
		return false;

	bool egress = (start == START_REQUEST) == (direction == EGRESS);

	if (!port_wanted(sk) || (wanted_role && (wanted_role == 2) != egress)) {
		connection->kind = KIND_OTHER;
		COUNT(other);
		return false;
	}
	if (egress)
		set_flags(connection, CONN_REQUEST_EGRESS);
	if (!(connection->flags & CONN_ANNOUNCED) && !announce(sk, connection, walk->slot, walk->slot_index)) {
		miss_beginning(connection, direction);
		return false;
	}
	if (frames)
		join_frames(connection, direction);
	connection->kind = KIND_HTTP;
	COUNT(http);
	return true;
}

/*
 * Is this segment where the state holds? Returns false when there is nothing to walk. The state moves only at the
 * expected sequence number; what lies elsewhere is copied, or stepped over where all of it is known to be body.
 */
static __always_inline bool synchronize(struct walk *walk)
{
	struct flow *flow = walk->flow;
	bool egress = walk->slot->flags & EVENT_EGRESS;
	__s32 ahead = (__s32)(walk->slot->seq - flow->next);
	__s32 unread = (__s32)(walk->slot->seq + walk->slot->left - (egress ? flow->next : walk->slot->rcv_nxt));

	if (!flow->synced) {
		flow->synced = 1;
		flow->next = walk->slot->seq;
		ahead = 0;
	}
	if (ahead == 0 || walk->slot->left == 0)
		return walk->slot->left || (walk->slot->flags & (EVENT_FIN | EVENT_RST));
	if (ahead < 0) {
		if (unread <= 0) {
			COUNT(duplicates);
			/* A FIN that comes again with old bytes still ends the direction. */
			walk->slot->seq += walk->slot->left;
			walk->slot->left = 0;
			return walk->slot->flags & (EVENT_FIN | EVENT_RST);
		}
		/* TCP refused what the state was moved by, or part of this is new. */
		flow->state = FLOW_UNSURE;
		flow->skip = 0;
		flow->next = walk->slot->seq;
		return true;
	}
	if (flow->state == FLOW_TO_CLOSE) {
		send_segment(walk, 0, walk->slot->left);
		return false;
	}
	if (flow->skip >= (__u32)ahead && (egress || walk->slot->seq == walk->slot->rcv_nxt)) {
		/* What came out of order before was body: step over it. */
		flow->prefix = 0;
		pass(flow, ahead);
		flow->next = walk->slot->seq;
		return true;
	}
	if (egress || walk->slot->seq == walk->slot->rcv_nxt) {
		lose_place(flow);
		flow->next = walk->slot->seq;
		return true;
	}
	/* Out of order: hand it over without moving. */
	if (in_content(flow) && flow->skip >= (__u32)ahead + walk->slot->left)
		send_segment(walk, 0, walk->slot->left);
	else
		bpf_loop(WALK_STEPS, copy_step, walk, 0);
	return false;
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
	/* Requests that waited are answered or given up: user space does the same. */
	if (walk->slot->request)
		walk->connection->responses = walk->connection->requests;
}

static __always_inline bool has_answered(struct bpf_sock *sk)
{
	struct tcp_sock *tcp = bpf_skc_to_tcp_sock(sk);

	return tcp && (__s32)(tcp->lsndtime - tcp->inet_conn.icsk_ack.lrcvtime) >= 0;
}

/* The first data segment: who is it, and did we miss its beginning? */
static __always_inline void first_look(struct __sk_buff *skb, struct bpf_sock *sk, struct connection *connection,
                                       struct bpf_tcp_sock *tcp, __u8 direction)
{
	connection->cookie = bpf_get_socket_cookie(skb);
	set_flags(connection, CONN_SEEN);
	/* The SYN counts as one byte acknowledged. */
	if (tcp->bytes_acked <= 1 && tcp->bytes_received > 0 && tcp->bytes_received <= EARLY_BYTES)
		set_flags(connection, CONN_EARLY);
	else if (tcp->bytes_received > 0 || tcp->bytes_acked > 1)
		set_flags(connection, CONN_JOINED);
	/*
	 * Is this segment the first word of a new turn? On a connection that we joined, only if the socket has sent since it
	 * last received: text in the middle of a body can look like a request.
	 */
	connection->last = direction;
	if (!(connection->flags & CONN_JOINED) || (direction == INGRESS && tcp->bytes_acked > 1 && has_answered(sk)))
		connection->last = !direction;
}

/* What TCP has accepted already may have come with other bytes now: nobody reads them. */
static __always_inline void leave_out_old(struct walk *walk)
{
	struct slot *slot = walk->slot;
	__s32 old = (__s32)(slot->rcv_nxt - slot->seq);

	if (old <= 0)
		return;
	if ((__u32)old >= slot->left) {
		COUNT(duplicates);
		old = slot->left;
	}
	slot->seq += old;
	slot->at += old;
	slot->left -= old;
}

/*
 * Out of order before the first byte of a connection, or behind bytes that only the listener saw: what is here can't say
 * what it is. User space gets it; the next segment that stands at a start decides.
 */
static __always_inline void hand_over_early(struct bpf_sock *sk, struct connection *connection, struct walk *walk)
{
	if ((connection->flags & CONN_JOINED) || !port_wanted(sk))
		return;
	if ((connection->flags & CONN_ANNOUNCED) || announce(sk, connection, walk->slot, walk->slot_index))
		bpf_loop(WALK_STEPS, copy_step, walk, 0);
}

/* The walk ended before the segment did: the rest is left out and the place lost, but a FIN is told. */
static __always_inline void leave_rest(struct walk *walk)
{
	lose_place(walk->flow);
	send_segment(walk, 0, walk->slot->left);
}

static __always_inline void walk_segment(struct bpf_sock *sk, struct walk *walk, __u8 direction)
{
	struct connection *connection = walk->connection;
	bool turned = connection->last != direction;
	__u32 payload;

	if (walk->slot->left && turned)
		connection->last = direction;
	if (direction == INGRESS && walk->slot->left)
		leave_out_old(walk);
	if (connection->kind == KIND_UNDECIDED) {
		bool ahead = (__s32)(walk->slot->seq - walk->slot->rcv_nxt) > 0;

		if (direction == INGRESS && (ahead || (connection->flags & CONN_EARLY))) {
			hand_over_early(sk, connection, walk);
			return;
		}
		if (!walk->slot->left || !decide(sk, connection, walk, direction, turned))
			return;
	}
	if (connection->flags & CONN_WEBSOCKET) {
		if (walk->slot->left || (walk->slot->flags & (EVENT_FIN | EVENT_RST)))
			send_segment(walk, 0, walk->slot->left);
		return;
	}
	payload = walk->slot->left;
	walk->slot->request = (direction == EGRESS) == !!(connection->flags & CONN_REQUEST_EGRESS);
	walk->flow = &connection->flows[direction & 1];
	if (!synchronize(walk))
		return;
	if (!walk->slot->left) {
		send_segment(walk, 0, 0);
		return;
	}
	find_again(walk, turned);
	if (bpf_loop(WALK_STEPS, walk_step, walk, 0) == WALK_STEPS)
		walk->slot->flags |= EVENT_CUT;
	if (walk->slot->left && connection->kind == KIND_HTTP)
		leave_rest(walk);
	walk->flow->next += payload;
	connection->want_accept = direction == INGRESS;
}

static __always_inline void send_accept(struct walk *walk)
{
	begin_event(walk->slot, walk->slot_index, walk->connection->cookie, EVENT_ACCEPT, EVENT_EGRESS);
	walk->slot->event.time = walk->slot->time;
	walk->slot->event.seq = walk->slot->seq;
	walk->slot->event.rcv_nxt = walk->slot->rcv_nxt;
	walk->slot->event.snd_nxt = walk->slot->snd_nxt;
	submit(walk->slot, 0);
	walk->connection->want_accept = 0;
}

static __always_inline void on_segment(struct __sk_buff *skb, __u8 direction)
{
	struct packet packet;

	if (!read_packet(skb, &packet))
		return;

	bool ends = packet.flags & (TCP_FIN | TCP_RST);

	if (!packet.payload && !ends && direction == INGRESS)
		return;

	struct bpf_sock *sk = skb->sk;

	if (!sk)
		return;
	if (sk->state == TCP_LISTEN) {
		if (packet.payload && direction == INGRESS)
			on_listener(skb, &packet);
		return;
	}

	struct connection *connection =
		bpf_sk_storage_get(&connections, sk, 0, packet.payload ? BPF_SK_STORAGE_GET_F_CREATE : 0);

	if (!connection) {
		if (packet.payload)
			COUNT(no_storage);
		return;
	}
	if (connection->kind == KIND_OTHER)
		return;
	if (!packet.payload && connection->kind == KIND_UNDECIDED)
		return;
	if (!packet.payload && !ends && !connection->want_accept)
		return;

	struct bpf_tcp_sock *tcp = bpf_tcp_sock(sk);

	if (!tcp)
		return;
	if (!(connection->flags & CONN_SEEN))
		first_look(skb, sk, connection, tcp, direction);

	struct walk walk = {.skb = skb, .connection = connection};

	/*
	 * Two CPUs may have arriving segments of one connection at once (what leaves holds the socket's lock). A plain flag
	 * sees nearly all of it, and all that hangs on it is what is copied: an atomic one would cost every segment more.
	 */
	if (direction == INGRESS) {
		if (connection->busy) {
			COUNT(contended);
			connection->flows[INGRESS].synced = 0;
			connection->flows[INGRESS].state = FLOW_UNSURE;
		}
		connection->busy = 1;
	}
	struct slot *slot = take_slot(&walk.slot_index);

	if (slot) {
		walk.slot = slot;
		slot->time = bpf_ktime_get_ns();
		slot->at = packet.at;
		slot->left = packet.payload;
		slot->seq = packet.seq;
		slot->rcv_nxt = tcp->rcv_nxt;
		slot->snd_nxt = tcp->snd_nxt;
		slot->unsure = 0;
		slot->flags = (direction == EGRESS ? EVENT_EGRESS : 0) | (packet.flags & TCP_FIN ? EVENT_FIN : 0) |
		              (packet.flags & TCP_RST ? EVENT_RST : 0);
		if (!packet.payload && !ends)
			send_accept(&walk);
		else
			walk_segment(sk, &walk, direction);
		release_slot(walk.slot_index);
	} else if (packet.payload) {
		miss_beginning(connection, direction);
	}
	if (direction == INGRESS)
		connection->busy = 0;
}

#endif
