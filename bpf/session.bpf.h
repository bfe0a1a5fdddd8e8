/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is remembered of TLS: each session (the library's object for a connection), and the calls that threads are in. */
#ifndef MASTHEAD_SESSION_BPF_H
#define MASTHEAD_SESSION_BPF_H

#include "framing.bpf.h"

/* What a probed function does; the probe's cookie says it, with the library above it: `library << 8 | call`. */
enum call_kind {
	CALL_READ = 1, /* returns the bytes read, 0 at the end, less when there was none or an error; an int */
	CALL_READ_EX,  /* the fourth argument points to the bytes read; returns 1 when there were some */
	CALL_WRITE,
	CALL_WRITE_EX,
	CALL_SENDFILE, /* as CALL_WRITE, of bytes that are in a file */
	CALL_RECV,     /* as CALL_READ, a long */
	CALL_SEND,     /* as CALL_WRITE, a long */
	CALL_INIT,     /* the first argument points to the session that it makes */
	CALL_HANDSHAKE,
	/* Looked at only when they are called: */
	CALL_BEGIN, /* nothing has been sent or received */
	CALL_SHUTDOWN,
	CALL_END,   /* the session is freed */
	CALL_CLOSE, /* CALL_SHUTDOWN and CALL_END; while something is being written, CALL_END when that is done */
	/* Of NSS: */
	CALL_MAKE,       /* returns a session, or 0 */
	CALL_ACCEPT,     /* as CALL_MAKE, if it is called with one */
	CALL_RECV_FLAGS, /* as CALL_READ, or CALL_PEEK: the fourth argument says it */
	CALL_OPTION,     /* may turn TLS on or off; looked at only when it is called */
	CALL_LOST,       /* writes in a way that is not followed; the same */
	CALL_PEEK,       /* the bytes stay */
};

/* How the socket of a session is known. */
enum bound {
	BOUND_NOT = 0,
	BOUND_SEEN,     /* a thread used it right before or after its calls for the session: see on_beside() */
	BOUND_DIRECT,   /* the library itself uses it, inside its calls for the session: see on_inside() */
	BOUND_CONFLICT, /* what was seen contradicts itself: never known again */
};

struct session {
	/* As of a socket: flows, what was decided, the process. Its cookie is that of the session. */
	struct connection connection;
	struct event_socket socket; /* `bound` says how it is known; while it is not, the one that may be it */
	__u64 seen;                 /* cookie of the socket last seen beside a call */
	__u64 inside;               /* cookie of the socket that was used inside a call */
	__u32 library;
	__u32 writes; /* Go: calls that write and have not returned */
	__u8 bound;
	__u8 agreed;       /* times in a row that it was that one */
	__u8 memory;       /* a call wanted bytes and no socket was asked: the application moves them */
	__u8 came;         /* one of these times bytes came from it */
	__u8 closed;       /* Go: it was closed while something was written: it ends with the last call of `writes` */
	__u8 inside_calls; /* calls inside of which a socket was used, up to AGREED */
	__u8 inside_came;  /* in one of them bytes were asked from it */
	__u8 called;       /* a call has returned */
	__u8 told;         /* user space has been told of `socket` as it is */
	__u8 reserved[7];
};

/* Something in a process: a session, a goroutine. */
struct object {
	__u64 address;
	__u32 tgid;
	__u32 reserved;
};

/*
 * Of all processes. An application that never frees them fills it: then new ones are refused and counted, and those of
 * a process go with it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1 << 16);
	__type(key, struct object);
	__type(value, struct session);
} sessions SEC(".maps");

enum speaks {
	SPEAKS_LIBRARY = 1 << 0,
	SPEAKS_GO = 1 << 1,
};

/* Processes that have a TLS library, by tgid: enum speaks; kept by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 14);
	__type(key, __u32);
	__type(value, __u8);
} watched SEC(".maps");

/* A call that has not returned yet. */
struct call {
	__u64 session;
	__u64 bytes; /* where they are, or shall go */
	__u64 count; /* where their number is returned */
	__u64 time;
	__u64 stack; /* the stack pointer at entry: tells which return belongs to it */
	__u16 cookie;
	__u8 handshake; /* Go: a handshake began inside */
	__u8 reserved;
	__u8 touched;  /* a socket was used inside */
	__u8 ended;    /* ... and had come to its end */
	__u8 beside;   /* `thread.moved` was received or sent right before */
	__u8 on_stack; /* `bytes` counts from the stack's upper end, down */
};

/* A session inside a session inside a session: a TLS proxy reached by TLS has two. */
#define CALLS 3

/* No session's address. */
#define SEVERAL 1

/* The calls that a thread, or a goroutine, is in. */
struct calls {
	struct call of[CALLS];
	__u32 depth;
	__u32 reserved;
};

struct thread {
	struct calls calls;
	/* The socket that the thread moved bytes of outside of calls, since the last one; for applications that hand the
	 * library its bytes in memory. */
	struct event_socket moved;
	__u64 written;  /* the session that it wrote, while nothing was sent; SEVERAL */
	__u8 movements; /* 0, 1, or 2: of several sockets */
	__u8 reserved[7];
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct thread);
} threads SEC(".maps");

