/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Walks a segment: heads, chunk sizes and trailers are copied, bodies are stepped over. */
#ifndef MASTHEAD_FRAMING_BPF_H
#define MASTHEAD_FRAMING_BPF_H

#include "frames.bpf.h"
#include "http.bpf.h"
#include "packet.bpf.h"
#include "walk.bpf.h"

/* Bytes of one head that are copied; behind them the head is cut. */
const volatile __u32 max_head_bytes = 16384;

/* The head is complete: what follows it? */
static __always_inline void end_of_head(struct connection *connection, struct flow *flow, bool request)
{
	__u8 found = flow->found;

	flow->head_size = 0;
	flow->skip = 0;
	if (request) {
		__u64 bit = 1ULL << (connection->requests & 63);

		if (found & FOUND_HEAD)
			connection->heads |= bit;
		else
			connection->heads &= ~bit;
		connection->connect = !!(found & FOUND_CONNECT);
		connection->requests++;
		if (found & FOUND_TROUBLE)
			flow->state = FLOW_UNSURE;
		else if (found & FOUND_CHUNKED)
			flow->state = FLOW_SIZE;
		else if ((found & FOUND_LENGTH) && flow->length) {
			flow->state = FLOW_BODY;
			flow->skip = flow->length;
		} else
			flow->state = FLOW_START;
		return;
	}

	__u16 status = flow->status;
	__u32 waiting = connection->requests - connection->responses;
	bool head = connection->heads >> (connection->responses & 63) & 1;

	if (status >= 100 && status < 200 && status != 101) {
		flow->state = FLOW_START;
		return;
	}
	if (status == 101 && (found & FOUND_H2C)) {
		/* Frames follow here, the preface there (RFC 7540, section 3.2): the response is to the request before. */
		set_flags(connection, CONN_FRAMES);
		flow->state = FLOW_FRAME;
		return;
	}
	if (status == 101 && (found & FOUND_WEBSOCKET)) {
		set_flags(connection, CONN_WEBSOCKET);
		flow->state = FLOW_TO_CLOSE;
		return;
	}
	if (status == 101 || (connection->connect && status >= 200 && status < 300)) {
		connection->kind = KIND_OTHER;
		return;
	}
	if (waiting == 0 || waiting > 64) {
		/* Whose response is it? One to a HEAD request has no content. */
		flow->state = FLOW_UNSURE;
		return;
	}
	connection->responses++;
	if (found & FOUND_TROUBLE)
		flow->state = FLOW_UNSURE;
	else if (head || status == 204 || status == 304)
		flow->state = FLOW_START;
	else if (found & FOUND_CHUNKED)
		flow->state = FLOW_SIZE;
	else if (found & FOUND_LENGTH) {
		flow->state = flow->length ? FLOW_BODY : FLOW_START;
		flow->skip = flow->length;
	} else
		flow->state = FLOW_TO_CLOSE;
}

/* One whole line. `line` has LINE_KEPT readable bytes, `size` is its length without the line feed. */
static __always_inline void on_line(struct walk *walk, const __u8 *line, __u32 size)
{
	struct flow *flow = walk->flow;
	bool request = walk->slot->request;
	bool empty = size == 0 || (size == 1 && line[0] == '\r');
	__u64 chunk;

	switch (flow->state) {
	case FLOW_START:
		if (empty) /* RFC 9112, section 2.2 */
			return;
		if (request && (!walk->connection->requests || (walk->connection->flags & CONN_FRAMES)) &&
		    is_preface(line, size)) {
			begin_frames(walk);
			return;
		}
		read_start_line(line, flow, request);
		flow->state = FLOW_HEAD;
		if (!request && (flow->found & FOUND_TROUBLE))
			flow->state = FLOW_UNSURE;
		return;
	case FLOW_HEAD:
		if (empty)
			end_of_head(walk->connection, flow, request);
		else if ((line[0] | 0x20) == 'c' || (line[0] | 0x20) == 't')
			read_field(&walk->slot->number, line, size, flow);
		else if (flow->status == 101)
			flow->found |= upgrade_in((const struct line *)line, size);
		return;
	case FLOW_DATA_END:
		flow->state = empty ? FLOW_SIZE : FLOW_UNSURE;
		return;
	case FLOW_SIZE:
		if (!read_chunk_size(&walk->slot->number, line, size, &chunk)) {
			flow->state = FLOW_UNSURE;
		} else if (chunk) {
			flow->state = FLOW_DATA;
			flow->skip = chunk;
		} else {
			flow->state = FLOW_TRAILERS;
		}
		return;
	case FLOW_TRAILERS:
		if (empty)
			flow->state = FLOW_START;
		return;
	}
}

static long keep_byte(__u32 index, struct walk *walk)
{
	struct slot *slot = walk->slot;
	__u32 from = slot->keep, to = walk->flow->line_size;

	if (from >= slot->end || to >= LINE_KEPT)
		return 1;
	barrier_var(to);
	walk->flow->line[to & (LINE_KEPT - 1)] = slot->bytes[from & (EVENT_CHUNK - 1)];
	walk->flow->line_size = to + 1;
	slot->keep = from + 1;
	return 0;
}

/* Keeps the beginning of a line that comes in pieces. */
static __always_inline void keep_line(struct walk *walk, __u32 from, __u32 end)
{
	walk->slot->keep = from;
	walk->slot->end = end;
	bpf_loop(LINE_KEPT, keep_byte, walk, 0);
}

