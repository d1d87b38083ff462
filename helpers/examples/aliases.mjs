#!/usr/bin/env node
// Virtual aliases, domains and sender addresses from a JSON file, in Node.
//
//	table site command "/usr/local/libexec/tabmail/aliases.mjs /etc/tabmail/site.json"
//	accept from any for domain <site> virtual <site> deliver to maildir
//
// The file; with `virtual` the daemon asks for user@domain, user, @domain and @ at once:
//	{
//		"domains": ["example.org"],
//		"aliases": { "info@example.org": ["ann", "bob"], "@example.org": ["ann"] },
//		"senders": { "ann": ["ann@example.org", "info@example.org"] }
//	}
import { readFile } from 'node:fs/promises'

const path = process.argv[2]
let data = null // nothing could be loaded yet
let why = 'not loaded yet'

// The whole file or nothing of it.  Maps, not objects: an object has a "constructor" that nobody wrote.
async function load() {
	try {
		const file = JSON.parse(await readFile(path, 'utf8'))
		data = {
			domain: new Map(file.domains.map((name) => [name.toLowerCase(), true])),
			alias: lists(file.aliases),
			mailaddrmap: lists(file.senders),
		}
		return 'ok'
	} catch (e) {
		why = e.message.replace(/[\x00-\x1f]+/g, ' ')
		console.error(why) // the daemon logs it under the table's name
		return `error|${why}`
	}
}

function lists(object) {
	const map = new Map()
	for (const [key, values] of Object.entries(object)) {
		const value = values.join(', ')
		if (value === '' || /[\r\n\0]/.test(value)) throw new Error(`"${key}" has no usable value`)
		map.set(key.toLowerCase(), value) // keys come in lower case
	}
	return map
}

function answer(op, service, key) {
	const known = (op === 'check' && service === 'domain') ||
	    (op === 'lookup' && (service === 'alias' || service === 'mailaddrmap'))
	if (!known) return 'error|not served here'
	// Never not-found when we do not know: the mail would bounce.  With an error it waits.
	if (data === null) return `error|${why}`
	const value = data[service].get(key)
	return value === undefined ? 'not-found' : op === 'check' ? 'found' : `found|${value}`
}

async function take(line) {
	if (line === 'config|ready')
		return say('register|alias\nregister|domain\nregister|mailaddrmap\nregister|ready')
	// table|0.1|TIME|TABLE|OP|SERVICE|ID|KEY; a key may hold '|', so it is all that is left.
	const [word, , , , op, service, id, ...rest] = line.split('|')
	if (word !== 'table') return
	// While it is awaited other questions are answered, from the old data.  A bad file changes nothing.
	if (op === 'update') return say(`update-result|${service}|${await load()}`)
	if (!['check', 'lookup', 'fetch'].includes(op)) return
	const key = Buffer.from(rest.join('|'), 'latin1').toString()
	say(`${op}-result|${id}|${answer(op, service, key)}`)
}

// write() goes out at once.  When the daemon is slow to read, we read no more until it has.
function say(text) {
	if (process.stdout.write(text + '\n') || process.stdin.isPaused()) return
	process.stdin.pause()
	process.stdout.once('drain', () => process.stdin.resume())
}

// Lines cut by hand: readline would also cut at a CR and at U+2028, which a key may hold.  latin1 keeps
// bytes as they are, whether a piece ends within a character or not.
let rest = ''
await load()
for (const end of [process.stdin, process.stdout])
	end.on('error', () => process.exit(0)) // the daemon is gone, and did not wait for its answers
process.stdin.setEncoding('latin1')
process.stdin.on('data', (piece) => {
	const lines = (rest + piece).split('\n')
	rest = lines.pop()
	for (const line of lines) take(line)
})
// At the end of standard input Node ends by itself, as soon as nothing is left to do.
