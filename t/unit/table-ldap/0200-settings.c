/* The file of a table: what is taken as it stands, what is wrong and where, what is warned of. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ldap.h>

#include "settings.h"
#include "tab_helper.h"
#include "template.h"

#include "tap.h"

static char dir[] = "/tmp/settings.XXXXXX", path[64], secret[64];
static struct settings_faults wrong, warnings;
static struct ldap_settings *s;
static unsigned meant;

static void
write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);

	if (write(fd, text, strlen(text)) == -1 || fchmod(fd, mode) == -1)
		abort();
	close(fd);
}

static void
load_path(const char *at)
{
	settings_free(s);
	settings_faults_clear(&wrong);
	settings_faults_clear(&warnings);
	s = settings_load(at, &wrong, &warnings, &meant);
}

static void
load(const char *text)
{
	write_file(path, text, 0600);
	load_path(path);
}

/* All of them in one line each, the path left away; where it stands for itself too. */
static const char *
told(const struct settings_faults *f)
{
	static char all[4000];

	all[0] = '\0';
	for (unsigned i = 0; i < f->n && i < SETTINGS_FAULTS_MAX; i++) {
		const char *text = strncmp(f->text[i], path, strlen(path)) == 0
				       ? f->text[i] + strlen(path) + 1
				       : f->text[i];

		snprintf(
		    all + strlen(all), sizeof(all) - strlen(all), "%s%s", i > 0 ? "\n" : "", text);
	}
	return all;
}

static void
good(const char *text)
{
	load(text);
	is(told(&wrong), "", "is taken: %.60s", text);
}

static void
bad(const char *text, const char *want)
{
	load(text);
	is(told(&wrong), want, "is refused: %.60s", text);
	ok(s == NULL, "as a whole");
}

static void
warned(const char *text, const char *want)
{
	good(text);
	is(told(&warnings), want, "is warned of");
}

/* Design, section 6. */
static void
seed(void)
{
	good("url ldap://127.0.0.1:3890\n"
	     "username cn=admin,dc=opensmtpd,dc=org\n"
	     "password thisbemypasswd\n"
	     "basedn dc=opensmtpd,dc=org\n"
	     "# aliases lookup\n"
	     "alias_filter (&(objectClass=courierMailAlias)(uid=%s))\n"
	     "alias_attributes maildrop\n"
	     "# credentials lookup\n"
	     "credentials_filter (&(objectClass=posixAccount)(uid=%s))\n"
	     "credentials_attributes uid,userPassword\n"
	     "# domains lookup\n"
	     "domain_filter (&(objectClass=rFC822localPart)(dc=%s))\n"
	     "domain_attributes dc\n");
	is(told(&warnings), "", "without a warning");
	is_int(s->connection.n_urls, 1, "one server");
	is(s->connection.urls[0], "ldap://127.0.0.1:3890", "its URL");
	is(s->connection.bind_dn, "cn=admin,dc=opensmtpd,dc=org", "username");
	is(s->connection.password, "thisbemypasswd", "password");
	is(template_text(s->basedn), "dc=opensmtpd,dc=org", "basedn");
	is_int(settings_services(s), TAB_OFFER(ALIAS) | TAB_OFFER(CREDENTIALS) | TAB_OFFER(DOMAIN),
	    "three services");
	is(s->services[TAB_CREDENTIALS].attrs.names[1], "userPassword", "attributes");
	ok(s->services[TAB_CREDENTIALS].attrs.names[2] == NULL, "two of them");
	is_int(s->services[TAB_ALIAS].scope, LDAP_SCOPE_SUBTREE, "the whole tree is searched");
}

/* As upstream's example and manual have it. */
static void
upstream(void)
{
	good("# basic\n"
	     "url: ldap://ldap.example.com\n"
	     "username: cn=smtpd,cn=sysaccounts,cn=etc,dc=example,dc=com\n"
	     "password: totalsecure\n"
	     "basedn: cn=users,cn=accounts,dc=example,dc=com\n"
	     "\n"
	     "alias_filter: (&(objectclass=person)(mail=%s))\n"
	     "alias_attributes: uid\n"
	     "credentials_filter: (&(objectclass=posixaccount)(uid=%s))\n"
	     "credentials_attributes: uid, authPassword\n"
	     "domain_filter: (&(objectclass=dnsdomain)(cn=%s))\n"
	     "domain_attributes: cn\n"
	     "userinfo_filter: (&(objectclass=posixaccount)(uid=%u))\n"
	     "userinfo_attributes: uidNumber, gidNumber, homedir\n"
	     "mailaddr_filter: (&(objectclass=posixaccount)(mail=%s))\n"
	     "mailaddr_attributes: mail\n"
	     "mailaddrmap_filter: (&(objectclass=posixaccount)(uid=%s))\n"
	     "mailaddrmap_attributes: mail\n"
	     "netaddr_filter: (&(objectclass=host)(ipaddr=%s))\n"
	     "netaddr_attributes: ipaddr\n");
	is(s->services[TAB_CREDENTIALS].attrs.names[1], "authPassword", "a blank behind the comma");
	is_int(s->services[TAB_USERINFO].attrs.n, 3, "three attributes");
#define BASE "basedn dc=x\nalias_filter (uid=%u)\nalias_attributes m\n"
#define URL  "url ldap://localhost\n"
	good("url: ldap.example.com\n" BASE);
	is(s->connection.urls[0], "ldap://ldap.example.com", "a host alone");
	good("url:ldap://h/dc=example,dc=org?uid?sub\nbasedn : dc=x\n  alias_filter\t: (uid=%u)  "
	     "\r\n"
	     "alias_attributes:m\n");
	is(s->connection.urls[0], "ldap://h", "what stands behind the host is not looked at");
	is(template_text(s->services[TAB_ALIAS].filter), "(uid=%u)", "blanks do not count");
	warned(URL BASE "username:\npassword:\n",
	    "5: username has no value: the line is passed over\n"
	    "6: password has no value: the line is passed over");
	warned(URL BASE "basedn dc=y\n", "5: basedn stands in line 2 already, which counts");
	is(template_text(s->basedn), "dc=x", "the first");
	good("url ldap+tls://h\n" BASE);
	is(s->connection.urls[0], "ldap://h", "ldap+tls is ldap");
	ok(s->connection.starttls, "with StartTLS");
	good(URL BASE "username cn=a\npassword :#a b\\c\"%u  \n");
	is(s->connection.password, ":#a b\\c\"%u", "a password is what stands there");
}

