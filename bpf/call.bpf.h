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
	__u64 fourth;
	__u64 stack;
};

static __always_inline void end_session(__u64 address)
{
	struct session_key key = key_of(address);
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
		session = find_session(address);
		if (session)
			on_closure(session, EGRESS);
		return true;
	}
	return false;
}

/* The stack grows down: what stands below the new call never came back (an exception, a jump out of it). */
static __always_inline void drop_lost(struct thread *thread, __u64 stack)
{
	for (int n = 0; n < CALLS; n++) {
		struct call *call = call_at(thread, thread->depth - 1);
		struct session *session;

		if (!call || call->stack > stack)
			return;
		thread->depth--;
		session = find_session(call->session);
		if (session)
			restart_session(session);
	}
}

/* Room for a call on this thread; NULL where it does not count or there is none. */
static __always_inline struct call *next_call(struct thread *thread, __u64 stack, __u64 address)
{
	struct session *session;
	struct call *call;

	drop_lost(thread, stack);
	/* One function of the library that calls another one for the same session: the outer one counts. */
	call = call_at(thread, thread->depth - 1);
	if (call && call->session == address)
		return NULL;
	call = call_at(thread, thread->depth);
	if (call) {
		thread->depth++;
		return call;
	}
	COUNT_TLS(nested);
	session = find_session(address);
	if (session)
		restart_session(session);
	return NULL;
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
		struct session *session = find_session(arguments->first);

		COUNT_TLS(nested);
		if (session)
			restart_session(session);
		return;
	}
	if ((cookie & 0xff) != CALL_INIT && !find_session(arguments->first) &&
	    !make_session(arguments->first, cookie >> 8, false))
		return;
	call = next_call(thread, arguments->stack, arguments->first);
	if (!call)
		return;
	call->session = arguments->first;
	call->bytes = arguments->second;
	call->count = arguments->fourth;
	call->time = bpf_ktime_get_ns();
	call->stack = arguments->stack;
	call->cookie = cookie;
	call->touched = 0;
	call->ended = 0;
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
		return (__s32)result;
	}
	return result;
}

static __always_inline bool is_read(const struct call *call)
{
	__u32 kind = call->cookie & 0xff;

	return kind == CALL_READ || kind == CALL_READ_EX || kind == CALL_RECV;
}

/* The library asked for bytes and got none. */
static __always_inline void on_nothing_read(struct session *session, const struct call *call, __s64 count)
{
	if (!call->touched)
		session->memory = 1;
	else if (count == 0 && !call->ended)
		on_closure(session, INGRESS);
}

static __always_inline void on_moved_plaintext(struct thread *thread, struct session *session, struct call *call,
                                               __s64 count)
{
	bool reads = is_read(call);

	if (!reads && !call->touched)
		thread->written = thread->written && thread->written != call->session ? SEVERAL : call->session;
	/* By way of a map: what the verifier can't tell apart it follows once, and not for each direction. */
	call->direction = reads ? INGRESS : EGRESS;
	if (reads)
		call->time = 0;
	if ((call->cookie & 0xff) == CALL_SENDFILE)
		call->bytes = 0;
	barrier();
	if (count > 0)
		on_plaintext(session, call->direction, call->bytes, count, call->time);
	else if (reads)
		on_nothing_read(session, call, count);
}

static __always_inline void on_return(__u64 stack, __s64 result)
{
	struct thread *thread = this_thread(0);
	struct session *session;
	struct call *call;
	__u64 address;

	COUNT_TLS(traps);
	if (!thread)
		return;
	call = call_at(thread, thread->depth - 1);
	if (!call || call->stack != stack) {
		COUNT_TLS(unmatched);
		return;
	}
	thread->depth--;
	if ((call->cookie & 0xff) == CALL_INIT) {
		if (result == 0 && !bpf_probe_read_user(&address, sizeof(address), (void *)call->session)) {
			begin_session(address, call->cookie >> 8);
		}
		return;
	}
	session = find_session(call->session);
	if (!session)
		return;

	__s64 count = count_of(call, result);

	if (count == COUNT_UNKNOWN) {
		restart_session(session);
		return;
	}

	if ((call->cookie & 0xff) != CALL_HANDSHAKE)
		on_moved_plaintext(thread, session, call, count);
	else if (!call->touched)
		session->memory |= (__s32)result != 1;
	if (call->beside && !call->touched)
		on_beside(session, &thread->moved, true);
}

/* A process is gone, or runs something else: so are its sessions. */
static long end_if_of(void *map, const struct session_key *key, struct session *session, __u32 *tgid)
{
	if (key->tgid == *tgid) {
		on_over(session);
		bpf_map_delete_elem(map, key);
	}
	return 0;
}

static __always_inline void end_process(__u32 tgid)
{
	if (bpf_map_lookup_elem(&watched, &tgid))
		bpf_for_each_map_elem(&sessions, end_if_of, &tgid, 0);
}

/* User space looks at the process at once: what it says now is not seen until probes are there. */
static __always_inline void ask_to_look(__u32 tgid)
{
	__u32 index = 0;
	struct slot *slot = take_slot(&index);

	if (!slot)
		return;
	begin_event(slot, index, tgid, EVENT_LOOK, 0);
	slot->event.time = bpf_ktime_get_ns();
	submit_with(slot, 0, BPF_RB_FORCE_WAKEUP);
	release_slot(index);
}

static __always_inline void on_fork(__u32 parent, __u32 child)
{
	if (parent != child && bpf_map_lookup_elem(&watched, &parent))
		ask_to_look(child);
}

static __always_inline void on_listen(void)
{
	__u32 tgid = bpf_get_current_pid_tgid() >> 32;

	if (bpf_map_lookup_elem(&watched, &tgid))
		ask_to_look(tgid);
}

#endif
