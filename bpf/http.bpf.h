/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Is it HTTP, and where do heads end: as much of RFC 9112 as it takes to skip bodies. */
#ifndef MASTHEAD_HTTP_BPF_H
#define MASTHEAD_HTTP_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "connection.bpf.h"
#include "output.bpf.h"

#define BYTES(c) (0x0101010101010101ULL * (__u8)(c))

/* Eight characters as a little-endian word; letters in lower case, as `| BYTES(0x20)` makes them. */
#define WORD(a, b, c, d, e, f, g, h)                                                                                \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | (__u64)(f) << 40 | \
	 (__u64)(g) << 48 | (__u64)(h) << 56)
#define FIRST(n) (~0ULL >> (64 - 8 * (n)))

static __always_inline __u64 word_at(const __u8 *at)
{
	return *(const __u64 *)at;
}

/* Index of the first line feed in a word; 8 where there is none. */
static __always_inline __u32 line_feed_in(__u64 word)
{
	__u64 x = word ^ BYTES('\n');
	__u64 hit = (x - BYTES(1)) & ~x & BYTES(0x80);

	if (!hit)
		return 8;
	/* Bit 8n + 7 alone, moved to 8n, makes n appear in the top byte: bytecode has no count of zeros. */
	hit &= -hit;
	return ((hit >> 7) * WORD(7, 6, 5, 4, 3, 2, 1, 0)) >> 56;
}

static __always_inline bool is_token(__u8 c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.' || c == '!' || c == '#' || c == '$' || c == '%' || c == '&' || c == '\'' || c == '*' ||
	       c == '+' || c == '^' || c == '`' || c == '|' || c == '~';
}

/* `HTTP/d.d` */
static __always_inline bool is_version(__u64 word)
{
	__u64 digits = word >> 40;

	return (word & FIRST(5)) == (WORD('H', 'T', 'T', 'P', '/', 0, 0, 0)) && (digits & 0xff) - '0' < 10 &&
	       (digits >> 8 & 0xff) == '.' && (digits >> 16) - '0' < 10;
}

/* The methods seen every day, with the space behind them and the beginning of a target: most traffic ends here. */
static __always_inline bool is_common_request(__u64 word)
{
	__u64 slash = '/';

	return (word & FIRST(5)) == (WORD('G', 'E', 'T', ' ', slash, 0, 0, 0)) ||
	       (word & FIRST(6)) == (WORD('P', 'O', 'S', 'T', ' ', slash, 0, 0)) ||
	       (word & FIRST(5)) == (WORD('P', 'U', 'T', ' ', slash, 0, 0, 0)) ||
	       (word & FIRST(6)) == (WORD('H', 'E', 'A', 'D', ' ', slash, 0, 0)) ||
	       (word & FIRST(7)) == (WORD('P', 'A', 'T', 'C', 'H', ' ', slash, 0)) ||
	       word == WORD('D', 'E', 'L', 'E', 'T', 'E', ' ', slash);
}

/* What the first bytes of a direction look like. */
enum start {
	START_OTHER = 0,
	START_REQUEST,
	START_RESPONSE,
	START_PARTIAL, /* the line is not complete and could become a request line */
};

struct line_search {
	struct slot *slot;
	const __u8 *bytes;
};

/* One step of a search for the end of the first line: a word. */
static long find_line_feed(__u32 index, struct line_search *search)
{
	__u32 at = search->slot->pos;

	if (at >= search->slot->end || at > EVENT_CHUNK - 64)
		return 1;

	__u32 found = line_feed_in(word_at(search->bytes + at));

	search->slot->pos = at + found;
	return found < 8;
}

