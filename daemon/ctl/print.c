/*
 * The daemon's rows as aligned columns for people, or as a JSON array with an object a line.  Called by ctl.c with what
 * ask.c reads.  A few rows are held back so that their columns fit them; a long answer streams with
 * the widths that its first rows gave.  Nothing of the daemon's text reaches a terminal raw.
 */
#include "local.h"
#include "row.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HELD_MAX  64 /* rows */
#define WIDTH_MAX 44 /* of a column; what is longer pushes the others */
#define ROW_LEN   90 /* of a row in a section; what is longer is shown a field a line */
#define GAP       "  "

enum column_type { COLUMN_TEXT, COLUMN_NUMBER, COLUMN_SIZE, COLUMN_TIME, COLUMN_DURATION };

struct column {
	char *name;
	enum column_type type;
	size_t width;
};

struct print {
	FILE *out;
	bool json, any;
	int64_t now_sec;
	char *section; /* of the rows that follow; NULL: none */
	struct column columns[ROW_FIELDS_MAX];
	size_t n_columns;
	bool titled;           /* the names have been shown, or there are none */
	char **held[HELD_MAX]; /* cells as shown */
	size_t n_held, n_rows;
};

static void begin_section(struct print *, const char *name);
static void begin_columns(struct print *, char **fields, size_t n);
static void add_row(struct print *, char **fields, size_t n);
static void put_row(struct print *, char *const *cells);
static bool is_long(const struct print *);
static void put_record(struct print *, char *const *names, char *const *cells);
static void put_json(struct print *, char **fields, size_t n);
static void show_text(struct print *, const char *line);
static char *cell_of(const struct print *, enum column_type, const char *field);
static void free_columns(struct print *);

struct print *
print_new(FILE *out, bool json, int64_t now_sec)
{
	struct print *p = xcalloc(1, sizeof(*p));

	p->out = out;
	p->json = json;
	p->now_sec = now_sec;
	p->titled = true;
	return p;
}

void
print_free(struct print *p, bool well)
{
	print_flush(p);
	if (p->json && (p->any || well))
		fputs(p->any ? "\n]\n" : "[]\n", p->out);
	free_columns(p);
	free(p->section);
	free(p);
}

size_t
print_rows(const struct print *p)
{
	return p->n_rows;
}

void
print_line(char kind, char **fields, size_t n, void *arg)
{
	struct print *p = arg;

	if (kind == 'S')
		begin_section(p, n > 0 ? fields[0] : "");
	else if (kind == 'H')
		begin_columns(p, fields, n);
	else if (kind == 'T')
		show_text(p, n > 0 ? fields[0] : "");
	else if (p->json)
		put_json(p, fields, n);
	else
		add_row(p, fields, n);
	p->n_rows += kind == 'R' || kind == 'T';
}

static void
begin_section(struct print *p, const char *name)
{
	struct text t = { 0 };

	print_flush(p);
	free_columns(p);
	free(p->section);
	p->section = xstrdup(name);
	if (p->json)
		return;
	safe_put(&t, name);
	fprintf(p->out, "%s%s:\n", p->any ? "\n" : "", t.s);
	p->any = true;
	text_free(&t);
}

/* "size#" and the like; a number named size or bytes is one of bytes. */
static void
begin_columns(struct print *p, char **fields, size_t n)
{
	print_flush(p);
	free_columns(p);
	for (size_t i = 0; i < n; i++) {
		struct column *c = &p->columns[i];
		size_t len = strlen(fields[i]);
		switch (len == 0 ? '\0' : fields[i][len - 1]) {
		case '#': c->type = COLUMN_NUMBER; break;
		case '@': c->type = COLUMN_TIME; break;
		case '%': c->type = COLUMN_DURATION; break;
		default: c->type = COLUMN_TEXT;
		}
		c->name = xstrndup(fields[i], c->type == COLUMN_TEXT ? len : len - 1);
		if (c->type == COLUMN_NUMBER &&
		    (strcmp(c->name, "size") == 0 || strcmp(c->name, "bytes") == 0))
			c->type = COLUMN_SIZE;
	}
	p->n_columns = n;
	p->titled = n == 0;
}

