/* Every error: its exact place and words, and all of them in one go. */
#include "parsing.h"

static void
syntax(void)
{
	errors_are(
	    "acept for any\n", "t.conf:1:1: unexpected \"acept\"; did you mean \"accept\"?\n");
	errors_are(
	    "Accept for any\n", "t.conf:1:1: unexpected \"Accept\"; did you mean \"accept\"?\n");
	errors_are("accept for any delivr to maildir\n",
	    "t.conf:1:16: unexpected \"delivr\"; did you mean \"deliver\"?\n");
	errors_are("accept for any deliver maildir\n",
	    "t.conf:1:24: unexpected \"maildir\"; expected \"to\"\n");
	errors_are("accept for any deliver to mailbox\n",
	    "t.conf:1:27: unexpected \"mailbox\"; expected "
	    "\"maildir\", \"mbox\", \"mda\" or \"lmtp\"\n");
	errors_are("accept for any deliver to maildr\n",
	    "t.conf:1:27: unexpected \"maildr\"; did you mean \"maildir\"?\n");
	errors_are("accept from anny for any relay via smtp://x\n",
	    "t.conf:1:13: unexpected \"anny\"; did you mean \"any\"?\n");
	errors_are("accept for all\n",
	    "t.conf:1:12: unexpected \"all\"; expected \"any\", \"local\", \"domain\" or \"!\"\n");
	errors_are(
	    "\n\n  listen egress\n", "t.conf:3:10: unexpected \"egress\"; expected \"on\"\n");
	errors_are(
	    "listen on lo prot 25\n", "t.conf:1:14: unexpected \"prot\"; did you mean \"port\"?\n");
	errors_are("listen on lo tls-requires\n",
	    "t.conf:1:14: unexpected \"tls-requires\"; did you mean \"tls-require\"?\n");
	errors_are("listen on\n",
	    "t.conf:1:10: unexpected end of the line; expected a word, a quoted string or "
	    "\"socket\"\n");
	errors_are(
	    "accept tagged\n", "t.conf:1:14: unexpected end of the line; a name is expected\n");
	errors_are("smtp process 2\n",
	    "t.conf:1:6: unexpected \"process\"; did you mean \"processes\"?\n");
	errors_are("limit foo 10\n",
	    "t.conf:1:7: unexpected \"foo\"; expected \"smtp\", \"sessions\", \"recipients\", "
	    "\"relay-connections\", \"deliveries\", \"route-deliveries\", \"all-deliveries\" or "
	    "\"relay\"\n");
	errors_are(
	    "hostname a b\n", "t.conf:1:12: unexpected \"b\"; expected the end of the line\n");
	errors_are("table x ldap:/x max-pendin 3\n",
	    "t.conf:1:17: unexpected \"max-pendin\"; did you mean \"max-pending\"?\n");
	errors_are("pki x cert /c\n",
	    "t.conf:1:7: unexpected \"cert\"; expected \"certificate\", \"key\" or \"ca\"\n");
	errors_are("pki x certificat /c\n",
	    "t.conf:1:7: unexpected \"certificat\"; did you mean \"certificate\"?\n");
	errors_are("accept for domain deliver to mbox\n",
	    "t.conf:1:19: unexpected \"deliver\"; expected a word, a quoted string, <table>, \"{\" "
	    "or \"!\"\n");
	errors_are("frobnicate\n", "t.conf:1:1: unexpected \"frobnicate\"\n");
	errors_are("include\n",
	    "t.conf:1:8: unexpected end of the line; expected a word or a quoted string\n");
	errors_are("include x\n",
	    "t.conf:1:1: \"include\" must stand at the beginning of a line of its own\n");
	errors_are("} x\n", "t.conf:1:1: unexpected \"}\"\n");
	errors_are("accept for any \\\n  delivr to \\\n mbox\nlimt x\n",
	    "t.conf:2:3: unexpected \"delivr\"; did you mean \"deliver\"?\n"
	    "t.conf:4:1: unexpected \"limt\"; did you mean \"limit\"?\n");
	errors_are("# \303\244\303\266\n\"\303\244\303\266\" x\n",
	    "t.conf:2:1: unexpected \"\303\244\303\266\"\n");
	errors_are("hostname 'x' '\303\244' y\n",
	    "t.conf:1:14: unexpected \"\303\244\"; expected the end of the line\n");
	errors_are("accept aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
	    "t.conf:1:8: unexpected \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"\n");
}

static void
lexical(void)
{
	errors_are("hostname \"x\n", "t.conf:1:10: a quote is not closed on its line\n");
	errors_are("hostname 'x", "t.conf:1:10: a quote is not closed on its line\n");
	errors_are("accept alias <x for any\n", "t.conf:1:14: a table is written \"<name>\"\n");
	errors_are("accept alias <> for any\n", "t.conf:1:14: a table is written \"<name>\"\n");
	errors_are("hostname a\001b\n", "t.conf:1:10: control character 1\n");
	errors_are("hostname \"a\177\"\n", "t.conf:1:10: control character 127\n");
	errors_are("accept deliver to maildir ~/%{rcpt\n", "t.conf:1:27: \"%{\" without \"}\"\n");
	errors_are("dir = /x\nspool $dri\n",
	    "t.conf:2:7: macro \"$dri\" is not set; did you mean \"$dir\"?\n");
	errors_are("spool $\n", "t.conf:1:7: macro \"$\" is not set\n");
	errors_are("a = $b\nb = $a\nspool $a\n",
	    "t.conf:3:7: macro \"$a\" has itself in it, or its value is too long\n");
	errors_are("a = 1\na = 2\n", "t.conf:2:1: macro \"a\" is set twice, first at line 1\n");
	errors_are("a =\n", "t.conf:1:1: macro \"a\" has no value\n");
	errors_are("a = \"x\n", "t.conf:1:1: the value of macro \"a\" has an open quote\n");
	errors_are("a-b = x\n", "t.conf:1:1: macro \"a-b\": letters, digits and \"_\" only\n");
	errors_are("x = \"127.0.0.1 prot\"\nlisten on $x\n",
	    "t.conf:2:11: unexpected \"prot\"; did you mean \"port\"?\n");
}

static void
lists(void)
{
	errors_are("table x { a b }\n",
	    "t.conf:1:13: unexpected \"b\"; expected the end of the line, \",\", \"}\" or \"=\"\n");
	errors_are("table x { a, b\nlisten on lo\nlimit x 1\n",
	    "t.conf:2:8: unexpected \"on\"; expected the end of the line, \",\", \"}\" or \"=\" "
	    "(the "
	    "list that begins at line 1 is not closed)\n"
	    "t.conf:3:7: unexpected \"x\"; expected \"smtp\", \"sessions\", \"recipients\", "
	    "\"relay-connections\", \"deliveries\", \"route-deliveries\", \"all-deliveries\" or "
	    "\"relay\"\n");
	errors_are("table y {\n\ta b,\n\tc\n\td e\n}\nlimt x\n",
	    "t.conf:2:4: unexpected \"b\"; expected the end of the line, \",\", \"}\" or \"=\" "
	    "(the "
	    "list that begins at line 1 is not closed)\n"
	    "t.conf:6:1: unexpected \"limt\"; did you mean \"limit\"?\n");
	errors_are("table y {\n\ta = \n\tc = d\n}\nlimt x\n",
	    "t.conf:2:6: unexpected end of the line; a name is expected (the list that begins at "
	    "line 1 is not closed)\n"
	    "t.conf:5:1: unexpected \"limt\"; did you mean \"limit\"?\n");
	errors_are(
	    "table z { a = b, c }\n", "t.conf:1:18: a table is a list or a mapping, not both\n");
	errors_are("table z { a, '' }\n", "t.conf:1:14: an entry of a table is empty\n");
	errors_are("table z { a, b",
	    "t.conf:1:15: unexpected end of the file; a name is expected (the list that begins at "
	    "line 1 is not closed)\n");
}

static void
values(void)
{
	errors_are("hostname -x\n", "t.conf:1:10: hostname: \"-x\" is not a host name\n");
	errors_are(
	    "spool rel\n", "t.conf:1:7: spool: \"rel\" is not a path that begins with \"/\"\n");
	errors_are("first-uid -1\n", "t.conf:1:11: first-uid: \"-1\" is not a number\n");
	errors_are("first-uid 0\n", "t.conf:1:11: first-uid: 0 is not between 1 and 4294967294\n");
	errors_are("first-uid 4294967295\n",
	    "t.conf:1:11: first-uid: 4294967295 is not between 1 and 4294967294\n");
	errors_are("max-hops 99999999999999999999\n",
	    "t.conf:1:10: max-hops: \"99999999999999999999\" is not a number\n");
	errors_are("max-hops 1001\n", "t.conf:1:10: max-hops: 1001 is not between 1 and 1000\n");
	errors_are(
	    "smtp processes 0\n", "t.conf:1:16: smtp processes: 0 is not between 1 and 64\n");
	errors_are("limit sessions x\n", "t.conf:1:16: sessions: \"x\" is not a number\n");
	errors_are("limit sessions 1 sessions 2\n", "t.conf:1:18: \"sessions\" is given twice\n");
	errors_are(
	    "expire 4x\n", "t.conf:1:8: expire: \"4x\" is not a time like 30s, 5m, 4h or 2d\n");
	errors_are("expire 0\n", "t.conf:1:8: expire: \"0\" is shorter than a second\n");
	errors_are("bounce-warn 1d, 4h\n",
	    "t.conf:1:17: bounce-warn: \"4h\" is not later than the one before it\n");
	errors_are(
	    "bounce-warn none, 4h\n", "t.conf:1:19: bounce-warn: nothing may follow \"none\"\n");
	errors_are("bounce-warn 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n",
	    "t.conf:1:52: bounce-warn: more than 16 times\n");
	errors_are("retry 5\nretry 6\n", "t.conf:2:1: \"retry\" is given twice, first at line 1\n");
	errors_are("retry 5m, soon\n",
	    "t.conf:1:11: retry: \"soon\" is not a time like 30s, 5m, 4h or 2d\n");
	errors_are("retry 8d\n", "t.conf:1:7: retry: \"8d\" is longer than a week\n");
	errors_are("bounce-cleared maybe\n",
	    "t.conf:1:16: bounce-cleared: \"maybe\" is neither \"yes\" nor \"no\"\n");
	errors_are("double-bounce a@b@c\n", "t.conf:1:15: double-bounce: \"a@b@c\" is not an "
					    "address: no valid domain\n");
	errors_are("limit all-deliveries 0\n",
	    "t.conf:1:22: all-deliveries: 0 is not between 1 and 1000000\n");
	errors_are("max-message-size 1x\n",
	    "t.conf:1:18: max-message-size: \"1x\" is not a size like 35M, 512k or 100000\n");
	errors_are("spool-free some\n",
	    "t.conf:1:12: spool-free: \"some\" is not a size like 500M or 2G\n");
	errors_are("max-message-size 257M\n",
	    "t.conf:1:18: max-message-size: 257M is not between 1k and 256M\n");
	errors_are("dane maybe\n",
	    "t.conf:1:6: dane: \"maybe\" is neither \"auto\", \"yes\" nor \"no\"\n");
	errors_are("trust-anchor root.key\n",
	    "t.conf:1:14: trust-anchor: \"root.key\" is not a path that begins with \"/\"\n");
	errors_are("no-dnssec corp, a..b\n", "t.conf:1:17: no-dnssec: \"a..b\" is not a domain\n");
	errors_are("resolver x\n",
	    "t.conf:1:10: resolver: \"x\" is not ADDRESS, ADDRESS@PORT or \"none\"\n");
	errors_are(
	    "resolver ::1@0\n", "t.conf:1:10: resolver: port: 0 is not between 1 and 65535\n");
	errors_are("hostname a\nhostname b\n",
	    "t.conf:2:1: \"hostname\" is given twice, first at line 1\n");
	errors_are(
	    "socket /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	    "aaaaaaaaaaaaaaaaaaaaaaaaaaaa/c\n",
	    "t.conf:1:8: socket: the path is too long for a socket\n");
}

static void
tables(void)
{
	errors_are("table x /etc/x\n",
	    "t.conf:1:9: a table is TYPE:ARGUMENT; did you mean \"file:/etc/x\"?\n");
	errors_are("table x foo\n",
	    "t.conf:1:9: \"foo\": a table is TYPE:ARGUMENT, command \"...\" or { ... }\n");
	errors_are("table x ../../sh:x\n",
	    "t.conf:1:9: table type \"../../sh\": letters, digits, \".\", \"_\" and \"-\" only\n");
	errors_are("table x ..:x\n",
	    "t.conf:1:9: table type \"..\": it must begin with a letter or digit\n");
	errors_are("table \"a|b\" file:x\n",
	    "t.conf:1:7: table name \"a|b\": letters, digits, \".\", \"_\" and \"-\" only\n");
	errors_are("table x command \"prog\"\n",
	    "t.conf:1:17: command \"prog\": the program must be given with its whole path\n");
	errors_are("table x file:/a\ntable x file:/b\n",
	    "t.conf:2:7: table \"x\" is declared twice, first at line 1\n");
	errors_are(
	    "table x { a } timeout 5s\n", "t.conf:1:15: \"timeout\" is for tables with a helper\n");
	errors_are("table x file:/a negative 5s\n",
	    "t.conf:1:17: \"negative\" comes behind \"cache TIME\"\n");
	errors_are("table x file:/a stale 5s cache 1s\n",
	    "t.conf:1:17: \"stale\" comes behind \"cache TIME\"\n");
	errors_are(
	    "table x file:/a timeout 5s timeout 6s\n", "t.conf:1:28: \"timeout\" is given twice\n");
	errors_are("table x file:/a max-pending 0\n",
	    "t.conf:1:29: max-pending: 0 is not between 1 and 32768\n");
	errors_are("table x file:/a user \"a b\"\n",
	    "t.conf:1:22: user \"a b\": letters, digits, \".\", \"_\" and \"-\" only\n");
	errors_are("table aliases file:/a\naccept for local alias <aliasse> deliver to mbox\n",
	    "t.conf:2:24: table \"aliasse\" is not declared; did you mean \"aliases\"?\n");
	errors_are("accept for local alias <x> deliver to mbox\n",
	    "t.conf:1:24: table \"x\" is not declared\n");
	errors_are("pki x ca /a\npki x ca /b\n", "t.conf:2:5: pki \"x\" is declared twice\n");
	errors_are("pki x key /a\n", "t.conf:1:7: pki x has a key and no certificate\n");
	errors_are("pki x certificate /a ca /b\nlisten on lo tls\n",
	    "t.conf:1:7: pki x has a certificate and no key\n");
	errors_are("pki x ca /a\nlisten on lo tls pki x\n",
	    "t.conf:2:22: pki \"x\" has no certificate to show\n");
	errors_are("pki a/b ca /a\n",
	    "t.conf:1:5: pki name \"a/b\": letters, digits, \".\", \"_\" and \"-\" only\n");
	errors_are(
	    "pki x key a\n", "t.conf:1:7: key: \"a\" is not a path that begins with \"/\"\n");
}

static void
listeners(void)
{
	errors_are("listen on lo port 0\n", "t.conf:1:19: port: 0 is not between 1 and 65535\n");
	errors_are(
	    "listen on lo port 65536\n", "t.conf:1:19: port: 65536 is not between 1 and 65535\n");
	errors_are("listen on lo port 25 port 26\n", "t.conf:1:22: \"port\" is given twice\n");
	errors_are("listen on lo inet4 inet6\n", "t.conf:1:20: \"inet6\" contradicts \"inet4\"\n");
	errors_are("listen on lo\nlisten on lo port 25\n",
	    "t.conf:2:1: \"listen on lo port 25\" is given twice, first at line 1\n");
	errors_are("listen on socket\nlisten on socket tag X\n",
	    "t.conf:2:1: \"listen on socket\" is given twice, first at line 1\n");
	errors_are(
	    "listen on socket port 25\n", "t.conf:1:18: \"port\" is not for the local socket\n");
	errors_are("listen on lo verify masquerade\n",
	    "t.conf:1:14: \"verify\" belongs to \"tls-require\" or \"smtps\"\n"
	    "t.conf:1:21: \"masquerade\" belongs to \"senders\"\n");
	errors_are("listen on lo ciphers x pki y protocols tlsv1.2\npki y certificate /c key /k\n",
	    "t.conf:1:14: \"ciphers\" belongs to \"tls\", \"tls-require\" or \"smtps\"\n"
	    "t.conf:1:24: \"pki\" belongs to \"tls\", \"tls-require\" or \"smtps\"\n"
	    "t.conf:1:30: \"protocols\" belongs to \"tls\", \"tls-require\" or \"smtps\"\n");
	errors_are("listen on lo tls protocols sslv3\n",
	    "t.conf:1:28: protocols: \"sslv3\" is not a list like tlsv1.2,tlsv1.3\n");
	errors_are(
	    "listen on lo hostname a..b\n", "t.conf:1:23: hostname: \"a..b\" is not a host name\n");
	errors_are("listen on lo tag \"a b\"\n",
	    "t.conf:1:18: tag \"a b\": letters, digits, \".\", \"_\" and \"-\" only\n");
}

static void
rules(void)
{
	errors_are("accept for any\n",
	    "t.conf:1:1: an accept rule needs an action: \"deliver to ...\", \"relay ...\" or "
	    "\"forward-only\"\n");
	errors_are(
	    "reject for any deliver to mbox\n", "t.conf:1:27: a reject rule has no action\n");
	errors_are("accept deliver to mbox relay via smtp://x\n",
	    "t.conf:1:24: \"relay\" contradicts \"mbox\"\n"
	    "t.conf:1:30: \"via\" belongs to \"relay\"\n");
	errors_are("accept for any for local deliver to mbox\n",
	    "t.conf:1:20: \"for local\" contradicts \"for any\"\n");
	errors_are("accept for any for any deliver to mbox\n",
	    "t.conf:1:20: \"for any\" is given twice\n");
	errors_are("table t file:x\naccept alias <t> virtual <t> deliver to mbox\n",
	    "t.conf:2:18: \"virtual\" contradicts \"alias\"\n");
	errors_are("table t file:x\naccept ! sender ! <t> deliver to mbox\n",
	    "t.conf:2:10: \"!\" is given twice\n");
	errors_are("accept for domain { a = b } deliver to mbox\n",
	    "t.conf:1:19: \"domain\" takes a list, { a, b }\n");
	errors_are("accept alias { a, b } deliver to mbox\n",
	    "t.conf:1:14: \"alias\" takes a mapping, { key = value }\n");
	errors_are("accept for domain a..b deliver to mbox\n",
	    "t.conf:1:19: domain: \"a..b\" is not a domain\n");
	errors_are("accept from source x deliver to mbox\n",
	    "t.conf:1:20: source: \"x\" is not an address or network\n");
	errors_are("accept deliver to mbox rcpt-to as x\n",
	    "t.conf:1:24: \"rcpt-to\" belongs to \"lmtp\"\n"
	    "t.conf:1:32: \"as\" belongs to \"mda\", \"lmtp\" or \"relay\"\n");
	errors_are("accept deliver to mda \"\"\n", "t.conf:1:23: this is empty\n");
	errors_are("accept deliver to mda \"x %{y}\"\n",
	    "t.conf:1:23: \"x %{y}\": unknown format specifier\n");
	errors_are("accept deliver to maildir x\n",
	    "t.conf:1:27: maildir: \"x\" must begin with \"/\" or \"~/\"\n");
	errors_are("accept deliver to mbox mail/x\n",
	    "t.conf:1:24: mbox: \"mail/x\" must begin with \"/\" or \"~/\"\n");
	errors_are("accept relay via smtq://x\n",
	    "t.conf:1:18: \"smtq://x\": unknown scheme: "
	    "smtp, smtp+notls, smtp+tls, smtps, secure and lmtp are "
	    "known\n");
	errors_are("accept deliver to lmtp x:y\n",
	    "t.conf:1:24: \"x:y\": the port is not a number from 1 to 65535\n");
	errors_are("accept for any deliver to mbox bounce-warn 1d, 4h\n",
	    "t.conf:1:48: bounce-warn: \"4h\" is not later than the one before it\n");
	errors_are("accept deliver to mbox expire 1y\n",
	    "t.conf:1:31: expire: \"1y\" is not a time like 30s, 5m, 4h or 2d\n");
}

static void
unbuilt(void)
{
	/* the configuration that started it is taken as it was written */
	struct conf *seed =
	    parsed("table myldaptable ldap:/etc/mail/ldapd.conf          # see 6.\n"
		   "table myaddrs { 192.0.2.1, 192.0.2.2 }\n"
		   "bounce-warn 4h, 1d, 2d\n"
		   "listen on egress tls auth <myldaptable>\n"
		   "listen on lo0 port 10029 tag DKIM\n"
		   "accept for domain <myldaptable> alias <myldaptable> deliver to maildir\n"
		   "accept tagged DKIM for any relay source <myaddrs>\n"
		   "accept for any relay via smtp://127.0.0.1:10028      # the DKIM proxy\n");
	ok(seed != NULL, "the configuration of 2013 has no error");
	conf_free(seed);
	struct conf *all =
	    parsed("pki x certificate /c key /k\ntable t file:x\ntable p { 192.0.2.1 }\n"
		   "listen on lo tls-require verify pki x auth-optional hostnames <t> senders <t> "
		   "masquerade proxy-v2 from { 192.0.2.1, 2001:db8::/32 } xclient from <p>\n");
	ok(all != NULL, "a listener with all that there is");
	conf_free(all);
	errors_are(
	    "table t file:x\ntable m { 192.0.2.1, mx.example.org }\n"
	    "listen on socket hostnames <t>\nlisten on lo proxy-v2 from <t>\n"
	    "listen on lo port 26 xclient from <m>\n"
	    "listen on lo port 27 proxy-v2 from 192.0.2.0/33\nlisten on lo port 28 proxy-v2 <t>\n",
	    "t.conf:3:18: \"hostnames\" is not for the local socket\n"
	    "t.conf:7:31: unexpected \"t\"; expected \"from\"\n"
	    "t.conf:4:1: proxy-v2: the addresses must stand in the configuration, not behind a "
	    "helper\n"
	    "t.conf:5:1: xclient: \"mx.example.org\" is no address and no network\n"
	    "t.conf:6:1: proxy-v2: \"192.0.2.0/33\" is no address and no network\n");
	errors_are("table t file:x\nlisten on eth0 auth <t>\nlisten on 127.0.0.1 auth-optional\n"
		   "listen on 127.0.0.1 port 26 senders <t>\n",
	    "t.conf:2:16: passwords would go over the network in clear: \"auth\" needs \"tls\", "
	    "\"tls-require\" or \"smtps\" here; only loopback may do without\n"
	    "t.conf:4:29: \"senders\" belongs to \"auth\" or \"auth-optional\"\n");
	errors_are("listen on lo smtps pki y\n", "t.conf:1:24: pki \"y\" is not declared\n");
	errors_are(
	    "table t file:x\naccept relay via smtp://x hostname h hostnames <t> auth <t> as @d "
	    "backup mx tls verify pki p\n",
	    "t.conf:2:67: \"backup\" contradicts \"via\"\n"
	    "t.conf:2:92: pki \"p\" is not declared\n");
	errors_are("accept relay source { 192.0.2.1, mx.example.org } hostname _\n"
		   "accept relay source { 192.0.2.1 = x } hostnames { 192.0.2.1 } hostname a..b as "
		   "\"a b\"\n"
		   "accept relay hostnames { x = y, 192.0.2.1 = 'a b' }\n"
		   "listen on lo reentry\nlisten on socket tag X reentry\n",
	    "t.conf:1:34: \"mx.example.org\" is not an address\n"
	    "t.conf:2:23: source takes a list, { address, address }\n"
	    "t.conf:2:51: hostnames takes a mapping, { address = name }\n"
	    "t.conf:2:72: hostname: \"a..b\" is not a host name\n"
	    "t.conf:2:80: as: \"a b\" is not USER, @DOMAIN or USER@DOMAIN\n"
	    "t.conf:3:26: \"x\" is not an address\n"
	    "t.conf:3:33: hostnames takes a mapping, { address = name }\n"
	    "t.conf:4:14: \"reentry\" belongs to \"tag\"\n"
	    "t.conf:5:24: \"reentry\" is not for the local socket\n");
	errors_are("accept as joe deliver to mda x\nreject\naccept deliver to lmtp x as joe\n",
	    "t.conf:3:26: not built yet: \"as\" of lmtp: let the user _tabmail connect to the "
	    "socket\n");
	errors_are("accept relay via smtp+notls://x verify\n",
	    "t.conf:1:33: \"verify\" demands TLS, which smtp+notls://x forbids\n");
	errors_are("accept relay via lmtp://x tls\n",
	    "t.conf:1:27: \"tls\" demands TLS, which lmtp://x forbids\n");
	errors_are("accept relay via smtp+auth://l@x\n",
	    "t.conf:1:8: a URL with LABEL@ needs \"auth <table>\", where LABEL is looked up\n");
	errors_are("accept relay via smtp+notls://l@x auth { l = \"u:p\" }\n",
	    "t.conf:1:18: \"smtp+notls://l@x\": the password would go in clear; where that is "
	    "meant, "
	    "write smtp+notls+auth://\n"
	    "t.conf:1:40: auth: name a table; an action is shown, and would show passwords\n");
	errors_are("accept relay via smtp://x relayhost { a = b }\n",
	    "t.conf:1:27: \"relayhost\" contradicts \"via\"\n");
	errors_are("limit relay rate 10/x\nlimit relay connections 0\nlimit relay family x\n"
		   "table t file:/t\nlimit relay for domain <t> messages 3\n",
	    "t.conf:1:18: rate: \"10/x\" is not a rate like 10/s, 60/m, 1000/h or 5000/d\n"
	    "t.conf:2:25: connections: 0 is not between 1 and 10000\n"
	    "t.conf:3:20: unexpected \"x\"; expected \"inet4\" or \"inet6\"\n"
	    "t.conf:5:1: limit relay: the domains must stand in the configuration, not behind a "
	    "helper\n");
}

static void
many(void)
{
	struct text t = { 0 }, errors = { 0 };

	for (int i = 0; i < 150; i++)
		text_put(&t, "foo\n");
	ok(conf_parse(t.s, t.len, "t.conf", &errors) == NULL, "150 errors");
	ok(strstr(errors.s, "\nt.conf:100:1: ") != NULL, "a hundred are shown");
	ok(strstr(errors.s, "\n50 more errors are not shown\n") != NULL, "and the others counted");
	ok(conf_parse(t.s, t.len, "t.conf", NULL) == NULL, "nobody need read them");
	text_free(&errors);
	text_free(&t);
}

int
main(void)
{
	syntax();
	lexical();
	lists();
	values();
	tables();
	listeners();
	rules();
	unbuilt();
	many();
	return done();
}