/* Judges the first line in `bytes` of the slot, of which `size` are valid. */
static __always_inline enum start judge_start(struct slot *slot, const __u8 *bytes, __u32 size)
{
	__u64 word = word_at(bytes);

	if (size >= 8) {
		if (is_version(word))
			return START_RESPONSE;
		if (is_common_request(word))
			return START_REQUEST;
	} else if (size < 5 && (word & FIRST(4)) == (WORD('H', 'T', 'T', 'P', 0, 0, 0, 0))) {
		return START_PARTIAL;
	}
	/* A method is a token: most other protocols end here. Lines may be empty before it (RFC 9112, section 2.2). */
	if (!is_token(bytes[0]) && bytes[0] != '\r' && bytes[0] != '\n')
		return START_OTHER;
	for (int n = 1; n < 8; n++) {
		if (n >= (int)size || bytes[n] == ' ' || bytes[0] == '\r' || bytes[0] == '\n')
			break;
		if (!is_token(bytes[n]))
			return START_OTHER;
	}

	struct line_search search = {.slot = slot, .bytes = bytes};

	slot->pos = bytes[0] == '\r' || bytes[0] == '\n' ? 2 : 0;
	slot->end = size;
	bpf_loop(EVENT_CHUNK / 8, find_line_feed, &search, 0);

	__u32 end = slot->pos;

	if (end >= size)
		return START_PARTIAL;
	if (end > EVENT_CHUNK - 64 || end < 9)
		return START_OTHER;
	if (bytes[(end - 1) & (EVENT_CHUNK - 1)] == '\r')
		end--;
	return is_version(word_at(bytes + ((end - 8) & (EVENT_CHUNK - 1)))) ? START_REQUEST : START_OTHER;
}

struct digits {
	struct number *number;
	const __u8 *text;
};

#define NUMBER_SPAN 32
#define NUMBER_BAD  99

