/*
 * libFuzzer: a template (up to the first NUL), a key (behind it).  What is taken and filled in keeps its
 * structure whatever the key is, and gives the key back where it stands.
 */
#include "../../helpers/table-ldap/template.c"

int LLVMFuzzerTestOneInput(const uint8_t *, size_t);

/* The bytes that mean something in a filter, in their order; escaped ones do not. */
static size_t
structure(const char *text, char *out)
{
	size_t n = 0;

	for (; *text != '\0'; text++)
		if (strchr("()&|!*", *text) != NULL)
			out[n++] = *text;
	return n;
}

static void
filter(const char *text, const struct template_key *key)
{
	static char before[TEMPLATE_OUT_MAX], after[TEMPLATE_OUT_MAX];
	char why[TEMPLATE_WHY_LEN], *out;
	struct template *t = template_new(TEMPLATE_FILTER, text, why), *again;

	if (t == NULL)
		return;
	if (template_fill(t, key, &out) == TEMPLATE_DONE) {
		const char *end = out;
		struct template_key plain;
		char *model;

		/* Beside one that was filled with nothing special. */
		template_split(&plain, "x@x", false, "x");
		if (check_filter(&end, 0) != NULL && strchr(out, '%') == NULL)
			abort();
		if (template_fill(t, &plain, &model) == TEMPLATE_DONE) {
			size_t n = structure(model, before);
			const char *p = key->text;

			/* & | ! are plain in a value: only where the key has none the two are the same. */
			if (strpbrk(p, "&|!") == NULL && strpbrk(key->table, "&|!") == NULL &&
			    (structure(out, after) != n || memcmp(before, after, n) != 0))
				abort();
			free(model);
		}
		free(out);
	}
	/* The text that was kept is taken again. */
	again = template_new(TEMPLATE_FILTER, template_text(t), why);
	if (again == NULL || strcmp(template_text(again), template_text(t)) != 0)
		abort();
	template_free(again);
	template_free(t);
}

static void
dn(const struct template_key *key)
{
	char why[TEMPLATE_WHY_LEN], *out;
	struct template *t = template_new(TEMPLATE_DN, "uid=%u,dc=x", why);

	if (template_fill(t, key, &out) == TEMPLATE_DONE) {
		/* The one value between = and the last comma, unescaped, is the key. */
		char *end = strrchr(out, ',');
		const char *p = out + 4, *k = key->text;

		*end = '\0';
		for (; *p != '\0'; p++, k++) {
			unsigned c = (unsigned char)*p;

			if (strchr(",+\"<>;=#", *p) != NULL)
				abort();
			if (*p == '\\' && sscanf(p + 1, "%2x", &c) == 1)
				p += 2;
			if (c != (unsigned char)*k)
				abort();
		}
		if (*k != '\0')
			abort();
		free(out);
	}
	template_free(t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char text[8193], key[8193];
	struct template_key k;

	if (len > 8192)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	size_t text_len = strlen(text);
	if (text_len == len)
		key[0] = '\0';
	else {
		memcpy(key, data + text_len + 1, len - text_len - 1);
		key[len - text_len - 1] = '\0';
	}
	template_split(&k, key, (text_len & 1) != 0, "devs");
	filter(text, &k);
	dn(&k);
	return 0;
}
