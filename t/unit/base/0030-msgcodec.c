/* msgcodec.h: every message through the codec, the layout of its struct, and broken packets. */
#include "log.h"
#include "msgcodec.h"
#include "tap.h"

static unsigned char packet[MSG_MAX_LEN];

/* Each message's fields filled with known values by its own struct, encoded, decoded, compared. */
#define U32(f)    in.f = 0x01020304;
#define U64(f)    in.f = 0x0102030405060708;
#define STR(f)    in.f = #f;
#define SECRET(f) in.f = (struct secret){ #f };
#define BYTES(f)  in.f = (struct bytes){ "a\0b", 3 };
#define FD(f)     in.f = 7;
#define M(NAME, name, from, to, fields)                                                          \
	static size_t fill_##name(void)                                                          \
	{                                                                                        \
		static struct msg_##name in;                                                     \
		fields return msg_encode(                                                        \
		    &(struct msg){ .type = MSG_##NAME, .call = 9, .answer = true, .body = &in }, \
		    packet, sizeof(packet));                                                     \
	}
MSG_TABLE(M)
#undef M
#undef U32
#undef U64
#undef STR
#undef SECRET
#undef BYTES
#undef FD
#define U32(f)    good &= out->f == 0x01020304;
#define U64(f)    good &= out->f == 0x0102030405060708;
#define STR(f)    good &= strcmp(out->f, #f) == 0;
#define SECRET(f) good &= strcmp(secret_reveal(out->f), #f) == 0;
#define BYTES(f)  good &= out->f.len == 3 && memcmp(out->f.data, "a\0b", 3) == 0;
#define FD(f)     good &= out->f == 7;
#define M(NAME, name, from, to, fields)                 \
	static bool check_##name(const struct msg *m)   \
	{                                               \
		const struct msg_##name *out = m->body; \
		bool good = out != NULL;                \
		fields return good;                     \
	}
MSG_TABLE(M)
#undef M

static const struct {
	const char *name;
	size_t (*fill)(void);
	bool (*check)(const struct msg *);
} messages[] = {
#define M(NAME, name, from, to, fields) { #name, fill_##name, check_##name },
	MSG_TABLE(M)
#undef M
};

static void
round_trips(void)
{
	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		struct msg m = { .fd = 7 };
		size_t len = messages[i].fill();
		ok(len > 0, "%s is encoded", messages[i].name);
		is(msg_decode(&m, packet, len), NULL, "and decoded");
		ok(messages[i].check(&m) && m.call == 9 && m.answer, "to the same fields");
		for (size_t cut = 0; cut < len; cut++) {
			struct msg part = { .fd = -1 };
			if (msg_decode(&part, packet, cut) == NULL) {
				ok(false, "%s cut to %zu bytes is refused", messages[i].name, cut);
				break;
			}
		}
		packet[len] = 0;
		m.fd = -1;
		ok(msg_decode(&m, packet, len + 1) != NULL, "a byte more is refused");
	}
}

/* Every byte changed to every interesting value: no crash, no read outside (under SAN=1). */
static void
broken(void)
{
	static const unsigned char values[] = { 0, 1, 0x7f, 0x80, 0xff };
	unsigned decoded = 0;

	for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
		size_t len = messages[i].fill();
		for (size_t at = 0; at < len; at++)
			for (size_t v = 0; v < sizeof(values); v++) {
				unsigned char was = packet[at];
				struct msg m = { .fd = -1 };
				packet[at] = values[v];
				if (msg_decode(&m, packet, len) == NULL)
					decoded++;
				packet[at] = was;
			}
	}
	ok(decoded > 0, "broken packets are refused or harmless (%u were still well-formed)",
	    decoded);
}

/* Each message with a descriptor, wherever it stands among the fields. */
static void
descriptors(void)
{
	const struct msg_config config = { .memfd = 5, .file = "x" };
	const struct msg_helper_started started = { .pid = 1, .fd = 6, .error = "" };
	const struct msg_helper_stderr said = { .table = 1, .pid = 2, .fd = 0 };
	const struct msg_verdict verdict = { .verdict = 7, .reply = "" };

	is_int(msg_body_fd(MSG_CONFIG, &config), 5, "a descriptor that is the first field");
	is_int(msg_body_fd(MSG_HELPER_STARTED, &started), 6, "between others");
	is_int(msg_body_fd(MSG_HELPER_STDERR, &said), 0, "the last, and 0");
	is_int(msg_body_fd(MSG_VERDICT, &verdict), -1, "none");
}

int
main(void)
{
	round_trips();
	broken();
	descriptors();
	ok(msg_allowed(MSG_MAIL_COMMIT, ROLE_SMTP, ROLE_QUEUE), "smtp may hand in mail");
	ok(!msg_allowed(MSG_EXPANDED, ROLE_SMTP, ROLE_QUEUE), "smtp may not forge an expansion");
	ok(!msg_allowed(MSG_JOB, ROLE_SMTP, ROLE_DELIVER), "nor a job");
	ok(!msg_allowed(MSG_WORKER_START, ROLE_SMTP, ROLE_PARENT), "nor start a worker");
	ok(!msg_allowed(MSG_HELPER_START, ROLE_RELAY, ROLE_PARENT), "relay starts no helper");
	return done();
}
