/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Calls of a TLS library's functions: what was asked at the entry, and what came of it at the return. */
#ifndef MASTHEAD_CALL_BPF_H
#define MASTHEAD_CALL_BPF_H

#include "plaintext.bpf.h"

/*
 * The stack pointer of a call, the same at its entry and at its return: x86_64 takes the return address off it.
 */
static __always_inline __u64 stack_at_entry(struct pt_regs *ctx)
{
	return PT_REGS_SP(ctx);
}

static __always_inline __u64 stack_at_return(struct pt_regs *ctx)
{
#ifdef bpf_target_x86
	return PT_REGS_SP(ctx) - 8;
#else
	return PT_REGS_SP(ctx);
#endif
}

struct arguments {
	__u64 first;
	__u64 second;
	__u64 third;
	__u64 fourth;
	__u64 stack;
};

static __always_inline void end_session(__u64 address)
{
	struct object key = object_at(address);
	struct session *session = bpf_map_lookup_elem(&sessions, &key);

	if (!session)
		return;
	on_over(session);
	bpf_map_delete_elem(&sessions, &key);
}

/* A call is lost from sight, and what it moved: what is open is told as it stands, and reading begins anew. */
static __always_inline void restart_session(struct session *session)
{
	COUNT_TLS(restarted);
	if (session->connection.kind == KIND_OTHER)
		return;
	on_over(session);
	begin_connection(&session->connection, false);
}

/* Nothing has been sent or received. Several functions say so of the same session, one after another. */
static __always_inline void begin_session(__u64 address, __u32 library)
{
	struct session *session = find_session(address);

	if (session && !(session->connection.flags & (CONN_SEEN | CONN_JOINED)))
		return;
	end_session(address);
	make_session(address, library, true);
}

/* Functions that are looked at when they are called, and not when they return. */
static __always_inline bool on_entry_only(__u32 cookie, __u64 address)
{
	struct session *session;

	switch (cookie & 0xff) {
	case CALL_BEGIN:
		begin_session(address, cookie >> 8);
		return true;
	case CALL_END:
		end_session(address);
		return true;
	case CALL_SHUTDOWN:
	case CALL_CLOSE:
		session = find_session(address);
		if (!session)
			return true;
		if (session->writes) {
			session->closed |= (cookie & 0xff) == CALL_CLOSE;
			return true;
		}
		on_closure(session, EGRESS);
		if ((cookie & 0xff) == CALL_CLOSE)
			end_session(address);
		return true;
	case CALL_LOST:
		session = find_session(address);
		if (session)
			restart_session(session);
		return true;
	}
	return false;
}

#define WRITES (1 << CALL_WRITE | 1 << CALL_WRITE_EX | 1 << CALL_SENDFILE | 1 << CALL_SEND)

/* EGRESS or INGRESS. No branch: the verifier would follow the walk once for each direction. */
static __always_inline __u8 direction_of(const struct call *call)
{
	return WRITES >> (call->cookie & 31) & 1;
}

/* A call is over, or lost: a session that was closed while it was written ends with the last call that wrote. */
static __always_inline void end_write(struct session *session, const struct call *call)
{
	if (session->writes && direction_of(call) == EGRESS)
		__sync_fetch_and_sub(&session->writes, 1);
	if (session->closed && !session->writes)
		end_session(call->session);
}

/* The stack grows down: what stands below the new call never came back (an exception, a jump out of it). */
static __always_inline void drop_lost(struct calls *calls, __u64 stack)
{
	for (int n = 0; n < CALLS; n++) {
		struct call *call = call_at(calls, calls->depth - 1);
		struct session *session;

		if (!call || call->stack > stack)
			return;
		calls->depth--;
		session = find_session(call->session);
		if (session) {
			restart_session(session);
			end_write(session, call);
		}
	}
}