static void
more(void)
{
	good(
	    "url ldap://a:3890, ldaps://[2001:db8::1]:636 ldapi://%2Frun%2Fslapd ldapi:///\n" BASE
	    "balance yes\nca_file /ca\ntls_verify no\ncertificate /c\nkey /k\nsasl external\n"
	    "connect_timeout 500ms\nquery_timeout 2m\nslow 3\nconnections 4\nbind_connections 8\n"
	    "page_size 100\nreferrals yes\nscope one\nalias_scope base\nalias_basedn ou=%d,dc=x\n"
	    "auth_dn uid=%u,dc=x\ngroup_depth 3\ngroup_members 9\nalias_special_attributes member\n"
	    "alias_leaf_attributes mail,m2 m3\nstarttls no\n");
	is_int(s->connection.n_urls, 4, "four servers");
	is(s->connection.urls[1], "ldaps://[2001:db8::1]:636", "an IPv6 address");
	is(s->connection.urls[2], "ldapi://%2Frun%2Fslapd", "a socket");
	is(s->connection.urls[3], "ldapi://", "the usual socket");
	ok(s->connection.balance && s->connection.tls_insecure && s->connection.sasl_external &&
		s->connection.referrals && !s->connection.starttls,
	    "yes and no");
	is_int(s->connection.connect_timeout_ms, 500, "500ms");
	is_int(s->connection.query_timeout_ms, 120000, "2m");
	is_int(s->connection.slow_ms, 3000, "3");
	is_int(s->services[TAB_ALIAS].scope, LDAP_SCOPE_BASE, "a scope of its own");
	is_int(s->leaf.n, 3, "names with commas and blanks between");
	is_int(settings_services(s), TAB_OFFER(ALIAS) | TAB_OFFER(AUTH), "alias and auth");
	write_file(secret, "hush hush \nmore\n", 0600);
	char text[200];
	snprintf(text, sizeof(text), "%susername cn=a\npassword_file %s\n", URL BASE, secret);
	good(text);
	is(s->connection.password, "hush hush ", "the first line of password_file");
	is(told(&warnings), "", "not warned of");
	chmod(secret, 0644);
	good(text);
	ok(strstr(told(&warnings), "everybody may read it: chmod o-r") != NULL,
	    "a password that others can read is: %s", told(&warnings));
	unlink(secret);
	load(text);
	ok(strstr(told(&wrong), "6: password_file /tmp/settings.") != NULL &&
		strstr(told(&wrong), "No such file") != NULL,
	    "a file that is not there: %s", told(&wrong));
	write_file(secret, "\n", 0600);
	load(text);
	ok(strstr(told(&wrong), "its first line is not a password") != NULL, "an empty file");
}

