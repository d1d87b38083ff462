# What there is stands in its manual page: the words of the configuration and of table-ldap's file, commands, options,
# exit codes that are said, lines of the log; and a file that a comment or a paper names is in the tree.
use strict;
use warnings;
use Test::More;

my %plain;
sub page { # as a person reads it, on long lines
	my ($name) = @_;
	return $plain{$name} //= `mandoc -T ascii -O width=1000 man/$name | col -b` =~ s/[ \t]+/ /gr;
}

sub slurp {
	my ($path) = @_;
	open my $f, '<', $path or die "$path: $!";
	local $/;
	return scalar <$f>;
}

sub none_missing {
	my ($what, $least, $missing, $n) = @_;
	cmp_ok $n, '>=', $least, "$what: $n looked at";
	is "@$missing", '', "$what: none is missing";
}

sub words_in {
	my ($file, $manual, $least) = @_;
	my @words = slurp($file) =~ /^\t\{ "([^"]+)",/mg;
	my $page = page($manual);
	none_missing("words of $file in $manual", $least, [grep { $page !~ /(?<![\w-])\Q$_\E(?![\w-])/ } @words], scalar @words);
}
words_in('daemon/conf/keyword.c', 'tabmail.conf.5', 90);

my ($whole, $of_service) = slurp('helpers/table-ldap/keyword.c') =~ /keywords\[\] = \{(.*?)^\};.*?of_service\[\] = \{(.*?)^\};/ms;
my @ldap = ($whole =~ /\{ "(\w+)"/g, map { "_$_" } $of_service =~ /\{ "(\w+)"/g);
none_missing('words of table-ldap', 25, [grep { page('table-ldap.5') !~ /(?<!\w)\Q$_\E(?!\w)/ && page('table-ldap.5') !~ /\w\Q$_\E(?!\w)/ } @ldap], scalar @ldap);

# --- Commands and options
my ($patterns) = slurp('daemon/ctl/ctl.c') =~ /patterns\[\]\[CTL_WORDS\] = \{(.*?)^\};/ms;
my @commands = map { my @w = /"([^"]+)"/g; join ' ', grep { !/^\[|FILTER/ } @w } grep { /"/ } split /\n/, $patterns =~ s/FILTERED/"FILTERED"/gr;
none_missing('commands in tabmailctl.8', 25, [grep { my $c = s/\bWHAT\b/what/r; page('tabmailctl.8') !~ /^ ?\Q$c\E/m } @commands], scalar @commands);

sub options {
	my ($file, $manual, $hidden) = @_;
	my ($letters) = slurp($file) =~ /getopt\(\w+, \w+, "([^"]+)"/ or die "$file has no options";
	my @options = grep { !/[$hidden]/ } $letters =~ /(\w)/g;
	none_missing("options of $file in $manual", 2, [map { "-$_" } grep { page($manual) !~ /-$_\b/ } @options], scalar @options);
}
options('daemon/tabmaild.c', 'tabmaild.8', 'xru');	# -x, -r, -u are for its own processes
options('daemon/tabmailctl.c', 'tabmailctl.8', '_');
options('daemon/ctl/sendmail.c', 'tabmailctl.8', '_');
options('helpers/tabmail-helper-test/main.c', 'tabmail-helper-test.1', '_');
options('helpers/table-ldap/once.c', 'table-ldap.8', '_');

my %number = (OK => 0, USAGE => 64, DATAERR => 65, NOINPUT => 66, NOUSER => 67, UNAVAILABLE => 69, CANTCREAT => 73, IOERR => 74, TEMPFAIL => 75, PROTOCOL => 76);
my %codes = map { $_ => 1 } map { slurp($_) =~ /\bEX_(\w+)/g } glob 'daemon/ctl/*.c daemon/tabmailctl.c';
my ($status) = page('tabmailctl.8') =~ /^EXIT STATUS\n(.*?)^EXAMPLES/ms;
none_missing('exit codes in tabmailctl.8', 8, [grep { !defined $number{$_} || $status !~ /^ $number{$_} /m } sort keys %codes], scalar keys %codes);

# --- The log, where it is no complaint at the start ("FILE: what is wrong")
my (@missing, %seen);
for my $file (glob 'daemon/*.c daemon/*/*.c') {
	my $text = slurp($file);
	while ($text =~ /\blog_(?:info|warn)\(\s*((?:(?:"(?:[^"\\]|\\.)*"|PRI\w+)\s*)+)[,)]/g) {
		my $format = join '', map { s/^"|"$//gr } $1 =~ /("(?:[^"\\]|\\.)*"|PRI\w+)/g;
		$format =~ s/%[\w.*]*?(?:PRI\w+|ll[ux]|zu|[sduxc])/%/g;
		next if $format =~ /^[^=]*(?:: |:$)/ || $format !~ /[=\w]/ || $format =~ /event=%|^queue clock advanced/ || $format =~ /^  /;
		my $wanted;
		if ($format =~ /\b(delivery )?event=([a-z-]+)/) {
			$wanted = $1 ? "\\n $2\\b" : "event=(?:\\S+ \\| )*$2\\b";
		} else {
			my @words = split ' ', $format;
			my $first = $words[0] =~ /^(\w+)=/ ? "$1=\\S+ " : $words[0] =~ /^%/ ? '\S+ ' : '';
			shift @words if $first;
			my @phrase;
			push @phrase, shift @words while @words && $words[0] !~ /[=%]/;
			$wanted = $first . join ' ', map { quotemeta s/,$//r } @phrase;
			next unless @phrase;
		}
		next if $seen{$wanted}++;
		push @missing, "$file: $format\n" if page('tabmaild.8') !~ /$wanted/;
	}
}
none_missing('lines of the log in tabmaild.8', 60, \@missing, scalar keys %seen);

# --- Files that are named
my %here = map { m{([^/]+)$}; ($1 => 1) } glob '* */* */*/* */*/*/*';
@missing = ();
my $named = 0;
for my $file (glob '*.md helpers/examples/*.md daemon/*.[chy] daemon/*/*.[chy] helpers/*/*.[ch] proto/*.[ch] t/fault/*.c t/fuzz/*.c t/bench/*.c') {
	my $text = slurp($file);
	$text = join "\n", $text =~ m{/\*.*?\*/}gs if $file =~ /\.[chy]$/;
	$text =~ s/#include.*//g;
	for my $name ($text =~ m{((?:[\w-]+/)*[\w-]+\.[cht])\b}g) {
		my ($base) = $name =~ m{([^/]+)$};
		$named++;
		push @missing, "$file: $name" unless $here{$base} || $base =~ /^(?:parse|queue|tree|sysexits)\.h$/;
	}
	for my $number ($text =~ m{(t/\w+/(?:[\w-]+/)?\d{4})(?!\d)}g) {
		my @found = glob "$number-*";
		$named++;
		push @missing, "$file: $number" unless @found;
	}
}
none_missing('files that papers and comments name', 100, \@missing, $named);

# --- ARCHITECTURE.md names each folder
my $architecture = slurp('ARCHITECTURE.md');
my @folders = grep { -d && !m{^(?:build|debian|t/.*)$} } glob '* daemon/* helpers/*';
none_missing('folders in ARCHITECTURE.md', 15, [grep { my ($name) = m{([^/]+)$}; $architecture !~ m{\b\Q$name\E/} && !($name =~ /^table-/ && $architecture =~ m{helpers/table-\*/}) } @folders], scalar @folders);
done_testing;
