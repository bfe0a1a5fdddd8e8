/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which socket carries a TLS session? No library tells; but the thread that calls it does, by the sockets it uses.
 *
 * Inside a call for the session (nginx, Apache, curl): that socket it is. Where applications hand bytes over in memory
 * (Node, asyncio), a thread receives, then calls; or calls, then sends. Then the socket is the one that was used beside
 * the calls, when it was the only one, the same AGREED times in a row and once to receive, after a call that wanted bytes
 * asked no socket. Contradiction makes it unknown for good.
 *
 * Go's own TLS always uses the socket inside its calls.
 */
#ifndef MASTHEAD_CARRIER_BPF_H
#define MASTHEAD_CARRIER_BPF_H

#include "goroutine.bpf.h"

#define AGREED 2

static __always_inline void read_socket(struct sock *sk, __u64 cookie, struct event_socket *to)
{
	struct sock_common *common = &sk->__sk_common;
	struct event_tuple *tuple = &to->connection.tuple;

	__builtin_memset(to, 0, sizeof(*to));
	to->cookie = cookie;
	if (common->skc_family == AF_INET) {
		map_ipv4(tuple->local, common->skc_rcv_saddr);
		map_ipv4(tuple->remote, common->skc_daddr);
	} else {
		bpf_probe_read_kernel(tuple->local, 16, &common->skc_v6_rcv_saddr);
		bpf_probe_read_kernel(tuple->remote, 16, &common->skc_v6_daddr);
	}
	tuple->local_port = common->skc_num;
	tuple->remote_port = bpf_ntohs(common->skc_dport);
	to->connection.netns = common->skc_net.net->net_cookie;
	to->connection.cgroup = sk->sk_cgrp_data.cgroup->kn->id;
}

static __always_inline void send_carrier(struct session *session)
{
	__u32 index = 0;
	struct slot *slot;

	if (!(session->connection.flags & CONN_ANNOUNCED))
		return;
	slot = take_slot(&index);
	if (!slot)
		return;
	begin_event(slot, index, session->connection.cookie, EVENT_SOCKET, 0);
	slot->event.time = bpf_ktime_get_ns();
	__builtin_memcpy(&slot->socket, &session->socket, sizeof(slot->socket));
	submit(slot, sizeof(slot->socket));
	release_slot(index);
}

static __always_inline void set_carrier(struct session *session, const struct event_socket *socket, __u8 bound)
{
	__builtin_memcpy(&session->socket, socket, sizeof(*socket));
	session->bound = bound;
	send_carrier(session);
}

static __always_inline void forget_carrier(struct session *session, __u8 bound)
{
	COUNT_TLS(conflicts);
	session->bound = bound;
	__builtin_memset(&session->socket, 0, sizeof(session->socket));
	send_carrier(session);
}

/* A socket was used inside a call for the session. */
static __always_inline void on_direct(struct session *session, struct sock *sk, __u64 cookie)
{
	if (session->bound == BOUND_CONFLICT || (session->bound == BOUND_DIRECT && session->socket.cookie == cookie))
		return;
	if (session->bound == BOUND_DIRECT) {
		forget_carrier(session, BOUND_CONFLICT);
		return;
	}
	read_socket(sk, cookie, &session->socket);
	session->bound = BOUND_DIRECT;
	send_carrier(session);
}

/* A socket was used right before a call for the session, or right after it, and no other. */
static __always_inline void on_beside(struct session *session, const struct event_socket *socket, bool came)
{
	if (session->bound >= BOUND_DIRECT)
		return;
	if (session->seen && session->seen != socket->cookie) {
		if (session->memory) {
			forget_carrier(session, BOUND_DOUBT);
			return;
		}
		/* It may be one whose bytes the library moves itself, and then this says nothing. */
		session->agreed = 0;
		session->came = 0;
	}
	session->seen = socket->cookie;
	session->came |= came;
	if (session->agreed < AGREED)
		session->agreed++;
	if (session->bound == BOUND_NOT && session->agreed >= AGREED && session->came && session->memory)
		set_carrier(session, socket, BOUND_SEEN);
}

/* The thread moved bytes of a socket outside of any call. */
static __always_inline void on_moved(struct thread *thread, struct sock *sk, __u64 cookie)
{
	if (thread->movements && thread->moved.cookie != cookie) {
		thread->movements = 2;
		return;
	}
	if (thread->moved.cookie != cookie)
		read_socket(sk, cookie, &thread->moved);
	if (!thread->movements)
		thread->movements = 1;
}

static __always_inline void on_socket(struct sock *sk, int ret, bool sends)
{
	struct thread *thread;
	struct call *call;
	__u64 cookie;

	if (sk->sk_protocol != IPPROTO_TCP)
		return;
	thread = this_thread(0);
	call = thread ? call_at(&thread->calls, thread->calls.depth - 1) : NULL;
	if (!call)
		call = call_of_goroutine();
	if (call) {
		call->touched = 1;
		call->ended = !sends && ret == 0;

		struct session *session = find_session(call->session);

		cookie = bpf_get_socket_cookie(sk);
		if (session)
			on_direct(session, sk, cookie);
		return;
	}
	if (!thread || ret <= 0)
		return;
	cookie = bpf_get_socket_cookie(sk);
	if (!sends) {
		on_moved(thread, sk, cookie);
		return;
	}
	/* What was written in memory leaves by this one. */
	if (thread->written) {
		struct session *session = thread->written == SEVERAL ? NULL : find_session(thread->written);

		thread->written = 0;
		if (session && session->bound != BOUND_DIRECT) {
			struct event_socket *moved = &thread->moved;

			if (moved->cookie != cookie)
				read_socket(sk, cookie, moved);
			thread->movements = 0;
			on_beside(session, moved, false);
		}
	}
}

#endif
