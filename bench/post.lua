-- wrk script: POSTs one body with the tokens of a file, one after another, from the start again when they are used up.
-- wrk ... URL -- TOKENS BODY FIRST, where FIRST is the number of the first token. The last line of the output is JSON.
local requests, position = {}, 0

local function slurp(name)
    local file = assert(io.open(name, "rb"))
    local text = file:read("*a")
    file:close()
    return text
end

-- Whole requests are made before the clock runs: while it does, nothing is left to do but to pick one.
function init(args)
    local body = slurp(args[2])
    for token in io.lines(args[1]) do
        requests[#requests + 1] = wrk.format("POST", nil, {
            ["Authorization"] = "Bearer " .. token,
            ["Content-Type"] = "application/json",
            ["Accept"] = "application/json, text/event-stream",
        }, body)
    end
    position = tonumber(args[3]) % #requests
end

function request()
    position = position % #requests + 1
    return requests[position]
end

function done(summary, latency)
    local e = summary.errors
    io.write(string.format('\n{"requests": %d, "microseconds": %d, "errors": %d, "refused": %d}\n', summary.requests,
        summary.duration, e.connect + e.read + e.write + e.timeout, e.status))
end
