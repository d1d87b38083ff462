# A helper that is dead, silent, wrong or hung costs 451 for its own questions: never 550, never a pass;
# other tables serve.
use strict;
use warnings;
use Tabmail;
use Test::More;

my %helpers = (
	'ends at once' => 'exit 1',
	'ends after the handshake' => 'handshake(); exit 0',
	'hangs' => 'handshake(); sleep 60',
	'never shakes hands' => 'sleep 60',
	'answers a wrong id' => 'handshake(); while (<STDIN>) { print "lookup-result|nope|found|bob\n" }',
	'answers an empty value' => 'handshake(); while (<STDIN>) { my @f = split /\|/; print "$f[4]-result|$f[6]|found|\n" }',
	'answers error' => 'handshake(); while (<STDIN>) { my @f = split /\|/; print "$f[4]-result|$f[6]|error|down\n" }',
	'answers another operation' => 'handshake(); while (<STDIN>) { my @f = split /\|/; print "check-result|$f[6]|not-found\n" }',
	'talks garbage' => 'handshake(); print "\0\1garbage\n" x 100; sleep 60',
	'never ends its line' => 'handshake(); $_ = <STDIN>; print "x" x 1000000; sleep 60',
	'is not there' => undef,
);
my (%files, $tables, $rules);
my $i = 0;
my %domain;
for my $name (sort keys %helpers) {
	$i++;
	$domain{$name} = "h$i.example";
	$files{"helper$i"} = <<'H' . "$helpers{$name}\n" if defined $helpers{$name};
#!/usr/bin/perl
$| = 1;
sub handshake { while (<STDIN>) { last if /^config\|ready/ } print "register|alias\nregister|ready\n" }
H
	$tables .= "table bad$i command \"\$D/helper$i\" timeout 2s\n";
	$rules .= "accept from any for domain h$i.example alias <bad$i> userbase <users> deliver to maildir\n";
}
my $d = Tabmail->start(users => ['bob'], files => \%files, config => <<"C");
table users file:\$D/users
$tables
listen on 127.0.0.1 port \$PORT
$rules
accept from any for domain example.org userbase <users> deliver to maildir
C

my %client;
for my $name (sort keys %helpers) {
	my $c = $client{$name} = $d->client;
	$c->ehlo;
	$c->cmd('MAIL FROM:<a@example.net>');
	$c->send("RCPT TO:<info\@$domain{$name}>\r\n");	# all at once
}
my $began = time;
like $d->mail('a@example.net', 'bob@example.org', mail_text('other')), qr/^250 /, 'meanwhile other tables serve';
for my $name (sort keys %helpers) {
	like $client{$name}->reply, qr/^451 4\.\d\.\d /, "a helper that $name: 451";
	like $client{$name}->cmd('RCPT TO:<bob@example.org>'), qr/^250 /, '… and the session goes on';
}
like $d->mail('a@example.net', 'bob@example.org', mail_text('other')), qr/^250 /, 'other tables still serve';
$d->await_mails('bob', 2);
my ($status, $out) = $d->ctl('show', 'tables');
is $status, 0, 'show tables';
like $out, qr/\bbad1\b/, 'lists them';
$d->stop;
done_testing;
