/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The record that the kernel side hands to user space, and nothing else: the only header that both sides share.
 * Integers are in host byte order unless a member says otherwise. Layout version: EVENT_VERSION, in each record.
 */
#ifndef MASTHEAD_EVENT_H
#define MASTHEAD_EVENT_H

#define EVENT_VERSION 2

/* What a record says. */
enum event_kind {
	EVENT_SEGMENT = 1,    /* payload of one TCP segment, or a part of it; `copied` bytes follow */
	EVENT_CONNECTION = 2, /* a connection turned out to be HTTP; struct event_connection follows */
	EVENT_PROCESS = 3,    /* the process that owns a connection's socket; struct event_process follows */
	EVENT_CLOSE = 4,      /* the socket reached TCP_CLOSE; nothing follows */
	EVENT_EXEC = 5,       /* a process executed a file; its path follows, `copied` bytes, no NUL */
	EVENT_ACCEPT = 6,     /* no payload: only says what TCP has accepted so far (rcv_nxt) */
	EVENT_TLS = 7,        /* a TLS connection turned out to carry HTTP; struct event_tls follows */
	EVENT_SOCKET = 8,     /* the socket of a TLS connection, known now or no longer; struct event_socket follows */
	EVENT_LOOK = 9,       /* a process that may speak TLS began, or listens now: cookie is its tgid */
};

/* event.flags */
enum event_flag {
	EVENT_EGRESS = 1 << 0, /* the segment leaves the socket; otherwise it arrives */
	EVENT_FIN = 1 << 1,    /* the segment ends its direction; EVENT_LOOK: what the process ran is over */
	EVENT_RST = 1 << 2,    /* the segment resets the connection */
	EVENT_LISTENER =
		1 << 3,        /* data that completed a handshake: cookie is 0, struct event_tuple precedes the bytes */
	EVENT_JOINED = 1 << 4, /* EVENT_CONNECTION: bytes had passed before the first look */
	EVENT_CUT = 1 << 5,    /* bytes were left out because of a limit, not because they are a body */
	/* EVENT_CONNECTION: its first bytes were seen on the listener, if at all. EVENT_SEGMENT: */
	EVENT_UNSURE = 1 << 6, /* the kernel side did not know where it was in the stream, so it copied */
};

struct event {
	/* Socket cookie, unique on a host until it reboots; tgid for EVENT_EXEC and EVENT_LOOK. A connection inside TLS has
	 * a number of its own, with EVENT_INSIDE_TLS set: its socket may carry something else too, or not be known. */
	__u64 cookie;
	__u64 time;    /* CLOCK_MONOTONIC, nanoseconds */
	__u32 number;  /* per CPU, counts every record attempted: a hole is a record refused */
	__u32 seq;     /* TCP sequence number of the first byte that this record stands for */
	__u32 rcv_nxt; /* what the socket's TCP expects next: all before it is accepted */
	__u32 snd_nxt; /* what the socket's TCP will send next */
	__u32 span;    /* payload bytes that this record stands for: `copied`, then skipped ones */
	__u16 copied;  /* bytes that follow the header; 64 KiB is more than any chunk (EVENT_CHUNK) */
	__u16 cpu;
	__u8 version; /* EVENT_VERSION */
	__u8 kind;    /* enum event_kind */
	__u8 flags;   /* enum event_flag */
	__u8 reserved[5];
};
_Static_assert(sizeof(struct event) == 48, "struct event is read by offset in user space");

/* Both ends as the socket has them, not as the packet does (they differ under NAT). */
struct event_tuple {
	__u8 local[16]; /* IPv6, or IPv4 mapped (::ffff:a.b.c.d); network byte order */
	__u8 remote[16];
	__u16 local_port;
	__u16 remote_port;
	__u32 reserved;
};
_Static_assert(sizeof(struct event_tuple) == 40, "struct event_tuple is read by offset in user space");

struct event_connection {
	struct event_tuple tuple;
	__u64 netns;  /* network namespace cookie */
	__u64 cgroup; /* cgroup2 id of the socket: the inode number of its directory */
};
_Static_assert(sizeof(struct event_connection) == 56, "struct event_connection is read by offset in user space");

struct event_process {
	__u64 start; /* start_boottime of the thread group leader, nanoseconds: tells a reused pid apart */
	__u32 tgid;  /* in the initial pid namespace */
	__u32 reserved;
	char comm[16]; /* NUL padded */
};
_Static_assert(sizeof(struct event_process) == 32, "struct event_process is read by offset in user space");

/* Set in the cookie of a connection inside TLS: no socket's cookie, which are counted from 1, comes near. */
#define EVENT_INSIDE_TLS (1ULL << 63)

/* The socket that carries a TLS connection. */
struct event_socket {
	struct event_connection connection;
	__u64 cookie; /* 0: not known, and nothing else here is */
};
_Static_assert(sizeof(struct event_socket) == 64, "struct event_socket is read by offset in user space");

struct event_tls {
	struct event_socket socket;
	struct event_process process; /* the one that calls the library */
	__u32 library;                /* enum event_library */
	__u32 reserved;
};
_Static_assert(sizeof(struct event_tls) == 104, "struct event_tls is read by offset in user space");

enum event_library {
	LIBRARY_OPENSSL = 1,
	LIBRARY_BORINGSSL = 2,
	LIBRARY_GNUTLS = 3,
	LIBRARY_NSS = 4,
	LIBRARY_GO = 5,
};

#endif