/* There is no room to remember a call, and what it moves will not be known. */
static __always_inline void refuse_call(__u64 address)
{
	struct session *session = find_session(address);

	COUNT_TLS(nested);
	if (session)
		restart_session(session);
}

/* Room for a call; NULL where it does not count or there is none. */
static __always_inline struct call *next_call(struct calls *calls, __u64 stack, __u64 address)
{
	struct call *call;

	drop_lost(calls, stack);
	/* One function of the library that calls another one for the same session: the outer one counts. */
	call = call_at(calls, calls->depth - 1);
	if (call && call->session == address)
		return NULL;
	call = call_at(calls, calls->depth);
	if (!call) {
		refuse_call(address);
		return NULL;
	}
	calls->depth++;
	return call;
}

/* What it is called with is no session. */
static __always_inline bool makes_session(__u32 cookie)
{
	return (cookie & 0xff) == CALL_INIT || (cookie & 0xff) == CALL_MAKE;
}

/* Remembers a call; NULL where it does not count or there is no room. */
static __always_inline struct call *begin_call(struct calls *calls, __u32 cookie, const struct arguments *arguments)
{
	struct call *call;

	if (!makes_session(cookie) && !find_session(arguments->first) &&
	    !make_session(arguments->first, cookie >> 8, false))
		return NULL;
	call = next_call(calls, arguments->stack, arguments->first);
	if (!call)
		return NULL;
	call->session = arguments->first;
	/* Those of a file are nowhere in the process. */
	call->bytes = (cookie & 0xff) == CALL_SENDFILE ? 0 : arguments->second;
	call->count = arguments->fourth;
	call->time = bpf_ktime_get_ns();
	call->stack = arguments->stack;
	call->cookie = cookie;
	call->handshake = 0;
	call->touched = 0;
	call->ended = 0;
	call->beside = 0;
	call->on_stack = 0;
	return call;
}

