/* base64.h: every length there and back, and what is no base64. */
#include "base64.h"
#include "tap.h"

int
main(void)
{
	static const char *const bad[] = { "Y", "YQ",
		"YQ=", "YR==", "YWJ=", "YQ==YQ==", "Y=Q=", "====", "YWJj\n", " YWJj", "YW-j",
		"YWI=YWI=" };
	unsigned char data[64], back[64];
	char text[BASE64_TEXT_LEN(64)];
	size_t len, wrong = 0;

	for (size_t n = 0; n <= sizeof(data); n++) {
		for (size_t i = 0; i < n; i++)
			data[i] = (unsigned char)(i * 37 + n);
		if (!base64_decode(base64_encode(data, n, text), back, &len) || len != n ||
		    memcmp(data, back, n) != 0)
			wrong++;
	}
	is_int((int)wrong, 0, "64 lengths there and back");
	is(base64_encode("\0bob\0secret", 11, text), "AGJvYgBzZWNyZXQ=", "as others write it");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ok(!base64_decode(bad[i], back, &len), "what is none: %zu", i);
	return done();
}
