-- Gives back what a request did not need, counts what it used beyond, and frees its places.
-- ARGV from 4: lease ('' keeps the places), tokens not needed, tokens used beyond; then by scope: name, per of the tokens (µs,
-- 0: no window), the moment under which they count, whether there are budgets (1), the day's number, the month's number.
local lease, unused, beyond = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
for i = 7, #ARGV, 6 do
  local name, per = ARGV[i], tonumber(ARGV[i + 1])
  if per > 0 then
    local moments, amounts = prefix .. 't:' .. name, prefix .. 'T:' .. name
    prune(moments, amounts, per)
    refund(amounts, ARGV[i + 2], unused)
    if beyond > 0 then grant(moments, amounts, per, beyond) end
  end
  if ARGV[i + 3] == '1' then
    local key = prefix .. 'b:' .. name
    for _, field in ipairs({'d' .. ARGV[i + 4], 'm' .. ARGV[i + 5]}) do
      if redis.call('HEXISTS', key, field) == 1 then add(key, field, -unused) end
    end
    if beyond > 0 then spend(key, beyond) end
  end
  if lease ~= '' then redis.call('ZREM', prefix .. 'c:' .. name, lease) end
end
return {DONE, now}
