# A delivery report as others read it: Python's email and Perl's Email::MIME, which must find the same in it.
#
#	my $r = Tabmail::Report::read($d, $mail);
#	$r->{types}		the types of its parts
#	$r->{fields}		of message/delivery-status: of the message, then of each recipient, { 'action' => … }
#	$r->{until}, {arrived}	Will-Retry-Until and Arrival-Date as seconds since 1970
#	$r->{text}, {original}	the first part, the third; $r->{to}, {from}, {subject}, {auto}, … of the header
package Tabmail::Report;
use strict;
use warnings;
use Email::MIME;
use JSON::PP ();
use Tabmail ();

sub read {
	my ($d, $mail) = @_;
	my $file = $d->file('mail', $mail);
	my ($status, $out) = Tabmail::run('python3', '-c', <<'P', $file);
import email, email.policy, json, sys
m = email.message_from_binary_file(open(sys.argv[1], 'rb'), policy=email.policy.default)
parts = list(m.iter_parts())
fields = [dict((k.lower(), ' '.join(str(v).split())) for k, v in b.items()) for b in parts[1].get_payload()] if len(parts) > 1 else []
until = [email.utils.parsedate_to_datetime(f['will-retry-until']).timestamp() for f in fields if 'will-retry-until' in f]
arrived = [email.utils.parsedate_to_datetime(f['arrival-date']).timestamp() for f in fields if 'arrival-date' in f]
print(json.dumps({'type': m.get_content_type(), 'report': m.get_param('report-type'), 'auto': str(m['auto-submitted']),
    'to': str(m['to']), 'from': str(m['from']), 'subject': str(m['subject']), 'date': m['date'] is not None, 'id': str(m['message-id']),
    'return': str(m['return-path']), 'mime': str(m['mime-version']),
    'defects': [str(d) for p in m.walk() for d in p.defects], 'types': [p.get_content_type() for p in parts],
    'text': parts[0].get_content() if parts else '', 'fields': fields, 'until': until, 'arrived': arrived,
    'original': parts[2].as_string() if len(parts) > 2 else ''}))
P
	die "$out\n$mail" if $status != 0;
	my $r = JSON::PP->new->decode($out);
	my $json = JSON::PP->new->canonical->pretty;
	my ($python, $perl) = map { $json->encode($_) } { map { $_ => $r->{$_} } qw(to subject auto types fields) }, by_perl($mail);
	die "Python reads\n${python}Perl reads\n${perl}of\n$mail" if $python ne $perl;
	return $r;
}

sub by_perl {
	my ($mail) = @_;
	my $m = Email::MIME->new($mail);
	my @parts = $m->subparts;
	my @fields;
	for my $block ($parts[1] ? split /\r?\n\r?\n/, $parts[1]->body_raw : ()) {
		next unless $block =~ /\S/;
		my $header = Email::MIME->new("$block\n\n")->header_obj;
		push @fields, { map { lc $_ => join ' ', split ' ', scalar $header->header_raw($_) } $header->header_names };
	}
	(my $to = $m->header('To')) =~ tr/<>//d;	# as Python shows it
	return { to => $to, subject => scalar $m->header('Subject'), auto => scalar $m->header('Auto-Submitted'),
		types => [ map { $_->content_type =~ m{^([\w/-]+)} } @parts ], fields => \@fields };
}

1;
