# What people get wrong in their first hour: the message says where, what, and what to do.
use strict;
use warnings;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Tabmail;
use Test::More;

my $d = Tabmail->new(users => ['bob'], config => '');
my ($dir, $bin) = ($d->dir, $d->dir . '/bin');
my $front = qq(hostname mail.example.org\nresolver none\nhelpers "$bin"\nspool "$dir/spool"\nsocket "$dir/run/control.sock"\n);
my $rule = "accept for local relay via smtp://127.0.0.1:9\n";
sub check {
	my ($config) = @_;
	return run("$bin/tabmaild", '-n', '-f', $d->file('x.conf', $front . $config));
}
sub starts { # it must not
	my ($config) = @_;
	return run([secs => 20], "$bin/tabmaild", '-d', '-f', $d->file('x.conf', $front . $config));
}
my ($status, $out);
sub says {
	my ($wanted, $regex, $name) = @_;
	is $status, $wanted, "$name: status $wanted";
	like $out, $regex, "$name: is told" or diag $out;
}

# --- The file
($status, $out) = run("$bin/tabmaild", '-n', "$dir/x.conf");
says 1, qr{^tabmaild: \Q$dir\E/x\.conf: the configuration's file stands behind -f$}m, 'a file without -f';
($status, $out) = check('listen on 127.0.0.1 port $PORT' . "\n");
says 0, qr/^warning: there is no rule that begins with "accept": all mail is refused\nconfiguration OK\n/, 'no rule';
($status, $out) = check("myhostname = mail.example.org\nmydestination = example.org\n");
says 0, qr/^warning: there is no rule/, q{Postfix's main.cf};
($status, $out) = check($rule);
says 0, qr/^configuration OK\n\z/, 'what is right has no warning';
($status, $out) = run("$bin/tabmaild", '-n', '-f', $d->file('y.conf', qq(hostname box\nhelpers "$bin"\naccept for any relay\n)));
says 0, qr/^warning: this host calls itself "box", and others may refuse its mail; name it: hostname mail\.example\.org\nconfiguration OK\n/, 'half a host name';
my %hint = (
	'match from any for domain "example.org" action "local"' => 'a rule and its action are one line here: accept ... deliver to maildir',
	'action "local" maildir' => 'a rule and its action are one line here: accept ... deliver to maildir',
	'filter "rspamd" proc-exec "filter-rspamd"' => 'there are no filters; a proxy can stand between two rules (listen ... tag)',
	'queue ttl 4d' => 'here it is expire, retry or spool-free',
	'bounce warn-interval 4h' => 'here it is bounce-warn',
	'mta max-deferred 100' => 'here it is limit relay',
	'ca x cert "/x"' => 'here it is pki NAME ca FILE',
);
for my $line (sort keys %hint) {
	($status, $out) = check("$line\n$rule");
	says 1, qr{^\S+/x\.conf:6:\d+: unexpected "\w+"; \Q$hint{$line}\E$}m, "OpenSMTPD's $line";
}

# --- Helpers
my %script = (
	'no-interpreter' => ["#!/no/such/python\n", 'its first line names "/no/such/python": No such file or directory'],
	'dos' => ["#!/bin/sh\r\necho\r\n", 'its lines end in CR LF'],
);
for my $name (sort keys %script) {
	$d->file("bin/$name", $script{$name}[0], 0755);
	($status, $out) = check(qq(table t command "$bin/$name"\n$rule));
	says 1, qr{^table t: cannot run \Q$bin/$name: $script{$name}[1]\E$}m, "a script: $name";
}
$d->file('bin/plain', "#!/bin/sh\n", 0644);
($status, $out) = check(qq(table t command "$bin/plain"\n$rule));
says 1, qr{^table t: cannot run \Q$bin\E/plain: Permission denied$}m, 'a script that is not executable';

# --- Ports
my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $d->port, Listen => 1, ReuseAddr => 1) or die;
($status, $out) = starts("listen on 127.0.0.1 port \$PORT\n$rule");
says 1, qr{\Q$dir\E/x\.conf:6: listen on 127\.0\.0\.1 port \d+: Address already in use; is another mail server running\?  "ss -ltnp" shows it$}m, 'a port that is taken';
close $other;
for my $twice ('lo', '0.0.0.0') {
	($status, $out) = starts("listen on 127.0.0.1 port \$PORT2\nlisten on $twice port \$PORT2 tag X\n$rule");
	says 1, qr{\Q$dir\E/x\.conf:7: listen on [\d.]+ port \d+: Address already in use; a "listen" before it has this port$}m, "a port twice: $twice";
}
SKIP: {
	my $floor = -r '/proc/sys/net/ipv4/ip_unprivileged_port_start' ? slurp('/proc/sys/net/ipv4/ip_unprivileged_port_start') : 1024;
	skip 'only an ordinary user is refused a port', 2 if root() || $floor < 26;
	($status, $out) = starts("listen on 127.0.0.1 port 25\n$rule");
	says 1, qr/Permission denied; an ordinary user needs a port above 1023$/m, 'a port for root';
}
($status, $out) = starts("listen on nothing0 port \$PORT\n$rule");
says 1, qr{\Q$dir\E/x\.conf:6: listen on nothing0: no such interface, address or host$}m, 'an interface that is not there';

# --- The spool
SKIP: {
	skip 'only root can give files away', 4 if !root();
	my $queue = getpwnam '_tabmailq';
	rmdir "$dir/spool";	# as the starts above have made it
	mkdir "$dir/spool", 0700;
	($status, $out) = starts("listen on 127.0.0.1 port \$PORT\n$rule");
	says 1, qr{spool: \Q$dir\E/spool belongs to uid 0, not to _tabmailq; if it is tabmail's: chown -R _tabmailq: \Q$dir\E/spool$}m, "root's spool";
	chown $queue, -1, "$dir/spool";
	spew("$dir/spool/spool.db", '');
	($status, $out) = starts("listen on 127.0.0.1 port \$PORT\n$rule");
	says 1, qr{spool: \Q$dir\E/spool/spool\.db belongs to uid 0, not to _tabmailq}, 'a copy that root made';
	unlink "$dir/spool/spool.db";
}
rmdir "$dir/spool";
spew("$dir/spool", '');
($status, $out) = starts("listen on 127.0.0.1 port \$PORT\n$rule");
says 1, qr{\Q$dir\E/spool: a folder is needed here, and this is none$}m, 'a file for a spool';
unlink "$dir/spool";

# --- Certificates
sub certificate {
	run(qw(openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mail.example.org), '-keyout', "$dir/key", '-out', "$dir/csr");
	run('openssl', 'x509', '-req', '-in', "$dir/csr", '-signkey', "$dir/key", '-out', "$dir/crt", '-days', $_[0]);
	chmod 0600, "$dir/key";
}
my $tls = qq(pki p certificate "$dir/crt" key "$dir/key"\nlisten on 127.0.0.1 port \$PORT tls pki p\n$rule);
certificate(-1);
($status, $out) = check($tls);
my $year = POSIX::strftime('%Y', gmtime time - 86400);
says 0, qr{^pki p: \Q$dir\E/crt: the certificate has expired on $year-\d\d-\d\d$}m, 'an old certificate';
certificate(9);
($status, $out) = check($tls);
says 0, qr/^configuration OK\n\z/, 'a new one';
chmod 0644, "$dir/key";
($status, $out) = check($tls);
says 1, qr{^pki p: \Q$dir\E/key: a key that others may use: chmod 600 it$}m, 'a key that others may use';
chmod 0600, "$dir/key";
spew("$dir/crt", "\x30\x82 something binary\n");
($status, $out) = check($tls);
says 1, qr{^pki p: \Q$dir\E/crt: this is no PEM file: it has no line "-----BEGIN \.\.\."$}m, 'a certificate in DER';
unlink "$dir/crt";
($status, $out) = check($tls);
says 1, qr{^pki p: \Q$dir\E/crt: No such file or directory$}m, 'none';

# --- While it runs
$d->file('bin/exits', "#!/bin/sh\necho 'the database is not there' >&2\nexit 3\n");
$d->file('bin/talks', "#!/bin/sh\necho hello\nexec cat >/dev/null\n");
$d->write_config(<<'C');
table aliases file:$D/nothere
table exits command "$D/bin/exits"
table talks command "$D/bin/talks"
table users file:$D/users
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <exits> userbase <users> deliver to maildir
accept from any for domain example.net alias <aliases> userbase <users> deliver to maildir
accept from any for domain example.com alias <talks> userbase <users> deliver to maildir
accept for local userbase <users> deliver to maildir
C
$d->boot;
sub explains {
	my ($rcpt, $regex, $name) = @_;
	wait_for { ($status, $out) = $d->ctl('explain', $rcpt, 'client', '192.0.2.1'); $out =~ $regex } $name;
	pass $name;
}
explains('bob@example.org', qr/^ +because the helper keeps failing: it ended: exit 3$/m, 'a helper that exits: how');
like $d->log_text, qr/table=exits event=stderr text="the database is not there"/, 'and what it said';
like $d->log_text, qr/table=exits event=exited pid=\d+ how="exit 3"/, 'stand in the log';
explains('bob@example.com', qr/because the helper keeps failing: neither register nor a result: anything else belongs on the standard error$/m, 'a helper that greets');
explains('bob@example.net', qr{because not loaded: \Q$dir\E/nothere: No such file or directory$}m, q{a table's file that is not there});
($status, $out) = $d->ctl('table', 'aliases', 'update');
says 1, qr{^tabmailctl: \Q$dir\E/nothere: No such file or directory$}m, 'update';
($status, $out) = $d->ctl('table', 'aliasse', 'update');
says 1, qr/^tabmailctl: no such table; did you mean "aliases"\?$/m, 'a table misspelt';
($status, $out) = $d->ctl('explain', 'bob');
says 0, qr/bob\@mail\.example\.org: taken by rule 4$/m, 'explain completes an address';
my $path = "$dir/run/deaf.sock";
my $deaf = IO::Socket::UNIX->new(Local => $path, Listen => 1) or die;
my $pid = open my $ctl, '-|', "exec $bin/tabmailctl -s $path show status 2>&1" or die;
my $line = <$ctl>;
like $line, qr/^tabmailctl: tabmaild has not answered yet; if its queue cannot start, its log says why$/, 'who is not answered is told after a while';
kill 'TERM', $pid;
close $ctl;
$d->stop;
done_testing;
