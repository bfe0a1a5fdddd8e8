/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Records on their way to user space, and the account of those that did not get there. */
#ifndef MASTHEAD_OUTPUT_BPF_H
#define MASTHEAD_OUTPUT_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "connection.bpf.h"
#include "kernel.h"
#include "event.h"

/* Bytes that one record can carry: most heads fit, and a longer one takes several records. A power of two. */
#define EVENT_CHUNK 4096
/* The search reads whole words and lines, up to this far behind the last byte. */
#define EVENT_SLACK 128

/* A number in a line, while it is read. */
struct number {
	__u64 value;
	__u32 size;
	__u32 at;
	__u8 shift;  /* 4: hexadecimal, 0: decimal */
	__u8 digits; /* more than fit: NUMBER_BAD */
	__u8 over;   /* white space follows the digits */
};

/* What a segment's first frames say (HTTP/2), while they are looked at. */
struct chain {
	__u32 frames; /* that are like frames, one behind the other */
	__u32 heads;  /* HEADERS frames among them */
	__u8 whole;   /* the last one ends where the segment does */
	__u8 start;   /* enum start: what the heads are */
};

/*
 * Room to put a record together, and the variables of the walk through a segment. A CPU has SLOTS of them, because a
 * program can be interrupted by a softirq, or preempted, while it uses one.
 *
 * What changes in a loop lives here and not on the stack: the verifier follows every value that a stack variable can
 * take, and would not come to an end.
 */
struct slot {
	/* Where the holder of the slot is alone, no atomics are needed. Read by user space. */
	__u64 seen; /* records attempted */
	__u64 submitted;
	__u64 refused_full; /* the ring was full */
	__u64 refused_read; /* the payload could not be read */

	__u64 time;
	/* Plaintext of a TLS library only: */
	__u64 base;   /* where the bytes lie in the process */
	__u64 behind; /* bytes of the call behind `left` */
	__u64 late;   /* the time of its last byte */

	__u32 at;   /* offset of the segment's rest in the packet */
	__u32 left; /* bytes of the rest */
	__u32 seq;
	__u32 rcv_nxt;
	__u32 snd_nxt;
	__u32 unsure; /* bytes copied without knowing what they are */
	__u8 flags;   /* enum event_flag of the records */
	__u8 request; /* requests go this way */
	__u8 reserved[2];

	/* The search through what was loaded. */
	__u32 size; /* bytes loaded */
	__u32 pos;  /* the search goes on here */
	__u32 line; /* the current line begins here */
	__u32 keep; /* next byte to keep of an unfinished line */
	__u32 end;  /* ... and where it ends */
	struct number number;
	struct chain chain;

	struct event event;
	union {
		__u8 bytes[EVENT_CHUNK + EVENT_SLACK];
		struct event_connection connection;
		struct event_process process;
		struct event_socket socket;
		struct event_tls tls;
	};
};
_Static_assert(__builtin_offsetof(struct slot, bytes) - __builtin_offsetof(struct slot, event) == sizeof(struct event),
               "a record is the event and the bytes behind it");

#define SLOTS 4

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct slot);
} slots SEC(".maps");

/* Per CPU; counted by several contexts, so atomically, but only on paths that are not hot. */
struct counters {
	__u64 taken;        /* bit n: slot n is in use */
	__u64 refused_busy; /* all slots were in use */
	__u64 duplicates;   /* retransmissions left out: TCP had those bytes */
	__u64 own;          /* connections of masthead itself, left out */
	__u64 http;         /* connections that turned out to be HTTP */
	__u64 other;        /* ... something else, or not wanted */
	__u64 contended;    /* segments of one direction on two CPUs at once */
	__u64 no_storage;   /* sockets whose storage could not be had */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");

/* 16 MiB by default, set by user space: a tenth of a second at 100,000 exchanges a second. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 24);
} ring SEC(".maps");

/* Waking the reader costs more than a record does: it polls, and is woken only when this much waits for it. */
const volatile __u64 wake_bytes = 1 << 21;

static __always_inline struct counters *this_cpu(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&counters, &zero);
}

#define COUNT(member)                                              \
	do {                                                       \
		struct counters *counted = this_cpu();             \
		if (counted)                                       \
			__sync_fetch_and_add(&counted->member, 1); \
	} while (0)

/* Payload into a slot; at most EVENT_CHUNK bytes, at least one. */
static __always_inline bool read_payload(struct __sk_buff *skb, __u32 at, __u8 *to, __u32 size)
{
	/* One comparison for both bounds: verifiers before 6.8 learn nothing from `size != 0`. */
	__u64 last = (__u64)size - 1;

	/* The compiler knows more than the verifier does, and would leave the check out, or do the sum before it. */
	barrier_var(last);
	if (last >= EVENT_CHUNK)
		return false;
	barrier_var(last);
	return !bpf_skb_load_bytes(skb, at, to, last + 1);
}

static __always_inline void map_ipv4(__u8 *to, __u32 address)
{
	__builtin_memset(to, 0, 10);
	to[10] = to[11] = 0xff;
	__builtin_memcpy(to + 12, &address, 4);
}

/* Takes a slot of this CPU; its number goes to `index`. */
static __always_inline struct slot *take_slot(__u32 *index)
{
	struct counters *cpu = this_cpu();

	if (!cpu)
		return NULL;
	for (__u32 n = 0; n < SLOTS; n++) {
		if (__sync_fetch_and_or(&cpu->taken, 1ULL << n) & (1ULL << n))
			continue;
		*index = n;
		return bpf_map_lookup_elem(&slots, index);
	}
	__sync_fetch_and_add(&cpu->refused_busy, 1);
	return NULL;
}

static __always_inline void release_slot(__u32 index)
{
	struct counters *cpu = this_cpu();

	if (cpu)
		__sync_fetch_and_and(&cpu->taken, ~(1ULL << (index & (SLOTS - 1))));
}

static __always_inline void begin_event(struct slot *slot, __u32 index, __u64 cookie, __u8 kind, __u8 flags)
{
	struct event *event = &slot->event;

	event->cookie = cookie;
	event->number = slot->seen;
	event->span = 0;
	event->copied = 0;
	event->cpu = bpf_get_smp_processor_id() * SLOTS + index;
	event->version = EVENT_VERSION;
	event->kind = kind;
	event->flags = flags;
}

static __always_inline bool submit_with(struct slot *slot, __u32 size, __u64 flags)
{
	__u64 bytes = size;

	slot->seen++;
	/* In 64 bits: of a 32-bit copy older verifiers don't know that it is what was compared. */
	barrier_var(bytes);
	if (bytes > EVENT_CHUNK)
		bytes = EVENT_CHUNK;
	if (bpf_ringbuf_output(&ring, &slot->event, sizeof(slot->event) + bytes, flags)) {
		slot->refused_full++;
		return false;
	}
	slot->submitted++;
	return true;
}

/* Sends the slot's event with `size` bytes behind it. */
static __always_inline bool submit(struct slot *slot, __u32 size)
{
	__u64 flags = BPF_RB_NO_WAKEUP;

	/* Asking how full the ring is costs as much as a small copy: every eighth record will do. */
	if (!(slot->seen + 1 & 7) && bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > wake_bytes)
		flags = BPF_RB_FORCE_WAKEUP;
	return submit_with(slot, size, flags);
}

#endif
