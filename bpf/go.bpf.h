/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Calls of Go's `crypto/tls`, at their entry and at the instructions that return from them. */
#ifndef MASTHEAD_GO_BPF_H
#define MASTHEAD_GO_BPF_H

#include "call.bpf.h"

#ifdef bpf_target_x86

/* Where a goroutine is. */
struct go_stack {
	__u64 low;
	__u64 high;
};

static __always_inline bool read_go_stack(struct pt_regs *ctx, struct go_stack *stack)
{
	return !bpf_probe_read_user(stack, sizeof(*stack), (void *)ctx->r14) && stack->low < ctx->rsp &&
	       ctx->rsp <= stack->high;
}

/* A function whose stack is too small gets a larger one and begins anew: the same call, which is not in its body yet. */
static __always_inline bool begins_anew(struct calls *calls, const struct arguments *arguments)
{
	struct call *call = call_at(calls, calls->depth - 1);

	return call && call->stack == arguments->stack && call->session == arguments->first;
}

static __always_inline struct calls *calls_of(const struct object *goroutine)
{
	static const struct calls none = {};
	struct calls *calls = bpf_map_lookup_elem(&goroutines, goroutine);

	if (calls)
		return calls;
	bpf_map_update_elem(&goroutines, goroutine, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&goroutines, goroutine);
}

static __always_inline void begin_go_call(struct calls *calls, __u32 cookie, const struct arguments *arguments,
                                          const struct go_stack *stack)
{
	bool again = begins_anew(calls, arguments);
	struct session *session;
	struct call *call;

	if (again)
		calls->depth--;
	call = begin_call(calls, cookie, arguments);
	if (!call)
		return;
	if (call->bytes >= stack->low && call->bytes < stack->high) {
		call->on_stack = 1;
		call->bytes = stack->high - call->bytes;
	}
	session = find_session(arguments->first);
	if (session && !again && direction_of(call) == EGRESS)
		__sync_fetch_and_add(&session->writes, 1);
}

/* The call inside of which a handshake begins, or NULL. */
static __always_inline struct call *call_around(const struct object *goroutine, __u64 session)
{
	struct calls *calls = bpf_map_lookup_elem(&goroutines, goroutine);
	struct call *call = calls ? call_at(calls, calls->depth - 1) : NULL;

	return call && call->session == session ? call : NULL;
}

static __always_inline void on_go_handshake(const struct object *goroutine, __u32 cookie, __u64 address)
{
	struct call *call = call_around(goroutine, address);
	struct session *session = find_session(address);

	if (call) {
		/*
		 * Its socket was read for this call, of a session that has spoken: TLS 1.2 negotiates again, and goes on. The
		 * first handshake of another one in the same place is the first thing that a call does.
		 */
		if (call->touched && session && (session->connection.flags & CONN_SEEN))
			return;
		call->handshake = 1;
	}
	begin_session(address, cookie >> 8);
}

static __always_inline void on_go_entry(struct pt_regs *ctx, __u32 cookie)
{
	struct object goroutine = object_at(ctx->r14);
	struct arguments arguments = {.first = ctx->rax, .second = ctx->rbx};
	struct go_stack stack = {};
	struct calls *calls;

	COUNT_TLS(traps);
	if ((cookie & 0xff) == CALL_BEGIN) {
		on_go_handshake(&goroutine, cookie, arguments.first);
		return;
	}
	if (on_entry_only(cookie, arguments.first))
		return;
	if (!goroutines_called)
		goroutines_called = 1;
	calls = read_go_stack(ctx, &stack) ? calls_of(&goroutine) : NULL;
	if (!calls) {
		refuse_call(arguments.first);
		return;
	}
	/* Less is deeper, as with addresses. */
	arguments.stack = ctx->rsp - stack.high;
	begin_go_call(calls, cookie, &arguments, &stack);
	if (!calls->depth)
		bpf_map_delete_elem(&goroutines, &goroutine);
}

/* At an instruction that returns: the session of the call. The number of bytes is in RAX, whatever the error says. */
static __always_inline struct session *on_go_return(struct pt_regs *ctx, struct call *call, __s64 *count)
{
	struct object goroutine = object_at(ctx->r14);
	struct calls *calls = bpf_map_lookup_elem(&goroutines, &goroutine);
	struct go_stack stack = {};

	if (!calls || !read_go_stack(ctx, &stack)) {
		COUNT_TLS(unmatched);
		return NULL;
	}
	if (!end_call(calls, ctx->rsp - stack.high, call))
		return NULL;
	if (!calls->depth)
		bpf_map_delete_elem(&goroutines, &goroutine);
	if (call->on_stack)
		call->bytes = stack.high - call->bytes;
	/* An error says nothing of whether the other side has closed. */
	*count = (__s64)ctx->rax > 0 ? ctx->rax : -1;
	return find_session(call->session);
}

#endif

#endif
