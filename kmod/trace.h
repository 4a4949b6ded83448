/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events: sockets by their inode numbers, which ss -e and fdinfo show
 * too. No event carries a byte of what was moved.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ktlsclient

#if !defined(KTCM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define KTCM_TRACE_H

#include <linux/tracepoint.h>

TRACE_EVENT(ktlsclient_attach,

	TP_PROTO(unsigned long ino, u16 version, u16 cipher, u32 done,
		 int err),
	TP_ARGS(ino, version, cipher, done, err),
	TP_STRUCT__entry(
		__field(unsigned long, ino)
		__field(u16, version)
		__field(u16, cipher)
		__field(u32, done)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->ino = ino;
		__entry->version = version;
		__entry->cipher = cipher;
		__entry->done = done;
		__entry->err = err;
	),
	TP_printk("socket=%lu version=%#x cipher=%u done=%#x err=%d",
		  __entry->ino, __entry->version, __entry->cipher,
		  __entry->done, __entry->err)
);

TRACE_EVENT(ktlsclient_relay_begin,

	TP_PROTO(u64 id, unsigned long tls, unsigned long plain),
	TP_ARGS(id, tls, plain),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(unsigned long, tls)
		__field(unsigned long, plain)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->tls = tls;
		__entry->plain = plain;
	),
	TP_printk("relay=%llu tls=%lu plain=%lu", __entry->id, __entry->tls,
		  __entry->plain)
);

TRACE_EVENT(ktlsclient_relay_end,

	TP_PROTO(u64 id, u32 end, int error, u64 down, u64 up),
	TP_ARGS(id, end, error, down, up),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u32, end)
		__field(int, error)
		__field(u64, down)
		__field(u64, up)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->end = end;
		__entry->error = error;
		__entry->down = down;
		__entry->up = up;
	),
	TP_printk("relay=%llu end=%u error=%d down=%llu up=%llu", __entry->id,
		  __entry->end, __entry->error, __entry->down, __entry->up)
);

TRACE_EVENT(ktlsclient_record,

	TP_PROTO(u64 id, u8 type, size_t len, u64 dropped),
	TP_ARGS(id, type, len, dropped),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(u8, type)
		__field(size_t, len)
		__field(u64, dropped)
	),
	TP_fast_assign(
		__entry->id = id;
		__entry->type = type;
		__entry->len = len;
		__entry->dropped = dropped;
	),
	TP_printk("relay=%llu type=%u len=%zu dropped=%llu", __entry->id,
		  __entry->type, __entry->len, __entry->dropped)
);

#endif /* KTCM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
