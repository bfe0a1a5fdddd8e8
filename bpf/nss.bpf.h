/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Calls of NSS. A session is a descriptor of NSPR that NSS has put its layer on (SSL_ImportFD), and is read, written and
 * closed by NSPR's functions, which serve files and plain sockets too: what is no session says nothing.
 */
#ifndef MASTHEAD_NSS_BPF_H
#define MASTHEAD_NSS_BPF_H

#include "call.bpf.h"

/* prio.h of NSPR, ssl.h of NSS. */
#define PR_MSG_PEEK     0x2
#define PR_SHUTDOWN_RCV 0
#define SSL_SECURITY    1

/* A call in the words of other libraries; 0 where it says nothing. */
static __always_inline __u32 meaning_of(__u32 call, const struct arguments *arguments)
{
	switch (call) {
	case CALL_MAKE:
	case CALL_BEGIN:
		return call;
	case CALL_OPTION:
		/* Without it a descriptor passes on what it is given, as before STARTTLS or to a proxy. */
		if ((__u32)arguments->second != SSL_SECURITY)
			return 0;
		return (__u32)arguments->third ? CALL_BEGIN : CALL_END;
	}
	if (!find_session(arguments->first))
		return 0;
	switch (call) {
	case CALL_ACCEPT:
		return CALL_MAKE;
	case CALL_RECV_FLAGS:
		return arguments->fourth & PR_MSG_PEEK ? CALL_PEEK : CALL_READ;
	case CALL_SHUTDOWN:
		return (__u32)arguments->second == PR_SHUTDOWN_RCV ? 0 : CALL_SHUTDOWN;
	}
	return call;
}

static __always_inline void on_nss_entry(__u32 cookie, const struct arguments *arguments)
{
	__u32 call = meaning_of(cookie & 0xff, arguments);

	if (call)
		on_entry(LIBRARY_NSS << 8 | call, arguments);
	else
		COUNT_TLS(traps);
}

/* Whether the call that returns is remembered: most of them are of files and plain sockets. */
static __always_inline bool is_in_call(__u64 stack)
{
	struct thread *thread = this_thread(0);
	struct call *call = thread ? call_at(&thread->calls, thread->calls.depth - 1) : NULL;

	return call && call->stack == stack;
}

#endif
