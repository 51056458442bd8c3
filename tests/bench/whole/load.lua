-- wrk's script: posts each file in turn, and prints what became of it as JSON.
-- Arguments: content type, requests after which to end (0: never), files.
local requests, made, most = {}, 0, 0

function init(arguments)
  most = tonumber(arguments[2])
  for place = 3, #arguments do
    local file = assert(io.open(arguments[place], "rb"))
    local headers = { ["Content-Type"] = arguments[1] }
    requests[place - 2] = wrk.format("POST", nil, headers, file:read("*a"))
    file:close()
  end
end

function request()
  made = made + 1
  -- wrk sleeps for its whole duration, unless it is interrupted (os.execute would ignore that).
  if made == most then io.popen("kill -INT $PPID"):close() end
  return requests[(made - 1) % #requests + 1]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "refused": %d, "broken": %d, "p50_us": %f, "p99_us": %f}\n',
    summary.requests, summary.duration, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
