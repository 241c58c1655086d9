-- Take the lock if it is free. KEYS lock, state, history; ARGV[1] lock id, ARGV[2] lease in milliseconds,
-- then field, value, ... about the holder. Replies {'ours', token} or {'held', pttl, record}.
local lock, state, history = KEYS[1], KEYS[2], KEYS[3]
local held = read(lock)
if held and held.id == ARGV[1] then -- the client sent again what had arrived
  redis.call('PEXPIRE', lock, ARGV[2])
  return {'ours', held.token}
end
if held then
  return {'held', redis.call('PTTL', lock), cjson.encode(held)}
end

local stored = read(state)
if not stored then
  -- Runs are recorded under the lock, and taking it writes the state: a history without a state was robbed of it.
  -- The mark outlives the fence that is about to be written, which would hide the loss.
  stored = {lost = redis.call('EXISTS', history) == 1 and '1' or nil}
end
-- A fence that was edited by hand starts again: for once the lock id alone tells holders apart.
local last = tonumber(stored.fence) or 0
if last < 0 or last >= 2 ^ 53 or last % 1 ~= 0 then
  last = 0
end
local token = string.format('%.0f', last + 1)
stored.fence = token
write(state, stored)

local since = now()
local holder = take_arguments({id = ARGV[1], token = token, since = since, renewed = since, lease = ARGV[2]}, 3)
write(lock, holder)
redis.call('PEXPIRE', lock, ARGV[2])
return {'ours', token}
