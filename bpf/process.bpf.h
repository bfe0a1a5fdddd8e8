/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Whose socket is it? Asked only in process context: inside cgroup_skb the current task is anybody. */
#ifndef MASTHEAD_PROCESS_BPF_H
#define MASTHEAD_PROCESS_BPF_H

#include "segment.bpf.h"

/* masthead's own process: its sockets are left out, or its pushes to a log store would log themselves. */
const volatile __u32 own_tgid = 0;

static __always_inline void remember_process(struct connection *connection, __u8 how)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;

	connection->tgid = task->tgid;
	connection->start = leader->start_boottime;
	bpf_probe_read_kernel(connection->comm, sizeof(connection->comm), leader->comm);
	connection->process |= how;
	if (own_tgid && connection->tgid == own_tgid) {
		connection->process |= PROCESS_OWN;
		connection->kind = KIND_OTHER;
		COUNT(own);
	}
}

/* The first process that receives from a socket owns it: an accepting server hands sockets to its workers. */
static __always_inline void on_received(struct connection *connection)
{
	__u32 index = 0;

	remember_process(connection, PROCESS_KNOWN | PROCESS_RECEIVED);
	if (!(connection->flags & CONN_ANNOUNCED) || (connection->process & PROCESS_SENT))
		return;

	struct slot *slot = take_slot(&index);

	if (!slot)
		return;
	if (send_process(slot, index, connection))
		connection->process |= PROCESS_SENT;
	release_slot(index);
}

static __always_inline void on_exec(struct linux_binprm *bprm, __u32 tgid)
{
	__u32 index = 0;
	struct slot *slot = take_slot(&index);

	if (!slot)
		return;

	long size = bpf_probe_read_kernel_str(slot->bytes, EVENT_CHUNK, bprm->interp);

	if (size > 1) {
		begin_event(slot, index, tgid, EVENT_EXEC, 0);
		slot->event.time = bpf_ktime_get_ns();
		slot->event.copied = size - 1;
		submit(slot, size - 1);
	}
	release_slot(index);
}

#endif
