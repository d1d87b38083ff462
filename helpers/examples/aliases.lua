#!/usr/bin/env lua5.4
-- Aliases by pattern, our domains, and senders that we do not want, in Lua.
--
--	table rules command "/usr/local/libexec/tabmail/aliases.lua /etc/tabmail/rules.lua"
--	reject from any sender <rules>
--	accept from any for domain <rules> alias <rules> deliver to maildir
--
-- The file is Lua, too; see "Patterns" in its manual (%w is a letter or digit, %- a hyphen):
--	domains = { "^example%.org$", "^[%w-]+%.example%.org$" }
--	aliases = {
--		{ "^team%-([%w-]+)$", "%1@lists.example.org" },
--		{ "^postmaster$", "ann, bob" },
--	}
--	senders = { "@spam%.example$" }
-- The first pattern that fits counts.  What is taken over from a key (%1) was written by a stranger: let the
-- pattern say which characters it may have.  A (.+) would take a comma, and with it other addresses.

local path = assert(arg[1], "usage: aliases.lua file")
local rules, why

io.stdout:setvbuf("line") -- each answer goes out at once, and not when a buffer is full

-- Runs the file with nothing in reach but its own variables: the whole of it or nothing.
local function load_rules()
	local new = {}
	local run, wrong = loadfile(path, "t", new)
	local fine = run ~= nil
	if fine then
		fine, wrong = pcall(function()
			run()
			for _, list in ipairs { new.domains or {}, new.senders or {} } do
				for _, pattern in ipairs(list) do string.find("", pattern) end
			end
			for _, pair in ipairs(new.aliases or {}) do
				assert(#pair == 2 and not pair[2]:find("[\r\n]"), "an alias is { pattern, value }")
				string.find("", pair[1]) -- a bad pattern fails here, and not when mail comes
			end
		end)
	end
	if fine then
		rules = new
		return "ok"
	end
	why = tostring(wrong):gsub("%c", " ")
	io.stderr:write(why, "\n") -- the daemon logs it under the table's name
	return "error|" .. why
end

local function any(patterns, key)
	for _, pattern in ipairs(patterns or {}) do
		if key:find(pattern) then return "found" end
	end
	return "not-found"
end

local serve = {
	["check|domain"] = function(key) return any(rules.domains, key) end,
	["check|mailaddr"] = function(key) return any(rules.senders, key) end,
	["lookup|alias"] = function(key)
		for _, pair in ipairs(rules.aliases or {}) do
			if key:find(pair[1]) then
				local value = key:gsub(pair[1], pair[2])
				return value == "" and "error|an empty value" or "found|" .. value
			end
		end
		return "not-found"
	end,
}

local function answer(op, service, key)
	local how = serve[op .. "|" .. service]
	if not how then return "error|not served here" end
	-- Never not-found when we do not know: the mail would bounce.  With an error it waits.
	if not rules then return "error|" .. why end
	local fine, outcome = pcall(how, key)
	return fine and outcome or "error|" .. outcome:gsub("%c", " ")
end

load_rules()
-- Not io.lines(): that complains when the daemon is gone.
for line in function() return io.read() end do
	if line == "config|ready" then
		io.write("register|alias\nregister|domain\nregister|mailaddr\nregister|ready\n")
	end
	-- table|0.1|TIME|TABLE|OP|SERVICE|ID|KEY; the key is all that is left, for it may hold '|'.
	local op, rest = line:match("^table|[^|]*|[^|]*|[^|]*|(%l+)|(.*)$")
	if op == "update" then
		io.write("update-result|", rest, "|", load_rules(), "\n")
	elseif op == "check" or op == "lookup" or op == "fetch" then
		local service, id, key = rest:match("^([^|]*)|([^|]*)|?(.*)$")
		io.write(op, "-result|", id, "|", answer(op, service, key), "\n")
	end
end