static void
add_row(struct print *p, char **fields, size_t n)
{
	char **cells = xcalloc(ROW_FIELDS_MAX + 1, sizeof(*cells));

	while (p->n_columns < n) /* fields that no H has named: shown all the same */
		p->columns[p->n_columns++].name = xstrdup("");
	for (size_t i = 0; i < p->n_columns; i++)
		cells[i] = cell_of(p, p->columns[i].type, i < n ? fields[i] : "");
	p->held[p->n_held++] = cells;
	if (p->n_held == HELD_MAX)
		print_flush(p);
}

/* Shows the rows held back.  A column only grows. */
void
print_flush(void *arg)
{
	struct print *p = arg;
	char *names[ROW_FIELDS_MAX + 1] = { 0 };

	if (p->n_held == 0) {
		fflush(p->out);
		return;
	}
	for (size_t i = 0; i < p->n_columns; i++) {
		struct text t = { 0 };
		safe_put(&t, p->columns[i].name);
		for (char *s = t.s; *s != '\0'; s++)
			*s = *s >= 'a' && *s <= 'z' ? (char)(*s - 32) : *s;
		names[i] = t.s;
		size_t *width = &p->columns[i].width;
		if (safe_width(t.s) > *width)
			*width = safe_width(t.s);
		for (size_t r = 0; r < p->n_held; r++) {
			size_t w = safe_width(p->held[r][i]);
			if (w > *width)
				*width = w < WIDTH_MAX ? w : WIDTH_MAX;
		}
	}
	bool records = is_long(p);
	if (!p->titled && !records)
		put_row(p, names);
	p->titled = true;
	for (size_t r = 0; r < p->n_held; r++) {
		if (records)
			put_record(p, names, p->held[r]);
		else
			put_row(p, p->held[r]);
		for (size_t i = 0; i < p->n_columns; i++)
			free(p->held[r][i]);
		free(p->held[r]);
	}
	for (size_t i = 0; i < p->n_columns; i++)
		free(names[i]);
	p->n_held = 0;
	fflush(p->out);
}

/* "show message" has many columns and few rows.  The last one may be long: nothing stands behind it. */
static bool
is_long(const struct print *p)
{
	size_t len = 0;

	for (size_t i = 0; i + 1 < p->n_columns; i++)
		len += p->columns[i].width + strlen(GAP);
	return p->section != NULL && len > ROW_LEN;
}

static void
put_record(struct print *p, char *const *names, char *const *cells)
{
	size_t width = 0;

	for (size_t i = 0; i < p->n_columns; i++)
		if (safe_width(names[i]) > width)
			width = safe_width(names[i]);
	for (size_t i = 0; i < p->n_columns; i++)
		fprintf(p->out, "%s%s%*s%s%s\n", i == 0 ? "* " : "  ", names[i],
		    (int)(width - safe_width(names[i])), "", GAP, cells[i]);
	p->any = true;
}

/* Numbers stand to the right; nothing follows the last column's text. */
static void
put_row(struct print *p, char *const *cells)
{
	for (size_t i = 0; i < p->n_columns; i++) {
		const struct column *c = &p->columns[i];
		size_t width = safe_width(cells[i]);
		int pad = width < c->width ? (int)(c->width - width) : 0;
		bool right = c->type != COLUMN_TEXT;
		bool last = i + 1 == p->n_columns;
		fprintf(p->out, "%s%*s%s%*s", i == 0 ? "" : GAP, right ? pad : 0, "", cells[i],
		    right || last ? 0 : pad, "");
	}
	fputc('\n', p->out);
	p->any = true;
}

static bool
read_int(const char *field, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(field, &end, 10);
	return errno == 0 && end != field && *end == '\0';
}

