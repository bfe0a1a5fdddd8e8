/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Where a TCP segment's payload is: IPv4 with options, IPv6 with extension headers, TCP with options. */
#ifndef MASTHEAD_PACKET_BPF_H
#define MASTHEAD_PACKET_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "kernel.h"

/* TCP flags, byte 13 of the header (RFC 9293, section 3.1). */
enum {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04
};

struct packet {
	__u32 at;      /* offset of the payload */
	__u32 payload; /* its length */
	__u32 seq;
	__u8 flags;
};

/* IPv6 extension headers that may stand before TCP (RFC 8200, section 4.1); all but the fragment header have a length. */
static __always_inline bool is_extension(__u8 next)
{
	return next == 0 || next == 43 || next == 60 || next == 51 || next == 44 || next == 135;
}

struct walk6 {
	struct __sk_buff *skb;
	__u32 at;
	__u8 next;
};

static long skip_extension(__u32 index, struct walk6 *walk)
{
	__u8 header[2];

	if (!is_extension(walk->next))
		return 1;
	if (bpf_skb_load_bytes(walk->skb, walk->at, header, sizeof(header)))
		return 1;
	if (walk->next == 44)
		walk->at += 8;
	else if (walk->next == 51)
		walk->at += (header[1] + 2) * 4; /* the authentication header counts in words (RFC 4302) */
	else
		walk->at += (header[1] + 1) * 8;
	walk->next = header[0];
	return 0;
}

/* Offset of the TCP header, or 0 where there is none. */
static __always_inline __u32 tcp_header_at(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	__u8 *ip = data;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (data + 20 > end || ip[9] != IPPROTO_TCP)
			return 0;
		return (ip[0] & 0xf) * 4;
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (data + 40 > end)
			return 0;
		if (ip[6] == IPPROTO_TCP)
			return 40;
		if (!is_extension(ip[6]))
			return 0;

		struct walk6 walk = {.skb = skb, .at = 40, .next = ip[6]};

		bpf_loop(8, skip_extension, &walk, 0);
		return walk.next == IPPROTO_TCP ? walk.at : 0;
	}
	return 0;
}

/* The part of the TCP header that is read (RFC 9293, section 3.1). */
struct tcp_start {
	__u16 source;
	__u16 destination;
	__u32 seq;
	__u32 ack;
	__u8 offset; /* upper half: length of the header in words */
	__u8 flags;
};

static __always_inline bool read_packet(struct __sk_buff *skb, struct packet *packet)
{
	__u32 at = tcp_header_at(skb);
	struct tcp_start tcp;

	if (!at || at > 4096)
		return false;

	void *end = (void *)(long)skb->data_end;
	struct tcp_start *header = (void *)(long)skb->data + at;

	/* Headers are in the linear part as a rule: reading them there saves a helper call. */
	if ((void *)(header + 1) <= end) {
		tcp.seq = header->seq;
		tcp.offset = header->offset;
		tcp.flags = header->flags;
	} else if (bpf_skb_load_bytes(skb, at, &tcp, sizeof(tcp))) {
		return false;
	}
	packet->seq = bpf_ntohl(tcp.seq);
	packet->at = at + (tcp.offset >> 4) * 4;
	packet->flags = tcp.flags;
	if (packet->flags & TCP_SYN) /* it takes the first number, its data the next ones */
		packet->seq++;
	packet->payload = skb->len > packet->at ? skb->len - packet->at : 0;
	return true;
}

#endif
