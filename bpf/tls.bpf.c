/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The `tls` source: plaintext where applications hand it to a TLS library, or take it from there. Probes stand on the
 * exported functions of the library, in the processes that are watched and nowhere else.
 *
 * Strictly passive: nothing is written to the process, no result is changed. A test keeps it so.
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "event.h"
#include "kernel.h"
#include "go.bpf.h"
#include "nss.bpf.h"

SEC("uprobe")
int tls_entry(struct pt_regs *ctx)
{
	__u32 cookie = bpf_get_attach_cookie(ctx);

#ifdef bpf_target_x86
	if (cookie >> 8 == LIBRARY_GO) {
		on_go_entry(ctx, cookie);
		return 0;
	}
#endif
	struct arguments arguments = {
		.first = PT_REGS_PARM1(ctx),
		.second = PT_REGS_PARM2(ctx),
		.third = PT_REGS_PARM3(ctx),
		.fourth = PT_REGS_PARM4(ctx),
		.stack = stack_at_entry(ctx),
	};

	if (cookie >> 8 == LIBRARY_NSS)
		on_nss_entry(cookie, &arguments);
	else
		on_entry(cookie, &arguments);
	return 0;
}

/* Return probes, and plain ones on Go's instructions that return. One program: its walk is long to verify. */
SEC("uretprobe")
int tls_return(struct pt_regs *ctx)
{
	__u32 library = (__u32)bpf_get_attach_cookie(ctx) >> 8;
	struct session *session;
	struct call call;
	__s64 count = 0;

	COUNT_TLS(traps);
	if (library == LIBRARY_NSS && !is_in_call(stack_at_return(ctx)))
		return 0;
#ifdef bpf_target_x86
	if (library == LIBRARY_GO)
		session = on_go_return(ctx, &call, &count);
	else
#endif
		session = on_return(stack_at_return(ctx), PT_REGS_RC(ctx), &call, &count);
	if (!session)
		return 0;
	on_moved_plaintext(session, &call, count);
	end_write(session, &call);
	return 0;
}

/* Both tracepoints came with Linux 6.3 (6e6eda44b939); without them addresses stay unknown. */
SEC("?tp_btf/sock_recv_length")
int BPF_PROG(tls_received, struct sock *sk, int ret)
{
	on_socket(sk, ret, false);
	return 0;
}

SEC("?tp_btf/sock_send_length")
int BPF_PROG(tls_sent, struct sock *sk, int ret)
{
	on_socket(sk, ret, true);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(tls_fork, struct task_struct *parent, struct task_struct *child)
{
	on_fork(parent->tgid, child->tgid);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tls_listen, struct sock *sk, int before, int after)
{
	if (after == TCP_LISTEN)
		on_listen();
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(tls_exec, struct task_struct *task)
{
	end_process(task->tgid);
	ask_to_look(task->tgid, EVENT_FIN);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(tls_exit, struct task_struct *task)
{
	/* The last thread of the process. */
	if (task->signal->live.counter == 0)
		end_process(task->tgid);
	return 0;
}

char LICENSE[] SEC("license")
= "Dual BSD/GPL";
