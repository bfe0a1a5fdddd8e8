/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* One segment on its way through: what every walk loads and sends. */
#ifndef MASTHEAD_WALK_BPF_H
#define MASTHEAD_WALK_BPF_H

#include "connection.bpf.h"
#include "output.bpf.h"

/* Records that one segment can make: 64 KiB in chunks of 64 bytes. What is behind them is left out. */
#define WALK_STEPS 1024

/* One segment on its way through. */
struct walk {
	struct __sk_buff *skb; /* of the `socket` source only */
	struct connection *connection;
	struct flow *flow;
	struct slot *slot;
	__u32 slot_index;
};

/* The next bytes of the walk into the slot; each source says where they lie. At most EVENT_CHUNK, at least one. */
static __always_inline bool read_bytes(struct walk *walk, __u32 at, __u8 *to, __u32 size);

/* Sends a record for the next `span` bytes, of which the first `copied` stand in the slot. */
static __always_inline void send_segment(struct walk *walk, __u32 copied, __u32 span)
{
	struct slot *slot = walk->slot;

	begin_event(slot, walk->slot_index, walk->connection->cookie, EVENT_SEGMENT, walk->slot->flags);
	slot->event.time = walk->slot->time;
	slot->event.seq = walk->slot->seq;
	slot->event.rcv_nxt = walk->slot->rcv_nxt;
	slot->event.snd_nxt = walk->slot->snd_nxt;
	slot->event.span = span;
	slot->event.copied = copied;
	/* FIN belongs behind the last byte. */
	if (span < walk->slot->left)
		slot->event.flags &= ~(EVENT_FIN | EVENT_RST);
	submit(slot, copied);
	walk->slot->seq += span;
	walk->slot->at += span;
	walk->slot->left -= span;
}

static __always_inline bool load(struct walk *walk, __u32 size)
{
	if (!read_bytes(walk, walk->slot->at, walk->slot->bytes, size)) {
		walk->slot->refused_read++;
		return false;
	}
	walk->slot->size = size;
	return true;
}

/* Loads what one record can carry of the segment's rest. */
static __always_inline bool load_chunk(struct walk *walk)
{
	return load(walk, walk->slot->left < EVENT_CHUNK ? walk->slot->left : EVENT_CHUNK);
}

/* All of the next `skip` bytes are content: whether they come or are missing, nothing of them is copied. */
static __always_inline bool in_content(const struct flow *flow)
{
	return flow->state == FLOW_BODY || flow->state == FLOW_DATA || (flow->state == FLOW_CONTENT && !flow->prefix);
}

/* `count` bytes of `skip` are behind us: what comes after the last one? */
static __always_inline void pass(struct flow *flow, __u32 count)
{
	flow->skip -= count;
	if (flow->skip)
		return;
	flow->prefix = 0;
	if (flow->state == FLOW_CONTENT || flow->state == FLOW_PAYLOAD)
		flow->state = FLOW_FRAME;
	else
		flow->state = flow->state == FLOW_DATA ? FLOW_DATA_END : FLOW_START;
}

#endif