static __always_inline void on_entry(__u32 cookie, const struct arguments *arguments)
{
	struct thread *thread;
	struct call *call;

	COUNT_TLS(traps);
	thread = this_thread(BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (on_entry_only(cookie, arguments->first))
		return;
	if (!thread) {
		refuse_call(arguments->first);
		return;
	}
	call = begin_call(&thread->calls, cookie, arguments);
	if (!call)
		return;
	call->beside = thread->movements == 1;
	thread->movements = 0;
}

/* Some bytes went through, and nobody knows how many. */
#define COUNT_UNKNOWN (-(1LL << 40))

/* The bytes that went through, or a number below 1. */
static __always_inline __s64 count_of(const struct call *call, __s64 result)
{
	__u64 count = 0;

	switch (call->cookie & 0xff) {
	case CALL_READ_EX:
	case CALL_WRITE_EX:
		if ((__s32)result != 1)
			return -1;
		if (bpf_probe_read_user(&count, sizeof(count), (void *)call->count)) {
			COUNT_TLS(unreadable);
			return COUNT_UNKNOWN;
		}
		return count;
	case CALL_READ:
	case CALL_WRITE:
	case CALL_HANDSHAKE:
		return (__s32)result;
	}
	return result;
}

/* The innermost call of these has returned. */
static __always_inline bool end_call(struct calls *calls, __u64 stack, struct call *to)
{
	struct call *call = call_at(calls, calls->depth - 1);

	if (!call || call->stack != stack) {
		COUNT_TLS(unmatched);
		return false;
	}
	calls->depth--;
	__builtin_memcpy(to, call, sizeof(*to));
	return true;
}

/*
 * The session's first call came to the end of its handshake, or moved bytes behind it: some went both ways meanwhile, which
 * nobody but the library can have moved. (Of GnuTLS, whose handshakes return 0, two calls tell.)
 */
static __always_inline bool is_whole_handshake(const struct session *session, __s64 count)
{
	return count >= 1 && !session->called && !(session->connection.flags & CONN_JOINED);
}

/* What the thread did tells which socket carries a session. */
static __always_inline void follow_thread(struct thread *thread, struct session *session, const struct call *call,
                                          __s64 count)
{
	__u32 kind = call->cookie & 0xff;

	if (session->bound == BOUND_NOT && session->inside_came && is_whole_handshake(session, count))
		bind_inside(session);
	session->called = 1;
	if (call->touched || count == COUNT_UNKNOWN)
		return;
	if (WRITES >> (kind & 31) & 1)
		thread->written = thread->written && thread->written != call->session ? SEVERAL : call->session;
	else if (count < 1)
		session->memory = 1;
	if (call->beside)
		on_beside(session, &thread->moved, true);
}

/* What a call moved. */
static __always_inline void on_moved_plaintext(struct session *session, const struct call *call, __s64 count)
{
	__u8 direction = direction_of(call);

	if (count == COUNT_UNKNOWN)
		restart_session(session);
	else if (count > 0)
		on_plaintext(session, direction, call->bytes, count, call->time & -(__u64)direction);
	else if (count == 0 && direction == INGRESS && call->touched && !call->ended)
		on_closure(session, INGRESS);
}

/* The session whose call has returned, if there is more to be done for it. */
static __always_inline struct session *on_return(__u64 stack, __s64 result, struct call *call, __s64 *count)
{
	struct thread *thread = this_thread(0);
	struct session *session;
	__u64 address;

	if (!thread || !end_call(&thread->calls, stack, call))
		return NULL;
	if ((call->cookie & 0xff) == CALL_INIT) {
		if (result == 0 && !bpf_probe_read_user(&address, sizeof(address), (void *)call->session))
			begin_session(address, call->cookie >> 8);
		return NULL;
	}
	if ((call->cookie & 0xff) == CALL_MAKE) {
		if (result)
			begin_session(result, call->cookie >> 8);
		return NULL;
	}
	session = find_session(call->session);
	if (!session || (call->cookie & 0xff) == CALL_PEEK)
		return NULL;
	*count = count_of(call, result);
	follow_thread(thread, session, call, *count);
	return (call->cookie & 0xff) == CALL_HANDSHAKE ? NULL : session;
}

/* A process is gone, or runs something else: so are its sessions. */
static long end_if_of(void *map, const struct object *key, struct session *session, __u32 *tgid)
{
	if (key->tgid == *tgid) {
		on_over(session);
		bpf_map_delete_elem(map, key);
	}
	return 0;
}

static long forget_if_of(void *map, const struct object *key, struct calls *calls, __u32 *tgid)
{
	if (key->tgid == *tgid)
		bpf_map_delete_elem(map, key);
	return 0;
}

static __always_inline void end_process(__u32 tgid)
{
	__u8 *speaks = bpf_map_lookup_elem(&watched, &tgid);

	if (!speaks)
		return;
	bpf_for_each_map_elem(&sessions, end_if_of, &tgid, 0);
	if (*speaks & SPEAKS_GO)
		bpf_for_each_map_elem(&goroutines, forget_if_of, &tgid, 0);
}

/* User space looks at the process at once: what it says now is not seen until probes are there. */
static __always_inline void ask_to_look(__u32 tgid, __u8 flags)
{
	__u32 index = 0;
	struct slot *slot = take_slot(&index);

	if (!slot)
		return;
	begin_event(slot, index, tgid, EVENT_LOOK, flags);
	slot->event.time = bpf_ktime_get_ns();
	submit_with(slot, 0, BPF_RB_FORCE_WAKEUP);
	release_slot(index);
}

static __always_inline void on_fork(__u32 parent, __u32 child)
{
	if (parent != child && bpf_map_lookup_elem(&watched, &parent))
		ask_to_look(child, 0);
}

static __always_inline void on_listen(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (bpf_map_lookup_elem(&watched, &tgid))
		ask_to_look(tgid, 0);
}

#endif
