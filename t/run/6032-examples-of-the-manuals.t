# Each configuration that a manual page shows is right, down to its helpers; each message that tabmail.conf(5) quotes is
# what the program says; and what a page bids a person to type exists.
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use Tabmail;
use Test::More;

my $top = dirname(Cwd::abs_path($0)) . '/../..';
my $d = Tabmail->new(users => ['bob'], files => { 'bin/helper' => "#!/bin/sh\nexec cat\n" }, config => '');
my $dir = $d->dir;
my $tabmaild = "$dir/bin/tabmaild";
mkdir "$dir/pki";
run(qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=mail.example.org), '-keyout', "$dir/key", '-out', "$dir/crt");
my $pki = qq(pki mail.example.org certificate "$dir/crt" key "$dir/key"\n);

# The blocks of a page that hold configuration: as a person copies them.
sub blocks {
	my ($page) = @_;
	my $text = slurp("$top/man/$page");
	my @found = ($text =~ /^\.Bd -literal[^\n]*\n(.*?)^\.Ed/msg, map { "$_\n" } $text =~ /^\.Dl (.*)$/mg);
	s/\\e/\\/g, s/\\\(aq/'/g, s/\\\(dq|\\\(lq|\\\(rq/"/g, s/\\&//g for @found;
	return grep { /^\s*(?:table [a-z]+ (?!name)[^|]*[:"{]|accept |listen on |reject |limit smtp |hostname \S+\n)/m && !/^\s*[#\$] |\[option/m } @found;
}

# A piece of a configuration names tables that stand elsewhere: they get a declaration.
sub whole {
	my ($piece) = @_;
	my %declared = map { $_ => 1 } $piece =~ /^\s*table (\S+)/mg;
	my %named = map { $_ => 1 } $piece =~ /<([a-z]+)>/g;
	my $more = join '', map { "table $_ file:/etc/tabmail/$_\n" } grep { !$declared{$_} } sort keys %named;
	$piece =~ s{command "/[^" ]+}{command "$dir/bin/helper}g;
	my $front = '';
	$front .= qq(helpers "$dir/bin"\n) if $piece !~ /^\s*helpers /m;
	$front .= "hostname mail.example.org\n" if $piece !~ /^\s*hostname /m;
	$front .= $pki if $piece =~ /\btls|smtps/ && $piece !~ /^\s*pki /m;
	return $front . $more . $piece;
}

my $n = 0;
for my $page (map { m{([^/]+)$} } sort glob "$top/man/*.[1-8]") {
	for my $piece (blocks($page)) {
		$n++;
		my $config = whole($piece) =~ s{/usr/local/libexec/tabmail}{$dir/bin}gr;
		$config =~ s/ user mailsql\b/' user ' . (root() ? '_tabmail' : scalar getpwuid $>)/e;
		my ($status, $out) = run($tabmaild, '-n', '-f', $d->file("piece$n.conf", $config));
		my ($first) = $piece =~ /^\s*(.{1,40})/m;
		is $status, 0, "$page: $first" or diag "$config\n$out";
	}
}
cmp_ok $n, '>=', 7, "$n configurations of manuals were looked at";

# --- The unit of tabmaild(8)
my ($unit) = slurp("$top/man/tabmaild.8") =~ /^(\[Unit\]\n.*?)^\.Ed/ms;
ok $unit, 'there is a unit for systemd';
SKIP: {
	skip 'there is no systemd-analyze', 1 if !-x '/usr/bin/systemd-analyze';
	$unit =~ s{/usr/local/sbin/tabmaild}{/bin/true}g;
	my ($status, $out) = run('/usr/bin/systemd-analyze', 'verify', $d->file('tabmail.service', $unit));
	is $status, 0, 'systemd takes it' or diag $out;
}

# --- DIAGNOSTICS of tabmail.conf(5): a configuration with these faults at these places says these words
my ($quoted) = slurp("$top/man/tabmail.conf.5") =~ /^\.Sh DIAGNOSTICS\n.*?^\.Bd -literal[^\n]*\n(.*?)^\.Ed/ms;
my @quoted = split /\n/, $quoted;
my %fault = (	# what stands at that place
	'unexpected "delivr"' => 'accept for any delivr to maildir',
	'table "aliasse"' => 'accept for any alias <aliasse> deliver to maildir',
	'"verify" belongs' => 'listen on lo verify',
);
my @lines = ('table aliases file:/etc/aliases');
for my $line (@quoted) {
	my ($at, $column, $text) = $line =~ /^tabmail\.conf:(\d+):(\d+): (.*)/ or die "no message: $line";
	my ($key) = grep { index($text, $_) == 0 } keys %fault;
	ok $key, "a fault for: $text" or next;
	my ($word) = $text =~ /"([^"]+)"/;
	my $before = index $fault{$key}, $word;
	$before-- if $key =~ /^table/;
	$lines[$at - 1] = ($before < $column ? ' ' x ($column - 1 - $before) : '') . $fault{$key};
}
spew("$dir/tabmail.conf", join('', map { ($_ // '') . "\n" } @lines));
chdir $dir or die;
my ($status, $out) = run($tabmaild, '-n', '-f', 'tabmail.conf');
is $status, 1, 'the faults of DIAGNOSTICS are faults';
is $out, $quoted, 'and the messages are the quoted ones';
chdir '/';
$d->forget;
done_testing;
