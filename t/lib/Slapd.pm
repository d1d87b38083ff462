# A real slapd (OpenLDAP) in a scratch folder, on free ports of loopback, as whoever runs the test.
#
#	use Slapd;
#	my $s = Slapd->start(ldif => <<'END');
#	dn: uid=bob,ou=people,dc=opensmtpd,dc=org
#	…
#	END
#	$s->url; $s->url('ldaps'); $s->url('ldapi');	# ldap://127.0.0.1:40001 …
#	$s->settings;			# url, username, password, basedn: lines for table-ldap's file
#	$s->stop; $s->boot;		# SIGTERM and again on the same port with the same data
#	$s->kill; $s->freeze; $s->thaw;	# SIGKILL, SIGSTOP, SIGCONT
#	$s->add($ldif); $s->modify($ldif);
#	my $p = $s->proxy(delay => 0.02);	# Slapd::Proxy: a wire that can be bad
#
# The tree is that of the design's example: dc=opensmtpd,dc=org with ou=people, ou=aliases, ou=domains, whose
# administrator is cn=admin with "thisbemypasswd".  cn=mail,dc=opensmtpd,dc=org, password "mailpw", may
# read all, passwords too; anonymous may read nothing (`anonymous => 1`: all but passwords).
# Schemas: core, cosine, nis, inetorgperson, misc, and Courier's aliases (courierMailAlias, maildrop).
#
# tls => 1: StartTLS and ldaps with a certificate for localhost and 127.0.0.1 of the CA $s->{ca}; a client's
# certificate ($s->{client_cert}, {client_key}) is cn=mail by SASL EXTERNAL, and so is our uid over ldapi.
# log => 1: $s->log_text has a line for each operation (BIND dn=…, SRCH …, RESULT …).
# config => text: more of slapd.conf(5), of the database; sizelimit => n; entries => sub { prints LDIF }.
package Slapd;
use strict;
use warnings;
use Exporter 'import';
use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Slapd::Proxy;
use Tabmail;
use Time::HiRes qw(time);

our @EXPORT = qw(slapd_missing);
our $BASE = 'dc=opensmtpd,dc=org';
my ($SLAPD) = grep { -x } '/usr/sbin/slapd', '/usr/local/libexec/slapd', '/usr/libexec/slapd';
my %live;
my $owner = $$;

# Why there is no slapd to be had; '' when there is one.
sub slapd_missing { return $SLAPD ? '' : 'slapd is not installed' }

sub new {
	my ($class, %o) = @_;
	die slapd_missing() if !$SLAPD;
	my $dir = File::Temp::tempdir('slapd.XXXXXX', TMPDIR => 1, CLEANUP => 0);
	my $s = bless { dir => $dir, %o, port => $o{port} || free_port, owner => $$ }, $class;
	$s->{tls_port} ||= free_port if $o{tls};
	$live{$dir} = $s;
	chmod 0755, $dir;
	mkdir "$dir/data", 0700;
	$s->make_certificates if $o{tls};
	spew("$dir/courier.schema", $s->courier_schema);
	spew("$dir/slapd.conf", $s->conf);
	$s->load;
	return $s;
}

sub start {
	my $s = ref $_[0] ? $_[0] : new(@_);
	$s->boot;
	return $s;
}

sub base { return $BASE }
sub dir { return $_[0]{dir} }
sub port { return $_[0]{port} }
sub pid { return $_[0]{pid} }
sub log_text { return -e "$_[0]{dir}/log" ? slurp("$_[0]{dir}/log") : '' }

sub url {
	my ($s, $scheme) = @_;
	$scheme ||= 'ldap';
	return "ldaps://127.0.0.1:$s->{tls_port}" if $scheme eq 'ldaps';
	return "ldap://127.0.0.1:$s->{port}" if $scheme eq 'ldap';
	return 'ldapi://' . "$s->{dir}/ldapi" =~ s{/}{%2F}gr;
}

# The connection's lines of table-ldap's file; `url` and others can be given.
sub settings {
	my ($s, %o) = @_;
	my %have = (url => $s->url, username => "cn=mail,$BASE", password => 'mailpw', basedn => $BASE, %o);
	return join '', map { "$_ $have{$_}\n" } grep { defined $have{$_} } sort keys %have;
}

# table-ldap's file as it was in 2013, verbatim but for host and port (vars LDAP of the test's daemon).
sub file_of_2013 { return <<'F' }
url ldap://127.0.0.1:$LDAP
username cn=admin,dc=opensmtpd,dc=org
password thisbemypasswd
basedn dc=opensmtpd,dc=org
# aliases lookup
alias_filter (&(objectClass=courierMailAlias)(uid=%s))
alias_attributes maildrop
# credentials lookup
credentials_filter (&(objectClass=posixAccount)(uid=%s))
credentials_attributes uid,userPassword
# domains lookup
domain_filter (&(objectClass=rFC822localPart)(dc=%s))
domain_attributes dc
F

