/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The walk through HTTP/2's frames (RFC 9113, section 4.1), and how they are told from other bytes in the middle of a
 * connection. Only the content of DATA frames is stepped over: everything else is small, and HPACK needs all of it.
 */
#ifndef MASTHEAD_FRAMES_BPF_H
#define MASTHEAD_FRAMES_BPF_H

#include <bpf/bpf_endian.h>
#include "http.bpf.h"
#include "walk.bpf.h"

/* RFC 9113, section 6 */
enum frame_type {
	FRAME_DATA = 0,
	FRAME_HEADERS,
	FRAME_PRIORITY,
	FRAME_RST_STREAM,
	FRAME_SETTINGS,
	FRAME_PUSH_PROMISE,
	FRAME_PING,
	FRAME_GOAWAY,
	FRAME_WINDOW_UPDATE,
	FRAME_CONTINUATION,
};

#define FRAME_END_STREAM  0x01 /* ACK of SETTINGS and PING is the same bit */
#define FRAME_END_HEADERS 0x04
#define FRAME_PADDED      0x08
#define FRAME_PRIORITIZED 0x20

#define FRAME_HEADER   9
/* What a peer may send unless it was told otherwise (SETTINGS_MAX_FRAME_SIZE). */
#define FRAME_USUAL    16384
/* Content up to this size is copied: it costs less than the record that another run of copied bytes needs. */
#define FRAME_INLINE   128
/* Of longer content these are copied: gRPC's message prefix, and a byte before it where there is padding. */
#define FRAME_PREFIX   6
/* Frames that are looked at to tell HTTP/2 from something else. */
#define FRAMES_JUDGED  16
/* Fields known by their index alone that may stand before one that tells a request from a response. */
#define INDEXED_FIELDS 8
/* Looks at a joined connection, at turns of the conversation, before it is called something else. */
#define JOINED_TURNS   16
/* ... and elsewhere, for HTTP/2. */
#define JOINED_LOOKS   255
/* `\r\nSM\r\n\r\n`: what follows the first line of the client's preface (RFC 9113, section 3.4). */
#define PREFACE_REST   8

/* `PRI * HTTP/2.0`, `size` bytes without its line feed. */
static __always_inline bool is_preface(const __u8 *line, __u32 size)
{
	return (size == 14 || (size == 15 && line[14] == '\r')) &&
	       word_at(line) == WORD('P', 'R', 'I', ' ', '*', ' ', 'H', 'T') &&
	       word_at(line + 6) == WORD('H', 'T', 'T', 'P', '/', '2', '.', '0');
}

/* The preface's first line was seen: frames follow in both directions. */
static __always_inline void begin_frames(struct walk *walk)
{
	struct connection *connection = walk->connection;
	bool first = !(connection->flags & CONN_FRAMES);

	set_flags(connection, CONN_FRAMES);
	walk->flow->state = FLOW_PAYLOAD;
	walk->flow->skip = PREFACE_REST;
	walk->flow->head_size = 0;
	if (first) {
		struct flow *other = &connection->flows[walk->flow == &connection->flows[0]];

		other->state = other->synced ? FLOW_UNSURE : FLOW_FRAME;
		other->skip = 0;
		other->line_size = 0;
	}
}

static __always_inline __u32 frame_length(const __u8 *header)
{
	return header[0] << 16 | header[1] << 8 | header[2];
}

/* A frame header is complete: where are we then? */
static __always_inline void on_frame(struct flow *flow, const __u8 *header)
{
	__u32 length = frame_length(header);

	flow->skip = length;
	flow->prefix = 0;
	flow->state = length ? FLOW_PAYLOAD : FLOW_FRAME;
	if (header[3] == FRAME_DATA && length > FRAME_INLINE) {
		flow->state = FLOW_CONTENT;
		flow->prefix = FRAME_PREFIX;
	}
}

/* One frame, or a byte of a header that two segments share. Ends before content that is stepped over. */
static long frame_step(__u32 index, struct walk *walk)
{
	struct slot *slot = walk->slot;
	struct flow *flow = walk->flow;
	__u32 pos = slot->pos, size = slot->size, take;

	if (pos >= size || pos >= EVENT_CHUNK)
		return 1;
	barrier_var(pos);
	if (flow->state == FLOW_FRAME) {
		const __u8 *header = slot->bytes + (pos & (EVENT_CHUNK - 1));

		if (flow->line_size || size - pos < FRAME_HEADER) {
			__u32 at = flow->line_size;

			if (at >= FRAME_HEADER) { /* never: a line of HTTP/1 that was left behind */
				flow->line_size = 0;
				return 0;
			}
			barrier_var(at);
			flow->line[at & 15] = header[0];
			flow->line_size = at + 1;
			slot->pos = pos + 1;
			if (at + 1 < FRAME_HEADER)
				return 0;
			flow->line_size = 0;
			header = (const __u8 *)flow->line;
			pos = pos + 1;
		} else {
			pos += FRAME_HEADER;
		}
		on_frame(flow, header);
		slot->pos = pos;
	}
	if (flow->state == FLOW_FRAME) /* an empty one */
		return 0;
	take = flow->state == FLOW_CONTENT ? flow->prefix : (__u32)flow->skip;
	if (take > size - pos)
		take = size - pos;
	slot->pos = pos + take;
	if (flow->state == FLOW_CONTENT) {
		flow->prefix -= take;
		flow->skip -= take;
		return 1;
	}
	pass(flow, take);
	return 0;
}

