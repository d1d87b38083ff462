# deliver to lmtp, with Debian's Dovecot on the other side: over TCP, over a UNIX socket, and as a relay URL.
use strict;
use warnings;
use File::Temp;
use Tabmail;
use Test::More;

plan skip_all => 'dovecot-lmtpd is not installed' unless -x '/usr/lib/dovecot/lmtp';
my $port = free_port;
my $d = Tabmail->new(users => ['bob'], vars => { LMTP => $port }, config => <<'C');
table users { bob = $UID:$GID:$D/home/bob, alice = $UID:$GID:$D/home/bob, nobody = $UID:$GID:$D/home/bob }
listen on 127.0.0.1 port $PORT
accept from any for domain tcp.example userbase <users> deliver to lmtp 127.0.0.1:$LMTP rcpt-to
accept from any for domain unix.example userbase <users> deliver to lmtp "$D/dovecot/lmtp" rcpt-to
accept from any for domain url.example relay via lmtp://127.0.0.1:$LMTP
C
$d->{vars}{UID} = $d->{users}{bob}{uid};
$d->{vars}{GID} = $d->{users}{bob}{gid};
my $dir = $d->dir . '/dovecot';
mkdir $dir;
chmod 0755, $dir;
my $user = root ? undef : getpwuid $>;
mkdir $d->dir . '/vmail';
chown $d->{vars}{UID}, $d->{vars}{GID}, $d->dir . '/vmail' if root;
my $unprivileged = $user ? "default_login_user = $user\ndefault_internal_user = $user\ndefault_internal_group = " . getgrgid((split ' ', $))[0]) . "\n" : '';
my $chroot = $user ? "service anvil {\n  chroot =\n}\nservice stats {\n  chroot =\n}\n" : '';
$d->file('dovecot.passwd', "bob:::::::\nalice:::::::\n");
my $conf = $d->file('dovecot.conf', <<"D");
base_dir = $dir
state_dir = $dir
log_path = $dir/log
protocols = lmtp
listen = 127.0.0.1
ssl = no
$unprivileged
$chroot
first_valid_uid = 0
mail_location = maildir:\$D/vmail/%n
auth_username_format = %Ln
passdb {
  driver = passwd-file
  args = \$D/dovecot.passwd
}
userdb {
  driver = passwd-file
  args = \$D/dovecot.passwd
  override_fields = uid=\$UID gid=\$GID home=\$D/vmail/%n
}
service lmtp {
  inet_listener lmtp {
    address = 127.0.0.1
    port = $port
  }
  unix_listener lmtp {
    mode = 0666
  }
}
service auth {
  unix_listener auth-userdb {
    mode = 0666
  }
}
D
my $dovecot = fork;
if ($dovecot == 0) {
	setpgrp;
	open STDOUT, '>>', "$dir/out";
	open STDERR, '>>', "$dir/out";
	exec '/usr/sbin/dovecot', '-F', '-c', $conf or POSIX::_exit(127);
}
my $up = eval { wait_for {
	my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") or return 0;
	(<$s> || '') =~ /^220/ } 'Dovecot to listen' };
if (!$up) {
	diag map { -e ? slurp($_) : () } "$dir/out", "$dir/log";
	fail 'Dovecot starts';
	$d->forget;
	kill 'TERM', $dovecot;
	waitpid $dovecot, 0;
	done_testing;
	exit 0;
}
$d->start;
my $count = 0;
for my $domain (qw(tcp.example unix.example url.example)) {
	my $text = mail_text("via $domain");
	like $d->mail('a@example.net', ["bob\@$domain", "alice\@$domain"], $text), qr/^250 /, "$domain: accepted";
	$count++;
	for my $who (qw(bob alice)) {
		ok eval { wait_for { (my @f = glob $d->dir . "/vmail/$who/new/*") >= $count } "mail for $who" },
		    "$domain: $who has it" or diag $@;
		ok +(grep { defined +(trace_and_rest($_, $text))[1] || defined +(trace_and_rest($_, $text =~ s/\n/\r\n/gr))[1] }
		    map { slurp($_) } glob $d->dir . "/vmail/$who/new/*"), 'unchanged';
	}
}
like $d->mail('', 'nobody@tcp.example', mail_text('x')), qr/^250 /, 'one whom Dovecot does not know';
$d->await_queue_empty;
like $d->log_text, qr/nobody.*(?:550|5\.1\.1)/, 'fails for good, and the null sender gets no bounce';
kill 'TERM', $dovecot;
ok eval { wait_for { waitpid($dovecot, POSIX::WNOHANG()) == $dovecot } 'Dovecot to end' }, 'Dovecot ends'
    or do { kill 'KILL', -$dovecot; waitpid $dovecot, 0 };
diag slurp("$dir/log") if !Test::More->builder->is_passing && -e "$dir/log";
$d->stop;
done_testing;