/* One step through what was loaded: up to the next line feed, or 64 bytes on. Says whether that was all. */
static __always_inline bool search_line(struct walk *walk)
{
	struct slot *slot = walk->slot;
	struct flow *flow = walk->flow;
	__u8 *bytes = slot->bytes;
	__u32 pos = slot->pos, end = pos;
	bool found = false;

	if (pos >= slot->size || pos >= EVENT_CHUNK)
		return true;
#pragma unroll
	for (int n = 0; n < 8; n++) {
		__u32 in = line_feed_in(word_at(bytes + (pos & (EVENT_CHUNK - 1)) + 8 * n));

		end = pos + 8 * n + in;
		if (in < 8) {
			found = true;
			break;
		}
	}
	slot->pos = end;
	if (!found || end >= slot->size)
		return end >= slot->size;

	const __u8 *line = bytes + (slot->line & (EVENT_CHUNK - 1));
	__u32 size = end - slot->line;

	if (flow->line_size) {
		/* It began in an earlier segment: put it together, as far as it matters. */
		keep_line(walk, slot->line, end);
		line = (__u8 *)flow->line;
		size = flow->line_size;
		flow->line_size = 0;
	}
	slot->pos = end + 1;
	slot->line = end + 1;
	on_line(walk, line, size);
	/* A body begins, or the place is lost: what follows is not for this search. */
	return flow->skip || flow->state == FLOW_TO_CLOSE || flow->state == FLOW_UNSURE || flow->state == FLOW_FRAME ||
	       walk->connection->kind == KIND_OTHER;
}

/* Several steps for each call of the loop's body, which costs as much as one of them. */
#define LINES_AT_ONCE 2

static long search_step(__u32 index, struct walk *walk)
{
	for (int n = 0; n < LINES_AT_ONCE; n++)
		if (search_line(walk))
			return 1;
	return 0;
}

/* Not knowing what it is: copy up to the limit. */
static __always_inline long copy_unsure(struct walk *walk)
{
	__u32 room = max_head_bytes > walk->slot->unsure ? max_head_bytes - walk->slot->unsure : 0;
	__u32 size = walk->slot->left < EVENT_CHUNK ? walk->slot->left : EVENT_CHUNK;

	if (size > room)
		size = room;
	walk->slot->flags |= EVENT_UNSURE;
	if (size == 0) {
		walk->slot->flags |= EVENT_CUT;
		send_segment(walk, 0, walk->slot->left);
		return 1;
	}
	if (!load(walk, size))
		return 1;
	walk->slot->unsure += size;
	send_segment(walk, size, size);
	return walk->slot->left == 0;
}

static long copy_step(__u32 index, struct walk *walk)
{
	return copy_unsure(walk);
}

/* Head limit reached: the rest of this segment is left out, and the place is lost. */
static __always_inline long cut_head(struct walk *walk)
{
	walk->flow->state = FLOW_UNSURE;
	walk->flow->head_size = 0;
	walk->flow->line_size = 0;
	walk->slot->flags |= EVENT_CUT;
	send_segment(walk, 0, walk->slot->left);
	return 1;
}

static __always_inline long copy_lines(struct walk *walk)
{
	struct flow *flow = walk->flow;
	__u32 size = walk->slot->left < EVENT_CHUNK ? walk->slot->left : EVENT_CHUNK;
	__u32 span;

	/* A chunk's size line is short, and its data may be long. */
	if ((flow->state == FLOW_SIZE || flow->state == FLOW_DATA_END) && size > 64)
		size = 64;
	if (flow->state == FLOW_HEAD && flow->head_size >= max_head_bytes)
		return cut_head(walk);
	if (!load(walk, size))
		return 1;
	if (flow->state == FLOW_START && !walk->slot->request && !flow->line_size && size >= 8 &&
	    !is_version(word_at(walk->slot->bytes)) && walk->slot->bytes[0] != '\r') {
		flow->state = FLOW_UNSURE;
		return 0;
	}
	walk->slot->pos = 0;
	walk->slot->line = 0;
	bpf_loop(EVENT_CHUNK, search_step, walk, 0);
	span = walk->slot->pos < size ? walk->slot->pos : size;
	if (flow->state == FLOW_HEAD || flow->state == FLOW_START || flow->state == FLOW_TRAILERS)
		flow->head_size = flow->state == FLOW_START ? 0 : flow->head_size + span;
	if (span == size && walk->slot->line < size)
		keep_line(walk, walk->slot->line, size);

	__u32 copied = span;

	if (in_content(flow)) {
		__u32 rest = walk->slot->left - span;
		__u32 skipped = flow->skip < rest ? (__u32)flow->skip : rest;

		pass(flow, skipped);
		span += skipped;
	} else if (flow->state == FLOW_TO_CLOSE) {
		span = walk->slot->left;
	}
	send_segment(walk, copied, span);
	return walk->slot->left == 0 || walk->connection->kind == KIND_OTHER;
}

static __always_inline long step_over(struct walk *walk)
{
	struct flow *flow = walk->flow;
	__u32 span = walk->slot->left;

	if (flow->state != FLOW_TO_CLOSE) {
		if (flow->skip < span)
			span = flow->skip;
		pass(flow, span);
	}
	send_segment(walk, 0, span);
	return walk->slot->left == 0;
}

/* One step through a segment: one record, as a rule. */
static long walk_step(__u32 index, struct walk *walk)
{
	switch (walk->flow->state) {
	case FLOW_BODY:
	case FLOW_DATA:
	case FLOW_TO_CLOSE:
		return step_over(walk);
	case FLOW_UNSURE:
		return copy_unsure(walk);
	case FLOW_FRAME:
	case FLOW_PAYLOAD:
	case FLOW_CONTENT:
		return walk_frames(walk);
	default:
		return copy_lines(walk);
	}
}

#endif