/* Counted per CPU; read by user space. */
struct tls_counters {
	__u64 traps;      /* program runs at probes */
	__u64 crowded;    /* sessions refused because the map was full */
	__u64 nested;     /* calls that there was no room to remember: deeper than CALLS, as a rule */
	__u64 unmatched;  /* returns without an entry: the call began before we did */
	__u64 conflicts;  /* sessions whose socket is in doubt */
	__u64 restarted;  /* sessions read anew, since what a call moved is not known */
	__u64 unreadable; /* counts that could not be read */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct tls_counters);
} tls_counters SEC(".maps");

#define COUNT_TLS(member)                                                                  \
	do {                                                                               \
		__u32 first = 0;                                                           \
		struct tls_counters *counted = bpf_map_lookup_elem(&tls_counters, &first); \
		if (counted)                                                               \
			__sync_fetch_and_add(&counted->member, 1);                         \
	} while (0)

static __always_inline struct thread *this_thread(__u64 flags)
{
	return bpf_task_storage_get(&threads, bpf_get_current_task_btf(), 0, flags);
}

/* A call's place, or NULL. The compiler knows more than the verifier does, and would leave the check out. */
static __always_inline struct call *call_at(struct calls *calls, __u32 place)
{
	__u64 at = place;

	barrier_var(at);
	if (at >= CALLS)
		return NULL;
	barrier_var(at);
	return &calls->of[at];
}

static __always_inline struct object object_at(__u64 address)
{
	struct object object = {.address = address, .tgid = bpf_get_current_pid_tgid() >> 32};

	return object;
}

static __always_inline struct session *find_session(__u64 address)
{
	struct object key = object_at(address);

	return bpf_map_lookup_elem(&sessions, &key);
}

/* Steps of 128 ns, in which no CPU gets through two probes, and the CPU: no number comes twice, after a restart neither. */
static __always_inline __u64 new_cookie(void)
{
	return EVENT_INSIDE_TLS | (bpf_ktime_get_ns() >> 7) << 12 | (bpf_get_smp_processor_id() & 0xfff);
}

/* As at the first look. `begun`: nothing has been sent or received. */
static __always_inline void begin_connection(struct connection *connection, bool begun)
{
	__u64 cookie = new_cookie();

	__builtin_memset(connection->flows, 0, sizeof(connection->flows));
	connection->cookie = cookie;
	connection->requests = 0;
	connection->responses = 0;
	connection->kind = KIND_UNDECIDED;
	connection->turns = 0;
	connection->looks = 0;
	connection->connect = 0;
	connection->heads = 0;
	connection->flags = begun ? 0 : CONN_JOINED;
	/*
	 * Bytes are numbered as TCP would. Sampling hashes the number of a request's first byte, so that it must not be the
	 * same on all connections (Fibonacci hashing spreads the times).
	 */
	for (int n = 0; n < 2; n++) {
		connection->flows[n].next = cookie * 0x9e3779b97f4a7c15ULL >> 32;
		connection->flows[n].synced = 1;
	}
}

static __always_inline struct session *make_session(__u64 address, __u32 library, bool begun)
{
	static const struct session nothing = {};
	struct object key = object_at(address);
	struct task_struct *task = (void *)bpf_get_current_task_btf();
	struct task_struct *leader = task->group_leader;
	struct session *session;

	long refused = bpf_map_update_elem(&sessions, &key, &nothing, BPF_NOEXIST);

	session = bpf_map_lookup_elem(&sessions, &key);
	if (!session) {
		COUNT_TLS(crowded);
		return NULL;
	}
	/* One goroutine reads while another one writes: the other one has made it. */
	if (refused)
		return session;

	struct connection *connection = &session->connection;

	session->library = library;
	connection->tgid = task->tgid;
	connection->start = leader->start_boottime;
	bpf_probe_read_kernel(connection->comm, sizeof(connection->comm), leader->comm);
	begin_connection(connection, begun);
	return session;
}

#endif
