# A Postfix of our own beside an installed one, of which nothing is touched: configuration, queue, log and port
# are in a folder.  The yardstick of the benchmarks.  Needs root.
#
#	my $p = Tabmail::Postfix->start("$scratch/postfix", virtual_alias_maps => 'inline:{…}');	# of main.cf
#	$p->port; $p->cpu; $p->mail_dir; $p->delete_held;
#	$p->stop;
#
# Mail for example.org goes to mail_dir, a Maildir; other mail as transport_maps say.
package Tabmail::Postfix;
use strict;
use warnings;
use IO::Socket::INET;
use Tabmail;
use Tabmail::Client;

sub start {
	my ($class, $dir, %more) = @_;
	my $port = free_port;
	mkdir $_ for $dir, map { "$dir/$_" } qw(conf spool data mail);
	chmod 0755, $dir;
	my ($uid, $gid) = (getpwnam 'postfix')[2, 3];
	chown $uid, $gid, "$dir/data";
	chown 2001, 2001, "$dir/mail";
	my %main = (
		compatibility_level => '3.6', queue_directory => "$dir/spool", data_directory => "$dir/data",
		command_directory => '/usr/sbin', daemon_directory => '/usr/lib/postfix/sbin', inet_interfaces => '127.0.0.1',
		inet_protocols => 'ipv4', myhostname => 'mail.example.org', mydestination => '', mynetworks => '127.0.0.0/8',
		virtual_mailbox_domains => 'example.org', virtual_mailbox_base => "$dir/mail", virtual_mailbox_maps => 'static:bob/',
		virtual_uid_maps => 'static:2001', virtual_gid_maps => 'static:2001', virtual_minimum_uid => 1000,
		alias_maps => '', alias_database => '',
		local_recipient_maps => '', smtpd_relay_restrictions => 'permit_mynetworks, reject', smtpd_recipient_restrictions => '',
		maillog_file => "$dir/log", maillog_file_prefixes => $dir, smtp_dns_support_level => 'disabled',
		smtpd_peername_lookup => 'no', disable_dns_lookups => 'yes', smtp_host_lookup => 'native', default_process_limit => 100,
		smtpd_client_connection_count_limit => 0, syslog_name => 'bench', %more,
	);
	spew("$dir/conf/main.cf", join '', map { "$_ = $main{$_}\n" } sort keys %main);
	my $master = slurp('/usr/share/postfix/master.cf.dist');
	$master =~ s/^(smtp\s+inet\s+)(\S)(\s+\S\s+)\S/$port . substr($1, 4) . "n$3n"/me;
	$master =~ s/^(\w+\s+(?:unix|fifo|inet)\s+\S\s+\S\s+)y/$1n/mg;
	spew("$dir/conf/master.cf", $master);
	chmod 0644, glob "$dir/conf/*";
	run('postfix', '-c', "$dir/conf", 'set-permissions');
	my ($status, $out) = run([secs => 60], 'postfix', '-c', "$dir/conf", 'start');
	die "postfix start: $out" if $status != 0;
	wait_for { -s "$dir/spool/pid/master.pid" } 'Postfix';
	my ($pid) = slurp("$dir/spool/pid/master.pid") =~ /(\d+)/;
	my $p = bless { dir => $dir, port => $port, pid => $pid }, $class;
	wait_for { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") } 'Postfix to listen';
	return $p;
}

sub port { return $_[0]{port} }
sub pid { return $_[0]{pid} }
sub mail_dir { return "$_[0]{dir}/mail/bob" }
sub log_path { return "$_[0]{dir}/log" }

sub cpu {
	my ($p) = @_;
	return Tabmail::cpu_tree($p->{pid}, map { $_->{pid} } Tabmail::processes({}, $p->{pid}));
}

# Removes what is held.
sub delete_held {
	my ($p) = @_;
	run([secs => 60], 'postsuper', '-c', "$p->{dir}/conf", '-d', 'ALL', 'hold');
}

sub stop {
	my ($p) = @_;
	my $pid = delete $p->{pid} or return;
	run([secs => 20], 'postfix', '-c', "$p->{dir}/conf", 'stop');
	eval { wait_for { !kill 0, $pid } 'Postfix to end', 10 } or kill 'KILL', $pid, map { $_->{pid} } Tabmail::processes({}, $pid);
}

1;
