#!/usr/bin/env -S mawk -W interactive -f
# Aliases and our domains from a text file, in awk.
#
#	table people command "/usr/local/libexec/tabmail/aliases.awk /etc/tabmail/people"
#	accept from any for domain <people> alias <people> deliver to maildir
#
# The file:
#	# our domains, then who is who
#	domain example.org
#	postmaster: ann
#	team:       ann, bob, carol@example.net
#
# Output into a socket waits in a buffer, in every awk; so each answer is followed by fflush(): one that
# waits there is an answer that the daemon never saw.  mawk, Debian's awk, does the same with its
# input, unless -W interactive stands before the program.  gawk and BSD's awk need no such option:
# begin with "#!/usr/bin/gawk -bf" (b for bytes: a key need not be UTF-8) or "#!/usr/bin/awk -f".

BEGIN {
	FS = "|"
	file = ARGV[1]
	ARGC = 1	# the questions come on standard input
	loaded = load()
}

$1 == "config" && $2 == "ready" {
	print "register|alias"
	print "register|domain"
	print "register|ready"
	fflush()
}

# table|0.1|TIME|TABLE|OP|SERVICE|ID|KEY; a key may hold '|', so it is all that follows the seventh.
$1 == "table" && $5 == "update" {
	# A bad file changes nothing: what was read before goes on serving.
	if (load()) {
		loaded = 1
		answer("update", $6, "ok")
	} else
		answer("update", $6, "error|" why)
}

$1 == "table" && ($5 == "lookup" || $5 == "check" || $5 == "fetch") {
	key = $0
	for (i = 1; i < 8; i++)
		key = substr(key, index(key, FS) + 1)
	# Never not-found when we do not know: the mail would bounce.  With an error it waits.
	if (!loaded)
		answer($5, $7, "error|" why)
	else if ($5 == "lookup" && $6 == "alias")
		answer($5, $7, key in alias ? "found|" alias[key] : "not-found")
	else if ($5 == "check" && $6 == "domain")
		answer($5, $7, key in domain ? "found" : "not-found")
	else
		answer($5, $7, "error|not served here")
}

function answer(op, id, outcome)
{
	print op "-result|" id "|" outcome
	fflush()
}

# The whole file or nothing of it: 1, or 0 and `why`.
function load(	line, n, status, new_alias, new_domain, name, i)
{
	while ((status = (getline line < file)) > 0) {
		n++
		gsub(/^[ \t]+|[ \t\r]+$/, "", line)
		if (line == "" || line ~ /^#/)
			continue
		if (line ~ /^domain[ \t]+[^ \t:]+$/) {
			sub(/^domain[ \t]+/, "", line)
			new_domain[tolower(line)]
		} else if (line ~ /^[^ \t:]+[ \t]*:[ \t]*[^ \t]/) {
			i = index(line, ":")
			name = tolower(substr(line, 1, i - 1))	# keys come in lower case
			sub(/[ \t]+$/, "", name)
			line = substr(line, i + 1)
			sub(/^[ \t]+/, "", line)
			new_alias[name] = line
		} else {
			status = -2
			break
		}
	}
	close(file)
	if (status != 0) {
		why = status == -1 ? file ": cannot be read" : file ":" n ": not understood"
		print why >"/dev/stderr"	# the daemon logs it under the table's name
		return 0
	}
	split("", alias)
	split("", domain)
	for (i in new_alias)
		alias[i] = new_alias[i]
	for (i in new_domain)
		domain[i]
	return 1
}