static long read_digit(__u32 index, struct digits *digits)
{
	struct number *number = digits->number;
	__u32 at = number->at;

	if (at >= number->size || at >= NUMBER_SPAN)
		return 1;
	barrier_var(at);

	__u8 c = digits->text[at & (NUMBER_SPAN - 1)];
	__u8 digit = c - '0';

	number->at++;
	if (digit > 9 && number->shift && (c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		digit = (c | 0x20) - 'a' + 10;
	if (digit < 10 || (number->shift && digit < 16)) {
		number->value = number->shift ? number->value << 4 | digit : number->value * 10 + digit;
		number->digits = number->over || number->digits >= 18 ? NUMBER_BAD : number->digits + 1;
		return number->digits == NUMBER_BAD;
	}
	if (c == '\r' || c == '\n' || (number->shift && c == ';'))
		return 1;
	if (c != ' ' && c != '\t') {
		number->digits = NUMBER_BAD;
		return 1;
	}
	number->over = number->digits > 0;
	return 0;
}

static __always_inline void read_number(struct number *number, const __u8 *text, __u32 size, __u8 shift)
{
	struct digits digits = {.number = number, .text = text};

	__builtin_memset(number, 0, sizeof(*number));
	number->size = size;
	number->shift = shift;
	bpf_loop(NUMBER_SPAN, read_digit, &digits, 0);
}

/*
 * The usual length: a space, up to eight digits, the line's end. Without a loop and without a branch, since each call of
 * a loop's body costs more than all of this. Anything else is for read_number().
 */
static __always_inline bool read_plain_length(const __u8 *text, __u64 *value)
{
	__u64 sum = 0, live = ~0ULL, digits = 0;

	if (text[0] != ' ')
		return false;
#pragma unroll
	for (int n = 1; n <= 8; n++) {
		__u64 digit = (__u64)text[n] - '0';

		/* All ones while everything was a digit: 9 - digit is negative for what is none. */
		live &= ((9 - digit) >> 63) - 1;
		barrier_var(live);
		sum = (sum & ~live) | ((sum * 10 + digit) & live);
		digits -= live; /* minus one is plus one */
	}
	digits++;
	barrier_var(digits);
	if (digits < 2 || text[digits & 15] != '\r')
		return false;
	*value = sum;
	return true;
}

static __always_inline void read_length(struct number *number, const __u8 *text, __u32 size, struct flow *flow)
{
	number->digits = 1;
	if (!read_plain_length(text, &number->value))
		read_number(number, text, size, 0);
	if (!number->digits || number->digits == NUMBER_BAD ||
	    ((flow->found & FOUND_LENGTH) && flow->length != number->value))
		flow->found |= FOUND_TROUBLE;
	flow->found |= FOUND_LENGTH;
	flow->length = number->value;
}

/* A field line, `size` bytes without its line feed; LINE_KEPT bytes of `line` can be read. */
static __always_inline void read_field(struct number *number, const __u8 *line, __u32 size, struct flow *flow)
{
	__u64 first = word_at(line) | BYTES(0x20);
	__u64 second = word_at(line + 8) | BYTES(0x20);

	if (first == WORD('c', 'o', 'n', 't', 'e', 'n', 't', '-')) {
		if (size >= 15 && (second & FIRST(7)) == (WORD('l', 'e', 'n', 'g', 't', 'h', ':', 0)))
			read_length(number, line + 15, size - 15, flow);
		return;
	}
	if (first != WORD('t', 'r', 'a', 'n', 's', 'f', 'e', 'r') ||
	    second != WORD('-', 'e', 'n', 'c', 'o', 'd', 'i', 'n'))
		return;

	if (size < 25) { /* shorter than `transfer-encoding:chunked` */
		flow->found |= FOUND_TROUBLE;
		return;
	}
	/* `chunked` alone is what everybody sends; other codings are left to user space. */
	__u32 at = 18;

	if (line[at] == ' ')
		at++;

	__u64 value = (word_at(line + at) | BYTES(0x20)) & FIRST(7);
	__u32 rest = size - at;

	if (value == (WORD('c', 'h', 'u', 'n', 'k', 'e', 'd', 0)) && (rest == 7 || (rest == 8 && line[at + 7] == '\r')))
		flow->found |= FOUND_CHUNKED;
	else
		flow->found |= FOUND_TROUBLE;
}

struct line {
	__u8 bytes[LINE_KEPT];
};

/*
 * `Upgrade: websocket` (RFC 6455, section 4.2.2) or `Upgrade: h2c` (RFC 7540, section 3.2) in the head of a 101, and no
 * other protocol behind it: FOUND_WEBSOCKET, FOUND_H2C, or 0.
 *
 * Not static: such functions are verified by themselves, once, and not again wherever they are called from. It was a third
 * of all that the verifier had to do.
 */
__noinline int upgrade_in(const struct line *kept, __u32 size)
{
	__u32 at = 8;

	if (!kept)
		return 0;

	const __u8 *line = kept->bytes;

	if ((word_at(line) | BYTES(0x20)) != WORD('u', 'p', 'g', 'r', 'a', 'd', 'e', ':' | 0x20))
		return 0;
#pragma unroll
	for (int n = 0; n < 8; n++)
		if (line[at] == ' ' || line[at] == '\t')
			at++;

	__u32 rest = size > at ? size - at : 0;

	if ((word_at(line + at) | BYTES(0x20)) == WORD('w', 'e', 'b', 's', 'o', 'c', 'k', 'e') &&
	    (line[at + 8] | 0x20) == 't' && (rest == 9 || (rest == 10 && line[at + 9] == '\r')))
		return FOUND_WEBSOCKET;
	if (((word_at(line + at) | BYTES(0x20)) & FIRST(3)) == (WORD('h', '2', 'c', 0, 0, 0, 0, 0)) &&
	    (rest == 3 || (rest == 4 && line[at + 3] == '\r')))
		return FOUND_H2C;
	return 0;
}

/* A request line's method, or a status line's code. */
static __always_inline void read_start_line(const __u8 *line, struct flow *flow, bool request)
{
	__u64 word = word_at(line);

	flow->found = 0;
	flow->length = 0;
	flow->status = 0;
	if (request) {
		if ((word & FIRST(5)) == (WORD('H', 'E', 'A', 'D', ' ', 0, 0, 0)))
			flow->found = FOUND_HEAD;
		else if (word == WORD('C', 'O', 'N', 'N', 'E', 'C', 'T', ' '))
			flow->found = FOUND_CONNECT;
		return;
	}
	if (!is_version(word)) {
		flow->found = FOUND_TROUBLE;
		return;
	}
	for (int n = 9; n < 12; n++) {
		__u8 digit = line[n] - '0';

		flow->status = flow->status * 10 + digit;
		if (digit > 9)
			flow->found = FOUND_TROUBLE;
	}
}

/* The size in a chunk's size line (RFC 9112, section 7.1). */
static __always_inline bool read_chunk_size(struct number *number, const __u8 *line, __u32 size, __u64 *value)
{
	read_number(number, line, size, 4);
	*value = number->value;
	return number->digits && number->digits <= 15;
}

#endif
