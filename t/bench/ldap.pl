# `make bench`: table-ldap and a slapd of 100,000 entries, beside a bare libldap client that keeps as many searches
# in flight on its one connection; the same over a wire that delays 20 ms each way; and end to end: messages
# accepted a second from 50 sessions, each recipient an alias in a directory that is 200 ms away each way,
# with and without a cache of the table, beside Postfix with its ldap table.  All in turns of one run, on loopback.
# ENTRIES=n, COUNT=n (lookups of a measurement), MESSAGES=n; ends by itself.
use strict;
use warnings;
use File::Path ();
use File::Temp ();
use Slapd;
use Tabmail;
use Tabmail::Postfix;
use Time::HiRes qw(time);

my $BUILD = $ENV{BUILD} || 'build';
my $ENTRIES = $ENV{ENTRIES} || 100_000;
my $COUNT = $ENV{COUNT} || 40_000;
my $MESSAGES = $ENV{MESSAGES} || 1000;
my $SESSIONS = 50;
my $ROUNDS = 3;
my $base = Slapd::base();
my $scratch = File::Temp::tempdir('tmbench.XXXXXX', TMPDIR => 1);
chmod 0755, $scratch;
my $main = $$;
my $postfix;
$| = 1;
$SIG{$_} = sub { exit 1 } for qw(INT TERM);
END {
	if ($$ == $main) {
		my $status = $?;
		$postfix->stop if $postfix;
		File::Path::remove_tree($scratch) if $scratch;
		$? = $status;
	}
}
if (slapd_missing) {
	print slapd_missing, ": no figures\n";
	exit 0;
}

my $s = Slapd->start(entries => sub {
	my ($slapd) = @_;
	print $slapd->alias("u$_", "box$_\@example.org") for 0 .. $ENTRIES - 1;
	print $slapd->alias("${_}m", 'bob') for 0 .. $MESSAGES;
	print $slapd->alias('bob', 'bob');
});
my $FILE = <<'F';
alias_filter (&(objectClass=courierMailAlias)(uid=%s))
alias_attributes maildrop
F
print "\nLookups a second: slapd with $ENTRIES entries, one connection\n";
printf "%-22s %10s %12s %12s %8s\n", 'wire', 'in flight', 'bare libldap', 'table-ldap', 'ratio';
lookups('none', $s->url, [1, 10_000], [64, $COUNT], [256, $COUNT], [512, $COUNT]);
my $near = $s->proxy(delay => 0.02);
lookups('20 ms each way', $near->url, [1, 50], [64, 3_000], [512, $COUNT]);
$near->stop;
end_to_end();
$s->forget;
exit 0;

sub median { my @n = sort { $a <=> $b } @_; return $n[$#n / 2] }

# Each in turn, ROUNDS times; the median.
sub lookups {
	my ($wire, $url, @loads) = @_;
	spew("$scratch/ldap.conf", $s->settings(url => $url) . $FILE);
	chmod 0600, "$scratch/ldap.conf";
	for (@loads) {
		my ($in_flight, $n) = @$_;
		my (@bare, @ours);
		for (1 .. $ROUNDS) {
			push @bare, directory('bare', $url, "cn=mail,$base", 'mailpw', $base, $n, $in_flight, $ENTRIES);
			push @ours, directory('helper', "$BUILD/table-ldap", "$scratch/ldap.conf", $n, $in_flight, $ENTRIES);
		}
		my ($bare, $ours) = (median(@bare), median(@ours));
		printf "%-22s %10d %12.0f %12.0f %8.2f%s\n", $wire, $in_flight, $bare, $ours, $ours / $bare,
		    $wire eq 'none' ? '' : sprintf '   %.2f of what the delay allows', $ours / ($in_flight / 0.04);
	}
}

sub directory {
	my ($status, $out) = run([secs => 300], "$BUILD/t/bench/directory", @_);
	die "directory @_: $out" if $status != 0;
	my ($n) = $out =~ /^(\d+)$/m;
	return $n;
}

# --- End to end

sub end_to_end {
	my ($source) = grep { -x } '/usr/sbin/smtp-source', '/usr/bin/smtp-source';
	if (!$source) {
		print "smtp-source is missing: nothing is measured end to end\n";
		return;
	}
	my $far = $s->proxy(delay => 0.2);
	print "\nMessages accepted a second, $SESSIONS sessions, each recipient looked up in a directory 200 ms away each way",
	    " (it allows ", $SESSIONS / 0.4, ")\n";
	printf "%-24s %8.1f\n", 'tabmail', tabmail($source, $far, '');
	my $ours = tabmail($source, $far, 'cache 1m negative 1m');
	printf "%-24s %8.1f\n", 'tabmail, table cached', $ours;
	my $other = -e '/usr/lib/postfix/postfix-ldap.so' && root() ? postfix($source, $far) : undef;
	printf "%-24s %8.1f   tabmail, table cached: %.1f x\n", 'Postfix', $other, $ours / $other if $other;
	print "Postfix with its ldap table needs root and postfix-ldap: no figure to compare with\n" if !$other;
	$far->stop;
}

# Each message has a recipient of its own: 1m@example.org, 2m@example.org …
sub send_all {
	my ($source, $port, $n) = @_;
	my $began = time;
	my ($status, $out) = run([secs => 300], $source, '-s', $SESSIONS, '-m', $n, '-d', '-N', '-l', 1024, '-f', 'a@example.net',
	    '-t', 'm@example.org', "127.0.0.1:$port");
	print "smtp-source: $out" if $status || $out;
	return $n / (time - $began);
}

# An address is two questions in turn, for the alias and whether what it means is one again; a cache has the second.
sub tabmail {
	my ($source, $wire, $cache) = @_;
	my $d = Tabmail->start(users => ['bob'], flags => [], files => { 'ldap.conf' => $s->settings(url => $wire->url) . $FILE },
	    config => <<"C");
table people ldap:\$D/ldap.conf $cache
table users file:\$D/users
listen on 127.0.0.1 port \$PORT
accept from any for domain example.org alias <people> userbase <users> deliver to maildir
C
	my $rate = send_all($source, $d->port, $MESSAGES);
	eval { wait_for { (() = $d->mail_files('bob')) >= $MESSAGES } 'all to arrive', 60 } or print "tabmail: $@";
	my $wrong = $d->halt;
	print "tabmaild: $wrong\n" if $wrong;
	$d->forget;
	return $rate;
}

sub postfix {
	my ($source, $wire) = @_;
	spew("$scratch/postfix-ldap.cf", <<"F");
server_host = @{[ $wire->url ]}
version = 3
bind = yes
bind_dn = cn=mail,$base
bind_pw = mailpw
search_base = $base
query_filter = (&(objectClass=courierMailAlias)(uid=%u))
result_attribute = maildrop
result_format = %s\@example.org
F
	chmod 0644, "$scratch/postfix-ldap.cf";
	$postfix = Tabmail::Postfix->start("$scratch/postfix", virtual_alias_maps => "ldap:$scratch/postfix-ldap.cf",
	    default_process_limit => 200);
	my $rate = send_all($source, $postfix->port, $MESSAGES / 2);
	$postfix->stop;
	undef $postfix;
	return $rate;
}
