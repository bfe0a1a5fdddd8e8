/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * What the kernel side remembers of a connection, in its socket's storage: where it is in each direction's stream, so
 * that bodies can be skipped. It only steers what is copied; user space judges the framing for itself.
 */
#ifndef MASTHEAD_CONNECTION_BPF_H
#define MASTHEAD_CONNECTION_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* Places in `connection.flows`. */
enum {
	INGRESS = 0,
	EGRESS = 1
};

/* Where a direction is. */
enum flow_state {
	FLOW_START = 0, /* at a message boundary */
	FLOW_HEAD,      /* in a head, after its start line */
	FLOW_BODY,      /* `skip` bytes of content are left */
	FLOW_SIZE,      /* at a chunk's size line */
	FLOW_DATA,      /* `skip` bytes of a chunk are left */
	FLOW_DATA_END,  /* at the line end behind a chunk's data */
	FLOW_TRAILERS,  /* in the trailer section */
	FLOW_TO_CLOSE,  /* content up to the end of the connection */
	FLOW_UNSURE,    /* not known: copy */
	FLOW_FRAME,     /* HTTP/2: at a frame's header, of which `line_size` bytes are in `line` */
	FLOW_PAYLOAD,   /* HTTP/2: `skip` bytes that are copied are left of a frame, or of the preface */
	FLOW_CONTENT,   /* HTTP/2: `skip` bytes of a DATA frame are left; of these `prefix` are copied */
};

/* What the head under way says of its body. */
enum flow_found {
	FOUND_LENGTH = 1 << 0,
	FOUND_CHUNKED = 1 << 1,
	FOUND_TROUBLE = 1 << 2,   /* contradictory or unreadable */
	FOUND_HEAD = 1 << 3,      /* the method is HEAD */
	FOUND_CONNECT = 1 << 4,   /* the method is CONNECT */
	FOUND_WEBSOCKET = 1 << 5, /* Upgrade: websocket */
	FOUND_H2C = 1 << 6,       /* Upgrade: h2c */
};

/* Bytes of a line kept when it goes on in the next segment: enough for a framing field (`Transfer-Encoding:` and its
 * value) or a chunk's size. A power of two, for masking. */
#define LINE_KEPT 64

struct flow {
	__u64 skip;
	__u64 length;    /* Content-Length of the head under way */
	__u32 next;      /* the sequence number at which the state holds */
	__u16 line_size; /* bytes of the unfinished line so far; stops counting at LINE_KEPT + 1 */
	__u16 status;
	__u32 head_size; /* bytes of the head under way so far */
	__u8 state;
	__u8 found;
	__u8 synced; /* `next` is valid */
	__u8 prefix; /* HTTP/2: bytes at the beginning of a DATA frame's payload that are still to be copied */
	char line[LINE_KEPT];
};

enum connection_kind {
	KIND_UNDECIDED = 0,
	KIND_HTTP,
	KIND_OTHER, /* not HTTP, not wanted, or a tunnel by now: left alone */
};

/* Written by the segment programs only. */
enum connection_flag {
	CONN_SEEN = 1 << 0,           /* a data segment was looked at */
	CONN_JOINED = 1 << 1,         /* bytes had passed before that */
	CONN_ANNOUNCED = 1 << 2,      /* EVENT_CONNECTION was sent */
	CONN_REQUEST_EGRESS = 1 << 3, /* requests leave this socket */
	CONN_EARLY = 1 << 4,          /* its first bytes were seen on the listener, before it was there */
	CONN_WEBSOCKET = 1 << 5,      /* a WebSocket by now: its bytes are counted, none is copied */
	CONN_FRAMES = 1 << 6,         /* HTTP/2: frames in both directions */
};

/* Written by the process programs, but for PROCESS_SENT: a race there sends it twice, which does no harm. */
enum process_flag {
	PROCESS_KNOWN = 1 << 0,    /* tgid, start and comm are valid */
	PROCESS_RECEIVED = 1 << 1, /* ... and are those of a process that received: final */
	PROCESS_SENT = 1 << 2,     /* EVENT_PROCESS was sent */
	PROCESS_OWN = 1 << 3,      /* it is masthead itself */
};

struct connection {
	struct flow flows[2]; /* by direction: ingress, egress */
	__u64 cookie;
	__u64 start; /* of the process, see struct event_process */
	__u64 heads; /* bit n: request n % 64 has the method HEAD */
	__u32 tgid;
	__u32 requests;  /* heads of requests seen; written by their direction only */
	__u32 responses; /* final responses begun; written by their direction only */
	__u32 flags;     /* enum connection_flag; both directions set them, at the same time even */
	__u8 kind;
	__u8 busy; /* an ingress segment is being walked: another CPU may have the next one */
	__u8 process;
	__u8 last;        /* direction of the last data */
	__u8 turns;       /* looks at a joined connection that found no start line */
	__u8 want_accept; /* data came in that nothing has confirmed since */
	__u8 connect;     /* the last request was a CONNECT */
	__u8 looks;       /* looks at a joined connection, for frames, where no turn of the conversation begins */
	char comm[16];
};
_Static_assert(sizeof(struct connection) <= 256, "socket storage stays small: one for each TCP connection");

/* Once in the life of a connection, as a rule: an atomic operation costs nothing there. */
static __always_inline void set_flags(struct connection *connection, __u32 flags)
{
	__sync_fetch_and_or(&connection->flags, flags);
}

static __always_inline void lose_place(struct flow *flow)
{
	flow->state = FLOW_UNSURE;
	flow->skip = 0;
	flow->line_size = 0;
}

/* Bytes are lost before it is known what they are: what follows is read as that of a connection that was joined. */
static __always_inline void miss_beginning(struct connection *connection, __u8 direction)
{
	if (connection->kind != KIND_UNDECIDED)
		return;
	set_flags(connection, CONN_JOINED);
	connection->last = direction;
	lose_place(&connection->flows[direction & 1]);
}

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct connection);
} connections SEC(".maps");

#endif
