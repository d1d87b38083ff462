# A helper whose answer holds no hash has not said that a password is wrong.
use strict;
use warnings;
use MIME::Base64 ();
use Tabmail;
use Test::More;

my $d = Tabmail->start(users => ['bob'], files => { creds => <<'H' }, config => <<'C');
#!/usr/bin/perl
$| = 1;
while (<STDIN>) { last if /^config\|ready/ }
print "register|credentials\nregister|ready\n";
while (<STDIN>) {
	my @f = split /\|/;
	print $f[7] =~ /^bare/ ? "lookup-result|$f[6]|found|justahash\n" : "lookup-result|$f[6]|not-found\n";
}
H
table users file:$D/users
table creds command "$D/creds"
listen on 127.0.0.1 port $PORT auth <creds>
accept from any for domain example.org userbase <users> deliver to maildir
C

sub login {
	my ($user) = @_;
	my $c = $d->client;
	$c->ehlo;
	return $c->cmd('AUTH PLAIN ' . MIME::Base64::encode_base64("\0$user\0Richtig1", ''));
}

like login('bare'), qr/^454 4\.7\.0 /, 'no hash: 454';
like $d->log_text, qr/auth event=later table=creds user="bare" .*USER:HASH/, 'and the log says why';
like login('nobody'), qr/^535 /, 'a user who is not there: 535';
$d->stop;
done_testing;
