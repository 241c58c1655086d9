-- Take the lock if it is free. KEYS lock, fence; ARGV[1] lock id, ARGV[2] lease in milliseconds,
-- then field, value, ... about the holder. Replies {'ours', token} or {'held', pttl, record}.
local lock, fence = KEYS[1], KEYS[2]
local held = read(lock)
if held and held.id == ARGV[1] then -- the client sent again what had arrived
  redis.call('PEXPIRE', lock, ARGV[2])
  return {'ours', held.token}
end
if held then
  return {'held', redis.call('PTTL', lock), cjson.encode(held)}
end

pass_full_memory(fence)
local token = redis.pcall('INCR', fence)
if type(token) == 'table' then
  if not string.find(token.err, 'integer') and not string.find(token.err, 'overflow') then
    return token
  end
  token = 1 -- the fence was edited by hand; for once the lock id alone tells holders apart
  redis.call('SET', fence, token)
end
token = string.format('%.0f', token)

local since = now()
local holder = take_arguments({id = ARGV[1], token = token, since = since, renewed = since, lease = ARGV[2]}, 3)
-- In one command: a user who may not set expiries must not leave a lock that never ends.
redis.call('SET', lock, cjson.encode(holder), 'PX', ARGV[2])
return {'ours', token}