/* A run of copied bytes, and the content that ends it. */
static __always_inline long walk_frames(struct walk *walk)
{
	struct flow *flow = walk->flow;
	__u32 left = walk->slot->left, span;

	if (in_content(flow)) {
		if (flow->skip >= left || flow->skip > FRAME_INLINE) {
			span = flow->skip < left ? (__u32)flow->skip : left;
			pass(flow, span);
			send_segment(walk, 0, span);
			return walk->slot->left == 0;
		}
		flow->state = FLOW_PAYLOAD;
	}
	if (!load_chunk(walk))
		return 1;
	walk->slot->pos = 0;
	bpf_loop(EVENT_CHUNK, frame_step, walk, 0);
	span = walk->slot->pos < walk->slot->size ? walk->slot->pos : walk->slot->size;

	__u32 copied = span;

	if (in_content(flow)) {
		__u32 rest = left - span;
		__u32 skipped = flow->skip < rest ? (__u32)flow->skip : rest;

		pass(flow, skipped);
		span += skipped;
	}
	send_segment(walk, copied, span);
	return walk->slot->left == 0;
}

/* Strict, since other protocols have bytes like these: what every implementation sends, and no more than that. */
static __always_inline bool is_frame(const __u8 *header)
{
	__u32 length = frame_length(header), stream = bpf_ntohl(*(const __u32 *)(header + 5));
	__u8 flags = header[4];
	bool odd = (stream & 1) && !(stream >> 31);

	if (length > FRAME_USUAL || stream >> 31)
		return false;
	switch (header[3]) {
	case FRAME_DATA:
		return odd && !(flags & ~(FRAME_END_STREAM | FRAME_PADDED));
	case FRAME_HEADERS:
		return odd && length && (flags & FRAME_END_HEADERS) &&
		       !(flags & ~(FRAME_END_STREAM | FRAME_END_HEADERS | FRAME_PADDED | FRAME_PRIORITIZED));
	case FRAME_PRIORITY:
		return odd && length == 5 && !flags;
	case FRAME_RST_STREAM:
		return odd && length == 4 && !flags;
	case FRAME_SETTINGS:
		return !stream && length % 6 == 0 && !(flags & ~FRAME_END_STREAM) && !(flags && length);
	case FRAME_PING:
		return !stream && length == 8 && !(flags & ~FRAME_END_STREAM);
	case FRAME_GOAWAY:
		return !stream && length >= 8 && !flags;
	case FRAME_WINDOW_UPDATE:
		return (odd || !stream) && length == 4 && !flags;
	default:
		return false;
	}
}

/* The field section of a HEADERS frame: its first field that is not an index into the dynamic table alone tells what it is. */
static __always_inline enum start judge_fields(const __u8 *header)
{
	const __u8 *at = header + FRAME_HEADER;
	__u8 flags = header[4];

	at += (flags & FRAME_PADDED ? 1 : 0) + (flags & FRAME_PRIORITIZED ? 5 : 0);
	for (int n = 0; n < INDEXED_FIELDS; n++) {
		__u8 byte = at[n], index;

		/* An index into the dynamic table, which begins at 62 (RFC 7541, section 2.3.3) */
		if (byte >= 0xbe && byte < 0xff)
			continue;
		/* A size update of the dynamic table that fits a byte (RFC 7541, section 6.3) */
		if (byte >= 0x20 && byte < 0x3f && n == 0)
			continue;
		if (byte & 0x80)
			index = byte & 0x7f; /* indexed, section 6.1 */
		else if (byte & 0x40)
			index = byte & 0x3f; /* literal that enters the table, section 6.2.1 */
		else
			index = byte < 0x20 ? byte & 0x0f : 0; /* literal that does not, 6.2.2 and 6.2.3 */
		/* `:authority`, `:method`, `:path`, `:scheme`; `:status` (appendix A) */
		if (index >= 1 && index <= 7)
			return START_REQUEST;
		if (index >= 8 && index <= 14 && n <= 1)
			return START_RESPONSE;
		return START_PARTIAL;
	}
	return START_PARTIAL;
}

