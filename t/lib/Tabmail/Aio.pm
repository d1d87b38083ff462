# A mail server of aiosmtpd (aio-sink.py), which checks what others only take.
#
#	my $sink = Tabmail::Aio->start('utf8', 'dsn');	# what it offers; lmtp: it speaks that
#	$sink->port; $sink->mails;	# { from, to => [], options => [], utf8, dsn => [], mail }, texts in UTF-8
package Tabmail::Aio;
use strict;
use warnings;
use parent 'Tabmail::PythonPeer';
use JSON::PP ();
use Tabmail ();

sub start {
	my ($class, @offers) = @_;
	my $s = $class->new(port => Tabmail::free_port());
	$s->run_program('aio-sink.py', $s->{port}, "$s->{dir}/mails", @offers);
	return $s;
}

sub port { return $_[0]{port} }

# Values as bytes, as everything else in the tests.
sub mails {
	my ($s) = @_;
	return () unless -e "$s->{dir}/mails";
	return map { bytes(JSON::PP->new->decode($_)) } grep { /\}\z/ } split /\n/, Tabmail::slurp("$s->{dir}/mails");
}

sub bytes {
	my ($v) = @_;
	return { map { $_ => bytes($v->{$_}) } keys %$v } if ref $v eq 'HASH';
	return [ map { bytes($_) } @$v ] if ref $v eq 'ARRAY';
	utf8::encode($v) if defined $v && !ref $v;
	return $v;
}

# The first one with this subject.
sub await {
	my ($s, $subject) = @_;
	my $mail;
	Tabmail::wait_for(sub { ($mail) = grep { $_->{mail} =~ /^Subject: \Q$subject\E\r?$/m } $s->mails; $mail },
	    "\"$subject\" at aiosmtpd");
	return $mail;
}

1;
