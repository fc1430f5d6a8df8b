-- Shared counters. Every script begins with this file.
--
-- KEYS[1] names the life of the counters: a random word that is gone when Redis has lost its memory. All other keys begin
-- with ARGV[3], which holds the same hash tag, so that a cluster keeps them on one node:
--   r:NAME  moments (µs, ascending) at which requests of the scope count      R:NAME  amount by moment, and 's', their sum
--   t:NAME  the same for tokens                                               T:NAME
--   c:NAME  places: leases by the moment (ms) at which they end
--   b:NAME  budgets: tokens by 'd' and the day's number, 'm' and the month's number
--   h:NODE  number of the last scope that a node has handed in
-- Replies are numbers: 0 done, 1 denied, 2 too late, 3 another life; then the time in µs.
local DONE, DENIED, LATE, LOST = 0, 1, 2, 3
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {LOST, now} end
-- Who asked has given up by then and counts for itself.
if now > tonumber(ARGV[2]) then return {LATE, now} end
local prefix = ARGV[3]

-- As in window.rs: so many grants keep their own moment, then buckets that count at their end.
local EXACT, BUCKETS = 4096, 4096
local DAY = 86400000000

local function text(number) return string.format('%.0f', number) end

local function add(hash, field, amount)
  if amount ~= 0 then redis.call('HINCRBY', hash, field, text(amount)) end
end

local function expire(moments, amounts, per)
  -- Both at the same millisecond, and a little after the last has left the window.
  local ms = text(math.ceil(per / 1000) + math.ceil(per / BUCKETS / 1000) + 1000)
  redis.call('PEXPIRE', moments, ms)
  redis.call('PEXPIRE', amounts, ms)
end

-- Drops what has left the window.
local function prune(moments, amounts, per)
  local newest = tonumber(redis.call('LINDEX', moments, -1))
  if newest and newest > now + per / 1024 + 1000000 then
    -- The clock went back: all that counts is as of now, or it would block for as long as the step.
    local sum = redis.call('HGET', amounts, 's') or '0'
    redis.call('DEL', moments, amounts)
    redis.call('RPUSH', moments, text(now))
    redis.call('HSET', amounts, text(now), sum, 's', sum)
    expire(moments, amounts, per)
  end
  while true do
    local oldest = redis.call('LINDEX', moments, 0)
    if not oldest or tonumber(oldest) + per > now then return end
    redis.call('LPOP', moments)
    add(amounts, 's', -tonumber(redis.call('HGET', amounts, oldest) or 0))
    redis.call('HDEL', amounts, oldest)
  end
end

local function sum_of(amounts) return tonumber(redis.call('HGET', amounts, 's') or 0) end

-- How long until `need` more fit under `most`; nil when they fit now.
local function wait(moments, amounts, per, most, need)
  local surplus = sum_of(amounts) + need - most
  if surplus <= 0 then return nil end
  local from = 0
  while true do
    local some = redis.call('LRANGE', moments, from, from + 127)
    if #some == 0 then return per end
    local granted = redis.call('HMGET', amounts, unpack(some))
    for i = 1, #some do
      surplus = surplus - tonumber(granted[i] or 0)
      if surplus <= 0 then return tonumber(some[i]) + per - now end
    end
    from = from + 128
  end
end

-- Grants; gives the moment under which it stands.
local function grant(moments, amounts, per, amount)
  local at = tonumber(redis.call('LINDEX', moments, -1) or 0)
  if at < now then
    at = now
    if redis.call('LLEN', moments) >= EXACT then at = now + math.floor(per / BUCKETS) end
    redis.call('RPUSH', moments, text(at))
  end
  add(amounts, text(at), amount)
  add(amounts, 's', amount)
  expire(moments, amounts, per)
  return at
end

-- Takes back what was granted under a moment, if it still counts.
local function refund(amounts, at, amount)
  if redis.call('HEXISTS', amounts, at) == 1 then
    add(amounts, at, -amount)
    add(amounts, 's', -amount)
  end
end

-- How long until the window is empty.
local function reset(moments, per)
  local newest = tonumber(redis.call('LINDEX', moments, -1))
  return newest and math.max(0, newest + per - now) or 0
end

-- The number of the month that holds a day (days since 1970), as in budget.rs; Howard Hinnant's civil_from_days.
local function month(days)
  local z = days + 719468
  local era = math.floor(z / 146097)
  local doe = z - era * 146097
  local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
  local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
  local mp = math.floor((5 * doy + 2) / 153)
  local m = mp < 10 and mp + 3 or mp - 9
  return (yoe + era * 400 + (m <= 2 and 1 or 0)) * 12 + m - 1
end

local today = math.floor(now / DAY)
local this_month = month(today)
local budget_fields = {'d' .. text(today), 'm' .. text(this_month)}

-- How long until the next day or month.
local function until_next(kind)
  local days = 1
  if kind == 2 then
    while month(today + days) == this_month do days = days + 1 end
  end
  return (today + days) * DAY - now
end

-- Counts in the day and the month.
local function spend(key, amount)
  for kind = 1, 2 do
    local field = budget_fields[kind]
    local new = redis.call('HEXISTS', key, field) == 0
    redis.call('HINCRBY', key, field, text(amount))
    if new then
      for _, other in ipairs(redis.call('HKEYS', key)) do
        if other ~= field and string.sub(other, 1, 1) == string.sub(field, 1, 1) then redis.call('HDEL', key, other) end
      end
    end
  end
  redis.call('PEXPIRE', key, text(40 * DAY / 1000))
end

-- Of several limits in the way, the one that has to be waited for longest; an estimate yields to what is known.
local longest = {wait = -1}
local function deny(wait_us, kind, scope)
  if wait_us > longest.wait then longest = {wait = wait_us, kind = kind, scope = scope} end
end
local function deny_by_estimate(kind, scope)
  if not longest.kind then longest = {wait = -1, kind = kind, scope = scope} end
end

-- Whether `need` more fit under the budgets of a day and a month; -1 is none.
local function check_budgets(key, day, mon, need, scope)
  local budgets = {tonumber(day), tonumber(mon)}
  for kind = 1, 2 do
    if budgets[kind] >= 0 and tonumber(redis.call('HGET', key, budget_fields[kind]) or 0) + need > budgets[kind] then
      deny(until_next(kind), 2 + kind, scope)
    end
  end
end
