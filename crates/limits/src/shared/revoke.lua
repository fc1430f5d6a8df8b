-- Publishes revoked keys. ARGV from 4: how many are remembered; then their ids.
local key = prefix .. 'revoked'
for i = 5, #ARGV do
  if not redis.call('ZSCORE', key, ARGV[i]) then
    redis.call('ZADD', key, text(redis.call('INCR', prefix .. 'revocations')), ARGV[i])
  end
end
redis.call('ZREMRANGEBYRANK', key, 0, -1 - tonumber(ARGV[4]))
return {DONE, now}
