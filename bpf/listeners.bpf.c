/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Which processes hold a listening TCP socket: an iterator over all open files, read when somebody asks. /proc tells it
 * too, but to root only.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "kernel.h"

SEC("iter/task_file")
int listeners(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct socket *socket;
	__u32 tgid;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket || !socket->sk)
		return 0;
	/* Go listens with MPTCP where there is that (since 1.24), which serves TCP as well. */
	if (socket->sk->sk_protocol != IPPROTO_TCP && socket->sk->sk_protocol != IPPROTO_MPTCP)
		return 0;
	if (socket->sk->__sk_common.skc_state != TCP_LISTEN)
		return 0;
	tgid = task->tgid;
	bpf_seq_write(ctx->meta->seq, &tgid, sizeof(tgid));
	return 0;
}

char LICENSE[] SEC("license")
= "Dual BSD/GPL";
