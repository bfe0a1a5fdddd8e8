/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which socket carries a TLS session? No library tells; but the thread that calls it does, by the sockets it uses.
 *
 * Libraries that own the socket (nginx, Apache, curl) use it inside their calls: it is the one that was used inside AGREED
 * of them, once to receive, or inside the first one, when that came to the end of the handshake. Otherwise one call is not
 * enough, since an application's own callbacks (SNI, verification, session caches) run inside calls too, and use sockets
 * of their own.
 *
 * Where applications hand bytes over in memory (Node, asyncio), a thread receives, then calls; or calls, then sends. Then
 * the socket is the one that was used beside the calls, when it was the only one, the same AGREED times in a row and once
 * to receive, after a call that wanted bytes asked no socket.
 *
 * Contradiction makes it unknown for good: two sockets beside calls of a session in memory, two inside, or one beside and
 * another one inside.
 *
 * Go's own TLS always uses the socket inside its calls, and calls the application back in handshakes only.
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

static __always_inline void copy_carrier(struct event_socket *to, const struct session *session)
{
	if (session->bound == BOUND_NOT)
		__builtin_memset(to, 0, sizeof(*to));
	else
		__builtin_memcpy(to, &session->socket, sizeof(*to));
}

/* Global, so that the verifier reads it once: in line it would double the walks behind it. */
__noinline int send_carrier(struct session *session)
{
	__u32 index = 0;
	struct slot *slot;

	if (!session)
		return 0;
	session->told = 0;
	if (!(session->connection.flags & CONN_ANNOUNCED))
		return 0;
	slot = take_slot(&index);
	if (!slot)
		return 0;
	begin_event(slot, index, session->connection.cookie, EVENT_SOCKET, 0);
	slot->event.time = bpf_ktime_get_ns();
	session->told = 1;
	copy_carrier(&slot->socket, session);
	if (!submit(slot, sizeof(slot->socket)))
		session->told = 0;
	release_slot(index);
	return 0;
}

/* What is known of the socket may have been refused: until it gets there, nothing else goes under the old one. */
static __always_inline bool is_told(struct session *session)
{
	if ((session->connection.flags & CONN_ANNOUNCED) && !session->told)
		send_carrier(session);
	return !(session->connection.flags & CONN_ANNOUNCED) || session->told;
}

/* The library itself uses the socket, inside its calls. */
static __always_inline void bind_inside(struct session *session)
{
	session->bound = BOUND_DIRECT;
	send_carrier(session);
}

static __always_inline void set_carrier(struct session *session, const struct event_socket *socket, __u8 bound)
{
	__builtin_memcpy(&session->socket, socket, sizeof(*socket));
	session->bound = bound;
	send_carrier(session);
}

static __always_inline void forget_carrier(struct session *session)
{
	COUNT_TLS(conflicts);
	session->bound = BOUND_CONFLICT;
	__builtin_memset(&session->socket, 0, sizeof(session->socket));
	send_carrier(session);
}

/* No callback of an application runs inside: those of Go's library belong to handshakes. */
static __always_inline bool is_alone(const struct call *call)
{
	return call->cookie >> 8 == LIBRARY_GO && !call->handshake;
}

/* A socket was used inside a call for the session; `first`: the first one in this call. */
static __always_inline void on_inside(struct session *session, const struct call *call, struct sock *sk, __u64 cookie,
                                      bool first, bool came)
{
	if (session->bound == BOUND_CONFLICT || (session->bound == BOUND_DIRECT && session->inside == cookie))
		return;
	if (session->inside && session->inside != cookie) {
		forget_carrier(session);
		return;
	}
	if (session->memory) {
		/* A callback's; the same as beside the calls says nothing new. */
		if (session->seen != cookie)
			forget_carrier(session);
		return;
	}
	if (!session->inside)
		read_socket(sk, cookie, &session->socket);
	session->inside = cookie;
	session->inside_came |= came;
	if (first && session->inside_calls < AGREED)
		session->inside_calls++;
	if (is_alone(call) || (session->inside_calls >= AGREED && session->inside_came))
		bind_inside(session);
}

/* A socket was used right before a call for the session, or right after it, and no other. */
static __always_inline void on_beside(struct session *session, const struct event_socket *socket, bool came)
{
	if (session->bound >= BOUND_DIRECT)
		return;
	if (session->memory && ((session->seen && session->seen != socket->cookie) ||
	                        (session->inside && session->inside != socket->cookie))) {
		forget_carrier(session);
		return;
	}
	if (session->seen && session->seen != socket->cookie) {
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
		struct session *session = find_session(call->session);
		bool first = !call->touched;

		call->touched = 1;
		call->ended = !sends && ret == 0;
		cookie = bpf_get_socket_cookie(sk);
		if (session)
			on_inside(session, call, sk, cookie, first, !sends);
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
