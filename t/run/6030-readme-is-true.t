# What README.md shows works: its first configuration, its helper, and what it says is not built yet.
use strict;
use warnings;
use Cwd ();
use File::Basename qw(dirname);
use Tabmail;
use Test::More;

my $readme = slurp(dirname(Cwd::abs_path($0)) . '/../../README.md');
my ($helper) = $readme =~ /^```sh\n(.*?)^```$/ms;
like $helper, qr/^#!/, 'README has a helper';
cmp_ok scalar(my @lines = split /\n/, $helper), '<=', 10, 'of ten lines';
# the blocks of four blanks that hold a configuration
my @blocks = grep { /^\s*accept /m } map { s/^    //mr =~ s/\n    /\n/gr } $readme =~ /((?:^(?:    .*)?\n)+)/mg;
is scalar(@blocks), 2, 'and two configurations';
my ($first, $seed) = @blocks;

my $d = Tabmail->start(users => ['bob'], config => <<'C', files => { 'bin/table-info' => $helper });
table users file:$D/users
table people info:
listen on 127.0.0.1 port $PORT
accept from any for domain example.org alias <people> userbase <users> deliver to maildir
C
like $d->mail('a@example.net', ['info-desk@example.org', 'nobody@example.org'], mail_text('to a helper')), qr/^250 /, 'mail to its alias';
$d->await_mails('bob', 1);
pass 'arrives';
my ($status, $out) = $d->ctl('table', 'people', 'lookup', 'alias', 'x');
like $out, qr/not-found/, 'another key is not found';
is +($d->ctl('table', 'people', 'update'))[0], 0, 'it can be updated';

my $tabmaild = $d->dir . '/bin/tabmaild';
sub check { return run($tabmaild, '-n', '-f', $d->file('other.conf', 'helpers "' . $d->dir . "/bin\"\n$_[0]")) }
($status, $out) = check($first);
is $status, 0, 'the first configuration is right' or diag $out;
($status, $out) = check($seed);
if ($status != 0) {
	like $out, qr/there is no certificate for \S+/, 'the other wants a certificate of this host';
	like $out, qr/^ +openssl req /m, 'and names the command that makes one';
}
my $dir = $d->dir;
run(qw(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -subj /CN=mail.example.org), '-keyout', "$dir/key", '-out', "$dir/crt");
($status, $out) = check(qq(hostname mail.example.org\npki mail.example.org certificate "$dir/crt" key "$dir/key"\n$seed));
is $status, 0, 'with one it is right' or diag $out;

# what stands for the words of other servers is a configuration, too
my @rows = map { [ split /\s*\|\s*/ ] } $readme =~ /^\| (`.*) \|$/mg;
cmp_ok scalar @rows, '>=', 15, 'README has words for who comes from elsewhere';
my (@statements, @commands);
for my $row (@rows) {
	my @words = $row->[2] =~ /`([^`]+)`/g;
	push @{ $words[0] =~ /^tabmail/ ? \@commands : $row->[2] =~ /^`/ ? \@statements : \@commands }, @words;
}
my $translated = join "\n", (map { "table $_ { a = b }" } qw(aliases people secrets users)), @statements, '';
$translated =~ s/certificate "FILE" key "FILE"/certificate "$dir\/crt" key "$dir\/key"/;
($status, $out) = check($translated);
is $status, 0, 'they are a configuration' or diag "$translated\n$out";
cmp_ok scalar @statements, '>=', 11, scalar(@statements) . ' statements of them';
for (grep { !/^tabmaild/ } @commands) {
	my @words = split ' ', s/^tabmailctl //r =~ s/\bNAME\b/people/r =~ s/\bKEY\b/x/r =~ s/\bRCPT\b/a\@example.org/r =~ s/\bID\b/032abddaf4d0/r;
	isnt +($d->ctl(@words))[0], 64, "tabmailctl @words";
}

like $readme, qr/^    tabmailctl \Q$_\E/m, "README names $_" for 'show queue', 'table aliases update';
for my $line ($readme =~ /^    tabmailctl (.*?)\s*(?:#.*)?$/mg) {
	($status, $out) = $d->ctl(split ' ', $line);
	isnt $status, 64, "tabmailctl $line";
}
$d->stop;
done_testing;