/* An object of the array; more members may follow. */
static void
open_object(struct print *p, struct text *t)
{
	text_put(t, p->any ? ",\n{" : "[\n{");
	p->any = true;
	if (p->section == NULL)
		return;
	text_put(t, "\"section\":");
	safe_put_json(t, p->section);
}

/* A time or number that there is not is null. */
static void
put_json(struct print *p, char **fields, size_t n)
{
	struct text t = { 0 };
	int64_t v;

	open_object(p, &t);
	for (size_t i = 0; i < n; i++) {
		char name[32];
		const struct column *c = i < p->n_columns ? &p->columns[i] : NULL;
		snprintf(name, sizeof(name), "column%zu", i + 1);
		if (t.s[t.len - 1] != '{')
			text_put(&t, ",");
		safe_put_json(&t, c == NULL ? name : c->name);
		text_put(&t, ":");
		if (c != NULL && c->type != COLUMN_TEXT && fields[i][0] == '\0')
			text_put(&t, "null");
		else if (c == NULL || c->type == COLUMN_TEXT || !read_int(fields[i], &v))
			safe_put_json(&t, fields[i]);
		else if (c->type == COLUMN_TIME && v == 0)
			text_put(&t, "null");
		else
			text_putf(&t, "%lld", (long long)v);
	}
	text_put(&t, "}");
	fputs(t.s, p->out);
	text_free(&t);
}

static void
show_text(struct print *p, const char *line)
{
	struct text t = { 0 };

	print_flush(p);
	if (p->json) {
		open_object(p, &t);
		text_put(&t, t.s[t.len - 1] == '{' ? "\"text\":" : ",\"text\":");
		safe_put_json(&t, line);
		text_put(&t, "}");
	} else {
		char *copy = xstrdup(line), *rest = copy, *part;
		while ((part = strsep(&rest, "\t")) != NULL) { /* a TAB is harmless in a line */
			safe_put(&t, part);
			text_put(&t, rest == NULL ? "\n" : "\t");
		}
		free(copy);
	}
	fputs(t.s, p->out);
	p->any = true;
	text_free(&t);
}

/* 1234 as "1.2K"; bytes below 1024 as they are. */
static char *
size_text(int64_t v)
{
	static const char units[] = "KMGTPE";
	double d = (double)v / 1024;
	size_t i = 0;

	if (v < 1024)
		return xasprintf("%lld", (long long)v);
	for (; d >= 999.5 && units[i + 1] != '\0'; i++)
		d /= 1024;
	return d < 9.95 ? xasprintf("%.1f%c", d, units[i]) : xasprintf("%.0f%c", d, units[i]);
}

static char *
time_text(int64_t t, int64_t now_sec)
{
	char buf[40];

	if (t == 0)
		return xstrdup("-");
	if (t > now_sec)
		return xasprintf("in %s", text_of_duration(t - now_sec, buf, sizeof(buf)));
	return xstrdup(text_of_duration(now_sec - t, buf, sizeof(buf)));
}

/* A field as people read it; allocated. */
static char *
cell_of(const struct print *p, enum column_type type, const char *field)
{
	struct text t = { 0 };
	char buf[40];
	int64_t v;

	if (*field == '\0')
		return xstrdup("-");
	if (type != COLUMN_TEXT && type != COLUMN_NUMBER && read_int(field, &v) && v >= 0) {
		if (type == COLUMN_SIZE)
			return size_text(v);
		if (type == COLUMN_TIME)
			return time_text(v, p->now_sec);
		return xstrdup(text_of_duration(v, buf, sizeof(buf)));
	}
	safe_put(&t, field);
	return t.s;
}

static void
free_columns(struct print *p)
{
	for (size_t i = 0; i < p->n_columns; i++)
		free(p->columns[i].name);
	memset(p->columns, 0, sizeof(p->columns));
	p->n_columns = 0;
	p->titled = true;
}
