-- Takes in what a node has counted for one scope by itself.
-- ARGV from 4: node, a number that grows by one with each scope; name; tokens for the day's budget, for the month's; then
-- twice, for requests and for tokens: per (µs), how many, and so many pairs of age (µs) and amount.
-- A node that got no reply sends the same again under the same number.
local handed, number = prefix .. 'h:' .. ARGV[4], tonumber(ARGV[5])
if tonumber(redis.call('GET', handed) or 0) >= number then return {DONE, now} end
local name = ARGV[6]
local day, mon = tonumber(ARGV[7]), tonumber(ARGV[8])
if day > 0 or mon > 0 then
  local key = prefix .. 'b:' .. name
  spend(key, 0)
  add(key, budget_fields[1], day)
  add(key, budget_fields[2], mon)
end
local next_arg = 9
for _, kind in ipairs({{'r:', 'R:'}, {'t:', 'T:'}}) do
  local per, count = tonumber(ARGV[next_arg]), tonumber(ARGV[next_arg + 1])
  next_arg = next_arg + 2
  if count > 0 then
    local moments, amounts = prefix .. kind[1] .. name, prefix .. kind[2] .. name
    prune(moments, amounts, per)
    local all = redis.call('LRANGE', moments, 0, -1)
    local known = {}
    for i, at in ipairs(all) do known[at] = true; all[i] = tonumber(at) end
    local sum = 0
    for i = next_arg, next_arg + 2 * count - 1, 2 do
      local at, amount = now - tonumber(ARGV[i]), tonumber(ARGV[i + 1])
      if at + per > now then
        if not known[text(at)] then known[text(at)] = true; all[#all + 1] = at end
        add(amounts, text(at), amount)
        sum = sum + amount
      end
    end
    add(amounts, 's', sum)
    table.sort(all)
    redis.call('DEL', moments)
    for _, at in ipairs(all) do redis.call('RPUSH', moments, text(at)) end
    expire(moments, amounts, per)
  end
  next_arg = next_arg + 2 * count
end
redis.call('SET', handed, text(number), 'PX', text(DAY / 1000))
return {DONE, now}
