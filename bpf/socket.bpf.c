/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The `socket` source: all plaintext TCP of the host's sockets, seen where cgroups see packets.
 *
 * Strictly passive: every cgroup program returns the constant 1 (let it pass), nothing writes to a packet or a socket,
 * and no helper changes anything outside our maps. A test keeps it so.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include "event.h"
#include "kernel.h"
#include "process.bpf.h"
#include "segment.bpf.h"

SEC("cgroup_skb/ingress")
int ingress(struct __sk_buff *skb)
{
	on_segment(skb, INGRESS);
	return 1;
}

SEC("cgroup_skb/egress")
int egress(struct __sk_buff *skb)
{
	on_segment(skb, EGRESS);
	return 1;
}

/* Clients: who makes a socket, connects it. */
SEC("cgroup/sock_create")
int sock_create(struct bpf_sock *ctx)
{
	struct connection *connection;

	if (ctx->type != SOCK_STREAM || ctx->protocol != IPPROTO_TCP)
		return 1;
	connection = bpf_sk_storage_get(&connections, ctx, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (connection)
		remember_process(connection, PROCESS_KNOWN);
	return 1;
}

/* Servers: who receives first. The tracepoint came with Linux 6.3 (6e6eda44b939); without it they stay unknown. */
SEC("?tp_btf/sock_recv_length")
int BPF_PROG(received, struct sock *sk, int ret)
{
	struct connection *connection;

	if (ret <= 0 || sk->sk_protocol != IPPROTO_TCP)
		return 0;
	/* Data that completed the handshake was seen on the listener only: then this is the first look at the socket. */
	connection = bpf_sk_storage_get(&connections, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (connection && !(connection->process & PROCESS_RECEIVED))
		on_received(connection);
	return 0;
}

/* However a connection ends, its socket passes here. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(state, struct sock *sk, int before, int after)
{
	struct connection *connection;
	struct tcp_sock *tcp;
	struct slot *slot;
	__u32 index = 0;

	if (after != TCP_CLOSE)
		return 0;
	connection = bpf_sk_storage_get(&connections, sk, 0, 0);
	if (!connection || !(connection->flags & CONN_ANNOUNCED))
		return 0;
	tcp = bpf_skc_to_tcp_sock(sk);
	slot = tcp ? take_slot(&index) : NULL;
	if (!slot)
		return 0;
	begin_event(slot, index, connection->cookie, EVENT_CLOSE, 0);
	slot->event.time = bpf_ktime_get_ns();
	slot->event.seq = tcp->snd_nxt;
	slot->event.rcv_nxt = tcp->rcv_nxt;
	slot->event.snd_nxt = tcp->snd_nxt;
	submit(slot, 0);
	release_slot(index);
	return 0;
}

/* What processes run, as they begin: a short-lived client is gone before anybody reads /proc. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(exec, struct task_struct *task, int old_pid, struct linux_binprm *bprm)
{
	on_exec(bprm, task->tgid);
	return 0;
}

char LICENSE[] SEC("license")
= "Dual BSD/GPL";
