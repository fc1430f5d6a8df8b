-- Keeps the places of running requests, and takes them again where they were lost.
-- ARGV from 4: length of a lease in ms; then scope, lease, scope, lease, …
local lease_ms = tonumber(ARGV[4])
local ends = text(math.floor(now / 1000) + lease_ms)
for i = 5, #ARGV, 2 do
  local key = prefix .. 'c:' .. ARGV[i]
  redis.call('ZADD', key, ends, ARGV[i + 1])
  redis.call('PEXPIRE', key, text(lease_ms))
end
return {DONE, now}
