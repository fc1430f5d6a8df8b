-- Counts a request in all scopes or in none, and takes its places.
-- ARGV from 4: lease, its length in ms; then by scope: name, requests, per (µs), places, budget of a day, of a month.
-- Done: by scope the moment under which it counts, the requests in the window, and how long until it is empty.
-- Denied: why (1 requests, 2 places, 3 day, 4 month), which scope, how long to wait (µs).
local lease, lease_ms = ARGV[4], tonumber(ARGV[5])
local now_ms = math.floor(now / 1000)
local scopes = 0
for i = 6, #ARGV, 6 do
  scopes = scopes + 1
  local name, most, per, places = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  if most > 0 then
    local moments, amounts = prefix .. 'r:' .. name, prefix .. 'R:' .. name
    prune(moments, amounts, per)
    local wait_us = wait(moments, amounts, per, most, 1)
    if wait_us then deny(wait_us, 1, scopes) end
  end
  if places > 0 then
    local key = prefix .. 'c:' .. name
    redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now_ms))
    if redis.call('ZCARD', key) >= places then deny_by_estimate(2, scopes) end
  end
  check_budgets(prefix .. 'b:' .. name, ARGV[i + 4], ARGV[i + 5], 1, scopes)
end
if longest.kind then return {DENIED, now, longest.kind, longest.scope, longest.wait} end
local reply = {DONE, now}
for i = 6, #ARGV, 6 do
  local name, most, per, places = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
  local at, sum, empty = 0, 0, 0
  if most > 0 then
    local moments, amounts = prefix .. 'r:' .. name, prefix .. 'R:' .. name
    at = grant(moments, amounts, per, 1)
    sum, empty = sum_of(amounts), reset(moments, per)
  end
  if places > 0 then
    local key = prefix .. 'c:' .. name
    redis.call('ZADD', key, text(now_ms + lease_ms), lease)
    redis.call('PEXPIRE', key, text(lease_ms))
  end
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = at, sum, empty
end
return reply