# --- Its configuration and first data

sub conf {
	my ($s) = @_;
	my $dir = $s->{dir};
	my $read = $s->{anonymous} ? 'by * read' : 'by users read by * none';
	my $size = $s->{sizelimit} || 'unlimited';
	my $tls = $s->{tls} ? <<"END" : '';
TLSCACertificateFile $dir/ca.pem
TLSCertificateFile $dir/server.pem
TLSCertificateKeyFile $dir/server.key
TLSVerifyClient try
END
	return <<"END" . ($s->{config} || '');
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
include $dir/courier.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile $dir/pid
${tls}authz-regexp "^cn=mail.*" "cn=mail,$BASE"
authz-regexp "^gidNumber=[0-9]*\\\\+uidNumber=$>,cn=peercred,cn=external,cn=auth\$" "cn=mail,$BASE"
sizelimit $size
threads 8
access to dn.base="" by * read
database mdb
suffix "$BASE"
directory $dir/data
maxsize 4294967296
envflags nosync nometasync writemap
rootdn "cn=admin,$BASE"
rootpw thisbemypasswd
index objectClass,uid,mail,dc,cn eq
access to attrs=userPassword by dn.exact="cn=mail,$BASE" read by anonymous auth by * none
access to * $read
END
}

# What the Courier mail server's aliases need: an alias is mail and maildrop at any entry.
sub courier_schema {
	return <<'END';
attributetype ( 1.3.6.1.4.1.10018.1.1.4 NAME 'maildrop' EQUALITY caseIgnoreIA5Match
	SUBSTR caseIgnoreIA5SubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.26{256} )
attributetype ( 1.3.6.1.4.1.10018.1.1.5 NAME 'mailsource' EQUALITY caseIgnoreIA5Match
	SYNTAX 1.3.6.1.4.1.1466.115.121.1.26 )
objectclass ( 1.3.6.1.4.1.10018.1.2.2 NAME 'courierMailAlias' SUP top AUXILIARY
	MUST ( mail $ maildrop ) MAY ( mailsource $ description ) )
END
}

sub first_ldif {
	my ($s) = @_;
	return join "\n", "dn: $BASE\nobjectClass: dcObject\nobjectClass: organization\ndc: opensmtpd\no: OpenSMTPD\n",
	    "dn: cn=mail,$BASE\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: mail\nuserPassword: mailpw\n",
	    map { "dn: ou=$_,$BASE\nobjectClass: organizationalUnit\nou: $_\n" } qw(people aliases domains groups);
}

# Offline, by slapadd: a hundred thousand entries take seconds.
sub load {
	my ($s) = @_;
	open my $f, '>', "$s->{dir}/first.ldif" or die "$!";
	print $f $s->first_ldif, "\n", $s->{ldif} || '', "\n";
	if ($s->{entries}) {
		my $before = select $f;
		$s->{entries}->($s);
		select $before;
	}
	close $f or die "$!";
	my ($status, $out) = run([secs => 300], $SLAPD =~ s/slapd$/slapadd/r, '-q', '-f', "$s->{dir}/slapd.conf", '-l', "$s->{dir}/first.ldif");
	die "slapadd: $out" if $status != 0;
	unlink "$s->{dir}/first.ldif";
}

# A person with uid, password and what else is given, as LDIF.
sub person {
	my ($s, $uid, %o) = @_;
	my $dn = "uid=$uid,ou=people,$BASE";
	my %a = (objectClass => [qw(inetOrgPerson posixAccount)], uid => $uid, cn => $uid, sn => $uid,
	    uidNumber => 2001, gidNumber => 2001, homeDirectory => "/home/$uid", %o);
	return "dn: $dn\n" . join('', map { my $k = $_; map { "$k: $_\n" } ref $a{$k} ? @{ $a{$k} } : $a{$k} } sort keys %a) . "\n";
}

# An alias that the design's example finds by its uid.
sub alias {
	my ($s, $uid, @to) = @_;
	return "dn: uid=$uid,ou=aliases,$BASE\nobjectClass: account\nobjectClass: courierMailAlias\nuid: $uid\n"
	    . "mail: $uid\@example.org\n" . join('', map { "maildrop: $_\n" } @to) . "\n";
}

sub domain {
	my ($s, $name) = @_;
	return "dn: dc=$name,ou=domains,$BASE\nobjectClass: rFC822localPart\ndc: $name\n\n";
}

# --- Its life

