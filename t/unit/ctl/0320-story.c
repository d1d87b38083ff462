/* The explanation of a recipient for people: what each row becomes, and that foreign text is shown safe. */
#include "tap.h"

#include "ctl/local.h"
#include "row.h"

static const char rows[] =
    "S\trequest\n"
    "H\trcpt\tsender\tclient\tauth\ttag\n"
    "R\tinfo@example.org\t\t192.0.2.1\t\tDKIM\n"
    "S\trule\n"
    "H\tat_us#\trule#\tline#\ttext\n"
    "R\t7\t1\t12\taccept from any for any\n"
    "S\tcriterion\n"
    "H\tat_us#\tcriterion\tanswer\treason\n"
    "R\t9\tfrom any\tyes\t\n"
    "S\tquestion\n"
    "H\tat_us#\ttook_us#\ttable\toperation\tservice\tkey\tanswer\tvalue\n"
    "R\t120\t98\taliases\tlookup\talias\tinfo\tfound\tbob\n"
    "R\t1120\t8\t<rule 1 sender>\tcheck\tmailaddr\t\tnot-found\t\n"
    "S\tstep\n"
    "H\tat_us#\tdepth#\twhat\tname\tresult\n"
    "R\t1130\t0\talias\tinfo\tbob\\x1b[31m\n"
    "R\t1131\t1\tlater\tbob\tdown\n"
    "S\tdelivery\n"
    "H\tdest\taction\tuser\tuid#\tgid#\thome\troute\texpire%\terror\n"
    "R\tbob@example.org\tdeliver to maildir\tbob\t2000\t2001\t/home/bob\t\t345600\t\n"
    "R\tc@far.example\trelay\t\t\t\t\tsmtp://far\t3600\t\n"
    "R\tgone@example.org\t\t\t\t\t\t\t0\t550 5.1.1 No such user here\n"
    "S\thop\n"
    "H\tat_us#\troute\tpreference#\thost\taddresses\terror\n"
    "R\t1150\tsmtp://far\t10\tsmtp://far:25\t192.0.2.1 2001:db8::1\t\n"
    "R\t1160\tsmtp://far\t20\tsmtp://farther:25\t192.0.2.2\t\n"
    "R\t1170\tmx:none.example\t0\t\t\t5.1.2 no such domain\n"
    "S\tverdict\n"
    "H\tat_us#\tverdict\treply\treason\tquestions#\trules#\tomitted#\n"
    "R\t1200\taccept\t250 2.1.5 ok\t\t2\t1\t7\n";

static const char told[] = "info@example.org from <>, client 192.0.2.1, tag DKIM\n"
			   "\n"
			   "       us\n"
			   "        7  rule 1 (line 12): accept from any for any\n"
			   "        9    yes        from any\n"
			   "      120    found      <aliases> lookup alias info = bob  (98 us)\n"
			   "     1120    not-found  <rule 1 sender> check mailaddr \"\"  (8 us)\n"
			   "     1130  alias info: bob\\x1b[31m\n"
			   "     1131  bob: try later: down\n"
			   "\n"
			   "delivery  bob@example.org\n"
			   "  action  deliver to maildir\n"
			   "  user    bob, uid 2000, gid 2001, home /home/bob\n"
			   "  expires after 4d\n"
			   "\n"
			   "delivery  c@far.example\n"
			   "  action  relay\n"
			   "  route   smtp://far\n"
			   "  expires after 1h\n"
			   "\n"
			   "delivery  gone@example.org\n"
			   "  failed  550 5.1.1 No such user here\n"
			   "\n"
			   "route     smtp://far\n"
			   "      10  smtp://far:25  192.0.2.1 2001:db8::1\n"
			   "      20  smtp://farther:25  192.0.2.2\n"
			   "\n"
			   "route     mx:none.example\n"
			   "  nowhere 5.1.2 no such domain\n"
			   "\n"
			   "accept    250 2.1.5 ok\n"
			   "  without 7 lines that are too many to show\n"
			   "  after   2 questions, 1 rule, 1200 us\n";

int
main(void)
{
	char *out = NULL, *copy = xstrdup(rows), *rest = copy, *line;
	size_t len;
	FILE *f = open_memstream(&out, &len);
	struct story *s = story_new(f);

	while ((line = strsep(&rest, "\n")) != NULL) {
		char *fields[ROW_FIELDS_MAX];
		if (*line != '\0')
			story_line(*line, fields, row_split(line + 2, fields, ROW_FIELDS_MAX), s);
	}
	story_free(s);
	fclose(f);
	is(out, told, "each row in its words");
	free(out);
	free(copy);
	return done();
}
