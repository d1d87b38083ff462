/*
 * tabmailctl encrypt: the hash of a password, for a credentials table.  Asks nobody; the password
 * comes from the terminal without echo, or from the first line of stdin.
 */
#include "local.h"

#include <bsd/readpassphrase.h>
#include <bsd/string.h>
#include <crypt.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int print_hash(const char *word);
static bool ask_word(char *buf, size_t len);

int
encrypt_main(const char *word)
{
	char buf[CRYPT_MAX_PASSPHRASE_SIZE];

	if (word != NULL)
		return print_hash(word);
	if (!ask_word(buf, sizeof(buf))) {
		explicit_bzero(buf, sizeof(buf));
		return EXIT_FAILURE;
	}
	int code = print_hash(buf);
	explicit_bzero(buf, sizeof(buf));
	return code;
}

static int
print_hash(const char *word)
{
	static const char *const methods[] = { "$y$", "$6$" };
	struct crypt_data *data = xcalloc(1, sizeof(*data));
	const char *hash = NULL;

	if (*word == '\0') {
		safe_warn("the password is empty");
		free(data);
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < 2 && hash == NULL; i++) {
		char setting[CRYPT_GENSALT_OUTPUT_SIZE];
		if (crypt_gensalt_rn(methods[i], 0, NULL, 0, setting, sizeof(setting)) == NULL)
			continue;
		hash = crypt_r(word, setting, data);
		if (hash != NULL && hash[0] == '*')
			hash = NULL;
	}
	if (hash == NULL)
		safe_warn("crypt(3) has refused: too long a password?");
	else
		puts(hash);
	int code = hash == NULL ? EXIT_FAILURE : EXIT_SUCCESS;
	explicit_bzero(data, sizeof(*data));
	free(data);
	return code;
}

static bool
ask_word(char *buf, size_t len)
{
	char again[CRYPT_MAX_PASSPHRASE_SIZE];

	if (!isatty(STDIN_FILENO)) {
		if (fgets(buf, (int)len, stdin) == NULL) {
			safe_warn("no password on the standard input");
			return false;
		}
		size_t end = strcspn(buf, "\n");
		if (buf[end] == '\0' && end + 1 == len) {
			safe_warn("the password is too long");
			return false;
		}
		buf[end] = '\0';
		return true;
	}
	bool same = readpassphrase("Password: ", buf, len, RPP_REQUIRE_TTY) != NULL &&
		    readpassphrase("Again: ", again, sizeof(again), RPP_REQUIRE_TTY) != NULL;
	if (!same)
		safe_warn("no password was read");
	else if (strcmp(buf, again) != 0) {
		safe_warn("the two differ");
		same = false;
	}
	explicit_bzero(again, sizeof(again));
	return same;
}