static void
faults(void)
{
	bad("", " no url: which server is to be asked?");
	bad(URL, " nothing can be asked: add alias_filter or its like");
	bad(URL BASE "alias_fliter x\nmailadr_filter x\nfrobnicate x\nqq x\n",
	    "5: unknown keyword 'alias_fliter': did you mean alias_filter?\n"
	    "6: unknown keyword 'mailadr_filter': did you mean mailaddr_filter?\n"
	    "7: unknown keyword 'frobnicate': see table-ldap(5)\n"
	    "8: unknown keyword 'qq': see table-ldap(5)");
	bad(URL BASE
	    "starttls maybe\nslow 5x\npage_size 0\nscope all\nca_file ca.pem\nsasl gssapi\n",
	    "5: 'maybe' is neither yes nor no\n"
	    "6: '5x' is no time: 500ms, 5s, 2m, at most an hour\n"
	    "7: '0' is no number from 1 to 100000\n"
	    "8: 'all' is no scope: base, one or sub\n"
	    "9: 'ca.pem' is not a path that begins with /\n"
	    "10: 'gssapi' is no mechanism here: external is the only one");
	bad(URL "alias_filter (uid=%u\nalias_attributes m!\nbasedn people\n",
	    "2: the filter lacks a )\n3: 'm!' is not the name of an attribute\n"
	    "4: 'people' is no DN: it looks like ou=people,dc=example,dc=org");
	bad("url http://h\n" BASE, "1: 'http://h' begins with none of ldap://, ldaps://, ldapi://");
	bad("url ldap://\n" BASE, "1: 'ldap://' has no host: write ldap://HOST:PORT");
	bad("url ldap://h:0\n" BASE,
	    "1: 'ldap://h:0' has a port that is none: write ldap://HOST:PORT");
	bad("url ldap://h,ldap://i\n" BASE,
	    "1: 'ldap://h,ldap://i' has a port that is none: write ldap://HOST:PORT");
	bad(URL "alias_filter (uid=%u)\nuserinfo_filter (uid=%u)\nuserinfo_attributes a,b\nbasedn "
		"dc=x\n",
	    "2: alias_filter needs alias_attributes: the destinations\n"
	    "4: userinfo_attributes takes 3: uid, gid, home");
	bad(URL "alias_filter (uid=%u)\nalias_attributes m\n",
	    "2: alias_filter needs basedn or alias_basedn: where to search");
	bad(URL BASE "source_filter (uid=%u)\nsource_attributes a\n",
	    "5: source_filter has a place for a key, but a source is asked for without one");
	bad(URL BASE "username cn=a\n",
	    "5: username needs password or password_file: a bind without one would be anonymous");
	bad(URL BASE "auth_filter (uid=%u)\nauth_dn uid=%u\n",
	    "6: auth_dn and auth_filter: remove one");
	bad(URL BASE "auth_dn uid=bob\n", "5: auth_dn has no place for the user (%u)");
	bad(URL BASE "certificate /x\n", "5: certificate needs key: the file with its private key");
	bad(URL BASE "slow 1\nslow 2\nslow\n",
	    "6: slow stands in line 5 already: remove one\n7: slow has no value");
	bad("url ldap+tls://h\n" BASE "starttls no\n", "5: starttls no, but url has ldap+tls://");
	bad(URL BASE "string_filter (a=%u)\n",
	    "5: unknown keyword 'string_filter': see table-ldap(5)");
	bad(URL BASE "auth_dn x\ndomain_filter (dc\n",
	    "5: 'x' is no DN: it looks like ou=people,dc=example,dc=org\n"
	    "6: the filter lacks a = behind the name of an attribute\n"
	    "5: auth_dn has no place for the user (%u)");
	is_int(meant, TAB_OFFER(ALIAS) | TAB_OFFER(AUTH) | TAB_OFFER(DOMAIN),
	    "what a bad file means to serve is known");
	char many[3000] = "";
	for (int i = 0; i < 30; i++)
		strcat(many, "nonsense x\n");
	load(many);
	is_int(wrong.n, 31, "many faults are counted");
	load_path(dir);
	ok(s == NULL && strstr(wrong.text[0], "not a regular file") != NULL, "a folder: %s",
	    wrong.text[0]);
}

static void
warns(void)
{
	warned(URL BASE "domain_filter (dc=example.org)\n",
	    "5: domain_filter has no place for the key (%u): it is the same for all of them");
	warned(URL BASE "userinfo_attributes a,b,c\nmailaddr_scope one\n",
	    "5: userinfo_attributes has no effect without userinfo_filter\n"
	    "6: mailaddr_scope has no effect without mailaddr_filter");
	warned(URL BASE "group_depth 3\n",
	    "5: group_depth has no effect without alias_special_attributes");
	warned("url ldap://h\n" BASE "username cn=a\npassword x\n",
	    "1: passwords go over the network in clear: use ldaps:// or starttls yes");
	warned("url ldap://h\n" BASE "username cn=a\npassword x\nstarttls yes\n", "");
	warned("url ldaps://h ldap://127.0.0.1 ldap://[::1]:3\n" BASE "username cn=a\npassword x\n",
	    "");
	warned(
	    URL BASE "tls_verify no\n", "5: tls_verify no: anybody on the way can be the server");
	warned(URL BASE "auth_filter (uid=%u)\nauth_attributes uid\n",
	    "6: auth_attributes has no effect: a bind needs no attribute");
	write_file(path, URL BASE "username cn=a\npassword x\n", 0604);
	load_path(path);
	ok(strstr(told(&warnings),
	       "6: the file holds a password and everybody may read it: chmod o-r") != NULL,
	    "the file's permissions");
}

int
main(void)
{
	if (mkdtemp(dir) == NULL)
		abort();
	snprintf(path, sizeof(path), "%s/f", dir);
	snprintf(secret, sizeof(secret), "%s/secret", dir);
	seed();
	upstream();
	more();
	faults();
	warns();
	settings_free(s);
	settings_faults_clear(&wrong);
	settings_faults_clear(&warnings);
	unlink(path);
	unlink(secret);
	rmdir(dir);
	return done();
}
