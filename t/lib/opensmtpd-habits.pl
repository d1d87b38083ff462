#!/usr/bin/perl
# A helper with the habits of those written for OpenSMTPD 7.6 and later, for tests:
#	opensmtpd-habits.pl FILE	lines of KEY VALUE; without a value: of a list
# - strictly serial: reads a line, answers it, and only then reads the next one;
# - blocks, and looks at its input for nothing but whole lines;
# - silent until config|ready; looks at no config line but the table's name;
# - ids are echoed as they came: 7 digits or 8, hexadecimal or decimal, with leading zeros or without;
# - a fetch is answered by lookup-result, as the example of smtpd-tables(7) does;
# - an error has no reason;
# - what it does not know ends it not, but is not answered either;
# - at the end of its input it takes its time (disconnects from somewhere), and only then closes stdout.
use strict;
use warnings;

my ($file) = @ARGV;
my (%map, @list, $name);
my $turn = 0;

sub load {
	open my $f, '<', $file or return 0;
	%map = ();
	@list = ();
	while (<$f>) {
		chomp;
		my ($key, $value) = split /\s+/, $_, 2;
		next if !length($key // '') || $key =~ /^#/;
		push @list, $key;
		$map{ lc $key } = $value // '';
	}
	return 1;
}

load() or die "$file: $!\n";
$| = 1;
while (my $line = <STDIN>) {
	chomp $line;
	if ($line =~ /^config\|/) {
		$name = $1 if $line =~ /^config\|tablename\|(.*)/;
		print map { "register|$_\n" } qw(alias domain credentials netaddr userinfo source mailaddr
		    mailaddrmap addrname ready) if $line eq 'config|ready';
		next;
	}
	my ($word, $version, $time, $table, $op, @rest) = split /\|/, $line, 8;
	next if $word ne 'table' || $version ne '0.1';
	if ($op eq 'update') {
		print "update-result|$rest[0]|", load() ? 'ok' : 'error', "\n";
	} elsif ($op eq 'check') {
		my ($service, $id, $key) = @rest;
		print "check-result|$id|", exists $map{ lc $key } ? 'found' : 'not-found', "\n";
	} elsif ($op eq 'lookup') {
		my ($service, $id, $key) = @rest;
		my $value = $map{ lc $key } // '';
		print "lookup-result|$id|", length $value ? "found|$value" : 'not-found', "\n";
	} elsif ($op eq 'fetch') {
		my ($service, $id) = @rest;
		print "lookup-result|$id|", @list ? "found|$list[$turn++ % @list]" : 'not-found', "\n";
	}
}
close STDIN;
select undef, undef, undef, 0.2;
close STDOUT;
exit 0;
