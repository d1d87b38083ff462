# `user U`: the helper runs as that user and with no group but his own; the default is _tabmail.  A user who
# is not there, root, or as an ordinary user anybody else: refused at the start, with the table's name.
use strict;
use warnings;
use Tabmail;
use Test::More;

my $helper = <<'H';
#!/usr/bin/perl
$| = 1;
open my $status, '<', '/proc/self/status' or die;
my %is = map { /^(Uid|Gid|Groups|CapEff):\s*(.*?)\s*$/ ? (lc $1 => join ',', split ' ', $2) : () } <$status>;
close $status;
my $fds = join ',', grep { defined readlink "/proc/$$/fd/$_" } 0 .. 1023;
while (<STDIN>) { last if /^config\|ready/ }
print "register|string\nregister|ready\n";
while (<STDIN>) {
	chomp;
	my @f = split /\|/;
	print "$f[4]-result|$f[6]|found|", $f[7] eq 'fds' ? $fds : $is{ $f[7] } || 'none', "\n";
}
H
my $rules = <<'C';
listen on 127.0.0.1 port $PORT
accept for any relay via smtp://127.0.0.1:$PORT8
C

# The status and what is said by a daemon (or -n) that should not start.
sub refused {
	my ($config, @flags) = @_;
	my $d = Tabmail->new(files => { helper => $helper }, config => $config . $rules);
	$d->write_config;
	my @said = run([ secs => 20 ], $d->dir . '/bin/tabmaild', @flags, '-f', $d->dir . '/tabmail.conf');
	is scalar(my @left = $d->leftovers), 0, 'nothing was started';
	$d->forget;
	return @said;
}
sub is_refused {
	my ($user, $why, @flags) = @_;
	my ($status, $said) = refused("table other command \"\$D/helper\"\ntable odd command \"\$D/helper\" user $user\n", @flags);
	is $status, 1, "@flags with user $user: refused";
	like $said, qr/\btable odd: user $user: $why/, 'it names table and user' or diag $said;
	unlike $said, qr/table other|configuration OK/, 'and nothing else';
}

is_refused('_no_such_user', 'no such user', $_) for '-d', '-n';
is_refused('root', 'a helper does not run as root', $_) for '-d', '-n';
if (!root) {
	my $me = getpwuid $>;
	is_refused($me eq 'nobody' ? 'daemon' : 'nobody', 'tabmaild runs as an ordinary user', '-d');
	my ($status, $said) = (0, '');
	my $d = Tabmail->start(files => { helper => $helper },
		config => "table mine command \"\$D/helper\" user $me\ntable plain command \"\$D/helper\"\n$rules");
	for my $table ('mine', 'plain') {
		($status, $said) = $d->ctl('table', $table, 'lookup', 'string', 'uid');
		like $said, qr/^found +$>,$>,$>,$>$/m, "$table runs as ourselves";
	}
	$d->stop;
	done_testing;
	exit;
}

my $d = Tabmail->start(files => { helper => $helper }, config => <<"C");
table plain command "\$D/helper"
table named command "\$D/helper" user daemon
table kept command "\$D/helper" cache 1s user nobody max-pending 1
$rules
C
my %user = (plain => '_tabmail', named => 'daemon', kept => 'nobody');
for my $table (sort keys %user) {
	my ($uid, $gid) = (getpwnam $user{$table})[2, 3];
	my %is = map {
		my ($status, $out) = $d->ctl('table', $table, 'lookup', 'string', $_);
		$_ => $out =~ /^found +(\S+)$/m ? $1 : $out;
	} qw(uid gid groups fds capeff);
	is $is{uid}, join(',', ($uid) x 4), "$table: uid is that of $user{$table}, also saved and for files";
	is $is{gid}, join(',', ($gid) x 4), 'gid is';
	like $is{groups}, qr/^(?:none|$gid)$/, 'no other group';
	is $is{fds}, '0,1,2', 'descriptors 0, 1, 2';
	is $is{capeff}, '0' x 16, 'no capability';
}
# A new one after a restart is the same user.
for my $table (sort keys %user) {
	my ($row) = grep { $_->{table} eq $table } $d->ctl_rows('show', 'tables');
	kill 'KILL', $row->{pid};
	my $new = wait_for {
		my ($now) = grep { $_->{table} eq $table } $d->ctl_rows('show', 'tables');
		$now->{state} eq 'ready' && $now->{pid} != $row->{pid} && $now->{pid};
	} "$table to be started again";
	is +(stat "/proc/$new")[4], (getpwnam $user{$table})[2], "$table is started again as $user{$table}";
}
$d->stop;
done_testing;
