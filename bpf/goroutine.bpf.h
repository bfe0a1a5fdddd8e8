/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Calls of Go's `crypto/tls`. They belong to goroutines, not to threads: a goroutine that waits for its socket may go on
 * on another thread, and its thread runs others meanwhile. Stacks of goroutines move when they grow, so that places on
 * them are counted from their upper end.
 *
 * src/cmd/compile/abi-internal.md (Go 1.17 and later, amd64): arguments and results in RAX, RBX, RCX, RDI, ...; the
 * current goroutine in R14. Its descriptor begins with the stack's two ends (src/runtime/runtime2.go: `type g`, `type
 * stack`), on which what the compiler puts into every function relies.
 */
#ifndef MASTHEAD_GOROUTINE_BPF_H
#define MASTHEAD_GOROUTINE_BPF_H

#include "session.bpf.h"

/* Goroutines that are in a call: of all processes, as many as there may be sessions. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct object); /* its descriptor */
	__type(value, struct calls);
} goroutines SEC(".maps");

/* Whether one ever was: sockets of all the host are looked at, and most hosts have none. */
__u8 goroutines_called;

/* The call that the goroutine on this thread is in, or NULL. Its thread keeps the descriptor where Linux finds it too. */
static __always_inline struct call *call_of_goroutine(void)
{
#ifdef bpf_target_x86
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	__u32 tgid = task->tgid;
	struct object goroutine;
	struct calls *calls;
	__u64 descriptor;
	__u8 *speaks;

	if (!goroutines_called)
		return NULL;
	speaks = bpf_map_lookup_elem(&watched, &tgid);
	if (!speaks || !(*speaks & SPEAKS_GO))
		return NULL;
	/*
	 * src/runtime/tls_amd64.s, src/cmd/link: the slot below the thread pointer. Where a linker put it elsewhere, no
	 * goroutine has the number that stands there, and the socket stays unknown.
	 */
	if (bpf_probe_read_user(&descriptor, sizeof(descriptor), (void *)(task->thread.fsbase - 8)))
		return NULL;
	goroutine = object_at(descriptor);
	calls = bpf_map_lookup_elem(&goroutines, &goroutine);
	return calls ? call_at(calls, calls->depth - 1) : NULL;
#else
	return NULL;
#endif
}

#endif
