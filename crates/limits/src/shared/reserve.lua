-- Reserves tokens in all scopes or in none; denied, the request itself is taken back.
-- ARGV from 4: lease, tokens; then by scope: name, tokens of the window, per (µs), budget of a day, of a month, the moment
-- under which the request counts (0: it does not).
-- Done: by scope the moment under which they count, the tokens in the window, and how long until it is empty.
-- Denied: why (3 day, 4 month, 5 tokens; more than these ever let through: 7, 8, 6), which scope, how long to wait (µs).
local lease, tokens = ARGV[4], tonumber(ARGV[5])
local NEVER = 2 ^ 52
local scopes = 0
for i = 6, #ARGV, 6 do
  scopes = scopes + 1
  local name, most, per = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  for kind = 1, 2 do
    local budget = tonumber(ARGV[i + 2 + kind])
    if budget >= 0 and tokens > budget then deny(NEVER, 6 + kind, scopes) end
  end
  if most > 0 and tokens > most then
    deny(NEVER, 6, scopes)
  elseif most > 0 then
    local moments, amounts = prefix .. 't:' .. name, prefix .. 'T:' .. name
    prune(moments, amounts, per)
    local wait_us = wait(moments, amounts, per, most, tokens)
    if wait_us then deny(wait_us, 5, scopes) end
  end
  check_budgets(prefix .. 'b:' .. name, ARGV[i + 3], ARGV[i + 4], tokens, scopes)
end
if longest.kind then
  for i = 6, #ARGV, 6 do
    refund(prefix .. 'R:' .. ARGV[i], ARGV[i + 5], 1)
    redis.call('ZREM', prefix .. 'c:' .. ARGV[i], lease)
  end
  return {DENIED, now, longest.kind, longest.scope, longest.wait}
end
local reply = {DONE, now}
for i = 6, #ARGV, 6 do
  local name, most, per = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local at, sum, empty = 0, 0, 0
  if most > 0 then
    local moments, amounts = prefix .. 't:' .. name, prefix .. 'T:' .. name
    at = grant(moments, amounts, per, tokens)
    sum, empty = sum_of(amounts), reset(moments, per)
  end
  if tonumber(ARGV[i + 3]) >= 0 or tonumber(ARGV[i + 4]) >= 0 then spend(prefix .. 'b:' .. name, tokens) end
  reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = at, sum, empty
end
return reply