static long judge_frame(__u32 index, struct walk *walk)
{
	struct slot *slot = walk->slot;
	struct chain *chain = &slot->chain;
	__u32 pos = slot->pos;

	if (pos >= EVENT_CHUNK || pos + FRAME_HEADER > slot->size)
		return 1;
	barrier_var(pos);

	const __u8 *header = slot->bytes + (pos & (EVENT_CHUNK - 1));

	if (!is_frame(header)) {
		chain->frames = 0;
		return 1;
	}
	chain->frames++;
	if (header[3] == FRAME_HEADERS) {
		chain->heads++;
		/* Bytes that were not loaded may say anything. */
		if (chain->start == START_PARTIAL && pos + FRAME_HEADER + 16 <= slot->size)
			chain->start = judge_fields(header);
	}
	slot->pos = pos + FRAME_HEADER + frame_length(header);
	return 0;
}

/* Does what was loaded, the first of the segment's rest, begin with frames? What they are goes to `chain`. */
static __always_inline bool judge_frames(struct walk *walk)
{
	struct slot *slot = walk->slot;
	struct chain *chain = &slot->chain;

	/* Every frame of the usual size begins so: most other bytes end here. */
	if (slot->bytes[0] || slot->bytes[1] > (FRAME_USUAL >> 8) || slot->bytes[3] > FRAME_CONTINUATION)
		return false;
	chain->frames = 0;
	chain->heads = 0;
	chain->start = START_PARTIAL;
	slot->pos = 0;
	bpf_loop(FRAMES_JUDGED, judge_frame, walk, 0);
	chain->whole = slot->pos == slot->left;
	return chain->frames;
}

/*
 * What the first bytes of a connection say, or those of one that we joined. A server's first frame is its SETTINGS, and
 * it may come before the client's preface; later only a head says who is who.
 */
static __always_inline enum start judge_first_frames(struct walk *walk, bool joined)
{
	const __u8 *bytes = walk->slot->bytes;
	struct chain *chain = &walk->slot->chain;

	if (!judge_frames(walk) || !(chain->whole || chain->frames > 1))
		return START_OTHER;
	if (joined)
		return chain->heads ? chain->start : START_PARTIAL;
	/* Its first parameter, where it has one, is a known one (RFC 9113, section 6.5.2; RFC 8441; RFC 9218). */
	return bytes[3] == FRAME_SETTINGS && !bytes[4] && (!bytes[2] || (!bytes[9] && bytes[10] >= 1 && bytes[10] <= 9))
	               ? START_RESPONSE
	               : START_OTHER;
}

/*
 * What the bytes at hand say of a connection that is undecided: START_REQUEST or START_RESPONSE, else it stays so, or is
 * none of ours. `frames`: it is HTTP/2 by its frames.
 */
static __always_inline enum start judge_beginning(struct walk *walk, bool turned, bool *frames)
{
	struct connection *connection = walk->connection;
	__u32 size = walk->slot->left < EVENT_CHUNK ? walk->slot->left : EVENT_CHUNK;
	bool joined = connection->flags & CONN_JOINED;
	enum start start = START_OTHER;

	/* Streams of HTTP/2 know no turns, but a protocol that is none of ours has to end somewhere. */
	if (joined && !turned && connection->looks++ >= JOINED_LOOKS) {
		connection->looks = JOINED_LOOKS;
		return START_PARTIAL;
	}
	if (!load(walk, size)) {
		miss_beginning(connection, walk->slot->flags & EVENT_EGRESS ? EGRESS : INGRESS);
		return START_PARTIAL;
	}
	if (!joined || turned)
		start = judge_start(walk->slot, walk->slot->bytes, size);
	if (start == START_PARTIAL && !joined)
		start = START_REQUEST;
	if (start == START_OTHER) {
		start = judge_first_frames(walk, joined);
		*frames = start == START_REQUEST || start == START_RESPONSE;
		/* Frames that say nothing of who is who: others will. */
		if (start == START_PARTIAL)
			return START_PARTIAL;
	}
	if (start == START_REQUEST || start == START_RESPONSE)
		return start;
	if (joined && !turned)
		return START_PARTIAL;
	if (!joined || connection->turns++ > JOINED_TURNS) {
		connection->kind = KIND_OTHER;
		COUNT(other);
	}
	return START_OTHER;
}

/* A connection is HTTP/2 by its frames, not by a preface that we saw. */
static __always_inline void join_frames(struct connection *connection, __u8 direction)
{
	bool joined = connection->flags & CONN_JOINED;
	struct flow *this = &connection->flows[direction & 1], *other = &connection->flows[!(direction & 1)];

	set_flags(connection, CONN_FRAMES);
	this->state = FLOW_FRAME;
	/* A preface follows where nothing was missed: that side is at its start, or being walked already. */
	if (joined)
		other->state = FLOW_UNSURE;
}

/* Lost places are found again where a segment begins with frames. */
static __always_inline void find_frames(struct walk *walk)
{
	if (!load_chunk(walk) || !judge_frames(walk))
		return;
	walk->flow->state = FLOW_FRAME;
	walk->flow->skip = 0;
	walk->flow->line_size = 0;
}

#endif
