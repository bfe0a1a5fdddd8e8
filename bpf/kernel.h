/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The few kernel structs that are read, with the members that are read: CO-RE finds the real offsets at load time.
 */
#ifndef MASTHEAD_KERNEL_H
#define MASTHEAD_KERNEL_H

#include <linux/types.h>
#include <stdbool.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net {
	__u64 net_cookie; /* since 5.12 */
};

typedef struct {
	struct net *net;
} possible_net_t;

struct in6_addr;

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr {
		__u8 octets[16];
	} skc_v6_daddr, skc_v6_rcv_saddr;
};

struct kernfs_node {
	__u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	struct sock_cgroup_data sk_cgrp_data;
	__u16 sk_protocol; /* its own member since 5.6 (bf9765145b85) */
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct {
		__u32 lrcvtime; /* of the last data received, jiffies */
	} icsk_ack;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u32 rcv_nxt;
	__u32 snd_nxt;
	__u32 lsndtime; /* of the last data sent, jiffies */
};

typedef struct {
	int counter;
} atomic_t;

struct signal_struct {
	atomic_t live; /* threads of the process */
};

struct thread_struct {
	unsigned long fsbase; /* x86_64 only: the thread pointer */
};

struct task_struct {
	int tgid;
	struct thread_struct thread;
	struct signal_struct *signal;
	struct task_struct *group_leader;
	__u64 start_boottime;
	char comm[16];
};

struct socket {
	struct sock *sk;
};

struct file;
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct file *file;
};

struct linux_binprm {
	const char *interp;
};

#pragma clang attribute pop

/* include/net/tcp_states.h */
enum {
	TCP_CLOSE = 7,
	TCP_LISTEN = 10
};

/* include/uapi/linux/if_ether.h, netinet/in.h */
enum {
	ETH_P_IP = 0x0800,
	ETH_P_IPV6 = 0x86dd,
	AF_INET = 2,
	AF_INET6 = 10,
	SOCK_STREAM = 1,
	IPPROTO_TCP = 6,
	IPPROTO_MPTCP = 262
};

#endif