sub boot {
	my ($s) = @_;
	die "slapd runs already\n" if $s->{pid};
	my $urls = join ' ', $s->url, ($s->{tls} ? $s->url('ldaps') : ()), $s->url('ldapi');
	my $pid = fork // die "fork: $!\n";
	if ($pid == 0) {
		setpgrp;
		$SIG{$_} = 'DEFAULT' for qw(PIPE INT TERM HUP);
		open STDIN, '<', '/dev/null';
		open STDOUT, '>>', "$s->{dir}/log";
		open STDERR, '>>', "$s->{dir}/log";
		exec $SLAPD, '-d', $s->{log} ? 'stats' : 'none', '-h', $urls, '-f', "$s->{dir}/slapd.conf" or POSIX::_exit(127);
	}
	$s->{pid} = $pid;
	eval {
		wait_for {
			die "slapd ended at once\n" if waitpid($pid, POSIX::WNOHANG()) == $pid;
			$s->answers;
		} 'slapd to listen', 30;
		1;
	} or die $@ . $s->log_text;
	return $s;
}

# Whether it takes connections.
sub answers { return defined IO::Socket::INET->new(PeerAddr => "127.0.0.1:$_[0]{port}", Timeout => 5) }

sub signal {
	my ($s, $signal) = @_;
	CORE::kill $signal, $s->{pid} or die "slapd is gone\n";
}

sub freeze { $_[0]->signal('STOP') }
sub thaw { $_[0]->signal('CONT') }

sub stop {
	my ($s, $signal) = @_;
	my $pid = delete $s->{pid} or return;
	CORE::kill 'CONT', $pid;
	CORE::kill $signal || 'TERM', $pid;
	my $ended = eval { wait_for { waitpid($pid, POSIX::WNOHANG()) == $pid } 'slapd to end', 20 };
	return if $ended;
	CORE::kill 'KILL', $pid;
	waitpid $pid, 0;
}

sub kill { $_[0]->stop('KILL') }
sub restart { $_[0]->stop; $_[0]->boot }

sub proxy {
	my ($s, %o) = @_;
	my $p = Slapd::Proxy->start(to => $s->{port}, %o);
	push @{ $s->{proxies} }, $p;
	return $p;
}

# --- Its data while it runs, as the administrator

sub tool {
	my ($s, $tool, $ldif) = @_;
	my ($status, $out) = run([input => $ldif], $tool, '-x', '-H', $s->url, '-D', "cn=admin,$BASE", '-w', 'thisbemypasswd');
	die "$tool: $out" if $status != 0;
}

sub add { $_[0]->tool('ldapadd', $_[1]) }
sub modify { $_[0]->tool('ldapmodify', $_[1]) }

# --- Certificates: a CA, the server's, a client's; another CA that knows nobody

sub make_certificates {
	my ($s) = @_;
	my $dir = $s->{dir};
	$s->make_ca('ca');
	$s->make_ca('other-ca');
	$s->make_certificate('server', 'localhost', 'DNS:localhost,IP:127.0.0.1');
	$s->make_certificate('misnamed', 'elsewhere', 'DNS:elsewhere.example.org');
	$s->make_certificate('client', 'mail', 'DNS:mail');
	@$s{qw(ca other_ca client_cert client_key)} = map { "$dir/$_" } qw(ca.pem other-ca.pem client.pem client.key);
}

sub openssl {
	my ($status, $out) = run('openssl', @_);
	die "openssl @_: $out" if $status != 0;
}

sub make_ca {
	my ($s, $name) = @_;
	my $at = "$s->{dir}/$name";
	openssl(qw(req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout), "$at.key", '-out', "$at.pem",
	    '-subj', "/CN=$name");
}

sub make_certificate {
	my ($s, $name, $cn, $alt) = @_;
	my $at = "$s->{dir}/$name";
	openssl(qw(req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout), "$at.key", '-out', "$at.csr", '-subj', "/CN=$cn");
	spew("$at.ext", "subjectAltName=$alt\n");
	openssl(qw(x509 -req -days 30 -in), "$at.csr", '-CA', "$s->{dir}/ca.pem", '-CAkey', "$s->{dir}/ca.key", '-CAcreateserial',
	    '-extfile', "$at.ext", '-out', "$at.pem");
}

# Another certificate at its next start: 'server', 'misnamed'.
sub use_certificate {
	my ($s, $name) = @_;
	my $conf = slurp("$s->{dir}/slapd.conf");
	$conf =~ s{^(TLSCertificate(?:Key)?File \S*/)\w+(\.\w+)$}{$1$name$2}mg;
	spew("$s->{dir}/slapd.conf", $conf);
}

sub forget {
	my ($s) = @_;
	$_->stop for @{ delete $s->{proxies} || [] };
	$s->kill if $s->{pid};
	delete $live{ $s->{dir} };
	if ($ENV{KEEP}) {
		print STDERR "# kept: $s->{dir}\n";
	} else {
		File::Path::remove_tree($s->{dir}, { safe => 0 });
	}
}

END {
	if ($$ == $owner) {
		my $status = $?;
		$_->forget for values %live;
		$? = $status;
	}
}

1;
